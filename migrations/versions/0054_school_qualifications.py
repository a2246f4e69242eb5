"""Licences of schools, annual inspections, and measures"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

APPEND_ONLY = "SELECT, INSERT"


def _create(name: str, key: list[str], *parts: sa.schema.SchemaItem) -> None:
    """A table of a school that is only ever appended to."""
    op.create_table(
        name,
        *parts,
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f(f"fk_{name}_school_id_org_unit")),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
    )
    protect_school_table(name, APPEND_ONLY)


def upgrade() -> None:
    _create(
        "school_licence",
        ["id"],
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("issued_by", sa.String(), nullable=False),
        sa.Column("covers", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint("valid_from <= valid_until", name=op.f("ck_school_licence_order")),
    )
    op.create_index("ix_school_licence_school", "school_licence", ["school_id", "id"])
    _create(
        "licence_revocation",
        ["licence_id"],
        sa.Column("licence_id", sa.Uuid(), nullable=False),
        sa.Column("revoked_on", sa.Date(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["licence_id"],
            ["school_licence.id"],
            name=op.f("fk_licence_revocation_licence_id_school_licence"),
        ),
    )
    _create(
        "school_inspection",
        ["id"],
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("conclusion", sa.String(), nullable=False),
        sa.Column("findings", sa.String(), nullable=False),
        sa.Column("inspected_on", sa.Date(), nullable=False),
        sa.Column("mend_by", sa.Date(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "conclusion IN ('passed', 'failed')", name=op.f("ck_school_inspection_conclusion")
        ),
        sa.CheckConstraint(
            "(conclusion = 'failed') = (mend_by IS NOT NULL)", name=op.f("ck_school_inspection_mend_by")
        ),
    )
    op.create_index("ix_school_inspection_school", "school_inspection", ["school_id", "year", "id"])
    _create(
        "inspection_step",
        ["inspection_id", "kind"],
        sa.Column("inspection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint("kind IN ('published', 'mended')", name=op.f("ck_inspection_step_kind")),
        sa.ForeignKeyConstraint(
            ["inspection_id"],
            ["school_inspection.id"],
            name=op.f("fk_inspection_step_inspection_id_school_inspection"),
        ),
    )
    _create(
        "school_measure",
        ["id"],
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("plan_percent", sa.Integer(), nullable=True),
        sa.Column("mend_by", sa.Date(), nullable=True),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("taken_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('plan_cut', 'registration_suspended', 'intake_stopped', 'lifted')",
            name=op.f("ck_school_measure_kind"),
        ),
        sa.CheckConstraint(
            "ground IN ('failed_inspection', 'unlicensed')", name=op.f("ck_school_measure_ground")
        ),
        sa.CheckConstraint(
            "(kind = 'plan_cut') = (plan_percent IS NOT NULL)", name=op.f("ck_school_measure_plan_percent")
        ),
        sa.CheckConstraint("plan_percent BETWEEN 1 AND 99", name=op.f("ck_school_measure_percent")),
    )
    op.create_index("ix_school_measure_school", "school_measure", ["school_id", "id"])
