"""Windows that make up for an outage of ours"""

import sqlalchemy as sa
from alembic import op

from migrations import rls

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
    rls.open_table("roll_call_extension", "false", "SELECT, INSERT")
    op.execute("DROP POLICY reading ON roll_call_extension")
    op.execute("DROP POLICY inserting ON roll_call_extension")
    op.execute(
        "CREATE POLICY reading ON roll_call_extension FOR SELECT TO dianming_app"
        " USING (EXISTS (SELECT 1 FROM roll_call r WHERE r.id = roll_call_extension.roll_call_id))"
    )
    op.execute(
        "CREATE POLICY inserting ON roll_call_extension FOR INSERT TO dianming_app"
        " WITH CHECK ((SELECT tenancy.student()) IS NULL"
        " AND definer.launcher_of(roll_call_id) <@ (SELECT tenancy.path()))"
    )
    op.execute(
        """
        CREATE OR REPLACE FUNCTION definer.due_roll_calls(instant timestamptz)
        RETURNS TABLE (roll_call_id uuid, launcher_path text, due text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        BEGIN ATOMIC
          WITH living AS (
            SELECT r.id, r.launcher_path, r.notify_at,
                   greatest(r.closes_at, (SELECT max(e.until) FROM roll_call_extension e
                                          WHERE e.roll_call_id = r.id)) AS deadline
            FROM roll_call r
            WHERE NOT EXISTS (SELECT 1 FROM roll_call_step s
                              WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'))
          )
          SELECT r.id, r.launcher_path, 'announce' FROM living r
          WHERE r.notify_at <= instant
            AND NOT EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = r.id)
          UNION ALL
          -- Shortly before the close, so that nobody finds it closed who is still owed time.
          SELECT r.id, r.launcher_path, 'extend' FROM living r
          WHERE instant BETWEEN r.deadline - interval '1 minute' AND r.deadline
          UNION ALL
          SELECT r.id, r.launcher_path, 'close' FROM living r WHERE r.deadline < instant;
        END
        """
    )
