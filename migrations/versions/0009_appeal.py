"""Appeal"""

import sqlalchemy as sa
from alembic import op

from migrations import rls

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def _refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    referred = target.partition(".")[0]
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}_{referred}"))


def upgrade() -> None:
    op.create_table(
        "appeal_withdrawn",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        _refers("appeal_withdrawn", "appeal_id", "appeal_filed.id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_withdrawn")),
    )
    op.create_table(
        "appeal_case",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("unit_path", sa.String(), nullable=False),
        sa.Column("judged_on", sa.Date(), nullable=True),
        sa.CheckConstraint("level >= 1", name=op.f("ck_appeal_case_level")),
        _refers("appeal_case", "appeal_id", "appeal_filed.id"),
        _refers("appeal_case", "unit_id", "org_unit.id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_case")),
    )
    op.create_index("ix_appeal_case_unit", "appeal_case", ["unit_id", "appeal_id"])
    op.create_table(
        "appeal_due",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("computed_at", INSTANT, nullable=False),
        _refers("appeal_due", "appeal_id", "appeal_case.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_due")),
    )
    op.create_index("ix_appeal_due_due_at", "appeal_due", ["due_at"])
    op.create_table(
        "appeal_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("author", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("side IN ('appellant', 'unit')", name=op.f("ck_appeal_message_side")),
        _refers("appeal_message", "appeal_id", "appeal_case.appeal_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeal_message")),
        sa.UniqueConstraint("appeal_id", "seq", name=op.f("uq_appeal_message_appeal_id_seq")),
    )
    op.create_table(
        "appeal_message_read",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        _refers("appeal_message_read", "message_id", "appeal_message.id"),
        sa.PrimaryKeyConstraint("message_id", "account_id", name=op.f("pk_appeal_message_read")),
    )
    op.create_table(
        "appeal_reminder",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("working_day", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        _refers("appeal_reminder", "appeal_id", "appeal_case.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", "working_day", name=op.f("pk_appeal_reminder")),
    )
    op.create_table(
        "appeal_impartiality",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("took_part", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_appeal_impartiality_not_their_own")),
        sa.CheckConstraint("decided_by <> ALL (took_part)", name=op.f("ck_appeal_impartiality_took_no_part")),
        _refers("appeal_impartiality", "appeal_id", "appeal_decided.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_impartiality")),
    )
    op.create_table(
        "gaokao_finding",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("exam_year", sa.SmallInteger(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        _refers("gaokao_finding", "appeal_id", "appeal_decided.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_gaokao_finding")),
    )
    op.create_index("ix_gaokao_finding_student", "gaokao_finding", ["student_id", "exam_year"])
    _secure()
    _open_doors()


def _secure() -> None:
    for table in ("appeal_withdrawn", "appeal_case", "appeal_due", "appeal_message", "appeal_message_read"):
        rls.student_table(table, grants="SELECT, INSERT")
    for table in ("appeal_reminder", "appeal_impartiality"):
        rls.school_table(table, "SELECT, INSERT")
    rls.student_readable_table("gaokao_finding")


def _open_doors() -> None:
    """Whether an authority had a hand in what is appealed against, which neither student nor school can see."""
    op.execute(
        """
        CREATE FUNCTION definer.authorities_of(accounts uuid[]) RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          SELECT DISTINCT a.org_id FROM account a
          WHERE a.id = ANY (accounts) AND a.kind IN ('province', 'bureau');
        END
        """
    )
    op.execute("REVOKE ALL ON FUNCTION definer.authorities_of(uuid[]) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION definer.authorities_of(uuid[]) TO dianming_app")
