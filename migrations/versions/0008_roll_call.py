"""Roll calls: launches, their steps and audience, obligations, reminders, attestations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import partitioning
from migrations.row_level_security import (
    APP_ROLE,
    force_row_level_security,
    protect_school_table,
    protect_shared_school_table,
    protect_student_readable_table,
    protect_student_table,
)
from migrations.sql_files import create_definer_functions

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_roll_call_tables()
    _create_audience_tables()
    _create_obligation_table()
    _create_staff_action_tables()
    create_definer_functions("launcher_path_of", "has_obligations_in_scope", "is_settled", "due_roll_calls")
    _enable_row_level_security()


def _roll_call_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["roll_call_id", "term_code"],
        ["roll_call.id", "roll_call.term_code"],
        name=op.f(f"fk_{table}_roll_call_id_term_code_roll_call"),
    )


def _create_roll_call_tables() -> None:
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
    op.create_index("ix_roll_call_closes_at", "roll_call", ["closes_at"])
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
        "roll_call_extension",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lost_seconds", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("lost_seconds > 0", name=op.f("ck_roll_call_extension_lost_seconds")),
        sa.ForeignKeyConstraint(
            ["roll_call_id"], ["roll_call.id"], name=op.f("fk_roll_call_extension_roll_call_id_roll_call")
        ),
        sa.PrimaryKeyConstraint("roll_call_id", "until", name=op.f("pk_roll_call_extension")),
    )


def _create_audience_tables() -> None:
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
    op.create_index("ix_roll_call_school_school", "roll_call_school", ["school_id", "roll_call_id"])
    op.create_table(
        "roll_call_class",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("owed", sa.Integer(), nullable=False),
        sa.Column("excused", sa.Integer(), nullable=False),
        sa.Column("exempt", sa.Integer(), nullable=False),
        _roll_call_key("roll_call_class"),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "school_id", "class_id", "term_code", name=op.f("pk_roll_call_class")
        ),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_table(
        "roll_call_site",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("site_version_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        _roll_call_key("roll_call_site"),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "school_id", "site_version_id", "term_code", name=op.f("pk_roll_call_site")
        ),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    for table in ("roll_call_school", "roll_call_class", "roll_call_site"):
        protect_shared_school_table(table, "SELECT, INSERT")


def _create_obligation_table() -> None:
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
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_obligation_class", "obligation", ["roll_call_id", "school_id", "class_id"])
    protect_student_readable_table("obligation")
    create_definer_functions("check_obligations", callable_by_app=False)
    op.execute(
        "CREATE TRIGGER check_obligations AFTER INSERT ON obligation REFERENCING NEW TABLE AS new_rows"
        " FOR EACH STATEMENT EXECUTE FUNCTION definer.check_obligations()"
    )


def _create_staff_action_tables() -> None:
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
        _roll_call_key("reminder"),
        sa.PrimaryKeyConstraint("id", "school_id", "term_code", name=op.f("pk_reminder")),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_reminder_roll_call", "reminder", ["roll_call_id", "school_id", "at"])
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
    op.create_index("ix_student_code_student", "student_code", ["student_id", "issued_at"])
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
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("position", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sampled", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _roll_call_key("attestation"),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "student_id", "school_id", "term_code", name=op.f("pk_attestation")
        ),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_attestation_sampled", "attestation", ["at"], postgresql_where=sa.text("sampled"))
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
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_table(
        "attestation_escalation",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("reviewing_path", sa.String(), nullable=False),
        sa.Column("reported_to", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "student_id", "school_id", "term_code", name=op.f("pk_attestation_escalation")
        ),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    _create_wrong_card_code_table()
    op.create_table(
        "half_year_registration",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_half_year_registration_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", "term_code", name=op.f("pk_half_year_registration")),
        sa.UniqueConstraint(
            "student_id", "year", "number", name=op.f("uq_half_year_registration_student_id_year_number")
        ),
    )
    protect_school_table("reminder", "SELECT, INSERT")
    protect_school_table("student_code", "SELECT, INSERT")
    protect_school_table("attestation", "SELECT, INSERT")
    protect_school_table("attestation_review", "SELECT, INSERT")
    protect_school_table("attestation_escalation", "SELECT, INSERT")
    protect_school_table("wrong_card_code", "SELECT, INSERT")
    protect_student_table("half_year_registration", grants="SELECT, INSERT")


def _create_wrong_card_code_table() -> None:
    op.create_table(
        "wrong_card_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("attested_by", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_wrong_card_code_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["roll_call_id"], ["roll_call.id"], name=op.f("fk_wrong_card_code_roll_call_id_roll_call")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wrong_card_code")),
    )
    op.create_index("ix_wrong_card_code_attester", "wrong_card_code", ["attested_by", "at"])
    op.create_index("ix_wrong_card_code_student", "wrong_card_code", ["student_id", "at"])


def _enable_row_level_security() -> None:
    """A roll call is visible to its launcher and to the units that it addresses; only the launcher writes it."""
    for table in ("roll_call", "roll_call_step", "roll_call_extension"):
        force_row_level_security(table, "SELECT, INSERT")
    launched_below = "CAST(launcher_path AS ltree) <@ (SELECT tenancy.path())"
    # A rehearsal is visible to the superiors only once it is completed (HN334-3.3).
    unfinished_rehearsal = (
        "(kind = 'rehearsal' AND (SELECT tenancy.is_wide())"
        " AND CAST(launcher_path AS ltree) <> (SELECT tenancy.path()) AND NOT definer.is_settled(roll_call.id))"
    )
    for table, visible in (
        (
            "roll_call",
            f"({launched_below} OR definer.has_obligations_in_scope(roll_call.id)) AND NOT {unfinished_rehearsal}",
        ),
        ("roll_call_step", "definer.has_obligations_in_scope(roll_call_step.roll_call_id)"),
        (
            "roll_call_extension",
            "EXISTS (SELECT 1 FROM roll_call r WHERE r.id = roll_call_extension.roll_call_id)",
        ),
    ):
        op.execute(f"CREATE POLICY can_select ON {table} FOR SELECT TO {APP_ROLE} USING ({visible})")
    # A school that is only addressed cannot void or settle the roll call of its superior.
    step_of_launcher = "definer.launcher_path_of(roll_call_id) <@ (SELECT tenancy.path())"
    for table, writable in (
        ("roll_call", launched_below),
        ("roll_call_step", step_of_launcher),
        ("roll_call_extension", step_of_launcher),
    ):
        op.execute(
            f"CREATE POLICY can_insert ON {table} FOR INSERT TO {APP_ROLE}"
            f" WITH CHECK ((SELECT tenancy.student()) IS NULL AND {writable})"
        )
