"""Leave: requests, decisions, cancellations, returns, and stand-ins of a counselor"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import (
    protect_school_table,
    protect_student_readable_table,
    protect_student_table,
)

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_request_table()
    _create_decision_table()
    _create_end_tables()
    _create_stand_in_tables()


def _leave_request_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["leave_id", "school_id", "student_id"],
        ["leave_request.id", "leave_request.school_id", "leave_request.student_id"],
        name=op.f(f"fk_{table}_request"),
    )


def _create_request_table() -> None:
    op.create_table(
        "leave_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('personal', 'sick', 'other')", name=op.f("ck_leave_request_kind")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_leave_request_interval")),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_leave_request_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_leave_request_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leave_request")),
        sa.UniqueConstraint(
            "id", "school_id", "student_id", name=op.f("uq_leave_request_id_school_id_student_id")
        ),
        sa.UniqueConstraint("id", "filed_by", name=op.f("uq_leave_request_id_filed_by")),
    )
    op.create_index("ix_leave_request_student", "leave_request", ["student_id", "starts_at"])
    op.create_index("ix_leave_request_ends_at", "leave_request", ["ends_at"])
    protect_student_table("leave_request", grants="SELECT, INSERT")


def _create_decision_table() -> None:
    op.create_table(
        "leave_decision",
        sa.Column("leave_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=True),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("represented_counselor_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_leave_decision_by_another_account")),
        sa.CheckConstraint("outcome IN ('approved', 'declined')", name=op.f("ck_leave_decision_outcome")),
        sa.CheckConstraint(
            "outcome = 'approved' OR opinion IS NOT NULL", name=op.f("ck_leave_decision_opinion")
        ),
        _leave_request_key("leave_decision"),
        sa.ForeignKeyConstraint(
            ["leave_id", "filed_by"],
            ["leave_request.id", "leave_request.filed_by"],
            name=op.f("fk_leave_decision_leave_id_filed_by_leave_request"),
        ),
        sa.ForeignKeyConstraint(
            ["represented_counselor_id"],
            ["counselor.id"],
            name=op.f("fk_leave_decision_represented_counselor_id_counselor"),
        ),
        sa.PrimaryKeyConstraint("leave_id", name=op.f("pk_leave_decision")),
    )
    protect_student_readable_table("leave_decision")


def _create_end_tables() -> None:
    """What ends a leave early: its cancellation, or the student's return."""
    op.create_table(
        "leave_cancellation",
        sa.Column("leave_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("cancelled_by", sa.Uuid(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=False),
        _leave_request_key("leave_cancellation"),
        sa.PrimaryKeyConstraint("leave_id", name=op.f("pk_leave_cancellation")),
    )
    op.create_table(
        "leave_return",
        sa.Column("leave_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("returned_at <= recorded_at", name=op.f("ck_leave_return_past")),
        _leave_request_key("leave_return"),
        sa.PrimaryKeyConstraint("leave_id", name=op.f("pk_leave_return")),
    )
    protect_student_table("leave_cancellation", grants="SELECT, INSERT")
    protect_student_table("leave_return", grants="SELECT, INSERT")


def _create_stand_in_tables() -> None:
    op.create_table(
        "leave_stand_in",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("counselor_id", sa.Uuid(), nullable=False),
        sa.Column("stand_in_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("named_by", sa.Uuid(), nullable=False),
        sa.Column("named_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("counselor_id <> stand_in_id", name=op.f("ck_leave_stand_in_somebody_else")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_leave_stand_in_interval")),
        sa.ForeignKeyConstraint(
            ["counselor_id"], ["counselor.id"], name=op.f("fk_leave_stand_in_counselor_id_counselor")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_leave_stand_in_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["stand_in_id"], ["counselor.id"], name=op.f("fk_leave_stand_in_stand_in_id_counselor")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leave_stand_in")),
    )
    op.create_index("ix_leave_stand_in_stand_in", "leave_stand_in", ["stand_in_id", "ends_at"])
    op.create_table(
        "leave_stand_in_ended",
        sa.Column("arrangement_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("ended_by", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["arrangement_id"],
            ["leave_stand_in.id"],
            name=op.f("fk_leave_stand_in_ended_arrangement_id_leave_stand_in"),
        ),
        sa.PrimaryKeyConstraint("arrangement_id", name=op.f("pk_leave_stand_in_ended")),
    )
    protect_school_table("leave_stand_in", "SELECT, INSERT")
    protect_school_table("leave_stand_in_ended", "SELECT, INSERT")
