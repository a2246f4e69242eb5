"""Counters of outcomes, kept by the database as outcomes are written"""

import sqlalchemy as sa
from alembic import op

from migrations import rls

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_OUTCOMES = ("present", "missed", "excused", "undetermined")


def upgrade() -> None:
    def figures() -> list[sa.Column[int]]:
        return [sa.Column(outcome, sa.Integer(), nullable=False) for outcome in _OUTCOMES]

    op.create_table(
        "outcome_count",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        *figures(),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("roll_call_id", "school_id", "class_id", name=op.f("pk_outcome_count")),
    )
    op.create_index("ix_outcome_count_version", "outcome_count", ["roll_call_id", "version"])
    op.execute("CREATE SEQUENCE outcome_count_version AS bigint")
    op.create_table(
        "outcome_count_pending",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        *figures(),
        sa.PrimaryKeyConstraint("id", "school_id", name=op.f("pk_outcome_count_pending")),
    )
    op.create_index(
        "ix_outcome_count_pending_roll_call", "outcome_count_pending", ["roll_call_id", "class_id"]
    )
    for table in ("outcome_count", "outcome_count_pending"):
        rls.shared_school_table(table, "SELECT")
    for statement in (_NOTE, _TRIGGER, _FOLD, _RECOUNT, _SINCE):
        op.execute(statement)
    for signature in (
        "definer.flush_outcome_counts()",
        "definer.recount_outcomes(uuid)",
        "definer.progress_since(uuid, bigint)",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {rls.APP}")


# What a statement wrote is noted as one row for each class that it touched. Nothing is counted up in place: two who
# write for one class at once never wait for each other.
_NOTE = """
CREATE FUNCTION definer.count_outcomes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO outcome_count_pending (roll_call_id, class_id, school_id, present, missed, excused, undetermined)
  SELECT w.roll_call_id, w.class_id, w.school_id,
    count(*) FILTER (WHERE w.outcome = 'present'), count(*) FILTER (WHERE w.outcome = 'missed'),
    count(*) FILTER (WHERE w.outcome = 'excused'), count(*) FILTER (WHERE w.outcome = 'undetermined')
  FROM written w GROUP BY w.roll_call_id, w.class_id, w.school_id;
  -- First entries replace nothing, and a settlement writes many: nobody looks for what each of them replaced.
  IF EXISTS (SELECT 1 FROM written w WHERE w.seq > 1) THEN
    INSERT INTO outcome_count_pending (roll_call_id, class_id, school_id, present, missed, excused, undetermined)
    SELECT e.roll_call_id, e.class_id, e.school_id,
      -count(*) FILTER (WHERE e.outcome = 'present'), -count(*) FILTER (WHERE e.outcome = 'missed'),
      -count(*) FILTER (WHERE e.outcome = 'excused'), -count(*) FILTER (WHERE e.outcome = 'undetermined')
    FROM written w JOIN outcome_entry e
      ON e.term_code = w.term_code AND e.roll_call_id = w.roll_call_id AND e.student_id = w.student_id
      AND e.seq = w.seq - 1
    WHERE w.seq > 1
    GROUP BY e.roll_call_id, e.class_id, e.school_id;
  END IF;
  RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER counted AFTER INSERT ON outcome_entry REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION definer.count_outcomes()
"""

# One at a time; whoever comes second leaves it to the first. A reader sees either the notes or their sum. The version
# is drawn under the lock, which is kept until the commit is seen: whoever sees one has seen all before it.
_FOLD = """
CREATE FUNCTION definer.flush_outcome_counts() RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH mine AS MATERIALIZED (
    SELECT CASE WHEN pg_try_advisory_xact_lock(hashtextextended('flush_outcome_counts', 0))
      THEN nextval('outcome_count_version') END AS version
  ),
  taken AS (
    DELETE FROM outcome_count_pending d WHERE (SELECT version FROM mine) IS NOT NULL
    RETURNING d.roll_call_id, d.class_id, d.school_id, d.present, d.missed, d.excused, d.undetermined
  ), folded AS (
    INSERT INTO outcome_count AS c
      (roll_call_id, class_id, school_id, present, missed, excused, undetermined, version)
    SELECT t.roll_call_id, t.class_id, t.school_id, sum(t.present), sum(t.missed), sum(t.excused), sum(t.undetermined),
      (SELECT version FROM mine)
    FROM taken t GROUP BY t.roll_call_id, t.class_id, t.school_id
    ON CONFLICT (roll_call_id, school_id, class_id) DO UPDATE SET present = c.present + excluded.present,
      missed = c.missed + excluded.missed, excused = c.excused + excluded.excused,
      undetermined = c.undetermined + excluded.undetermined, version = excluded.version
    RETURNING 1
  )
  SELECT count(*) FROM folded;
END
"""

# From the outcomes in effect. Nobody writes one meanwhile: what is noted until then is in the new sums. A class without
# any has a counter of zeros, so that whoever knew another figure learns of it.
_RECOUNT = """
CREATE FUNCTION definer.recount_outcomes(p_roll_call uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  counted bigint;
  this_version bigint;
  this_term text := (SELECT r.term_code FROM roll_call r WHERE r.id = p_roll_call);
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('flush_outcome_counts', 0));
  this_version := nextval('outcome_count_version');
  LOCK TABLE outcome_entry IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM outcome_count_pending WHERE roll_call_id = p_roll_call;
  DELETE FROM outcome_count WHERE roll_call_id = p_roll_call;
  INSERT INTO outcome_count (roll_call_id, class_id, school_id, present, missed, excused, undetermined, version)
  -- Added up and not joined: right after a launch nobody knows yet how many classes there are, and a plan for one of them
  -- would count everything again for each.
  SELECT p_roll_call, n.class_id, n.school_id,
    count(*) FILTER (WHERE n.outcome = 'present'), count(*) FILTER (WHERE n.outcome = 'missed'),
    count(*) FILTER (WHERE n.outcome = 'excused'), count(*) FILTER (WHERE n.outcome = 'undetermined'), this_version
  FROM (
    SELECT c.class_id, c.school_id, '' AS outcome FROM roll_call_class c
    WHERE c.term_code = this_term AND c.roll_call_id = p_roll_call
    UNION ALL
    SELECT e.class_id, e.school_id, e.outcome FROM (
      SELECT DISTINCT ON (o.student_id) o.class_id, o.school_id, o.outcome FROM outcome_entry o
      WHERE o.term_code = this_term AND o.roll_call_id = p_roll_call ORDER BY o.student_id, o.seq DESC
    ) e
  ) n
  GROUP BY n.class_id, n.school_id;
  GET DIAGNOSTICS counted = ROW_COUNT;
  RETURN counted;
END $$
"""

# What a process does not know yet of a roll call's figures: counters newer than a version, and all notes (without one),
# of one snapshot, so that nothing is in both or in neither.
_SINCE = """
CREATE FUNCTION definer.progress_since(p_roll_call uuid, p_version bigint)
RETURNS TABLE (class_id uuid, version bigint, present bigint, missed bigint, excused bigint, undetermined bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT c.class_id, c.version, c.present::bigint, c.missed::bigint, c.excused::bigint, c.undetermined::bigint
  FROM outcome_count c WHERE c.roll_call_id = p_roll_call AND c.version > p_version
  UNION ALL
  SELECT d.class_id, NULL, sum(d.present), sum(d.missed), sum(d.excused), sum(d.undetermined)
  FROM outcome_count_pending d WHERE d.roll_call_id = p_roll_call GROUP BY d.class_id;
END $$
"""
