"""Check-in: challenges, submissions with their frames, refusals, and the verification queue"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import compression, partitioning
from migrations.row_level_security import (
    APP_ROLE,
    protect_ledger_table,
    protect_school_table,
    protect_student_readable_table,
    protect_student_table,
)
from migrations.sql_files import create_definer_functions

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_submission_tables()
    _create_verdict_table()
    _create_verification_queue()
    create_definer_functions(
        "check_in_facts",
        "store_check_ins",
        "declared_frames",
        "store_frames",
        "submissions_with_reused_frames",
        "claim_verifications",
        "verification_load",
        "has_pending_verifications",
    )


def _roll_call_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["roll_call_id", "term_code"],
        ["roll_call.id", "roll_call.term_code"],
        name=op.f(f"fk_{table}_roll_call_id_term_code_roll_call"),
    )


def _submission_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["submission_id", "school_id", "term_code"],
        ["submission.id", "submission.school_id", "submission.term_code"],
        name=op.f(f"fk_{table}_submission_id_school_id_term_code_submission"),
    )


def _create_submission_tables() -> None:
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
        _roll_call_key("challenge"),
        sa.PrimaryKeyConstraint("nonce", "school_id", "term_code", name=op.f("pk_challenge")),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_challenge_student", "challenge", ["roll_call_id", "student_id", "expires_at"])
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
        _roll_call_key("refusal"),
        sa.PrimaryKeyConstraint("id", "school_id", "term_code", name=op.f("pk_refusal")),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_refusal_student", "refusal", ["roll_call_id", "student_id", "at"])
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
        sa.Column("frames_deleted_at", sa.DateTime(timezone=True), nullable=True),
        _roll_call_key("submission"),
        sa.ForeignKeyConstraint(
            ["nonce", "school_id", "term_code"],
            ["challenge.nonce", "challenge.school_id", "challenge.term_code"],
            name=op.f("fk_submission_nonce_school_id_term_code_challenge"),
        ),
        sa.PrimaryKeyConstraint("id", "school_id", "term_code", name=op.f("pk_submission")),
        sa.UniqueConstraint(
            "nonce", "school_id", "term_code", name=op.f("uq_submission_nonce_school_id_term_code")
        ),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    compression.use_lz4("submission", "envelope")
    op.create_index("ix_submission_student", "submission", ["roll_call_id", "student_id", "received_at"])
    op.create_index(
        "ix_submission_frames_kept",
        "submission",
        ["received_at"],
        postgresql_where=sa.text("frames_deleted_at IS NULL"),
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
        _submission_key("submission_frame"),
        sa.PrimaryKeyConstraint(
            "submission_id", "position", "school_id", "term_code", name=op.f("pk_submission_frame")
        ),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index(
        "ix_submission_frame_as_sent",
        "submission_frame",
        ["received_at"],
        postgresql_where=sa.text("kept_sha256 IS NULL"),
    )
    op.create_index("ix_submission_frame_sha256", "submission_frame", ["sha256"])
    for table in ("challenge", "submission", "submission_frame", "refusal"):
        protect_student_table(table, grants="SELECT, INSERT")
    op.execute(f"GRANT UPDATE (frames_deleted_at) ON submission TO {APP_ROLE}")
    op.execute(f"GRANT UPDATE (kept_sha256) ON submission_frame TO {APP_ROLE}")


def _create_verdict_table() -> None:
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
        _roll_call_key("verdict"),
        _submission_key("verdict"),
        sa.PrimaryKeyConstraint("submission_id", "school_id", "term_code", name=op.f("pk_verdict")),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_verdict_student", "verdict", ["roll_call_id", "student_id"])
    protect_student_readable_table("verdict")


def _create_verification_queue() -> None:
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
    op.execute("CREATE SEQUENCE verification_fence")
    protect_school_table("verification_task", "SELECT, INSERT, UPDATE, DELETE")
    # The last frame of a phone enqueues the task under the student's scope, which cannot read the queue.
    op.execute(
        f"CREATE POLICY student_enqueues ON verification_task FOR INSERT TO {APP_ROLE}"
        " WITH CHECK (school_id = (SELECT tenancy.school()) AND student_id = (SELECT tenancy.student())"
        " AND state = 'waiting')"
    )
    protect_ledger_table("verification_throughput", "SELECT, INSERT, UPDATE, DELETE")
    # Rows live for seconds: vacuum early, before dead entries slow down the index of waiting tasks.
    op.execute(
        "ALTER TABLE verification_task SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0)"
    )
