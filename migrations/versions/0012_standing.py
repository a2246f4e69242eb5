"""Standing: the current state of each student, the ledger of changes, warnings, assessment and replay"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import compression
from migrations.row_level_security import protect_school_table, protect_student_readable_table
from migrations.sql_files import create_definer_functions

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_state_tables()
    _create_ledger_tables()
    _create_run_tables()
    create_definer_functions("unassessed_schools", "due_standings", "unreplayed_schools")


def _create_state_tables() -> None:
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
    op.create_index("ix_standing_warning_student", "standing_warning", ["student_id", "at"])
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
    compression.use_lz4("student_standing", "assessment")
    op.create_index(
        "ix_student_standing_next_at",
        "student_standing",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index("ix_student_standing_school", "student_standing", ["school_id"])
    protect_student_readable_table("standing_origin")
    protect_student_readable_table("standing_warning")
    protect_student_readable_table("student_standing", grants="SELECT, INSERT, UPDATE")


def _create_ledger_tables() -> None:
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
    compression.use_lz4("standing_entry", "trace")
    op.create_index("ix_standing_entry_school", "standing_entry", ["school_id", "at"])
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
    for table in ("standing_entry", "aid_released", "change_reversed"):
        protect_student_readable_table(table)
    protect_school_table("standing_feed", "SELECT, INSERT")


def _create_run_tables() -> None:
    """What the scheduled tasks did: daily assessments, replays, and the differences that they found."""
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
    for table in ("daily_assessment", "replay_run", "replay_difference"):
        protect_school_table(table, "SELECT, INSERT")
