"""Campus: the filed sites of a school, their versions, and the decisions on them"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

from migrations.row_level_security import APP_ROLE, protect_school_table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_site_tables()
    _create_decision_table()
    for table in ("site", "site_version", "site_decision"):
        protect_school_table(table, "SELECT, INSERT")
    _separate_filing_from_deciding()


def _create_site_tables() -> None:
    op.create_table(
        "site",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('main', 'branch', 'internship')", name=op.f("ck_site_kind")),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_site_school_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("school_id", "name", name=op.f("uq_site_school_id_name")),
        sa.UniqueConstraint("id", "school_id", name=op.f("uq_site_id_school_id")),
    )
    op.create_table(
        "site_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("polygons", Geometry("MULTIPOLYGON", srid=4326, spatial_index=False), nullable=False),
        sa.Column("original", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("datum", sa.String(), nullable=False),
        sa.Column("area_m2", sa.Float(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_site_version_validity")),
        sa.CheckConstraint("area_m2 > 0", name=op.f("ck_site_version_area")),
        sa.CheckConstraint("datum IN ('wgs84', 'gcj02', 'bd09')", name=op.f("ck_site_version_datum")),
        sa.CheckConstraint("format IN ('geojson', 'csv')", name=op.f("ck_site_version_format")),
        sa.CheckConstraint("ST_IsValid(polygons)", name=op.f("ck_site_version_polygons")),
        sa.ForeignKeyConstraint(
            ["site_id", "school_id"],
            ["site.id", "site.school_id"],
            name=op.f("fk_site_version_site_id_school_id_site"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_version")),
        sa.UniqueConstraint("site_id", "version", name=op.f("uq_site_version_site_id_version")),
        sa.UniqueConstraint(
            "id", "school_id", "filed_by", name=op.f("uq_site_version_id_school_id_filed_by")
        ),
    )
    op.create_index("ix_site_version_school", "site_version", ["school_id"])


def _create_decision_table() -> None:
    op.create_table(
        "site_decision",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=True),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_site_decision_by_another_account")),
        sa.CheckConstraint("outcome IN ('approved', 'rejected')", name=op.f("ck_site_decision_outcome")),
        sa.ForeignKeyConstraint(
            ["version_id", "school_id", "filed_by"],
            ["site_version.id", "site_version.school_id", "site_version.filed_by"],
            name=op.f("fk_site_decision_version_id_school_id_filed_by_site_version"),
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_site_decision")),
    )


def _separate_filing_from_deciding() -> None:
    """Only the school files and only a unit above it decides, each under its own account. The database enforces it."""
    by_school = "(SELECT tenancy.kind()) = 'school' AND {account} = (SELECT tenancy.account())"
    by_superior = "(SELECT tenancy.is_wide()) AND decided_by = (SELECT tenancy.account())"
    for policy, table, condition in (
        ("school_files", "site", by_school.format(account="created_by")),
        ("school_files", "site_version", by_school.format(account="filed_by")),
        ("superior_decides", "site_decision", by_superior),
    ):
        op.execute(
            f"CREATE POLICY {policy} ON {table} AS RESTRICTIVE FOR INSERT TO {APP_ROLE} WITH CHECK ({condition})"
        )
