"""Roll calls"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import by_term, compressing, rls

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _of_roll_call(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["roll_call_id", "term_code"],
        ["roll_call.id", "roll_call.term_code"],
        name=op.f(f"fk_{table}_roll_call_id_term_code_roll_call"),
    )


def _of_submission(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["submission_id", "school_id", "term_code"],
        ["submission.id", "submission.school_id", "submission.term_code"],
        name=op.f(f"fk_{table}_submission_id_school_id_term_code_submission"),
    )


_ADDRESSED = "definer.has_obligations_here({key})"
"""Whether a roll call asks one's own school, or any of the schools below. A function, and not the question itself: the
tables that it asks have policies of their own, and planning all of them anew takes longer than any answer."""


def upgrade() -> None:
    op.create_table(
        "attestation_review",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("attested_by", sa.Uuid(), nullable=False),
        sa.Column("reviewed_by", sa.Uuid(), nullable=False),
        sa.Column("upheld", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reviewed_by <> attested_by", name=op.f("ck_attestation_review_second_person")),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "student_id", "school_id", "term_code", name=op.f("pk_attestation_review")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_table(
        "roll_call",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("launcher_id", sa.Uuid(), nullable=False),
        sa.Column("launcher_path", sa.String(), nullable=False),
        sa.Column("launched_by", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("audience", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seed", sa.String(), nullable=True),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notify_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frames_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('spot_check', 'registration', 'rehearsal', 'school_own')",
            name=op.f("ck_roll_call_kind"),
        ),
        sa.CheckConstraint(
            "notify_at <= opens_at AND opens_at < closes_at", name=op.f("ck_roll_call_window")
        ),
        sa.ForeignKeyConstraint(
            ["launcher_id"], ["org_unit.id"], name=op.f("fk_roll_call_launcher_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roll_call")),
        sa.UniqueConstraint("id", "term_code", name=op.f("uq_roll_call_id_term_code")),
    )
    op.create_index("ix_roll_call_closes_at", "roll_call", ["closes_at"], unique=False)
    op.create_table(
        "attestation",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("site_version_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("attested_by", sa.Uuid(), nullable=False),
        sa.Column("sampled", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _of_roll_call("attestation"),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "student_id", "school_id", "term_code", name=op.f("pk_attestation")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_table(
        "challenge",
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("key_thumbprint", sa.String(), nullable=False),
        sa.Column("actions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cannot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("flash", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("jsonb_array_length(actions) > 0", name=op.f("ck_challenge_actions")),
        _of_roll_call("challenge"),
        sa.PrimaryKeyConstraint("nonce", "school_id", "term_code", name=op.f("pk_challenge")),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_index(
        "ix_challenge_student", "challenge", ["roll_call_id", "student_id", "expires_at"], unique=False
    )
    op.create_table(
        "refusal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("envelope_digest", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _of_roll_call("refusal"),
        sa.PrimaryKeyConstraint("id", "school_id", "term_code", name=op.f("pk_refusal")),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_index("ix_refusal_student", "refusal", ["roll_call_id", "student_id", "at"], unique=False)
    op.create_table(
        "roll_call_class",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("owed", sa.Integer(), nullable=False),
        sa.Column("excused", sa.Integer(), nullable=False),
        sa.Column("exempt", sa.Integer(), nullable=False),
        _of_roll_call("roll_call_class"),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "school_id", "class_id", "term_code", name=op.f("pk_roll_call_class")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_table(
        "roll_call_school",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("owed", sa.Integer(), nullable=False),
        sa.Column("excused", sa.Integer(), nullable=False),
        sa.Column("exempt", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["roll_call_id"], ["roll_call.id"], name=op.f("fk_roll_call_school_roll_call_id_roll_call")
        ),
        sa.PrimaryKeyConstraint("roll_call_id", "school_id", name=op.f("pk_roll_call_school")),
    )
    op.create_index(
        "ix_roll_call_school_school", "roll_call_school", ["school_id", "roll_call_id"], unique=False
    )
    op.create_table(
        "roll_call_site",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("site_version_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        _of_roll_call("roll_call_site"),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "school_id", "site_version_id", "term_code", name=op.f("pk_roll_call_site")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_table(
        "roll_call_step",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("step IN ('announced', 'settled', 'voided')", name=op.f("ck_roll_call_step_step")),
        sa.ForeignKeyConstraint(
            ["roll_call_id"], ["roll_call.id"], name=op.f("fk_roll_call_step_roll_call_id_roll_call")
        ),
        sa.PrimaryKeyConstraint("roll_call_id", "step", name=op.f("pk_roll_call_step")),
    )
    op.create_table(
        "reminder",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=True),
        sa.Column("sent_by", sa.Uuid(), nullable=False),
        sa.Column("students", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _of_roll_call("reminder"),
        sa.PrimaryKeyConstraint("id", "school_id", "term_code", name=op.f("pk_reminder")),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_index("ix_reminder_roll_call", "reminder", ["roll_call_id", "school_id", "at"], unique=False)
    op.create_table(
        "half_year_registration",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_half_year_registration_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", "year", "number", name=op.f("pk_half_year_registration")),
    )
    op.create_table(
        "obligation",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("study_form", sa.String(), nullable=False),
        sa.Column("programme", sa.String(), nullable=False),
        sa.CheckConstraint("(duty = 'owed') = (reason IS NULL)", name=op.f("ck_obligation_reason")),
        sa.CheckConstraint("duty IN ('owed', 'excused', 'exempt')", name=op.f("ck_obligation_duty")),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "student_id", "school_id", "term_code", name=op.f("pk_obligation")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_index(
        "ix_obligation_class", "obligation", ["roll_call_id", "school_id", "class_id"], unique=False
    )
    op.create_table(
        "student_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issued_by", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_student_code_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_student_code")),
    )
    op.create_index("ix_student_code_student", "student_code", ["student_id", "issued_at"], unique=False)
    op.create_table(
        "submission",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("key_thumbprint", sa.String(), nullable=False),
        sa.Column("in_cool_down", sa.Boolean(), nullable=False),
        sa.Column("envelope", sa.String(), nullable=False),
        sa.Column("envelope_digest", sa.LargeBinary(), nullable=False),
        sa.Column("frame_count", sa.SmallInteger(), nullable=False),
        sa.Column("receipt", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frames_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frames_gone_at", sa.DateTime(timezone=True), nullable=True),
        _of_roll_call("submission"),
        sa.ForeignKeyConstraint(
            ["nonce", "school_id", "term_code"],
            ["challenge.nonce", "challenge.school_id", "challenge.term_code"],
            name=op.f("fk_submission_nonce_school_id_term_code_challenge"),
        ),
        sa.PrimaryKeyConstraint("id", "school_id", "term_code", name=op.f("pk_submission")),
        sa.UniqueConstraint(
            "nonce", "school_id", "term_code", name=op.f("uq_submission_nonce_school_id_term_code")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    compressing.quickly("submission", "envelope")
    op.create_index(
        "ix_submission_student", "submission", ["roll_call_id", "student_id", "received_at"], unique=False
    )
    op.create_index(
        "ix_submission_frames_kept",
        "submission",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("frames_gone_at IS NULL"),
    )
    op.create_table(
        "outcome_entry",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('present', 'missed', 'excused', 'undetermined')",
            name=op.f("ck_outcome_entry_outcome"),
        ),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_outcome_entry_seq")),
        _of_submission("outcome_entry"),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "student_id", "seq", "school_id", "term_code", name=op.f("pk_outcome_entry")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_index(
        "ix_outcome_entry_others",
        "outcome_entry",
        ["roll_call_id", "school_id", "outcome", "student_id"],
        unique=False,
        postgresql_where=sa.text("outcome <> 'present'"),
    )
    op.create_index(
        "ix_outcome_entry_missed",
        "outcome_entry",
        ["school_id", "roll_call_id", "student_id"],
        unique=False,
        postgresql_where=sa.text("outcome = 'missed'"),
    )
    op.create_table(
        "submission_frame",
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("evidence_key", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_sha256", sa.LargeBinary(), nullable=True),
        _of_submission("submission_frame"),
        sa.PrimaryKeyConstraint(
            "submission_id", "position", "school_id", "term_code", name=op.f("pk_submission_frame")
        ),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_index(
        "ix_submission_frame_as_sent",
        "submission_frame",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("kept_sha256 IS NULL"),
    )
    op.create_index("ix_submission_frame_sha256", "submission_frame", ["sha256"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("finding", sa.String(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("engine", sa.String(), nullable=True),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "finding IN ('accepted', 'step_up', 'rejected', 'undetermined')", name=op.f("ck_verdict_finding")
        ),
        _of_roll_call("verdict"),
        _of_submission("verdict"),
        sa.PrimaryKeyConstraint("submission_id", "school_id", "term_code", name=op.f("pk_verdict")),
        postgresql_partition_by=by_term.KEY,
    )
    op.create_index("ix_verdict_student", "verdict", ["roll_call_id", "student_id"], unique=False)
    by_term.prepare()
    _open_doors()
    _secure()


def _secure() -> None:
    for table in ("roll_call_school", "roll_call_class", "roll_call_site"):
        rls.shared_school_table(table, "SELECT, INSERT")
    for table in ("obligation", "verdict", "outcome_entry", "attestation", "attestation_review"):
        rls.student_readable_table(table)
    for table in ("challenge", "submission", "submission_frame", "refusal", "half_year_registration"):
        rls.student_table(table, grants="SELECT, INSERT")
    op.execute(f"GRANT UPDATE (frames_gone_at) ON submission TO {rls.APP}")
    op.execute(f"GRANT UPDATE (kept_sha256) ON submission_frame TO {rls.APP}")
    for table in ("student_code", "reminder"):
        rls.school_table(table, "SELECT, INSERT")
    for table, key in (("roll_call", "roll_call.id"), ("roll_call_step", "roll_call_step.roll_call_id")):
        rls.open_table(table, "false", "SELECT, INSERT")
        op.execute(f"DROP POLICY reading ON {table}")
        op.execute(f"DROP POLICY inserting ON {table}")
        own = "CAST(launcher_path AS ltree) <@ (SELECT tenancy.path()) OR " if table == "roll_call" else ""
        # A rehearsal is its school's own business until it is completed (HN334-3.3).
        unfinished = (
            " AND NOT (kind = 'rehearsal' AND (SELECT tenancy.is_wide())"
            " AND CAST(launcher_path AS ltree) <> (SELECT tenancy.path()) AND NOT definer.is_settled(roll_call.id))"
            if table == "roll_call"
            else ""
        )
        op.execute(
            f"CREATE POLICY reading ON {table} FOR SELECT TO dianming_app"
            f" USING (({own}{_ADDRESSED.format(key=key)}){unfinished})"
        )
        # Whoever is only addressed takes no step of a roll call: a school cannot void or settle its superior's.
        step = "definer.launcher_of(roll_call_id) <@ (SELECT tenancy.path())"
        written = own.removesuffix(" OR ") or step
        op.execute(
            f"CREATE POLICY inserting ON {table} FOR INSERT TO dianming_app"
            f" WITH CHECK ((SELECT tenancy.student()) IS NULL AND {written})"
        )


def _open_doors() -> None:
    """What the clock-driven jobs must know before they take a launcher's scope, and reuse across schools."""
    op.execute(
        """
        CREATE FUNCTION definer.due_roll_calls(instant timestamptz)
        RETURNS TABLE (roll_call_id uuid, launcher_path text, due text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          SELECT r.id, r.launcher_path, 'announce' FROM roll_call r
          WHERE r.notify_at <= instant
            AND NOT EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = r.id)
          UNION ALL
          SELECT r.id, r.launcher_path, 'settle' FROM roll_call r
          WHERE r.closes_at < instant
            AND NOT EXISTS (SELECT 1 FROM roll_call_step s
                            WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'));
        END
        """
    )
    op.execute(
        """
        CREATE FUNCTION definer.with_frames_seen_elsewhere(submissions uuid[])
        RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          -- Only what came earlier counts: a copy must not spoil its original. It is the picture that comes, not
          -- the envelope that only announces it: else the copy could be announced first and sent last.
          SELECT DISTINCT own.submission_id FROM submission_frame own
          JOIN submission_frame other ON other.sha256 = own.sha256 AND other.submission_id <> own.submission_id
          WHERE own.submission_id = ANY (submissions)
            AND (other.received_at, other.submission_id) < (own.received_at, own.submission_id);
        END
        """
    )
    # For the policy of the steps, which cannot ask a table whose own policy asks for the steps.
    op.execute(
        """
        CREATE FUNCTION definer.launcher_of(roll_call uuid) RETURNS ltree
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        RETURN (SELECT CAST(r.launcher_path AS ltree) FROM roll_call r WHERE r.id = roll_call)
        """
    )
    # In plpgsql, which keeps their plans for as long as a connection lives.
    op.execute(
        """
        CREATE FUNCTION definer.has_obligations_here(roll_call uuid) RETURNS boolean
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
          IF tenancy.is_wide() THEN
            RETURN EXISTS (SELECT 1 FROM roll_call_school s JOIN org_unit u ON u.id = s.school_id
                           WHERE s.roll_call_id = roll_call AND u.kind = 'school' AND u.path <@ tenancy.path());
          END IF;
          RETURN EXISTS (SELECT 1 FROM roll_call_school s
                         WHERE s.roll_call_id = roll_call AND s.school_id = tenancy.school());
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION definer.is_settled(roll_call uuid) RETURNS boolean
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
          RETURN EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = roll_call AND s.step = 'settled');
        END $$
        """
    )
    # The one who may take a step of a roll call sees whom it asked; without the policies, since they would be asked for
    # each of a million rows, and hide from the planner how many there are.
    op.execute(
        """
        CREATE FUNCTION definer.open_obligations(p_roll_call uuid)
        RETURNS TABLE (student_id uuid, school_id uuid, class_id uuid, duty varchar, reason varchar)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        SET work_mem = '64MB'
        SET enable_nestloop = off -- of a roll call that is new to it the planner expects one row, and looks a million up
        AS $$
        DECLARE
          term varchar := (SELECT r.term_code FROM roll_call r WHERE r.id = p_roll_call);
        BEGIN
          IF tenancy.student() IS NOT NULL OR NOT coalesce(definer.launcher_of(p_roll_call) <@ tenancy.path(), false) THEN
            RETURN;
          END IF;
          RETURN QUERY SELECT o.student_id, o.school_id, o.class_id, o.duty, o.reason FROM obligation o
            WHERE o.term_code = term AND o.roll_call_id = p_roll_call AND o.duty <> 'exempt' AND NOT EXISTS
              (SELECT 1 FROM outcome_entry e
               WHERE e.term_code = term AND e.roll_call_id = p_roll_call AND e.student_id = o.student_id);
        END
        $$
        """
    )
    # Instead of a foreign key: a launch writes a million rows of one roll call, and asks once whether there is one.
    op.execute(
        """
        CREATE FUNCTION definer.check_obligations() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
        BEGIN
          IF EXISTS (SELECT w.roll_call_id, w.term_code FROM written w
                     EXCEPT SELECT r.id, r.term_code FROM roll_call r) THEN
            RAISE foreign_key_violation USING MESSAGE = 'an obligation of a roll call or term that there is not';
          END IF;
          RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER of_roll_call AFTER INSERT ON obligation REFERENCING NEW TABLE AS written"
        " FOR EACH STATEMENT EXECUTE FUNCTION definer.check_obligations()"
    )
    op.execute("REVOKE ALL ON FUNCTION definer.check_obligations() FROM PUBLIC")
    for signature in (
        "definer.open_obligations(uuid)",
        "definer.due_roll_calls(timestamptz)",
        "definer.with_frames_seen_elsewhere(uuid[])",
        "definer.launcher_of(uuid)",
        "definer.has_obligations_here(uuid)",
        "definer.is_settled(uuid)",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO dianming_app")
