"""Standing: facts that an assessment reads: attendance, claims, changes, outages, appeals"""

from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import (
    protect_open_table,
    protect_student_readable_table,
    protect_student_table,
)

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_attendance_table()
    _create_claim_tables()
    _create_change_request_tables()
    _create_outage_tables()
    _create_appeal_tables()
    _create_evidence_tables()


def _create_attendance_table() -> None:
    op.create_table(
        "attendance_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("at <= recorded_at", name=op.f("ck_attendance_entry_past")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_attendance_entry_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance_entry")),
        sa.UniqueConstraint(
            "student_id", "at", "present", name=op.f("uq_attendance_entry_student_id_at_present")
        ),
    )
    protect_student_readable_table("attendance_entry")


def _create_claim_tables() -> None:
    op.create_table(
        "reason_claim",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("leave_id", sa.Uuid(), nullable=True),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["leave_id"], ["leave_request.id"], name=op.f("fk_reason_claim_leave_id_leave_request")
        ),
        sa.ForeignKeyConstraint(
            ["roll_call_id"], ["roll_call.id"], name=op.f("fk_reason_claim_roll_call_id_roll_call")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_reason_claim_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reason_claim")),
        sa.UniqueConstraint("id", "filed_by", name=op.f("uq_reason_claim_id_filed_by")),
    )
    op.create_index("ix_reason_claim_roll_call", "reason_claim", ["roll_call_id", "filed_at"])
    op.create_index("ix_reason_claim_student", "reason_claim", ["student_id"])
    op.create_index(
        "uq_reason_claim_leave",
        "reason_claim",
        ["roll_call_id", "leave_id"],
        unique=True,
        postgresql_where=sa.text("leave_id IS NOT NULL"),
    )
    op.create_index(
        "uq_reason_claim_person",
        "reason_claim",
        ["roll_call_id", "student_id"],
        unique=True,
        postgresql_where=sa.text("leave_id IS NULL"),
    )
    op.create_table(
        "reason_claim_decision",
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "decided_by <> filed_by", name=op.f("ck_reason_claim_decision_by_another_account")
        ),
        sa.ForeignKeyConstraint(
            ["claim_id", "filed_by"],
            ["reason_claim.id", "reason_claim.filed_by"],
            name=op.f("fk_reason_claim_decision_claim_id_filed_by_reason_claim"),
        ),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_reason_claim_decision")),
    )
    protect_student_table("reason_claim", grants="SELECT, INSERT")
    protect_student_readable_table("reason_claim_decision")


def _create_change_request_tables() -> None:
    op.create_table(
        "change_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("change_kind", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=True),
        sa.Column("study_form", sa.String(), nullable=True),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("chain", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_change_request_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_change_request_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_request")),
        sa.UniqueConstraint("id", "filed_by", name=op.f("uq_change_request_id_filed_by")),
    )
    op.create_index("ix_change_request_school", "change_request", ["school_id", "filed_at"])
    op.create_index("ix_change_request_student", "change_request", ["student_id"])
    op.create_table(
        "change_request_step",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome = 'withdrawn' OR decided_by <> filed_by",
            name=op.f("ck_change_request_step_by_another_account"),
        ),
        sa.CheckConstraint(
            "outcome IN ('agreed', 'refused', 'withdrawn')", name=op.f("ck_change_request_step_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["request_id", "filed_by"],
            ["change_request.id", "change_request.filed_by"],
            name=op.f("fk_change_request_step_request_id_filed_by_change_request"),
        ),
        sa.PrimaryKeyConstraint("request_id", "position", name=op.f("pk_change_request_step")),
    )
    op.create_table(
        "province_approved",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["change_request.id"], name=op.f("fk_province_approved_request_id_change_request")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_province_approved")),
    )
    op.create_table(
        "standing_edit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=True),
        sa.Column("study_form", sa.String(), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("approval_id", sa.Uuid(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"],
            ["province_approved.request_id"],
            name=op.f("fk_standing_edit_approval_id_province_approved"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["change_request.id"], name=op.f("fk_standing_edit_request_id_change_request")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_standing_edit_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_edit")),
        sa.UniqueConstraint("approval_id", name=op.f("uq_standing_edit_approval_id")),
    )
    op.create_index("ix_standing_edit_student", "standing_edit", ["student_id"])
    for table in ("change_request", "change_request_step", "province_approved", "standing_edit"):
        protect_student_readable_table(table)


def _create_outage_tables() -> None:
    op.create_table(
        "outage",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("declarer_path", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lapses_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("declared_by", sa.Uuid(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(ends_at IS NULL OR (starts_at < ends_at AND ends_at <= lapses_at)) AND starts_at <= declared_at",
            name=op.f("ck_outage_interval"),
        ),
        sa.ForeignKeyConstraint(["org_id"], ["org_unit.id"], name=op.f("fk_outage_org_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage")),
        sa.UniqueConstraint("id", "declared_by", name=op.f("uq_outage_id_declared_by")),
    )
    op.create_index("ix_outage_org_path", "outage", ["org_path"])
    op.create_table(
        "outage_decision",
        sa.Column("outage_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=False),
        sa.Column("declared_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decided_by <> declared_by", name=op.f("ck_outage_decision_by_another_account")),
        sa.ForeignKeyConstraint(
            ["outage_id", "declared_by"],
            ["outage.id", "outage.declared_by"],
            name=op.f("fk_outage_decision_outage_id_declared_by_outage"),
        ),
        sa.PrimaryKeyConstraint("outage_id", name=op.f("pk_outage_decision")),
    )
    op.create_table(
        "outage_ended",
        sa.Column("outage_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outage.id"], name=op.f("fk_outage_ended_outage_id_outage")),
        sa.PrimaryKeyConstraint("outage_id", name=op.f("pk_outage_ended")),
    )
    unit_is_in_scope = (
        "(SELECT tenancy.kind()) IN ('wide', 'school') AND CAST(org_path AS ltree) <@ (SELECT tenancy.path())"
    )
    for table in ("outage", "outage_decision", "outage_ended"):
        protect_open_table(table, unit_is_in_scope, "SELECT, INSERT")


def _create_appeal_tables() -> None:
    op.create_table(
        "appeal_filed",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("appellant", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("previous", sa.Uuid(), nullable=True),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("appellant IN ('student', 'school')", name=op.f("ck_appeal_filed_appellant")),
        sa.CheckConstraint("target IN ('check', 'change', 'gaokao')", name=op.f("ck_appeal_filed_target")),
        sa.ForeignKeyConstraint(
            ["previous"], ["appeal_filed.id"], name=op.f("fk_appeal_filed_previous_appeal_filed")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_appeal_filed_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_appeal_filed_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeal_filed")),
        sa.UniqueConstraint("id", "filed_by", name=op.f("uq_appeal_filed_id_filed_by")),
        sa.UniqueConstraint("previous", name=op.f("uq_appeal_filed_previous")),
    )
    op.create_index(
        "uq_appeal_filed_matter",
        "appeal_filed",
        ["student_id", "appellant", "target", "target_id"],
        unique=True,
        postgresql_where=sa.text("previous IS NULL"),
    )
    op.create_table(
        "appeal_decided",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("upheld", sa.Boolean(), nullable=False),
        sa.Column("finding", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("finding IN ('present', 'excused')", name=op.f("ck_appeal_decided_finding")),
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_appeal_decided_by_another_account")),
        sa.ForeignKeyConstraint(
            ["appeal_id"], ["appeal_filed.id"], name=op.f("fk_appeal_decided_appeal_id_appeal_filed")
        ),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_decided")),
    )
    op.create_table(
        "appeal_withdrawn",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["appeal_id"], ["appeal_filed.id"], name=op.f("fk_appeal_withdrawn_appeal_id_appeal_filed")
        ),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_withdrawn")),
    )
    protect_student_table("appeal_filed", grants="SELECT, INSERT")
    protect_student_readable_table("appeal_decided")
    protect_student_table("appeal_withdrawn", grants="SELECT, INSERT")


def _create_evidence_tables() -> None:
    """What a superior adds to a prompt: evidence, a closure, answers to late leave."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "evidence_completed",
        *_owner_columns(),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("delivered_at", instant, nullable=True),
        sa.Column("how", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.CheckConstraint("part IN ('notice', 'submissions')", name=op.f("ck_evidence_completed_part")),
        sa.CheckConstraint(
            "(part = 'notice') = (delivered_at IS NOT NULL)", name=op.f("ck_evidence_completed_delivered_at")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_evidence_completed_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_evidence_completed_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("student_id", "roll_call_id", "part", name=op.f("pk_evidence_completed")),
    )
    op.create_table(
        "prompt_closed",
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        *_owner_columns(),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("closed_by", sa.Uuid(), nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_closed_prompt_id_prompt")),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_prompt_closed")),
    )
    op.create_table(
        "late_leave_answer",
        sa.Column("leave_id", sa.Uuid(), nullable=False),
        *_owner_columns(),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.ForeignKeyConstraint(
            ["leave_id"], ["leave_request.id"], name=op.f("fk_late_leave_answer_leave_id_leave_request")
        ),
        sa.PrimaryKeyConstraint("leave_id", name=op.f("pk_late_leave_answer")),
    )
    for table in ("evidence_completed", "prompt_closed", "late_leave_answer"):
        op.create_index(f"ix_{table}_student_id", table, ["student_id"])
        protect_student_readable_table(table)


def _owner_columns() -> tuple[sa.Column[UUID], ...]:
    """The school and student columns of a row about a student."""
    return (
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
    )
