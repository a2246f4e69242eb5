"""Accounts, device keys, proofs, and what students enrol"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import rls

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _accounts()
    _enrolments()
    _secure()
    for statement in (_PROOFS, _REGISTRATIONS, _SIGN_IN):
        op.execute(statement)
    for signature in _DOORS:
        op.execute(f"REVOKE ALL ON FUNCTION definer.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION definer.{signature} TO {rls.APP}")


def _accounts() -> None:
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
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
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
    op.create_index("ix_account_org", "account", ["org_id", "kind"], unique=False)
    op.create_table(
        "dpop_proof",
        sa.Column("jkt", sa.String(), nullable=False),
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jkt", "jti", name=op.f("pk_dpop_proof")),
    )
    op.create_index("ix_dpop_proof_seen_at", "dpop_proof", ["seen_at"], unique=False, postgresql_using="brin")
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
    op.create_index("ix_device_key_student", "device_key", ["student_id"], unique=False)
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
    op.create_index("ix_registration_jkt", "registration", ["jkt", "created_at"], unique=False)
    op.create_index("ix_registration_student", "registration", ["student_id", "created_at"], unique=False)
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


def _enrolments() -> None:
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
        sa.Column("shots_gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'accepted', 'refused')", name=op.f("ck_face_enrolment_status")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_face_enrolment_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_enrolment")),
    )
    op.create_index(
        "ix_face_enrolment_student", "face_enrolment", ["student_id", "submitted_at"], unique=False
    )
    op.create_index(
        "ix_face_enrolment_shots_kept",
        "face_enrolment",
        ["decided_at"],
        unique=False,
        postgresql_where=sa.text("shots_gone_at IS NULL"),
    )
    op.create_index(
        "uq_face_enrolment_pending",
        "face_enrolment",
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
    op.create_index("ix_non_face_route_student", "non_face_route", ["student_id", "at"], unique=False)
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
        sa.Column("picture_gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'accepted', 'review', 'refused', 'replaced')",
            name=op.f("ck_portrait_status"),
        ),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_portrait_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portrait")),
    )
    op.create_index("ix_portrait_student", "portrait", ["student_id", "submitted_at"], unique=False)
    op.create_index(
        "uq_portrait_pending",
        "portrait",
        ["student_id"],
        unique=True,
        postgresql_where=sa.text("status = 'pending'"),
    )
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
        unique=False,
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
    op.create_index("ix_selfie_record_student", "selfie_record", ["student_id", "at"], unique=False)


def _secure() -> None:
    rls.org_table("account")
    op.execute("DROP POLICY tenant ON account")
    staff = "(SELECT tenancy.student()) IS NULL AND CAST(org_path AS ltree) <@ (SELECT tenancy.path())"
    own = "kind = 'student' AND school_id = (SELECT tenancy.school()) AND student_id = (SELECT tenancy.student())"
    op.execute(f"CREATE POLICY tenant ON account TO {rls.APP} USING ({staff}) WITH CHECK ({staff})")
    op.execute(f"CREATE POLICY own_reading ON account FOR SELECT TO {rls.APP} USING ({own})")
    op.execute(f"CREATE POLICY own_opening ON account FOR INSERT TO {rls.APP} WITH CHECK ({own})")
    rls.ledger_table("staff_session", "SELECT, INSERT, UPDATE")
    op.execute("DROP POLICY machinery ON staff_session")
    mine = "account_id = (SELECT tenancy.account())"
    op.execute(f"CREATE POLICY own ON staff_session TO {rls.APP} USING ({mine}) WITH CHECK ({mine})")
    rls.ledger_table("dpop_proof", "SELECT")
    for table in ("device_key", "registration", "face_enrolment", "portrait"):
        rls.student_table(table)
    rls.student_table("non_face_route", grants="SELECT, INSERT")
    rls.shared_school_table(
        "school_template_key", "SELECT, INSERT, UPDATE (root_version, sealed, wrapped_at)"
    )
    # The first enrolment of a school is judged under its student's scope.
    first = "school_id = (SELECT tenancy.school()) AND (SELECT tenancy.student()) IS NOT NULL"
    op.execute(
        f"CREATE POLICY first_enrolment ON school_template_key FOR INSERT TO {rls.APP} WITH CHECK ({first})"
    )
    rls.student_table("template_key", grants="SELECT, INSERT, DELETE")
    rls.student_table("selfie_record", grants="SELECT, INSERT, DELETE")
    rls.student_table("face_template", grants="SELECT, INSERT, UPDATE (status, ended_at)")


_DOORS = (
    "use_proof(text, text, timestamptz)",
    "purge_proofs(timestamptz)",
    "purge_registrations(timestamptz)",
    "open_registration(uuid, text, jsonb, bytea, text, timestamptz, timestamptz, timestamptz, int, int)",
    "registration(uuid)",
    "try_code(uuid, text, bytea, timestamptz, int)",
    "open_sign_in(text, timestamptz, int, interval)",
    "staff_session(uuid)",
)
"""Asked before a scope is known, or in one round trip with what makes it known."""

_PROOFS = """
CREATE FUNCTION definer.use_proof(p_jkt text, p_jti text, p_at timestamptz)
RETURNS TABLE (fresh boolean, account_id uuid, account_status text, school_id uuid, school_path text,
               student_id uuid, key_status text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH used AS (
    INSERT INTO dpop_proof (jkt, jti, seen_at) VALUES (p_jkt, p_jti, p_at) ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT EXISTS (SELECT 1 FROM used), a.id, a.status, d.school_id, u.path::text, d.student_id, d.status
  FROM (SELECT p_jkt AS jkt) AS asked
  LEFT JOIN device_key d ON d.jkt = asked.jkt
  LEFT JOIN account a ON a.student_id = d.student_id
  LEFT JOIN org_unit u ON u.id = d.school_id;
END;
CREATE FUNCTION definer.purge_proofs(p_before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH gone AS (DELETE FROM dpop_proof WHERE seen_at < p_before RETURNING 1) SELECT count(*) FROM gone;
END;
"""

# The middle dots of minority names come in several code points; spaces in a name carry nothing.
_REGISTRATIONS = """
CREATE FUNCTION definer.plain_name(name text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN translate(name, '•‧・．.  　', '·····');
CREATE FUNCTION definer.open_registration(p_id uuid, p_jkt text, p_jwk jsonb, p_index bytea, p_name text,
  p_at timestamptz, p_expires timestamptz, p_since timestamptz, p_codes int, p_failures int)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  found_student uuid; found_school uuid; asked bigint; wrong bigint;
BEGIN
  SELECT count(*) INTO asked FROM registration r WHERE r.jkt = p_jkt AND r.created_at > p_since;
  IF asked >= p_codes THEN RETURN false; END IF;
  SELECT s.id, s.school_id INTO found_student, found_school FROM student s
    WHERE s.id_number_index = p_index AND definer.plain_name(s.name) = definer.plain_name(p_name)
    ORDER BY s.created_at DESC, s.id DESC LIMIT 1;
  SELECT count(*), coalesce(sum(r.tries), 0) INTO asked, wrong FROM registration r
    WHERE r.student_id = found_student AND r.created_at > p_since;
  -- A student who is being guessed at gets no further code for a while, and the guesser no sign of it.
  IF asked >= p_codes OR wrong >= p_failures THEN found_student := NULL; found_school := NULL; END IF;
  INSERT INTO registration (id, school_id, student_id, jkt, public_jwk, created_at, expires_at, tries)
    VALUES (p_id, found_school, found_student, p_jkt, p_jwk, p_at, p_expires, 0);
  RETURN true;
END $$;
CREATE FUNCTION definer.registration(p_id uuid)
RETURNS TABLE (student_id uuid, school_id uuid, school_path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT r.student_id, r.school_id, u.path::text
  FROM registration r JOIN org_unit u ON u.id = r.school_id WHERE r.id = p_id;
END;
CREATE FUNCTION definer.purge_registrations(p_before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH gone AS (DELETE FROM registration WHERE confirmed_at IS NULL AND created_at < p_before RETURNING 1)
  SELECT count(*) FROM gone;
END;
CREATE FUNCTION definer.try_code(p_id uuid, p_jkt text, p_hash bytea, p_at timestamptz, p_max int)
RETURNS TABLE (verdict text, student_id uuid, school_id uuid, school_path text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  it registration;
BEGIN
  SELECT * INTO it FROM registration r WHERE r.id = p_id AND r.jkt = p_jkt FOR UPDATE;
  IF NOT FOUND THEN verdict := 'unknown';
  ELSIF it.expires_at <= p_at THEN verdict := 'expired';
  ELSIF it.tries >= p_max THEN verdict := 'exhausted';
  ELSIF it.otp_hash IS DISTINCT FROM p_hash THEN
    UPDATE registration r SET tries = r.tries + 1 WHERE r.id = p_id;
    verdict := 'wrong';
  ELSE
    verdict := 'match';
    student_id := it.student_id;
    school_id := it.school_id;
    SELECT u.path::text INTO school_path FROM org_unit u WHERE u.id = it.school_id;
  END IF;
  RETURN NEXT;
END $$;
"""

# Each attempt is charged before it is judged, so that parallel guesses are bounded like guesses in a it.
_SIGN_IN = """
CREATE FUNCTION definer.open_sign_in(p_login text, p_at timestamptz, p_max int, p_delay interval)
RETURNS TABLE (allowed boolean, account_id uuid, kind text, org_id uuid, org_path text, school_id uuid,
               counselor_id uuid, status text, password_hash text, totp_sealed bytea, activation_hash bytea,
               activation_until timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  it account;
BEGIN
  SELECT * INTO it FROM account a WHERE a.login = p_login FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  allowed := it.blocked_until IS NULL OR it.blocked_until <= p_at;
  IF allowed THEN
    UPDATE account a SET
      failed_attempts = CASE WHEN it.failed_attempts + 1 >= p_max THEN 0 ELSE it.failed_attempts + 1 END,
      blocked_until = CASE WHEN it.failed_attempts + 1 >= p_max THEN p_at + p_delay END
    WHERE a.id = it.id;
  END IF;
  SELECT it.id, it.kind, it.org_id, u.path::text, it.school_id, it.counselor_id, it.status,
         it.password_hash, it.totp_sealed, it.activation_hash, it.activation_until
    INTO account_id, kind, org_id, org_path, school_id, counselor_id, status,
         password_hash, totp_sealed, activation_hash, activation_until
    FROM org_unit u WHERE u.id = it.org_id;
  RETURN NEXT;
END $$;
CREATE FUNCTION definer.staff_session(p_id uuid)
RETURNS TABLE (account_id uuid, kind text, org_id uuid, org_path text, school_id uuid, counselor_id uuid,
               status text, refresh_hash bytea, expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT a.id, a.kind, a.org_id, u.path::text, a.school_id, a.counselor_id, a.status,
         s.refresh_hash, s.expires_at, s.revoked_at
  FROM staff_session s JOIN account a ON a.id = s.account_id JOIN org_unit u ON u.id = a.org_id
  WHERE s.id = p_id;
END;
"""
