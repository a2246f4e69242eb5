"""Notices, their deliveries and their receipts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import rls

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STUDENT = (
    f"(student_id IS NOT NULL AND {rls.SCHOOL}"
    " AND ((SELECT tenancy.student()) IS NULL OR student_id = (SELECT tenancy.student())))"
)
_STAFF = (
    "(student_id IS NULL AND (SELECT tenancy.student()) IS NULL AND"
    " (account_id = (SELECT tenancy.account()) OR CAST(org_path AS ltree) <@ (SELECT tenancy.path())))"
)
_ADDRESSED = f"({_STUDENT} OR {_STAFF})"
"""Who was told what when: a student's rows for the student, the school and its superiors; a staff account's
rows for the account, its unit and the superiors. The text is another matter, see `_READS_TEXT`."""

_READS_TEXT = """
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
"""A student's text for the student, the school and its superiors; a staff text for its recipients only, and
for the system, which sends it. Whoever may not see the notices of a message may not see the message. A message may have a
million notices, so a school is looked up by the index, and an authority's schools one by one."""

_NOTE_REPORTS = """
CREATE FUNCTION definer.record_sms_reports(reports jsonb, noted_at timestamptz, counted text[]) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH report AS (
    SELECT DISTINCT ON (r.out_id, r.phone_number, r.success) r.*
    FROM jsonb_to_recordset(reports) AS r(out_id text, phone_number text, success boolean, err_code text,
      err_msg text, biz_id text, sms_size text, send_time timestamptz, report_time timestamptz)
    ORDER BY r.out_id, r.phone_number, r.success, r.report_time
  ), matched AS (
    SELECT d.notice_id, d.message_id, r.* FROM report r
    JOIN notice_delivery d ON d.out_id = r.out_id AND d.channel = 'sms'
      -- With or without +86, a mobile number ends in its eleven digits.
      AND right(d.phone, 11) = right(r.phone_number, 11)
  ), kept AS (
    INSERT INTO notice_receipt (notice_id, channel, event, at, recorded_at, report)
    SELECT notice_id, 'sms', CASE WHEN success THEN 'delivered' ELSE 'failed' END, report_time, noted_at,
      jsonb_build_object('err_code', err_code, 'err_msg', err_msg, 'biz_id', biz_id, 'sms_size', sms_size,
        'out_id', out_id, 'send_time', send_time, 'report_time', report_time)
    FROM matched ON CONFLICT DO NOTHING RETURNING notice_id, event, at
  ), outcome AS (
    SELECT DISTINCT ON (notice_id) * FROM matched ORDER BY notice_id, success DESC
  ), changed AS (
    UPDATE notice_delivery d SET
      state = CASE WHEN o.success THEN 'delivered' ELSE 'failed' END,
      delivered_at = CASE WHEN o.success THEN o.report_time END,
      sent_at = coalesce(d.sent_at, o.send_time),
      provider_message_id = coalesce(d.provider_message_id, o.biz_id),
      last_error = CASE WHEN o.success THEN d.last_error ELSE o.err_code END,
      sealed_params = NULL
    FROM outcome o WHERE d.notice_id = o.notice_id AND d.channel = 'sms' AND d.state <> 'delivered'
  ), received AS (
    SELECT DISTINCT k.notice_id, m.kind, m.group_id, k.at FROM kept k
    JOIN matched USING (notice_id) JOIN notice_message m ON m.id = matched.message_id
    WHERE k.event = 'delivered' AND m.kind = ANY (counted)
  )
  SELECT jsonb_build_object(
    'kept', (SELECT count(*) FROM kept),
    'received', (SELECT coalesce(jsonb_agg(to_jsonb(r) || jsonb_build_object(
      'account_id', n.account_id, 'school_id', n.school_id, 'org_path', n.org_path)), '[]')
      FROM received r JOIN notice n ON n.id = r.notice_id));
END
"""
"""The carrier knows no tenant: its reports find their deliveries by the `out_id` that only it and we know.

Answers how many receipts were kept, and to whom each notice of a `counted` kind was delivered first.
"""


def upgrade() -> None:
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
    op.create_index("ix_notice_message_group", "notice_message", ["group_id"], unique=False)
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
        unique=False,
        postgresql_where=sa.text("student_id IS NULL"),
    )
    op.create_index("ix_notice_school", "notice", ["message_id", "school_id"], unique=False)
    op.create_index("ix_notice_student", "notice", ["student_id", "message_id"], unique=False)
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
    op.create_index("ix_notice_delivery_group", "notice_delivery", ["group_id"], unique=False)
    op.create_index(
        "ix_notice_delivery_out",
        "notice_delivery",
        ["out_id"],
        unique=False,
        postgresql_where=sa.text("out_id IS NOT NULL"),
    )
    op.create_index(
        "ix_notice_delivery_waiting",
        "notice_delivery",
        ["message_id", "slice"],
        unique=False,
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
    _secure()
    _open_door()


def _secure() -> None:
    for table, grants in (
        ("notice_message", "SELECT, INSERT"),
        ("notice", "SELECT, INSERT"),
        (
            "notice_delivery",
            (
                "SELECT, INSERT, UPDATE (state, sealed_params, out_id, provider_message_id, attempts,"
                " attempted_at, last_error, sent_at, delivered_at)"
            ),
        ),
        ("notice_receipt", "SELECT, INSERT"),
    ):
        rls.secure(table, grants)
    for table in ("notice", "notice_delivery"):
        op.execute(
            f"CREATE POLICY tenant ON {table} TO {rls.APP} USING ({_ADDRESSED}) WITH CHECK ({_ADDRESSED})"
        )
    of_notice = "EXISTS (SELECT 1 FROM notice n WHERE n.id = notice_id)"
    op.execute(
        f"CREATE POLICY tenant ON notice_receipt TO {rls.APP} USING ({of_notice}) WITH CHECK ({of_notice})"
    )
    op.execute(f"CREATE POLICY reading ON notice_message FOR SELECT TO {rls.APP} USING ({_READS_TEXT})")
    op.execute(
        f"CREATE POLICY telling ON notice_message FOR INSERT TO {rls.APP}"
        " WITH CHECK (coalesce((SELECT tenancy.kind()), 'none') <> 'none')"
    )


def _open_door() -> None:
    op.execute(_NOTE_REPORTS)
    op.execute("REVOKE ALL ON FUNCTION definer.record_sms_reports(jsonb, timestamptz, text[]) FROM PUBLIC")
    op.execute(
        "GRANT EXECUTE ON FUNCTION definer.record_sms_reports(jsonb, timestamptz, text[]) TO dianming_app"
    )
