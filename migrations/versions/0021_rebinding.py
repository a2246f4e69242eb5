"""Rebinding a phone: codes given in person, the second check, objections, and acts during the cool-down"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import protect_student_readable_table, protect_student_table
from migrations.sql_files import create_definer_functions

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_code_table()
    _extend_registrations()
    _create_objection_tables()
    _create_act_table()
    op.execute("DROP FUNCTION definer.open_registration")
    create_definer_functions("owns_registration", "open_registration.v3")


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    referred = target.partition(".")[0]
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}_{referred}"))


def _create_code_table() -> None:
    op.create_table(
        "binding_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("identity_check", sa.String(), nullable=False),
        sa.Column("issued_by", sa.Uuid(), nullable=False),
        sa.Column("issued_at", TIMESTAMP, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.Column("used_at", TIMESTAMP, nullable=True),
        sa.Column("registration_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(used_at IS NULL) = (registration_id IS NULL)", name=op.f("ck_binding_code_used")
        ),
        _foreign_key("binding_code", "student_id", "student.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_binding_code")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_binding_code_code_hash")),
    )
    protect_student_table("binding_code", grants="SELECT, INSERT, UPDATE (used_at, registration_id)")


def _extend_registrations() -> None:
    op.add_column("registration", sa.Column("sms_confirmed_at", TIMESTAMP, nullable=True))
    op.add_column("registration", sa.Column("face_status", sa.String(), nullable=True))
    op.add_column(
        "registration",
        sa.Column("face_shots", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "registration",
        sa.Column("face_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "registration",
        sa.Column(
            "face_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("ck_registration_face_status"),
        "registration",
        "face_status IN ('pending', 'matched', 'refused')",
    )


def _create_objection_tables() -> None:
    op.create_table(
        "rebinding_objection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("old_device_id", sa.Uuid(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("at", TIMESTAMP, nullable=False),
        _foreign_key("rebinding_objection", "student_id", "student.id"),
        _foreign_key("rebinding_objection", "device_id", "device_key.id"),
        sa.ForeignKeyConstraint(
            ["old_device_id"], ["device_key.id"], name=op.f("fk_rebinding_objection_old_device_id_device_key")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rebinding_objection")),
        sa.UniqueConstraint("device_id", name=op.f("uq_rebinding_objection_device_id")),
    )
    op.create_table(
        "rebinding_objection_decision",
        sa.Column("objection_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint(
            "outcome IN ('upheld', 'dismissed')", name=op.f("ck_rebinding_objection_decision_outcome")
        ),
        _foreign_key("rebinding_objection_decision", "objection_id", "rebinding_objection.id"),
        sa.PrimaryKeyConstraint("objection_id", name=op.f("pk_rebinding_objection_decision")),
    )
    protect_student_table("rebinding_objection", grants="SELECT, INSERT")
    protect_student_readable_table("rebinding_objection_decision")


def _create_act_table() -> None:
    op.create_table(
        "cool_down_act",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("at", TIMESTAMP, nullable=False),
        _foreign_key("cool_down_act", "student_id", "student.id"),
        _foreign_key("cool_down_act", "device_id", "device_key.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cool_down_act")),
    )
    op.create_index("ix_cool_down_act_student", "cool_down_act", ["student_id", "at"])
    protect_student_table("cool_down_act", grants="SELECT, INSERT")
