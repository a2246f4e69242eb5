"""Identity: accounts, sessions, device keys, registrations, and enrolled faces"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import (
    APP_ROLE,
    force_row_level_security,
    protect_ledger_table,
    protect_open_table,
    protect_shared_school_table,
    protect_student_table,
)
from migrations.sql_files import create_definer_functions

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_account_tables()
    _create_device_tables()
    _create_enrolment_tables()
    _create_template_tables()
    create_definer_functions(
        "use_proof",
        "purge_proofs",
        "open_registration",
        "registration",
        "purge_registrations",
        "try_code",
        "open_sign_in",
        "staff_session",
    )


def _create_account_tables() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=True),
        sa.Column("student_id", sa.Uuid(), nullable=True),
        sa.Column("counselor_id", sa.Uuid(), nullable=True),
        sa.Column("login", sa.String(), nullable=True),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), nullable=True),
        sa.Column("activation_hash", sa.LargeBinary(), nullable=True),
        sa.Column("activation_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'counselor') = (counselor_id IS NOT NULL)", name=op.f("ck_account_counselor")
        ),
        sa.CheckConstraint("(kind = 'student') = (login IS NULL)", name=op.f("ck_account_login")),
        sa.CheckConstraint("(kind = 'student') = (student_id IS NOT NULL)", name=op.f("ck_account_student")),
        sa.CheckConstraint(
            "(kind IN ('province', 'bureau')) = (school_id IS NULL)", name=op.f("ck_account_school")
        ),
        sa.CheckConstraint(
            "kind IN ('province', 'bureau', 'registrar', 'counselor', 'student')",
            name=op.f("ck_account_kind"),
        ),
        sa.CheckConstraint(
            "status <> 'active' OR kind = 'student' OR (password_hash IS NOT NULL AND totp_sealed IS NOT NULL)",
            name=op.f("ck_account_two_factors"),
        ),
        sa.CheckConstraint("status IN ('invited', 'active', 'disabled')", name=op.f("ck_account_status")),
        sa.ForeignKeyConstraint(
            ["counselor_id"], ["counselor.id"], name=op.f("fk_account_counselor_id_counselor")
        ),
        sa.ForeignKeyConstraint(["org_id"], ["org_unit.id"], name=op.f("fk_account_org_id_org_unit")),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_account_school_id_org_unit")),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_account_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("counselor_id", name=op.f("uq_account_counselor_id")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
        sa.UniqueConstraint("student_id", name=op.f("uq_account_student_id")),
    )
    op.create_index("ix_account_org", "account", ["org_id", "kind"])
    op.create_table(
        "staff_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("refresh_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_staff_session_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_session")),
    )
    staff = "(SELECT tenancy.student()) IS NULL AND CAST(org_path AS ltree) <@ (SELECT tenancy.path())"
    own = "kind = 'student' AND school_id = (SELECT tenancy.school()) AND student_id = (SELECT tenancy.student())"
    force_row_level_security("account", "SELECT, INSERT, UPDATE")
    op.execute(f"CREATE POLICY tenant ON account TO {APP_ROLE} USING ({staff}) WITH CHECK ({staff})")
    op.execute(f"CREATE POLICY student_can_select_own ON account FOR SELECT TO {APP_ROLE} USING ({own})")
    op.execute(f"CREATE POLICY student_can_insert_own ON account FOR INSERT TO {APP_ROLE} WITH CHECK ({own})")
    own_session = "account_id = (SELECT tenancy.account())"
    force_row_level_security("staff_session", "SELECT, INSERT, UPDATE")
    op.execute(
        f"CREATE POLICY own_session ON staff_session TO {APP_ROLE}"
        f" USING ({own_session}) WITH CHECK ({own_session})"
    )


def _create_device_tables() -> None:
    op.create_table(
        "dpop_proof",
        sa.Column("jkt", sa.String(), nullable=False),
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jkt", "jti", name=op.f("pk_dpop_proof")),
    )
    op.create_index("ix_dpop_proof_seen_at", "dpop_proof", ["seen_at"], postgresql_using="brin")
    op.create_table(
        "device_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("jkt", sa.String(), nullable=False),
        sa.Column("public_jwk", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cool_down_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_reason", sa.String(), nullable=True),
        sa.CheckConstraint("status IN ('active', 'revoked')", name=op.f("ck_device_key_status")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_device_key_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_key")),
        sa.UniqueConstraint("jkt", name=op.f("uq_device_key_jkt")),
    )
    op.create_index("ix_device_key_student", "device_key", ["student_id"])
    op.create_index(
        "uq_device_key_active",
        "device_key",
        ["student_id"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=True),
        sa.Column("student_id", sa.Uuid(), nullable=True),
        sa.Column("jkt", sa.String(), nullable=False),
        sa.Column("public_jwk", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_reason", sa.String(), nullable=True),
        sa.Column("otp_hash", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_registration_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration")),
    )
    op.create_index("ix_registration_jkt", "registration", ["jkt", "created_at"])
    op.create_index("ix_registration_student", "registration", ["student_id", "created_at"])
    protect_ledger_table("dpop_proof", "SELECT")
    protect_student_table("device_key")
    protect_student_table("registration")


def _create_enrolment_tables() -> None:
    op.create_table(
        "face_enrolment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("shots", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shots_deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'accepted', 'refused')", name=op.f("ck_face_enrolment_status")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_face_enrolment_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_enrolment")),
    )
    op.create_index("ix_face_enrolment_student", "face_enrolment", ["student_id", "submitted_at"])
    op.create_index(
        "ix_face_enrolment_shots_kept",
        "face_enrolment",
        ["decided_at"],
        postgresql_where=sa.text("shots_deleted_at IS NULL"),
    )
    op.create_index(
        "uq_face_enrolment_pending",
        "face_enrolment",
        ["student_id"],
        unique=True,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "portrait",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("evidence_key", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("picture_deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'accepted', 'review', 'refused', 'replaced')",
            name=op.f("ck_portrait_status"),
        ),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_portrait_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portrait")),
    )
    op.create_index("ix_portrait_student", "portrait", ["student_id", "submitted_at"])
    op.create_index(
        "uq_portrait_pending",
        "portrait",
        ["student_id"],
        unique=True,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "non_face_route",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_non_face_route_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_non_face_route")),
    )
    op.create_index("ix_non_face_route_student", "non_face_route", ["student_id", "at"])
    protect_student_table("face_enrolment")
    protect_student_table("portrait")
    protect_student_table("non_face_route", grants="SELECT, INSERT")


def _create_template_tables() -> None:
    op.create_table(
        "school_template_key",
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("root_version", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wrapped_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_school_template_key_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("school_id", name=op.f("pk_school_template_key")),
    )
    op.create_table(
        "template_key",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"],
            ["school_template_key.school_id"],
            name=op.f("fk_template_key_school_id_school_template_key"),
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_template_key_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_template_key")),
    )
    op.create_table(
        "face_template",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("engine_id", sa.String(), nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('active', 'replaced', 'shredded')", name=op.f("ck_face_template_status")
        ),
        sa.ForeignKeyConstraint(
            ["enrolment_id"], ["face_enrolment.id"], name=op.f("fk_face_template_enrolment_id_face_enrolment")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_face_template_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_template")),
        sa.UniqueConstraint("enrolment_id", name=op.f("uq_face_template_enrolment_id")),
    )
    op.create_index(
        "uq_face_template_active",
        "face_template",
        ["student_id"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "ix_face_template_sample",
        "face_template",
        ["school_id", "engine_id", "engine_version", sa.text("md5(CAST(student_id AS text))")],
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "selfie_record",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=True),
        sa.Column("enrolment_id", sa.Uuid(), nullable=True),
        sa.Column("engine_id", sa.String(), nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(submission_id IS NULL) <> (enrolment_id IS NULL)", name=op.f("ck_selfie_record_source")
        ),
        sa.ForeignKeyConstraint(
            ["enrolment_id"], ["face_enrolment.id"], name=op.f("fk_selfie_record_enrolment_id_face_enrolment")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_selfie_record_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selfie_record")),
        sa.UniqueConstraint("enrolment_id", name=op.f("uq_selfie_record_enrolment_id")),
        sa.UniqueConstraint("submission_id", name=op.f("uq_selfie_record_submission_id")),
    )
    op.create_index("ix_selfie_record_student", "selfie_record", ["student_id", "at"])
    op.create_table(
        "face_population",
        sa.Column("engine_id", sa.String(), nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("centre", sa.LargeBinary(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_face_population_version")),
        sa.PrimaryKeyConstraint("engine_id", "engine_version", "version", name=op.f("pk_face_population")),
    )
    protect_shared_school_table(
        "school_template_key", "SELECT, INSERT, UPDATE (root_version, sealed, wrapped_at)"
    )
    # The first enrolment of a school creates its key, and runs under the student's scope.
    first = "school_id = (SELECT tenancy.school()) AND (SELECT tenancy.student()) IS NOT NULL"
    op.execute(
        f"CREATE POLICY first_enrolment ON school_template_key FOR INSERT TO {APP_ROLE} WITH CHECK ({first})"
    )
    protect_student_table("template_key", grants="SELECT, INSERT, DELETE")
    protect_student_table("face_template", grants="SELECT, INSERT, UPDATE (status, ended_at)")
    protect_student_table("selfie_record", grants="SELECT, INSERT, DELETE")
    protect_open_table("face_population", "(SELECT tenancy.is_wide())", grants="SELECT, INSERT")
