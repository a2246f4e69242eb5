"""Aid: applications, awards, the accounts of each instalment, filings and exports"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import (
    protect_org_table,
    protect_school_table,
    protect_student_readable_table,
    protect_student_table,
)
from migrations.sql_files import run_sql_file

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_application_tables()
    _create_award_tables()
    _create_account_tables()
    _create_filing_tables()
    _create_export_tables()


def _create_application_tables() -> None:
    op.create_table(
        "aid_application",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('grant', 'tuition_waiver')", name=op.f("ck_aid_application_kind")),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_aid_application_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_aid_application_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_application")),
        sa.UniqueConstraint("id", "filed_by", name=op.f("uq_aid_application_id_filed_by")),
        sa.UniqueConstraint(
            "id",
            "school_id",
            "student_id",
            "kind",
            "term_code",
            name=op.f("uq_aid_application_id_school_id_student_id_kind_term_code"),
        ),
        sa.UniqueConstraint(
            "student_id",
            "kind",
            "term_code",
            "attempt",
            name=op.f("uq_aid_application_student_id_kind_term_code_attempt"),
        ),
    )
    op.create_index("ix_aid_application_school", "aid_application", ["school_id", "term_code"])
    op.create_table(
        "aid_decision",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=True),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome = 'approved' OR reasons IS NOT NULL", name=op.f("ck_aid_decision_reasons")
        ),
        sa.CheckConstraint("outcome IN ('approved', 'refused')", name=op.f("ck_aid_decision_outcome")),
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_aid_decision_by_another_account")),
        sa.ForeignKeyConstraint(
            ["application_id", "filed_by"],
            ["aid_application.id", "aid_application.filed_by"],
            name="fk_aid_decision_application",
        ),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_aid_decision")),
    )
    op.create_table(
        "aid_duplicate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("duplicate", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("found_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_aid_duplicate_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_duplicate")),
    )
    op.create_index("ix_aid_duplicate_student", "aid_duplicate", ["student_id", "at"])
    protect_student_table("aid_application", grants="SELECT, INSERT")
    protect_student_readable_table("aid_decision")
    protect_student_readable_table("aid_duplicate")


def _create_award_tables() -> None:
    op.create_table(
        "aid_award",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("term_starts_on", sa.Date(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["id", "school_id", "student_id", "kind", "term_code"],
            [
                "aid_application.id",
                "aid_application.school_id",
                "aid_application.student_id",
                "aid_application.kind",
                "aid_application.term_code",
            ],
            name="fk_aid_award_application",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_award")),
        sa.UniqueConstraint(
            "id", "school_id", "student_id", name=op.f("uq_aid_award_id_school_id_student_id")
        ),
        sa.UniqueConstraint(
            "student_id", "kind", "term_code", name=op.f("uq_aid_award_student_id_kind_term_code")
        ),
    )
    op.create_index("ix_aid_award_school", "aid_award", ["school_id", "term_code"])
    op.create_table(
        "aid_instalment",
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("fen", sa.Integer(), nullable=False),
        sa.CheckConstraint("EXTRACT(day FROM month) = 1", name=op.f("ck_aid_instalment_month")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_aid_instalment_fen")),
        sa.ForeignKeyConstraint(
            ["award_id", "school_id", "student_id"],
            ["aid_award.id", "aid_award.school_id", "aid_award.student_id"],
            name="fk_aid_instalment_award",
        ),
        sa.PrimaryKeyConstraint("award_id", "month", name=op.f("pk_aid_instalment")),
    )
    op.create_index("ix_aid_instalment_student", "aid_instalment", ["student_id"])
    protect_student_readable_table("aid_award")
    protect_student_readable_table("aid_instalment")


def _create_account_tables() -> None:
    op.create_table(
        "aid_payment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("fen", sa.Integer(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("source_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("fen > 0", name=op.f("ck_aid_payment_fen")),
        sa.ForeignKeyConstraint(
            ["award_id", "month"],
            ["aid_instalment.award_id", "aid_instalment.month"],
            name="fk_aid_payment_instalment",
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_aid_payment_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_payment")),
    )
    op.create_index("ix_aid_payment_award", "aid_payment", ["award_id", "month"])
    op.create_index("ix_aid_payment_student", "aid_payment", ["student_id"])
    op.create_table(
        "aid_posting",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("fen", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(source, target) IN (('budget', 'due'), ('due', 'paid'), ('due', 'withdrawn'), ('withdrawn', 'due'))",
            name=op.f("ck_aid_posting_accounts"),
        ),
        sa.CheckConstraint("fen > 0", name=op.f("ck_aid_posting_fen")),
        sa.ForeignKeyConstraint(
            ["award_id", "month"],
            ["aid_instalment.award_id", "aid_instalment.month"],
            name="fk_aid_posting_instalment",
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_aid_posting_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_posting")),
    )
    op.create_index("ix_aid_posting_cause", "aid_posting", ["cause"])
    op.create_index("ix_aid_posting_instalment", "aid_posting", ["award_id", "month"])
    op.create_index("ix_aid_posting_student", "aid_posting", ["student_id", "at"])
    protect_student_readable_table("aid_payment")
    protect_student_readable_table("aid_posting")
    run_sql_file("aid_balanced.sql")
    op.execute(
        "CREATE CONSTRAINT TRIGGER aid_balanced AFTER INSERT ON aid_posting"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION aid_balanced()"
    )


def _create_filing_tables() -> None:
    op.create_table(
        "aid_filing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("fen", sa.Integer(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'withdrawal') = (entry_id = change_id)", name=op.f("ck_aid_filing_entry")
        ),
        sa.CheckConstraint("kind IN ('withdrawal', 'reinstatement')", name=op.f("ck_aid_filing_kind")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_aid_filing_fen")),
        sa.ForeignKeyConstraint(
            ["change_id"], ["standing_entry.id"], name=op.f("fk_aid_filing_change_id_standing_entry")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["standing_entry.id"], name=op.f("fk_aid_filing_entry_id_standing_entry")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_aid_filing_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_aid_filing_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_filing")),
        sa.UniqueConstraint("change_id", "kind", name=op.f("uq_aid_filing_change_id_kind")),
        sa.UniqueConstraint("id", "school_id", name=op.f("uq_aid_filing_id_school_id")),
    )
    op.create_index("ix_aid_filing_school", "aid_filing", ["school_id", "id"])
    op.create_index("ix_aid_filing_student", "aid_filing", ["student_id"])
    op.create_table(
        "aid_acknowledgement",
        sa.Column("filing_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["filing_id"], ["aid_filing.id"], name=op.f("fk_aid_acknowledgement_filing_id_aid_filing")
        ),
        sa.PrimaryKeyConstraint("filing_id", name=op.f("pk_aid_acknowledgement")),
    )
    protect_student_readable_table("aid_filing")
    protect_student_readable_table("aid_acknowledgement")


def _create_export_tables() -> None:
    op.create_table(
        "aid_export",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_export")),
        sa.UniqueConstraint("id", "requested_by", name=op.f("uq_aid_export_id_requested_by")),
    )
    op.create_table(
        "aid_export_approval",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "approved_by <> requested_by", name=op.f("ck_aid_export_approval_by_another_account")
        ),
        sa.ForeignKeyConstraint(
            ["export_id", "requested_by"],
            ["aid_export.id", "aid_export.requested_by"],
            name="fk_aid_export_approval_export",
        ),
        sa.PrimaryKeyConstraint("export_id", name=op.f("pk_aid_export_approval")),
    )
    op.create_table(
        "aid_export_line",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("filing_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["export_id"], ["aid_export.id"], name=op.f("fk_aid_export_line_export_id_aid_export")
        ),
        sa.ForeignKeyConstraint(
            ["filing_id", "school_id"],
            ["aid_filing.id", "aid_filing.school_id"],
            name="fk_aid_export_line_filing",
        ),
        sa.PrimaryKeyConstraint("export_id", "filing_id", name=op.f("pk_aid_export_line")),
    )
    op.create_table(
        "aid_filing_exported",
        sa.Column("filing_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["export_id"], ["aid_export.id"], name=op.f("fk_aid_filing_exported_export_id_aid_export")
        ),
        sa.ForeignKeyConstraint(
            ["filing_id"], ["aid_filing.id"], name=op.f("fk_aid_filing_exported_filing_id_aid_filing")
        ),
        sa.PrimaryKeyConstraint("filing_id", name=op.f("pk_aid_filing_exported")),
    )
    for table in ("aid_export", "aid_export_approval"):
        protect_org_table(table, grants="SELECT, INSERT")
    for table in ("aid_export_line", "aid_filing_exported"):
        protect_school_table(table, "SELECT, INSERT")
