"""Campus: KML and shapefiles, warnings about outlines, and exceptions to the area limit"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import APP_ROLE, protect_school_table

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_site_version_format"), "site_version")
    op.create_check_constraint(
        op.f("ck_site_version_format"), "site_version", "format IN ('geojson', 'csv', 'kml', 'shapefile')"
    )
    op.add_column(
        "site_version",
        sa.Column(
            "warnings",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'[]'"),
        ),
    )
    op.alter_column("site_version", "warnings", server_default=None)
    op.create_table(
        "site_area_exception",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("max_area_m2", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("granted_by", sa.Uuid(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("max_area_m2 > 0", name=op.f("ck_site_area_exception_area")),
        sa.CheckConstraint("granted_at < valid_to", name=op.f("ck_site_area_exception_validity")),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_site_area_exception_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_area_exception")),
    )
    op.create_index("ix_site_area_exception_school", "site_area_exception", ["school_id", "granted_at"])
    protect_school_table("site_area_exception", "SELECT, INSERT")
    # Only a unit above the school grants an exception, under its own account.
    op.execute(
        "CREATE POLICY superior_grants ON site_area_exception AS RESTRICTIVE FOR INSERT"
        f" TO {APP_ROLE} WITH CHECK ((SELECT tenancy.is_wide()) AND granted_by = (SELECT tenancy.account()))"
    )
