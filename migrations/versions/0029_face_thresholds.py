"""Thresholds of a face engine, learned from confirmed rehearsals"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_level_security import protect_open_table, protect_school_table, protect_student_table

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_WIDE = "(SELECT tenancy.is_wide())"


def upgrade() -> None:
    _create_rehearsals()
    _create_versions()


def _create_rehearsals() -> None:
    op.create_table(
        "face_rehearsal_confirmation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("excluded", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_face_rehearsal_confirmation_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["school_class.id"],
            name=op.f("fk_face_rehearsal_confirmation_class_id_school_class"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_rehearsal_confirmation")),
        sa.UniqueConstraint(
            "roll_call_id", "class_id", name=op.f("uq_face_rehearsal_confirmation_roll_call_id_class_id")
        ),
    )
    protect_school_table("face_rehearsal_confirmation", grants="SELECT, INSERT")
    op.create_table(
        "face_calibration_probe",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("confirmation_id", sa.Uuid(), nullable=True),
        sa.Column("engine_id", sa.String(), nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_face_calibration_probe_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["confirmation_id"],
            ["face_rehearsal_confirmation.id"],
            name=op.f("fk_face_calibration_probe_confirmation_id_face_rehearsal_confirmation"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_calibration_probe")),
        sa.UniqueConstraint("submission_id", name=op.f("uq_face_calibration_probe_submission_id")),
    )
    op.create_index("ix_face_calibration_probe_student", "face_calibration_probe", ["student_id", "at"])
    op.create_index(
        "ix_face_calibration_probe_roll_call", "face_calibration_probe", ["roll_call_id", "class_id"]
    )
    protect_student_table("face_calibration_probe", grants="SELECT, INSERT, UPDATE, DELETE")


def _create_versions() -> None:
    op.create_table(
        "face_threshold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("engine_id", sa.String(), nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("population_version", sa.Integer(), nullable=False),
        sa.Column("accept_from", sa.Float(), nullable=False),
        sa.Column("reject_below", sa.Float(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("minimum", sa.Integer(), nullable=False),
        sa.Column("demonstration", sa.Boolean(), nullable=False),
        sa.Column("groups", JSONB(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("learned_at", _INSTANT, nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_face_threshold_version")),
        sa.CheckConstraint("reject_below <= accept_from", name=op.f("ck_face_threshold_order")),
        sa.CheckConstraint("effect IN ('at_once', 'approval')", name=op.f("ck_face_threshold_effect")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_threshold")),
        sa.UniqueConstraint(
            "engine_id",
            "engine_version",
            "version",
            name=op.f("uq_face_threshold_engine_id_engine_version_version"),
        ),
    )
    protect_open_table("face_threshold", _WIDE, grants="SELECT, INSERT")
    op.create_table(
        "face_threshold_approval",
        sa.Column("threshold_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["threshold_id"],
            ["face_threshold.id"],
            name=op.f("fk_face_threshold_approval_threshold_id_face_threshold"),
        ),
        sa.PrimaryKeyConstraint("threshold_id", name=op.f("pk_face_threshold_approval")),
    )
    protect_open_table("face_threshold_approval", _WIDE, grants="SELECT, INSERT")
    op.create_table(
        "face_school_threshold",
        sa.Column("threshold_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("accept_from", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["threshold_id"],
            ["face_threshold.id"],
            name=op.f("fk_face_school_threshold_threshold_id_face_threshold"),
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_face_school_threshold_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("threshold_id", "school_id", name=op.f("pk_face_school_threshold")),
    )
    protect_school_table("face_school_threshold", grants="SELECT, INSERT")
