"""A synthetic province for `bench.province`: schools of 2,400 students in 50 classes, built once per size.

It has three earlier spot checks with all their outcomes, one in a past term and two in the current one. Of each hundred
students four missed each of the latter two, and one of the four who missed the last one also misses the measured one, so
that one student in a hundred gets a prompt. Students with an earlier miss have a stored assessment.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from backend.core.clock import LEGAL_ZONE
from backend.devstack.services import Stack
from bench.cached_databases import Say, Server, drop_indexes, open_cached_database

CLASSES, STUDENTS_PER_CLASS = 50, 48
STUDENTS_PER_SCHOOL = CLASSES * STUDENTS_PER_CLASS
CITIES = 18
PAST_TERM, CURRENT_TERM = "2025-autumn", "2026-spring"
TERMS = (
    (PAST_TERM, "2025-09-01", "2026-01-31"),
    (CURRENT_TERM, "2026-02-20", "2026-07-10"),
    ("2026-autumn", "2026-09-01", "2027-01-31"),
)
OPENS_AT = datetime(2026, 5, 20, 10, tzinfo=LEGAL_ZONE)
CLOSES_AT = OPENS_AT + timedelta(minutes=60)
SETTLED_AT = CLOSES_AT + timedelta(minutes=5)
STAFF_ID = UUID("018f0009-0000-7000-8000-000000000000")
PROVINCE_PATH = "p410000"
PARTITIONED_TABLES = ("obligation", "outcome_entry")
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰"


def _character(characters: str, salt: str) -> str:
    """SQL: one of the characters, by the number of the student `s`."""
    return f"substr('{characters}', 1 + abs(hashtext(s || '{salt}') % {len(characters)}), 1)"


_NAME = f"{_character(_SURNAMES, 'a')} || {_character(_GIVEN, 'b')} || {_character(_GIVEN, 'c')}"
"""SQL: a name of three characters. As in life, many students share one."""


@dataclass(frozen=True, slots=True)
class EarlierRollCall:
    """An earlier roll call, and the numbers from 0 to 99 of the students who missed it."""

    number: int
    term: str
    opens: datetime
    absent: tuple[int, ...]


EARLIER_ROLL_CALLS = (
    EarlierRollCall(0, PAST_TERM, datetime(2025, 11, 12, 10, tzinfo=LEGAL_ZONE), (0, 1, 2, 3)),
    EarlierRollCall(1, CURRENT_TERM, datetime(2026, 3, 18, 10, tzinfo=LEGAL_ZONE), (0, 1, 2, 3)),
    EarlierRollCall(2, CURRENT_TERM, datetime(2026, 4, 15, 10, tzinfo=LEGAL_ZONE), (10, 11, 12, 13)),
)
ABSENT_NUMBERS = (10, 20, 21, 22)
"""Numbers from 0 to 99 of the students who miss the measured roll call; the first missed the previous one too."""


RANDOM_DELAY = "abs(CAST(hashtext(CAST({of} AS text)) AS bigint)) % 40000 * interval '37 milliseconds'"
"""Up to 25 minutes by student, so that outcomes and receipts have different times."""


@dataclass(frozen=True, slots=True)
class Province:
    """The database of the province and its size."""

    stack: Stack
    schools: int

    @property
    def students(self) -> int:
        return self.schools * STUDENTS_PER_SCHOOL


def open_province(stack: Stack, students: int, say: Say) -> Province:
    """Open the database of a province with about this many students; build it if it does not exist."""
    schools = max(1, students // STUDENTS_PER_SCHOOL)
    name = f"bench_province_{schools * STUDENTS_PER_SCHOOL}"
    own = open_cached_database(
        stack, name, Path(__file__), lambda server: fill_database(server, schools, say), say
    )
    return Province(own, schools)


def reset_province(province: Province) -> None:
    """Delete the measured roll call and everything that followed from it."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")
        earlier = [f"'{_id(5, roll_call.number)}'" for roll_call in EARLIER_ROLL_CALLS]
        for table in (
            *("obligation", "outcome_entry", "roll_call_class", "roll_call_school", "roll_call_site"),
            *(
                "challenge",
                "submission",
                "verdict",
                "roll_call_step",
                "outcome_count",
                "outcome_count_pending",
            ),
        ):
            server.execute(f"DELETE FROM {table} WHERE roll_call_id NOT IN ({', '.join(earlier)})")
        server.execute(f"DELETE FROM roll_call WHERE id NOT IN ({', '.join(earlier)})")
        server.execute(
            "TRUNCATE notice_message, notice, notice_delivery, notice_receipt, prompt, prompt_step, standing_warning,"
            " student_standing, student_lock, audit_entry, audit_seal, outbox_event, outbox_delivery, procrastinate_jobs"
            " CASCADE"
        )
        for statement in INSERT_STANDINGS:
            server.execute(statement)
        server.execute("VACUUM ANALYZE")
        server.execute("CHECKPOINT")


def simulate_window(province: Province, roll_call_id: UUID) -> None:
    """Write what a window produces: all students except the absent ones sent an accepted envelope."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")
        server.execute("SET synchronous_commit = off")
        insert_window_rows(server, roll_call_id)
        server.execute("CHECKPOINT")


def insert_window_rows(server: Server, roll_call_id: UUID) -> None:
    """Insert the rows of a window and of its notices."""
    for statement in _WINDOW_ROWS:
        server.execute(statement, {"call": roll_call_id, "absent": list(ABSENT_NUMBERS)})


def refresh_statistics(province: Province) -> None:
    """Run ANALYZE, as autovacuum does soon after many rows were written."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        server.execute("ANALYZE")


def _id(kind: int, number: int) -> UUID:
    return UUID(f"018f{kind:04x}-0000-7000-8000-{number:012x}")


def fill_database(server: Server, schools: int, say: Say) -> None:
    """Insert schools, students, sites, terms and the earlier roll calls."""
    for statement in _PEOPLE:
        server.execute(statement.format(schools=schools, students=schools * STUDENTS_PER_SCHOOL))
    for number, (code, first, last) in enumerate(TERMS):
        server.execute(_TERM.format(number=number, code=code, first=first, last=last))
    say("  people")
    indexes = [definition for table in PARTITIONED_TABLES for definition in drop_indexes(server, table)]
    for roll_call in EARLIER_ROLL_CALLS:
        parameters = {
            "n": roll_call.number,
            "term": roll_call.term,
            "opens": roll_call.opens.isoformat(),
            "absent": ", ".join(map(str, roll_call.absent)),
            "delay": RANDOM_DELAY.format(of="o.student_id"),
        }
        for statement in (*_ROLL_CALL, *_RESULTS):
            server.execute(statement.format(**parameters))
        say(f"  roll_call {roll_call.number + 1} of {len(EARLIER_ROLL_CALLS)}")
    for definition in indexes:
        server.execute(definition)


# --- the statements ---

_PEOPLE = (
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at) VALUES"
        f" (pg_temp.id(1, 0), 'province', '410000', '省', NULL, '{PROVINCE_PATH}', '2025-01-01')"
    ),
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
        " SELECT pg_temp.id(1, c), 'city', '41' || lpad(CAST(c AS text), 2, '0') || '00', '市' || c, pg_temp.id(1, 0),"
        f" CAST('{PROVINCE_PATH}.c41' || lpad(CAST(c AS text), 2, '0') || '00' AS ltree), '2025-01-01'"
        f" FROM generate_series(1, {CITIES}) c"
    ),
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
        " SELECT pg_temp.id(1, 100 + s), 'school', code, '第' || s || '职业学校（虚构）', city.id,"
        " city.path || CAST('s' || code AS ltree), '2025-01-01'"
        " FROM generate_series(0, {schools} - 1) s, LATERAL (SELECT '41' || lpad(CAST(s AS text), 8, '0') AS code) c,"
        f" LATERAL (SELECT id, path FROM org_unit WHERE id = pg_temp.id(1, 1 + s % {CITIES})) city"
    ),
    (
        "INSERT INTO school_class (id, school_id, name, name_key, grade, created_at)"
        f" SELECT pg_temp.id(2, c), pg_temp.id(1, 100 + c / {CLASSES}), c % {CLASSES} || '班', c % {CLASSES} || '班', 2024, '2025-01-01'"
        f" FROM generate_series(0, {{schools}} * {CLASSES} - 1) c"
    ),
    (
        "INSERT INTO student (id, school_id, class_id, name, name_key, sex, birth_date, document_kind, id_number_sealed,"
        " id_number_index, programme, study_form, standing, record, row_digest, created_at, updated_at)"
        f" SELECT pg_temp.id(3, s), pg_temp.id(1, 100 + s / {STUDENTS_PER_SCHOOL}), pg_temp.id(2, s / {STUDENTS_PER_CLASS}), {_NAME}, {_NAME}, 'female',"
        " '2008-01-01', 'resident_id', '\\x00', decode(lpad(to_hex(s), 16, '0'), 'hex'), 'regular', 'full_time', '01',"
        " '{{}}', '\\x00', '2025-01-01', '2025-01-01' FROM generate_series(CAST(0 AS bigint), {students} - 1) s"
    ),
    (
        "INSERT INTO site (id, school_id, name, kind, address, created_by, created_at)"
        " SELECT pg_temp.id(11, s), pg_temp.id(1, 100 + s), '主校区', 'main', '地址', pg_temp.id(9, 1), '2025-01-01'"
        " FROM generate_series(0, {schools} - 1) s"
    ),
    (
        "INSERT INTO site_version (id, school_id, site_id, version, polygons, original, format, datum, area_m2, valid_from,"
        " warnings, filed_by, filed_at)"
        " SELECT pg_temp.id(10, s), pg_temp.id(1, 100 + s), pg_temp.id(11, s), 1,"
        " ST_GeomFromText('MULTIPOLYGON(((113.6 34.7, 113.61 34.7, 113.61 34.71, 113.6 34.7)))', 4326), '', 'geojson',"
        " 'wgs84', 1, '2025-01-01', '[]', pg_temp.id(9, 1), '2025-01-01' FROM generate_series(0, {schools} - 1) s"
    ),
    (
        "INSERT INTO site_decision (version_id, school_id, outcome, filed_by, decided_by, decided_at)"
        " SELECT id, school_id, 'approved', filed_by, pg_temp.id(9, 0), '2025-01-02' FROM site_version"
    ),
)

_TERM = """
INSERT INTO term (id, org_id, code, starts_on, ends_on, created_at)
VALUES (pg_temp.id(4, {number}), pg_temp.id(1, 0), '{code}', '{first}', '{last}', '2025-01-01')
"""

_ROLL_CALL = (
    (
        "INSERT INTO roll_call (id, kind, title, launcher_id, launcher_path, launched_by, term_code, audience, place,"
        " policy_version, launched_at, notify_at, opens_at, closes_at, frames_until)"
        f" SELECT pg_temp.id(5, {{n}}), 'spot_check', '学籍核验', pg_temp.id(1, 0), '{PROVINCE_PATH}', pg_temp.id(9, 0),"
        " '{term}', '{{}}', '410000', '', at, at, at, at + interval '60 minutes', at + interval '62 minutes'"
        " FROM (SELECT CAST('{opens}' AS timestamptz)) o (at)"
    ),
    (
        "INSERT INTO roll_call_step (roll_call_id, step, at) SELECT r.id, step, r.opens_at + gone"
        " FROM roll_call r, (VALUES ('announced', interval '0'), ('settled', interval '65 minutes')) v (step, gone)"
        " WHERE r.id = pg_temp.id(5, {n})"
    ),
    (
        "INSERT INTO roll_call_class (roll_call_id, term_code, school_id, class_id, owed, excused, exempt)"
        f" SELECT pg_temp.id(5, {{n}}), '{{term}}', school_id, id, {STUDENTS_PER_CLASS}, 0, 0 FROM school_class"
    ),
    (
        "INSERT INTO roll_call_school (roll_call_id, school_id, owed, excused, exempt)"
        f" SELECT pg_temp.id(5, {{n}}), id, {STUDENTS_PER_SCHOOL}, 0, 0 FROM org_unit WHERE kind = 'school'"
    ),
    (
        "INSERT INTO roll_call_site (roll_call_id, term_code, school_id, site_version_id)"
        " SELECT pg_temp.id(5, {n}), '{term}', school_id, id FROM site_version"
    ),
    (
        "INSERT INTO service_heartbeat (minute) SELECT CAST('{opens}' AS timestamptz) + m * interval '1 minute'"
        " FROM generate_series(-2, 63) m ON CONFLICT DO NOTHING"
    ),
)

_RESULTS = (
    (
        "INSERT INTO obligation (roll_call_id, term_code, student_id, school_id, class_id, duty, standing, study_form,"
        " programme) SELECT pg_temp.id(5, {n}), '{term}', id, school_id, class_id, 'owed', standing, study_form, programme"
        " FROM student ORDER BY student.id"
    ),
    (
        "INSERT INTO outcome_entry (roll_call_id, term_code, student_id, seq, school_id, class_id, outcome, reason, method,"
        " policy_version, trace, at)"
        " SELECT o.roll_call_id, o.term_code, o.student_id, 1, o.school_id, o.class_id,"
        " CASE WHEN missed THEN 'missed' ELSE 'present' END, CASE WHEN missed THEN 'no_check_in' ELSE 'accepted' END,"
        " CASE WHEN missed THEN 'settlement' ELSE 'face' END, '', '{{}}',"
        " CAST('{opens}' AS timestamptz)"
        " + CASE WHEN missed THEN interval '65 minutes' ELSE interval '9 minutes' + {delay} END"
        " FROM obligation o,"
        " LATERAL (SELECT ('x' || right(CAST(o.student_id AS text), 12))::bit(48)::bigint % 100 IN ({absent})) m (missed)"
        " WHERE o.term_code = '{term}' AND o.roll_call_id = pg_temp.id(5, {n})"
    ),
)

INSERT_STANDINGS = (
    (
        "INSERT INTO student_standing (student_id, school_id, as_of, policy_version, digest, assessment)"
        " SELECT DISTINCT student_id, school_id, CAST('2026-04-16' AS timestamptz), '', CAST('' AS bytea), CAST('{}' AS jsonb)"
        " FROM outcome_entry WHERE outcome = 'missed'"
    ),
    (
        "INSERT INTO student_lock (student_id, school_id, as_of) SELECT student_id, school_id, as_of FROM student_standing"
    ),
)
"""Stored assessments of the students with an earlier miss. Their content does not matter for the benchmark."""

_PRESENT = """
CREATE TEMP TABLE present ON COMMIT PRESERVE ROWS AS
SELECT o.*, row_number() OVER (ORDER BY md5(CAST(student_id AS text))) AS arrival, gen_random_uuid() AS submission_id,
  md5(CAST(student_id AS text)) AS nonce, r.opens_at AS opens_at
FROM obligation o JOIN roll_call r ON r.id = o.roll_call_id AND r.term_code = o.term_code
WHERE o.roll_call_id = %(call)s
  AND NOT ('x' || right(CAST(o.student_id AS text), 12))::bit(48)::bigint %% 100 = ANY (%(absent)s)
ORDER BY arrival
"""
"""In the order of arrival, which differs from the order of the students."""

_WINDOW_ROWS = (
    "DROP TABLE IF EXISTS present",
    _PRESENT,
    (
        "INSERT INTO challenge (nonce, roll_call_id, school_id, term_code, student_id, key_thumbprint, actions, cannot, flash,"
        " cues_ms, issued_at, expires_at) SELECT nonce, roll_call_id, school_id, term_code, student_id, 'thumbprint',"
        " '[\"turn_left\"]', '[]', '[]', '[]', opens_at, opens_at + interval '5 minutes' FROM present ORDER BY arrival"
    ),
    (
        "INSERT INTO submission (id, roll_call_id, school_id, term_code, student_id, nonce, key_thumbprint, in_cool_down,"
        " envelope, envelope_digest, frame_count, receipt, received_at, frames_due_at) SELECT submission_id, roll_call_id,"
        " school_id, term_code, student_id, nonce, 'thumbprint', false, repeat('e', 900), '\\x00', 4, repeat('r', 300),"
        " opens_at + arrival * interval '1 millisecond', opens_at + interval '10 minutes' FROM present ORDER BY arrival"
    ),
    (
        "INSERT INTO verdict (submission_id, roll_call_id, school_id, term_code, student_id, finding, reasons, engine, trace,"
        " at) SELECT submission_id, roll_call_id, school_id, term_code, student_id, 'accepted', '[\"accepted\"]', 'test/1',"
        " '{}', opens_at + interval '12 minutes' FROM present ORDER BY arrival"
    ),
    (
        "INSERT INTO outcome_entry (roll_call_id, term_code, student_id, seq, school_id, class_id, outcome, reason, method,"
        " submission_id, policy_version, trace, at)"
        " SELECT roll_call_id, term_code, student_id, 1, school_id, class_id, 'present', 'accepted', 'face', submission_id, '',"
        " '{}', opens_at + interval '12 minutes' FROM present ORDER BY arrival"
    ),
    (
        "INSERT INTO roll_call_step (roll_call_id, step, at)"
        " SELECT id, 'announced', notify_at FROM roll_call WHERE id = %(call)s"
    ),
    "SELECT definer.recount_outcomes(%(call)s)",
    (
        "INSERT INTO service_heartbeat (minute) SELECT opens_at + m * interval '1 minute'"
        " FROM roll_call, generate_series(-2, 63) m WHERE id = %(call)s ON CONFLICT DO NOTHING"
    ),
    (
        "INSERT INTO notice_message (id, group_id, kind, title_zh, title_en, body_zh, body_en, data, sms_params, created_at)"
        " SELECT gen_random_uuid(), id, 'roll_call_launched', '', '', '', '', '{}', '{}', notify_at FROM roll_call"
        " WHERE id = %(call)s"
    ),
    (
        "WITH told AS (INSERT INTO notice (id, message_id, student_id, school_id, created_at)"
        " SELECT gen_random_uuid(), m.id, o.student_id, o.school_id, m.created_at FROM notice_message m"
        " JOIN obligation o ON o.roll_call_id = m.group_id WHERE o.roll_call_id = %(call)s"
        " RETURNING id, student_id, created_at)"
        " INSERT INTO notice_receipt (notice_id, channel, event, at, recorded_at)"
        " SELECT id, 'in_app', 'delivered', created_at + late, created_at + 1.1 * late"
        f" FROM told, LATERAL (SELECT {RANDOM_DELAY.format(of='student_id').replace('%', '%%')} / 60) l (late)"
    ),
)
