"""Notice: messages, the notices to each recipient, deliveries and receipts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import APP_ROLE, IN_SCHOOL_SCOPE, force_row_level_security
from migrations.sql_files import create_definer_functions

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


_RECIPIENT_IS_STUDENT = (
    f"(student_id IS NOT NULL AND {IN_SCHOOL_SCOPE}"
    " AND ((SELECT tenancy.student()) IS NULL OR student_id = (SELECT tenancy.student())))"
)
_RECIPIENT_IS_STAFF = (
    "(student_id IS NULL AND (SELECT tenancy.student()) IS NULL AND"
    " (account_id = (SELECT tenancy.account()) OR CAST(org_path AS ltree) <@ (SELECT tenancy.path())))"
)
_NOTICE_IN_SCOPE = f"({_RECIPIENT_IS_STUDENT} OR {_RECIPIENT_IS_STAFF})"
"""A student's notice is visible to the student, the school and its superiors; a staff notice to the account, its
unit and the superiors. The text of the message has stricter rules, see `_MESSAGE_IN_SCOPE`."""

_MESSAGE_IN_SCOPE = """
  EXISTS (SELECT 1 FROM notice n WHERE n.message_id = notice_message.id
          AND n.student_id = (SELECT tenancy.student()))
  OR EXISTS (SELECT 1 FROM notice n WHERE n.message_id = notice_message.id
             AND n.student_id IS NULL AND n.account_id = (SELECT tenancy.account()))
  OR ((SELECT tenancy.student()) IS NULL AND (
      EXISTS (SELECT 1 FROM notice n WHERE n.message_id = notice_message.id AND n.school_id = (SELECT tenancy.school())
              AND (n.student_id IS NOT NULL OR (SELECT tenancy.account()) IS NULL))
      OR ((SELECT tenancy.is_wide()) AND (
          EXISTS (SELECT 1 FROM org_unit u JOIN notice n ON n.message_id = notice_message.id AND n.school_id = u.id
                  WHERE u.kind = 'school' AND u.path <@ (SELECT tenancy.path())
                    AND (n.student_id IS NOT NULL OR (SELECT tenancy.account()) IS NULL))
          OR EXISTS (SELECT 1 FROM notice n WHERE n.message_id = notice_message.id AND n.school_id IS NULL
                     AND (SELECT tenancy.account()) IS NULL)))))
"""
"""The text to a student is visible to the student, the school and its superiors; the text to staff only to its
recipients, and to the system (a scope without an account), which sends it. A message can have a million notices, so
a school is looked up by the index, and an authority's schools one by one."""


def upgrade() -> None:
    _create_message_tables()
    _create_delivery_tables()
    _enable_row_level_security()
    create_definer_functions("record_sms_reports")


def _create_message_tables() -> None:
    op.create_table(
        "notice_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title_zh", sa.String(), nullable=False),
        sa.Column("title_en", sa.String(), nullable=False),
        sa.Column("body_zh", sa.String(), nullable=False),
        sa.Column("body_en", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sms_template", sa.String(), nullable=True),
        sa.Column("sms_params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_message")),
    )
    op.create_index("ix_notice_message_group", "notice_message", ["group_id"])
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=True),
        sa.Column("school_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("org_path", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(student_id IS NOT NULL AND school_id IS NOT NULL) OR (student_id IS NULL AND account_id IS NOT NULL AND org_path IS NOT NULL)",
            name=op.f("ck_notice_recipient"),
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["notice_message.id"], name=op.f("fk_notice_message_id_notice_message")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index(
        "ix_notice_account",
        "notice",
        ["account_id", "message_id"],
        postgresql_where=sa.text("student_id IS NULL"),
    )
    op.create_index("ix_notice_school", "notice", ["message_id", "school_id"])
    op.create_index("ix_notice_student", "notice", ["student_id", "message_id"])


def _create_delivery_tables() -> None:
    op.create_table(
        "notice_delivery",
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=True),
        sa.Column("school_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("org_path", sa.String(), nullable=True),
        sa.Column("slice", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("sealed_params", sa.LargeBinary(), nullable=True),
        sa.Column("out_id", sa.String(), nullable=True),
        sa.Column("provider_message_id", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "channel IN ('in_app', 'sms', 'wechat', 'web_push')", name=op.f("ck_notice_delivery_channel")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'delivered', 'failed')", name=op.f("ck_notice_delivery_state")
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_delivery_notice_id_notice")
        ),
        sa.PrimaryKeyConstraint("notice_id", "channel", name=op.f("pk_notice_delivery")),
    )
    op.create_index("ix_notice_delivery_group", "notice_delivery", ["group_id"])
    op.create_index(
        "ix_notice_delivery_out",
        "notice_delivery",
        ["out_id"],
        postgresql_where=sa.text("out_id IS NOT NULL"),
    )
    op.create_index(
        "ix_notice_delivery_waiting",
        "notice_delivery",
        ["message_id", "slice"],
        postgresql_where=sa.text("state = 'queued' AND channel <> 'in_app'"),
    )
    op.create_table(
        "notice_receipt",
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "event IN ('delivered', 'failed', 'opened')", name=op.f("ck_notice_receipt_event")
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_receipt_notice_id_notice")
        ),
        sa.PrimaryKeyConstraint("notice_id", "channel", "event", name=op.f("pk_notice_receipt")),
    )


def _enable_row_level_security() -> None:
    for table in ("notice_message", "notice", "notice_receipt"):
        force_row_level_security(table, "SELECT, INSERT")
    force_row_level_security(
        "notice_delivery",
        "SELECT, INSERT, UPDATE (state, sealed_params, out_id, provider_message_id, attempts,"
        " attempted_at, last_error, sent_at, delivered_at)",
    )
    notice_is_visible = "EXISTS (SELECT 1 FROM notice n WHERE n.id = notice_id)"
    for table, condition in (
        ("notice", _NOTICE_IN_SCOPE),
        ("notice_delivery", _NOTICE_IN_SCOPE),
        ("notice_receipt", notice_is_visible),
    ):
        op.execute(
            f"CREATE POLICY tenant ON {table} TO {APP_ROLE} USING ({condition}) WITH CHECK ({condition})"
        )
    op.execute(
        f"CREATE POLICY can_select ON notice_message FOR SELECT TO {APP_ROLE} USING ({_MESSAGE_IN_SCOPE})"
    )
    op.execute(
        f"CREATE POLICY can_insert ON notice_message FOR INSERT TO {APP_ROLE}"
        " WITH CHECK (coalesce((SELECT tenancy.kind()), 'none') <> 'none')"
    )
