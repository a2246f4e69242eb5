"""The queue of verification"""

import sqlalchemy as sa
from alembic import op

from migrations import rls

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "verification_task",
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("died_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'leased', 'dead')", name=op.f("ck_verification_task_state")),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_until IS NOT NULL)", name=op.f("ck_verification_task_lease")
        ),
        sa.CheckConstraint(
            "(state = 'dead') = (died_at IS NOT NULL)", name=op.f("ck_verification_task_death")
        ),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_verification_task")),
    )
    op.create_index(
        "ix_verification_task_waiting",
        "verification_task",
        ["not_before"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_verification_task_of_school",
        "verification_task",
        ["school_id", "not_before"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_verification_task_leased",
        "verification_task",
        ["lease_until"],
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_verification_task_dead",
        "verification_task",
        ["died_at", "submission_id"],
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_table(
        "verification_throughput",
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("busy_seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("worker", "since", name=op.f("pk_verification_throughput")),
    )
    rls.school_table("verification_task", "SELECT, INSERT, UPDATE, DELETE")
    # The phone's last frame enqueues under the student's own scope, which sees nothing of the queue.
    op.execute(
        f"CREATE POLICY student_enqueues ON verification_task FOR INSERT TO {rls.APP}"
        " WITH CHECK (school_id = (SELECT tenancy.school()) AND student_id = (SELECT tenancy.student())"
        " AND state = 'waiting')"
    )
    rls.ledger_table("verification_throughput", "SELECT, INSERT, UPDATE, DELETE")
    # Rows come and go by the second: what is gone is cleared away before the index of those who wait grows over it.
    op.execute(
        "ALTER TABLE verification_task SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0)"
    )
    _open_doors()


def _open_doors() -> None:
    """Workers take what waits in any school, and learn no more of it than whose scope to take."""
    op.execute("CREATE SEQUENCE verification_fence")
    op.execute(
        """
        CREATE FUNCTION definer.claim_verifications(
          claimant text, instant timestamptz, until timestamptz, at_most integer, tries integer
        )
        RETURNS TABLE (submission_id uuid, school_id uuid, attempts smallint, fence bigint)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
        #variable_conflict use_column
        DECLARE chosen uuid[]; of_school uuid;
        BEGIN
          UPDATE verification_task
          SET state = 'dead', died_at = instant, lease_until = NULL, last_error = 'worker_lost'
          WHERE submission_id IN (SELECT submission_id FROM verification_task
                                  WHERE state = 'leased' AND lease_until <= instant AND attempts >= tries
                                  FOR UPDATE SKIP LOCKED);
          -- A worker died over it, or hangs: it is taken alone, so that it spoils no other if it was the cause.
          chosen := ARRAY(SELECT submission_id FROM verification_task
                          WHERE state = 'leased' AND lease_until <= instant
                          ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED);
          IF cardinality(chosen) = 0 THEN
            -- Whoever waits longest says which school; more of the same one share what is read for it.
            SELECT school_id INTO of_school FROM verification_task
            WHERE state = 'waiting' AND not_before <= instant
            ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
              RETURN;
            END IF;
            chosen := ARRAY(SELECT submission_id FROM verification_task
                            WHERE state = 'waiting' AND school_id = of_school AND not_before <= instant
                            ORDER BY not_before LIMIT at_most FOR UPDATE SKIP LOCKED);
          END IF;
          RETURN QUERY
          UPDATE verification_task t
          SET state = 'leased', worker = claimant, lease_until = until, attempts = t.attempts + 1,
              fence = nextval('verification_fence')
          WHERE t.submission_id = ANY (chosen)
          RETURNING t.submission_id, t.school_id, t.attempts, t.fence;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION definer.verification_load(roll_call uuid)
        RETURNS TABLE (state text, own boolean, tasks bigint, oldest timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          -- Counts alone, in one pass: what is left for one roll call depends on what waits for all others.
          SELECT t.state, t.roll_call_id IS NOT DISTINCT FROM coalesce(roll_call, t.roll_call_id), count(*),
                 min(t.enqueued_at)
          FROM verification_task t GROUP BY 1, 2;
        END
        """
    )
    op.execute(
        """
        CREATE FUNCTION definer.has_pending_verifications() RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        RETURN EXISTS (SELECT 1 FROM verification_task WHERE state = 'waiting')
               OR EXISTS (SELECT 1 FROM verification_task WHERE state = 'leased')
        """
    )
    for signature in (
        "definer.claim_verifications(text, timestamptz, timestamptz, integer, integer)",
        "definer.verification_load(uuid)",
        "definer.has_pending_verifications()",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {rls.APP}")
