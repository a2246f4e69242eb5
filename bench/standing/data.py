"""A synthetic province for the standing benchmark, built once for each size and schema.

Schools of a thousand students under one city, two terms, eight province-wide spot checks in each, every outcome
on file. Of each thousand students in each term, 40 miss a check and 10 of them the next one too; 60 take two days of
leave. Only students who missed have notices, since no others are loaded.
"""

from dataclasses import dataclass
from pathlib import Path

import psycopg

from backend.devstack.services import Stack
from bench.cached_databases import Say, Server, drop_indexes, open_cached_database

STUDENTS_PER_SCHOOL = 1000
TERMS = (("2025-autumn", "2025-09-01", "2026-01-31"), ("2026-spring", "2026-02-20", "2026-07-10"))
CHECKS_PER_TERM = 8
LOADED = ("obligation", "outcome_entry")


@dataclass(frozen=True, slots=True)
class Province:
    """The database of the province, and its size."""

    stack: Stack
    students: int

    @property
    def student_terms(self) -> int:
        return self.students * len(TERMS)


def build_province(stack: Stack, students: int, say: Say) -> Province:
    """The province with that many students, built if it does not exist."""
    students = max(STUDENTS_PER_SCHOOL, students // STUDENTS_PER_SCHOOL * STUDENTS_PER_SCHOOL)
    name = f"bench_standing_{students}"
    own = open_cached_database(stack, name, Path(__file__), lambda server: _fill(server, students, say), say)
    return Province(own, students)


def delete_derived_rows(province: Province) -> None:
    """Delete what earlier runs derived, so that every measurement starts with the facts only."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        server.execute(
            "TRUNCATE prompt, prompt_step, standing_warning, student_standing, student_lock, daily_assessment,"
            " audit_entry, audit_seal, outbox_event, outbox_delivery, procrastinate_jobs CASCADE"
        )


def refresh_statistics(province: Province) -> None:
    """Do what autovacuum does soon after many rows were written."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        server.execute("VACUUM ANALYZE")


def _fill(server: Server, students: int, say: Say) -> None:
    schools = students // STUDENTS_PER_SCHOOL
    for statement in _PEOPLE:
        server.execute(statement.format(schools=schools, students=students))
    for number, (code, first, last) in enumerate(TERMS):
        server.execute(_TERM.format(number=number, code=code, first=first, last=last))
        for check in range(CHECKS_PER_TERM):
            of_term = {"code": code, "first": first}
            place = {"n": number * CHECKS_PER_TERM + check, "week": 1 + 2 * check, **of_term}
            server.execute(_ROLL_CALL.format(schools=schools, **place))
    indexes = [definition for table in LOADED for definition in drop_indexes(server, table)]
    for n in range(len(TERMS) * CHECKS_PER_TERM):
        for statement in _RESULTS:
            term, check = divmod(n, CHECKS_PER_TERM)
            server.execute(statement.format(n=n, term=term, code=TERMS[term][0], check=check))
        say(f"  check {n + 1} of {len(TERMS) * CHECKS_PER_TERM}")
    for definition in indexes:
        server.execute(definition)
    for number, (_, first, _last) in enumerate(TERMS):
        for statement in _LEAVE:
            server.execute(statement.format(term=number, first=first))


# --- the statements ---

_PEOPLE = (
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at) VALUES"
        " (pg_temp.id(1, 0), 'province', '410000', '省', NULL, 'p410000', '2025-01-01'),"
        " (pg_temp.id(1, 1), 'city', '410100', '市', pg_temp.id(1, 0), 'p410000.c410100', '2025-01-01')"
    ),
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
        " SELECT pg_temp.id(1, 1 + s), 'school', code, '第' || s || '职业学校（虚构）', pg_temp.id(1, 1),"
        " CAST('p410000.c410100.s' || code AS ltree), '2025-01-01'"
        " FROM generate_series(1, {schools}) s, LATERAL (SELECT '41' || lpad(CAST(s AS text), 8, '0') AS code) c"
    ),
    (
        "INSERT INTO school_class (id, school_id, name, name_key, grade, created_at)"
        " SELECT pg_temp.id(2, c), pg_temp.id(1, 2 + c / 20), c || '班', c || '班', 2024, '2025-01-01'"
        " FROM generate_series(0, {schools} * 20 - 1) c"
    ),
    (
        "INSERT INTO student (id, school_id, class_id, name, name_key, sex, birth_date, document_kind, id_number_sealed,"
        " id_number_index, programme, study_form, standing, record, row_digest, created_at, updated_at)"
        " SELECT pg_temp.id(3, s), pg_temp.id(1, 2 + s / 1000), pg_temp.id(2, s / 50), '学生', '学生', 'female', '2008-01-01',"
        " 'resident_id', '\\x00', decode(lpad(to_hex(s), 16, '0'), 'hex'), 'regular', 'full_time', '01', '{{}}',"
        " '\\x00', '2025-01-01', '2025-01-01' FROM generate_series(CAST(0 AS bigint), {students} - 1) s"
    ),
)

_TERM = """
INSERT INTO term (id, org_id, code, starts_on, ends_on, created_at)
VALUES (pg_temp.id(4, {number}), pg_temp.id(1, 0), '{code}', '{first}', '{last}', '2025-01-01')
"""

_ROLL_CALL = """
WITH opened AS (
  SELECT CAST('{first} 09:00+08' AS timestamptz) + {week} * interval '7 days' AS at
), called AS (
  INSERT INTO roll_call (id, kind, title, launcher_id, launcher_path, launched_by, term_code, audience, place,
    policy_version, launched_at, notify_at, opens_at, closes_at, frames_until)
  SELECT pg_temp.id(5, {n}), 'spot_check', '学籍核验', pg_temp.id(1, 0), 'p410000', pg_temp.id(9, 0), '{code}', '{{}}',
    '410000', '', at, at, at, at + interval '1 hour', at + interval '62 minutes' FROM opened
), steps AS (
  INSERT INTO roll_call_step (roll_call_id, step, at)
  SELECT pg_temp.id(5, {n}), step, at + gone
  FROM opened, (VALUES ('announced', interval '0'), ('settled', interval '65 minutes')) v (step, gone)
), sites AS (
  INSERT INTO roll_call_site (roll_call_id, term_code, site_version_id, school_id)
  SELECT pg_temp.id(5, {n}), '{code}', pg_temp.id(10, s), pg_temp.id(1, 1 + s) FROM generate_series(1, {schools}) s
), schools AS (
  INSERT INTO roll_call_school (roll_call_id, school_id, owed, excused, exempt)
  SELECT pg_temp.id(5, {n}), pg_temp.id(1, 1 + s), 1000, 0, 0 FROM generate_series(1, {schools}) s
), classes AS (
  INSERT INTO roll_call_class (roll_call_id, term_code, class_id, school_id, owed, excused, exempt)
  SELECT pg_temp.id(5, {n}), '{code}', pg_temp.id(2, c), pg_temp.id(1, 2 + c / 20), 50, 0, 0
  FROM generate_series(0, {schools} * 20 - 1) c
), told AS (
  INSERT INTO notice_message (id, group_id, kind, title_zh, title_en, body_zh, body_en, data, sms_params, created_at)
  SELECT pg_temp.id(7, {n}), pg_temp.id(5, {n}), 'roll_call_launched', '', '', '', '', '{{}}', '{{}}', at FROM opened
)
INSERT INTO service_heartbeat (minute) SELECT at + m * interval '1 minute' FROM opened, generate_series(0, 60) m
"""

_MISSES = (
    "(s % 1000 < 40 AND (s + {term}) % 7 = {check}) OR (s % 1000 < 10 AND (s + {term}) % 7 + 1 = {check})"
)
"""Forty students in a thousand miss one check a term; ten of them also miss the next one."""

_RESULTS = (
    (
        "INSERT INTO obligation (roll_call_id, term_code, student_id, school_id, class_id, duty, standing, study_form,"
        " programme) SELECT pg_temp.id(5, {n}), '{code}', student.id, school_id, class_id, 'owed', standing, study_form, programme FROM student"
        " ORDER BY student.id"
    ),
    (
        "INSERT INTO outcome_entry (roll_call_id, term_code, student_id, seq, school_id, class_id, outcome, reason, method,"
        " policy_version, trace, at)"
        " SELECT r.id, r.term_code, pg_temp.id(3, s), 1, pg_temp.id(1, 2 + s / 1000), pg_temp.id(2, s / 50),"
        f" CASE WHEN {_MISSES} THEN 'missed' ELSE 'present' END, 'verified', 'verification', '', '{{{{}}}}',"
        f" CASE WHEN {_MISSES} THEN r.closes_at + interval '5 minutes' ELSE r.opens_at + interval '9 minutes' END"
        " FROM roll_call r, generate_series(CAST(0 AS bigint), (SELECT count(*) - 1 FROM student)) s"
        " WHERE r.id = pg_temp.id(5, {n})"
    ),
    (
        "WITH missed AS (SELECT e.student_id, e.school_id, r.opens_at FROM outcome_entry e"
        " JOIN roll_call r ON r.id = e.roll_call_id WHERE e.roll_call_id = pg_temp.id(5, {n}) AND e.outcome = 'missed'),"
        " sent AS (INSERT INTO notice (id, message_id, student_id, school_id, created_at)"
        " SELECT gen_random_uuid(), pg_temp.id(7, {n}), student_id, school_id, opens_at FROM missed RETURNING id, created_at)"
        " INSERT INTO notice_receipt (notice_id, channel, event, at, recorded_at)"
        " SELECT id, 'in_app', 'delivered', created_at, created_at FROM sent"
    ),
)

_LEAVE = (
    (
        "INSERT INTO leave_request (id, school_id, student_id, kind, starts_at, ends_at, reason_sealed, filed_by, filed_at)"
        " SELECT pg_temp.id(6 + 100 * {term}, s), pg_temp.id(1, 2 + s / 1000), pg_temp.id(3, s), 'sick', begins,"
        " begins + interval '2 days', '\\x00', pg_temp.id(9, s), begins - interval '1 day'"
        " FROM (SELECT s, CAST('{first} 00:00+08' AS timestamptz) + (10 + s % 60) * interval '1 day' AS begins"
        " FROM generate_series(CAST(0 AS bigint), (SELECT count(*) - 1 FROM student)) s"
        " WHERE s % 1000 BETWEEN 500 AND 559) asked"
    ),
    (
        "INSERT INTO leave_decision (leave_id, school_id, student_id, outcome, filed_by, decided_by, decided_at)"
        " SELECT id, school_id, student_id, 'approved', filed_by, pg_temp.id(9, 0), filed_at + interval '1 hour'"
        " FROM leave_request WHERE NOT EXISTS (SELECT 1 FROM leave_decision d WHERE d.leave_id = leave_request.id)"
    ),
)
