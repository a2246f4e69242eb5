"""The tree, the people and the machinery"""

import sqlalchemy as sa
from alembic import op
from procrastinate import App, PsycopgConnector
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

from backend.core.ltree import Ltree
from migrations import rls

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(rls.FUNCTIONS)
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "audit_seal",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_seal_entry_id")),
    )
    op.create_table(
        "calendar_year",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("days", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("loaded_by", sa.Uuid(), nullable=True),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_calendar_year")),
    )
    op.create_table(
        "org_unit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("path", Ltree(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('province', 'city', 'county', 'school')", name=op.f("ck_org_unit_kind")),
        sa.ForeignKeyConstraint(["parent_id"], ["org_unit.id"], name=op.f("fk_org_unit_parent_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_org_unit")),
        sa.UniqueConstraint("kind", "code", name=op.f("uq_org_unit_kind_code")),
        sa.UniqueConstraint("path", name=op.f("uq_org_unit_path")),
    )
    op.create_index("ix_org_unit_path", "org_unit", ["path"], unique=False, postgresql_using="gist")
    op.create_table(
        "outbox_delivery",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.String(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "consumer", name=op.f("pk_outbox_delivery")),
    )
    op.create_table(
        "outbox_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_event")),
    )
    op.create_table(
        "counselor",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("profile", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_counselor_school_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counselor")),
    )
    op.create_table(
        "school_class",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=True),
        sa.Column("major", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_school_class_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_school_class")),
        sa.UniqueConstraint("school_id", "name", name=op.f("uq_school_class_school_id_name")),
    )
    op.create_table(
        "term",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("starts_on < ends_on", name=op.f("ck_term_order")),
        sa.ForeignKeyConstraint(["org_id"], ["org_unit.id"], name=op.f("fk_term_org_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_term")),
        sa.UniqueConstraint("org_id", "code", name=op.f("uq_term_org_id_code")),
    )
    op.create_table(
        "class_counselor",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("counselor_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["class_id"], ["school_class.id"], name=op.f("fk_class_counselor_class_id_school_class")
        ),
        sa.ForeignKeyConstraint(
            ["counselor_id"], ["counselor.id"], name=op.f("fk_class_counselor_counselor_id_counselor")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_class_counselor_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_counselor")),
    )
    op.create_index("ix_class_counselor_counselor", "class_counselor", ["counselor_id"], unique=False)
    op.create_index(
        "uq_class_counselor_current",
        "class_counselor",
        ["class_id"],
        unique=True,
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "student",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=False),
        sa.Column("document_kind", sa.String(), nullable=False),
        sa.Column("id_number_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("id_number_index", sa.LargeBinary(), nullable=False),
        sa.Column("student_number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("student_number_index", sa.LargeBinary(), nullable=True),
        sa.Column("programme", sa.String(), nullable=False),
        sa.Column("study_form", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("entry_month", sa.String(), nullable=True),
        sa.Column("major", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("record", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("row_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("study_form IN ('full_time', 'part_time')", name=op.f("ck_student_study_form")),
        sa.CheckConstraint(
            "(student_number_sealed IS NULL) = (student_number_index IS NULL)",
            name=op.f("ck_student_student_number"),
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["school_class.id"], name=op.f("fk_student_class_id_school_class")
        ),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_student_school_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_student")),
        sa.UniqueConstraint(
            "school_id", "id_number_index", name=op.f("uq_student_school_id_id_number_index")
        ),
    )
    op.create_index("ix_student_class", "student", ["class_id"], unique=False)
    op.create_index("ix_student_id_number_index", "student", ["id_number_index"], unique=False)
    op.create_index(
        "uq_student_number",
        "student",
        ["school_id", "student_number_index"],
        unique=True,
        postgresql_where=sa.text("student_number_index IS NOT NULL"),
    )
    op.create_table(
        "vacation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("term_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.CheckConstraint("starts_on <= ends_on", name=op.f("ck_vacation_order")),
        sa.ForeignKeyConstraint(["term_id"], ["term.id"], name=op.f("fk_vacation_term_id_term")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vacation")),
    )
    op.create_index(op.f("ix_vacation_term_id"), "vacation", ["term_id"], unique=False)
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text_version", sa.String(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("guardian_name", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_consent_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_student", "consent", ["student_id", "kind", "at"], unique=False)
    op.create_table(
        "guardian",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=True),
        sa.Column("is_guardian", sa.Boolean(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_guardian_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guardian")),
        sa.UniqueConstraint("student_id", "position", name=op.f("uq_guardian_student_id_position")),
    )
    op.create_table(
        "record_check",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=True),
        sa.Column("claimed_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_note", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('confirmed', 'open', 'accepted', 'declined')", name=op.f("ck_record_check_status")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_record_check_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_check")),
    )
    op.create_index("ix_record_check_student", "record_check", ["student_id", "at"], unique=False)
    _secure()
    _open_doors()
    _queue()


def _secure() -> None:
    below = "(SELECT tenancy.is_wide()) AND {path} <@ (SELECT tenancy.path())"
    rls.open_table("org_unit", below.format(path="path"))
    of_unit = below.format(path="(SELECT u.path FROM org_unit u WHERE u.id = org_id)")
    rls.open_table("term", of_unit)
    of_term = "(SELECT u.path FROM org_unit u JOIN term t ON t.org_id = u.id WHERE t.id = term_id)"
    rls.open_table("vacation", below.format(path=of_term))
    rls.open_table("calendar_year", "(SELECT tenancy.is_wide()) AND nlevel((SELECT tenancy.path())) = 1")
    for table in ("school_class", "counselor", "class_counselor"):
        rls.shared_school_table(table)
    rls.student_readable_table("student", "id", "SELECT, INSERT, UPDATE")
    rls.student_readable_table("guardian", grants="SELECT, INSERT, UPDATE, DELETE")
    rls.student_table("consent", grants="SELECT, INSERT")
    rls.student_table("record_check")
    for table in ("outbox_event", "outbox_delivery", "audit_seal"):
        rls.ledger_table(table)
    # Everyone may leave a trace; only the unit it concerns and its superiors may read it.
    rls.org_table("audit_entry", grants="SELECT, INSERT")
    op.execute("DROP POLICY tenant ON audit_entry")
    op.execute("CREATE POLICY tracing ON audit_entry FOR INSERT TO dianming_app WITH CHECK (true)")
    op.execute(
        "CREATE POLICY reading ON audit_entry FOR SELECT TO dianming_app"
        " USING (CAST(org_path AS ltree) <@ (SELECT tenancy.path()))"
    )


def _open_doors() -> None:
    """The few questions that may be asked before a scope is known, each a narrow function of the owner."""
    op.execute("CREATE SCHEMA definer")
    op.execute("GRANT USAGE ON SCHEMA definer TO dianming_app")
    op.execute(
        """
        CREATE FUNCTION definer.students_with(wanted bytea)
        RETURNS TABLE (student_id uuid, school_id uuid, school_path text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          SELECT s.id, s.school_id, u.path::text FROM student s JOIN org_unit u ON u.id = s.school_id
          WHERE s.id_number_index = wanted;
        END
        """
    )
    op.execute("REVOKE ALL ON FUNCTION definer.students_with(bytea) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION definer.students_with(bytea) TO dianming_app")


def _queue() -> None:
    schema = SchemaManager(App(connector=PsycopgConnector()).connector).get_schema()
    op.get_bind().connection.cursor().execute(schema)
    op.execute(
        """
        GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_events,
          procrastinate_periodic_defers, procrastinate_workers TO dianming_app;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO dianming_app;
        """
    )
