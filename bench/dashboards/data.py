"""Data for `bench.dashboards`: 500 schools with 25,000 classes in one roll call, and staff with dashboards.

Only the classes of `bench.intake.data` have students with phones. The other classes have only the counts that 1.2
million students would give, because progress reads nothing else. Everything is synthetic.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import psycopg

from backend.core.clock import now
from backend.core.keys import KeyRing
from backend.identity.sign_in.access_tokens import issue_staff_token
from bench.intake.data import ROLL_CALL, TERM

CITIES, SCHOOLS, CLASSES = 18, 500, 50
PROVINCE = UUID("018f0001-0000-7000-8000-000000000000")
_LIFE = timedelta(minutes=30)
_KINDS = (("province", 0.05), ("bureau", 0.15), ("registrar", 0.55), ("counselor", 0.25))
"""Shares of the dashboards by role."""


def city_id(n: int) -> UUID:
    """Id of a city by its number below `CITIES`."""
    return UUID(f"018f0001-0000-7000-8000-{0xC0000 + n:012x}")


def school_id(n: int) -> UUID:
    """Id of a school by its number below `SCHOOLS`."""
    return UUID(f"018f0001-0000-7000-8000-{0xA0000 + n:012x}")


def _id(kind: int, n: int) -> UUID:
    return UUID(f"018f{kind:04x}-0000-7000-8000-{n:012x}")


@dataclass(frozen=True, slots=True)
class Watcher:
    """A staff account with an open dashboard: the number of its school or city, and its token."""

    kind: str
    place: int
    token: str

    def unit(self) -> str:
        """Key of the snapshot that this account receives."""
        return f"{self.kind}/{self.place}" if self.kind != "province" else self.kind


class PresentCounter:
    """Number of present students by snapshot, maintained by the writer of outcomes."""

    def __init__(self) -> None:
        self._by_snapshot: Counter[str] = Counter()

    def add(self, school: int, *, first_class: bool) -> None:
        """Count one student of a school, of its first class or of another one."""
        for key in ("province", f"bureau/{school % CITIES}", f"registrar/{school}"):
            self._by_snapshot[key] += 1
        if first_class:
            self._by_snapshot[f"counselor/{school}"] += 1

    def snapshot(self) -> dict[str, int]:
        """The current numbers by snapshot."""
        return dict(self._by_snapshot)


def insert_data(dsn: str, keys: KeyRing, dashboards: int) -> list[Watcher]:
    """Insert units, classes, counts and staff. Returns the watchers, each with its own session."""
    watchers = [_watcher(keys, n, dashboards) for n in range(dashboards)]
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")  # foreign keys hold by construction
        server.execute("CREATE TEMP TABLE watcher (n bigint, kind text, place int)")
        with server.cursor().copy("COPY watcher FROM STDIN") as copy:
            for n, each in enumerate(watchers):
                copy.write_row((n, each.kind, each.place))
        server.execute(_HELPERS)
        for statement in _INSERTS:
            server.execute(
                statement.format(
                    schools=SCHOOLS, classes=CLASSES, cities=CITIES, roll_call=ROLL_CALL, term=TERM
                )
            )
        server.execute("ANALYZE")
    return watchers


def _watcher(keys: KeyRing, n: int, of: int) -> Watcher:
    kind, number = "counselor", n
    for name, share in _KINDS:
        if number < share * of:
            kind = name
            break
        number -= int(share * of)
    place = {"province": 0, "bureau": number % CITIES}.get(kind, number % SCHOOLS)
    return Watcher(kind, place, issue_staff_token(keys, _id(20, n), _id(21, n), now(), _LIFE).value)


_HELPERS = """
CREATE FUNCTION pg_temp.id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN CAST('018f' || lpad(to_hex(kind), 4, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid);
CREATE FUNCTION pg_temp.school(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN pg_temp.id(1, 655360 + n);
CREATE FUNCTION pg_temp.city(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN pg_temp.id(1, 786432 + n);
CREATE FUNCTION pg_temp.class(school bigint, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN pg_temp.id(2, 655360 + 1000 * school + n);
CREATE FUNCTION pg_temp.path(school bigint, cities int) RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'p410000.c4199' || lpad(CAST(school % cities AS text), 2, '0') || '.s42' || lpad(CAST(school AS text), 8, '0');
"""
"""Kinds of ids as in `bench.intake.data`; 20 staff account, 21 staff session, 22 counselor."""

_INSERTS = (
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
        " SELECT pg_temp.city(n), 'city', '4199' || lpad(CAST(n AS text), 2, '0'), '第' || n || '市', pg_temp.id(1, 0),"
        " CAST('p410000.c4199' || lpad(CAST(n AS text), 2, '0') AS ltree), now() FROM generate_series(0, {cities} - 1) n"
    ),
    (
        "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
        " SELECT pg_temp.school(n), 'school', '42' || lpad(CAST(n AS text), 8, '0'), '第' || n || '职业学校',"
        " pg_temp.city(n % {cities}), CAST(pg_temp.path(n, {cities}) AS ltree), now()"
        " FROM generate_series(0, {schools} - 1) n"
    ),
    (
        "INSERT INTO school_class (id, school_id, name, name_key, created_at)"
        " SELECT pg_temp.class(s, c), pg_temp.school(s), '2026级第' || c || '班', '2026级第' || c || '班', now()"
        " FROM generate_series(0, {schools} - 1) s, generate_series(0, {classes} - 1) c"
    ),
    (
        "INSERT INTO roll_call_class (term_code, roll_call_id, class_id, school_id, owed, excused, exempt)"
        " SELECT '{term}', '{roll_call}', pg_temp.class(s, c), pg_temp.school(s), 46, 1, 1"
        " FROM generate_series(0, {schools} - 1) s, generate_series(0, {classes} - 1) c"
    ),
    (
        "INSERT INTO roll_call_school (roll_call_id, school_id, owed, excused, exempt)"
        " SELECT roll_call_id, school_id, sum(owed), sum(excused), sum(exempt) FROM roll_call_class"
        " WHERE roll_call_id = '{roll_call}' GROUP BY roll_call_id, school_id"
    ),
    (
        "INSERT INTO outcome_count (roll_call_id, class_id, school_id, present, missed, excused, undetermined,"
        " version) SELECT roll_call_id, class_id, school_id, 0, 0, excused, 0,"
        " (SELECT nextval('outcome_count_version')) FROM roll_call_class"
        " WHERE roll_call_id = '{roll_call}'"
    ),
    (
        "INSERT INTO account (id, kind, org_id, org_path, school_id, counselor_id, display_name, login, status,"
        " created_at, password_hash, totp_sealed)"
        " SELECT pg_temp.id(20, n), kind,"
        " CASE kind WHEN 'province' THEN pg_temp.id(1, 0) WHEN 'bureau' THEN pg_temp.city(place) ELSE pg_temp.school(place) END,"
        " CASE kind WHEN 'province' THEN 'p410000' WHEN 'bureau' THEN 'p410000.c4199' || lpad(CAST(place AS text), 2, '0')"
        " ELSE pg_temp.path(place, {cities}) END,"
        " CASE WHEN kind IN ('registrar', 'counselor') THEN pg_temp.school(place) END,"
        " CASE kind WHEN 'counselor' THEN pg_temp.id(22, n) END,"
        " '值班', 'bench.' || n, 'active', now(), '-', '\\x00' FROM watcher"
    ),
    (
        "INSERT INTO staff_session (id, account_id, refresh_hash, in_browser, created_at, used_at, expires_at)"
        " SELECT pg_temp.id(21, n), pg_temp.id(20, n), CAST(CAST(n AS text) AS bytea), false, now(), now(), now() + interval '1 day'"
        " FROM watcher"
    ),
    (
        "INSERT INTO class_counselor (id, school_id, class_id, counselor_id, since)"
        " SELECT gen_random_uuid(), pg_temp.school(place), pg_temp.class(place, 0), pg_temp.id(22, n), now()"
        " FROM watcher WHERE kind = 'counselor'"
    ),
)
