"""Standing"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import compressing, rls

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _first_tables()
    _more_tables()
    _secure()


def _first_tables() -> None:
    op.create_table(
        "daily_assessment",
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("legal_day", sa.Date(), nullable=False),
        sa.Column("students", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_daily_assessment_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("school_id", "legal_day", name=op.f("pk_daily_assessment")),
    )
    op.create_table(
        "replay_run",
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("legal_day", sa.Date(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("students", sa.Integer(), nullable=False),
        sa.Column("differing", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_replay_run_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("school_id", "legal_day", name=op.f("pk_replay_run")),
    )
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
    op.create_index("ix_outage_org_path", "outage", ["org_path"], unique=False)
    op.create_table(
        "outage_decision",
        sa.Column("outage_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=False),
        sa.Column("declared_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decided_by <> declared_by", name=op.f("ck_outage_decision_not_their_own")),
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
    op.create_index("ix_change_request_school", "change_request", ["school_id", "filed_at"], unique=False)
    op.create_index("ix_change_request_student", "change_request", ["student_id"], unique=False)
    op.create_table(
        "prompt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("grounds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("event_day", sa.Date(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed", sa.String(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "kind IN ('misses', 'leave_over_cap', 'absence_without_leave')", name=op.f("ck_prompt_kind")
        ),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_prompt_school_id_org_unit")),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_prompt_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt")),
        sa.UniqueConstraint("id", "school_id", "student_id", name=op.f("uq_prompt_id_school_id_student_id")),
    )
    compressing.quickly("prompt", "trace")
    op.create_index("ix_prompt_raised_at", "prompt", ["raised_at", "id"], unique=False)
    op.create_index("ix_prompt_school", "prompt", ["school_id", "raised_at"], unique=False)
    op.create_index("ix_prompt_student", "prompt", ["student_id", "raised_at"], unique=False)
    op.create_table(
        "replay_difference",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("found_by", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("differences", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "found_by IN ('replay', 'assessment')", name=op.f("ck_replay_difference_found_by")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_replay_difference_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay_difference")),
        sa.UniqueConstraint("student_id", "digest", name=op.f("uq_replay_difference_student_id_digest")),
    )
    op.create_table(
        "standing_origin",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("study_form", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_standing_origin_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_standing_origin")),
    )
    op.create_table(
        "standing_warning",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("proposed", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_standing_warning_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_warning")),
    )
    op.create_index("ix_standing_warning_student", "standing_warning", ["student_id", "at"], unique=False)
    op.create_table(
        "student_standing",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("locked_by", sa.Uuid(), nullable=True),
        sa.Column("assessment", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_student_standing_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_student_standing_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_student_standing")),
    )
    compressing.quickly("student_standing", "assessment")
    op.create_index(
        "ix_student_standing_next_at",
        "student_standing",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index("ix_student_standing_school", "student_standing", ["school_id"], unique=False)
    op.create_table(
        "student_lock",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_student_lock_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_student_lock")),
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
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_appeal_decided_not_their_own")),
        sa.ForeignKeyConstraint(
            ["appeal_id"], ["appeal_filed.id"], name=op.f("fk_appeal_decided_appeal_id_appeal_filed")
        ),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_decided")),
    )


def _more_tables() -> None:
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
            name=op.f("ck_change_request_step_not_their_own"),
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
        "prompt_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("found_reason", sa.String(), nullable=True),
        sa.Column("found_text", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(outcome = 'dismiss') = (found_reason IS NOT NULL)", name=op.f("ck_prompt_decision_found_reason")
        ),
        sa.CheckConstraint("role IN ('registrar', 'superior')", name=op.f("ck_prompt_decision_role")),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_decision_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_decision")),
        sa.UniqueConstraint("id", "decided_by", name=op.f("uq_prompt_decision_id_decided_by")),
    )
    op.create_index("ix_prompt_decision_prompt", "prompt_decision", ["prompt_id"], unique=False)
    op.create_index("ix_prompt_decision_student", "prompt_decision", ["student_id"], unique=False)
    op.create_table(
        "prompt_delivered",
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_delivered_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_prompt_delivered")),
    )
    op.create_table(
        "prompt_reminder",
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("working_day", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_reminder_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("prompt_id", "working_day", name=op.f("pk_prompt_reminder")),
    )
    op.create_table(
        "prompt_statement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_statement_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_statement")),
    )
    op.create_index("ix_prompt_statement_prompt", "prompt_statement", ["prompt_id"], unique=False)
    op.create_table(
        "prompt_step",
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_year", sa.Integer(), nullable=True),
        sa.Column("blockers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("dismissal", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('undelivered', 'running', 'dismissal_pending', 'blocked', 'escalated', 'decided', 'executed', 'dismissed', 'withdrawn')",
            name=op.f("ck_prompt_step_state"),
        ),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_step_prompt_id_prompt")),
        sa.PrimaryKeyConstraint("prompt_id", "seq", name=op.f("pk_prompt_step")),
    )
    op.create_index("ix_prompt_step_student", "prompt_step", ["student_id"], unique=False)
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
    op.create_index("ix_reason_claim_roll_call", "reason_claim", ["roll_call_id", "filed_at"], unique=False)
    op.create_index("ix_reason_claim_student", "reason_claim", ["student_id"], unique=False)
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
        "standing_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("caused_by", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("change_kind", sa.String(), nullable=False),
        sa.Column("standing_before", sa.String(), nullable=False),
        sa.Column("study_form_before", sa.String(), nullable=False),
        sa.Column("standing_after", sa.String(), nullable=False),
        sa.Column("study_form_after", sa.String(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=True),
        sa.Column("reverses", sa.Uuid(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(cause IN ('appeal', 'reversal')) = (reverses IS NOT NULL)",
            name=op.f("ck_standing_entry_reverses"),
        ),
        sa.CheckConstraint(
            "(cause IN ('decision', 'expiry')) <= (prompt_id IS NOT NULL)",
            name=op.f("ck_standing_entry_prompt"),
        ),
        sa.CheckConstraint(
            "cause IN ('decision', 'expiry', 'appeal', 'reversal', 'edit')",
            name=op.f("ck_standing_entry_cause"),
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_standing_entry_prompt_id_prompt")
        ),
        sa.ForeignKeyConstraint(
            ["reverses"], ["standing_entry.id"], name=op.f("fk_standing_entry_reverses_standing_entry")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_standing_entry_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_standing_entry_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_entry")),
        sa.UniqueConstraint("reverses", name=op.f("uq_standing_entry_reverses")),
        sa.UniqueConstraint("student_id", "seq", name=op.f("uq_standing_entry_student_id_seq")),
    )
    compressing.quickly("standing_entry", "trace")
    op.create_index("ix_standing_entry_school", "standing_entry", ["school_id", "at"], unique=False)
    op.create_table(
        "standing_feed",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["standing_entry.id"], name=op.f("fk_standing_feed_entry_id_standing_entry")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_standing_feed")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_standing_feed_entry_id")),
    )
    op.create_table(
        "aid_released",
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_id"], ["standing_entry.id"], name=op.f("fk_aid_released_change_id_standing_entry")
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_aid_released")),
    )
    op.create_table(
        "change_reversed",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("reversed_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_id"], ["standing_entry.id"], name=op.f("fk_change_reversed_change_id_standing_entry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_reversed")),
        sa.UniqueConstraint("change_id", name=op.f("uq_change_reversed_change_id")),
    )
    op.create_table(
        "dismissal_answer",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("answered_by <> decided_by", name=op.f("ck_dismissal_answer_not_their_own")),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["prompt_decision.id"],
            name=op.f("fk_dismissal_answer_decision_id_prompt_decision"),
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_dismissal_answer")),
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
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_reason_claim_decision_not_their_own")),
        sa.ForeignKeyConstraint(
            ["claim_id", "filed_by"],
            ["reason_claim.id", "reason_claim.filed_by"],
            name=op.f("fk_reason_claim_decision_claim_id_filed_by_reason_claim"),
        ),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_reason_claim_decision")),
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
    op.create_index("ix_standing_edit_student", "standing_edit", ["student_id"], unique=False)
    op.create_table(
        "service_heartbeat",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("minute", name=op.f("pk_service_heartbeat")),
    )
    _open_doors()


def _open_doors() -> None:
    """What the clock-driven jobs must know before they take a school's scope. Which schools, nothing of anybody."""
    op.execute(
        """
        CREATE FUNCTION definer.unassessed_schools(day date)
        RETURNS TABLE (school_id uuid, path text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          SELECT u.id, CAST(u.path AS text) FROM org_unit u
          WHERE u.kind = 'school'
            AND NOT EXISTS (SELECT 1 FROM daily_assessment d WHERE d.school_id = u.id AND d.legal_day = day);
        END
        """
    )
    # Where the record differs from what the facts give, nothing is kept until a person has looked: such a student
    # is judged once a day, or the beat would come back to them for ever.
    op.execute(
        """
        CREATE FUNCTION definer.due_standings(instant timestamptz)
        RETURNS TABLE (school_id uuid, path text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          SELECT DISTINCT u.id, CAST(u.path AS text) FROM student_standing s
          JOIN org_unit u ON u.id = s.school_id
          WHERE s.next_at <= instant
            AND NOT EXISTS (SELECT 1 FROM replay_difference r WHERE r.student_id = s.student_id);
        END
        """
    )
    op.execute(
        """
        CREATE FUNCTION definer.unreplayed_schools(day date)
        RETURNS TABLE (school_id uuid, path text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          SELECT u.id, CAST(u.path AS text) FROM org_unit u
          WHERE u.kind = 'school'
            AND NOT EXISTS (SELECT 1 FROM replay_run r WHERE r.school_id = u.id AND r.legal_day = day);
        END
        """
    )
    for signature in (
        "definer.unassessed_schools(date)",
        "definer.due_standings(timestamptz)",
        "definer.unreplayed_schools(date)",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO dianming_app")


def _secure() -> None:
    for table in _DERIVED:
        rls.student_readable_table(table)
    for table in _FILED_BY_STUDENTS:
        rls.student_table(table, grants="SELECT, INSERT")
    rls.student_table("student_lock")
    rls.student_readable_table("student_standing", grants="SELECT, INSERT, UPDATE")
    for table in ("prompt_reminder", "daily_assessment", "replay_run", "replay_difference", "standing_feed"):
        rls.school_table(table, "SELECT, INSERT")
    for table in ("outage", "outage_ended", "outage_decision"):
        rls.open_table(table, _BELOW, "SELECT, INSERT")
    rls.open_table("service_heartbeat", "true", "SELECT, INSERT")


_DERIVED = (
    "standing_origin",
    "prompt",
    "prompt_step",
    "standing_entry",
    "aid_released",
    "standing_warning",
    "prompt_delivered",
    "prompt_decision",
    "dismissal_answer",
    "reason_claim_decision",
    "attendance_entry",
    "change_reversed",
    "change_request",
    "change_request_step",
    "province_approved",
    "standing_edit",
    "appeal_decided",
)
_FILED_BY_STUDENTS = ("prompt_statement", "reason_claim", "appeal_filed")
_BELOW = (
    "(SELECT tenancy.kind()) IN ('wide', 'school') AND CAST(org_path AS ltree) <@ (SELECT tenancy.path())"
)
