"""Students for the intake benchmark: activated, part of an open roll call, with challenges. All data is synthetic.

Set-based SQL creates everything except the keys of the phones.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.asymmetric import ec

from backend.core import jws

ROLL_CALL = UUID("018f0005-0000-7000-8000-000000000001")
TERM = "bench"
_PER_SCHOOL = 1000


def student_id(n: int) -> UUID:
    """The id of student number `n`."""
    return UUID(f"018f0003-0000-7000-8000-{n:012x}")


def account_id(n: int) -> UUID:
    """The id of the student's account."""
    return UUID(f"018f0009-0000-7000-8000-{n:012x}")


def nonce_of(n: int, attempt: int) -> str:
    """The nonce of one of the student's challenges."""
    return f"bench-{n:012d}-{attempt:012d}"


@dataclass(frozen=True, slots=True)
class Handset:
    """A phone of the benchmark: its key and the key's thumbprint."""

    n: int
    key: ec.EllipticCurvePrivateKey
    jwk: dict[str, str]
    thumbprint: str

    @classmethod
    def new(cls, n: int) -> "Handset":
        """Create a phone with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        numbers = key.public_key().public_numbers()
        x, y = (jws.encode_base64url(value.to_bytes(32)).decode() for value in (numbers.x, numbers.y))
        jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        digest = hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest()
        return cls(n, key, jwk, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def fill(dsn: str, handsets: list[Handset], attempts: int) -> None:
    """Create all records that the check of an envelope reads, with `attempts` challenges per phone."""
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")  # foreign keys hold by construction
        server.execute("CREATE TEMP TABLE handset (n bigint, jkt text, jwk jsonb)")
        with server.cursor().copy("COPY handset FROM STDIN") as copy:
            for each in handsets:
                copy.write_row((each.n, each.thumbprint, json.dumps(each.jwk)))
        server.execute(_HELPERS)
        for statement in _FILLING:
            server.execute(
                statement.format(per_school=_PER_SCHOOL, attempts=attempts, roll_call=ROLL_CALL, term=TERM)
            )
        server.execute("ANALYZE")


_HELPERS = """
CREATE FUNCTION pg_temp.id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN CAST('018f' || lpad(to_hex(kind), 4, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)
"""
"""Kinds: 1 unit, 2 class, 3 student, 5 roll call, 6 device, 7 enrolment, 8 template, 9 account, from 10 on the rest."""

_STUDENTS = (
    "(SELECT n, pg_temp.id(3, n) AS student, pg_temp.id(1, 2 + n / {per_school}) AS school FROM handset) s"
)

_FILLING = (
    (
        "INSERT INTO term (id, org_id, code, starts_on, ends_on, created_at)"
        " VALUES (gen_random_uuid(), pg_temp.id(1, 0), '{term}', current_date - 30, current_date + 90, now())"
    ),
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at) VALUES"
        " (pg_temp.id(1, 0), 'province', '410000', '省', NULL, 'p410000', now()),"
        " (pg_temp.id(1, 1), 'city', '410100', '市', pg_temp.id(1, 0), 'p410000.c410100', now())"
    ),
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
        " SELECT pg_temp.id(1, 2 + s), 'school', '41' || lpad(CAST(s AS text), 8, '0'), '学校', pg_temp.id(1, 1),"
        " CAST('p410000.c410100.s' || lpad(CAST(s AS text), 10, '0') AS ltree), now()"
        " FROM generate_series(0, (SELECT max(n) FROM handset) / {per_school}) s"
    ),
    (
        "INSERT INTO student (id, school_id, class_id, name, name_key, sex, birth_date, document_kind, id_number_sealed,"
        " id_number_index, programme, study_form, standing, record, row_digest, created_at, updated_at)"
        " SELECT student, school, pg_temp.id(2, n / 50), '学生', '学生', 'female', '2008-01-01', 'resident_id', '\\x00',"
        " decode(lpad(to_hex(n), 16, '0'), 'hex'), 'regular', 'full_time', '01', '{{}}', '\\x00', now(), now() FROM "
        + _STUDENTS
    ),
    (
        "INSERT INTO account (id, kind, org_id, org_path, school_id, student_id, display_name, status,"
        " created_at) SELECT pg_temp.id(9, n), 'student', school, 'p410000.c410100', school, student, '学生', 'active',"
        " now() FROM " + _STUDENTS
    ),
    (
        "INSERT INTO device_key (id, school_id, student_id, jkt, public_jwk, status, bound_at)"
        " SELECT pg_temp.id(6, n), school, student, jkt, jwk, 'active', now() FROM "
        + _STUDENTS
        + " JOIN handset USING (n)"
    ),
    (
        "INSERT INTO record_check (id, school_id, student_id, status, at)"
        " SELECT pg_temp.id(10, n), school, student, 'confirmed', now() FROM " + _STUDENTS
    ),
    (
        "INSERT INTO consent (id, school_id, student_id, kind, text_version, granted, at)"
        " SELECT gen_random_uuid(), school, student, kind, '1', true, now()"
        " FROM (VALUES ('location'), ('face_use'), ('face_template_storage')) v (kind), " + _STUDENTS
    ),
    (
        "INSERT INTO portrait (id, school_id, student_id, evidence_key, sha256, status, reasons, submitted_at)"
        " SELECT pg_temp.id(11, n), school, student, CAST(n AS text), '\\x00', 'accepted', '[]', now() FROM "
        + _STUDENTS
    ),
    (
        "INSERT INTO face_template (id, school_id, student_id, enrolment_id, engine_id, engine_version, purpose, sealed,"
        " status, created_at) SELECT pg_temp.id(8, n), school, student, pg_temp.id(7, n), 'bench', '1', 'check_in', '\\x00',"
        " 'active', now() FROM " + _STUDENTS
    ),
    (
        "INSERT INTO roll_call (id, kind, title, launcher_id, launcher_path, launched_by, term_code, audience, place,"
        " policy_version, launched_at, notify_at, opens_at, closes_at, frames_until)"
        " SELECT '{roll_call}', 'spot_check', '学籍核验', pg_temp.id(1, 0), 'p410000', pg_temp.id(9, 0), '{term}', '{{}}', '410000',"
        " '', now(), now(), now(), now() + interval '1 day', now() + interval '1 day 2 minutes'"
    ),
    "INSERT INTO roll_call_step (roll_call_id, step, at) VALUES ('{roll_call}', 'announced', now())",
    (
        "INSERT INTO obligation (term_code, roll_call_id, student_id, school_id, class_id, duty, standing, study_form,"
        " programme) SELECT '{term}', '{roll_call}', student, school, pg_temp.id(2, n / 50), 'owed', '01', 'full_time', 'regular' FROM "
        + _STUDENTS
    ),
    (
        "INSERT INTO challenge (term_code, nonce, roll_call_id, school_id, student_id, key_thumbprint, actions, cannot,"
        " flash, cues_ms, issued_at, expires_at) SELECT '{term}', 'bench-' || lpad(CAST(n AS text), 12, '0') || '-' || lpad(CAST(a AS text), 12, '0'),"
        " '{roll_call}', school, student, jkt, '[\"turn_left\"]', '[]', '[]', '[]', now(), now() + interval '1 day'"
        " FROM generate_series(0, {attempts} - 1) a, " + _STUDENTS + " JOIN handset USING (n)"
    ),
)
