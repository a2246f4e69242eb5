"""The rules about managing accounts and about ages; pure."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backend.core.actor import Role
from backend.identity.rules import RefreshState, Unit, age_on, decide_refresh, may_manage

KINDS: tuple[Role, ...] = ("province", "bureau", "registrar", "counselor", "student")
TREE = (
    Unit("P", "province", None),
    Unit("C", "city", "P"),
    Unit("X", "county", "C"),
    Unit("SX", "school", "X"),
    Unit("SP", "school", "P"),
)
OF_UNIT: dict[str, tuple[Role, ...]] = {
    "province": ("province",),
    "city": ("bureau",),
    "county": ("bureau",),
    "school": ("registrar", "counselor", "student"),
}


@pytest.mark.clause("HN334-2.3", "HN334-3.2")
def test_each_account_is_managed_by_its_direct_superior_only() -> None:
    managed = {
        (acting_kind, actor.id, kind, unit.id)
        for actor, unit in product(TREE, TREE)
        for acting_kind in OF_UNIT[actor.kind]
        for kind in KINDS
        if may_manage(acting_kind, actor.id, kind, unit)
    }
    own = {
        ("registrar", school, kind, school) for school in ("SX", "SP") for kind in ("counselor", "student")
    }
    assert managed == own | {
        ("province", "P", "province", "P"),
        ("province", "P", "bureau", "C"),
        ("province", "P", "registrar", "SP"),
        ("bureau", "C", "bureau", "X"),
        ("bureau", "X", "registrar", "SX"),
    }


@given(st.dates(date(1990, 1, 1), date(2020, 1, 1)), st.integers(0, 40))
def test_age_increases_on_the_birthday(born: date, years: int) -> None:
    assume((born.month, born.day) != (2, 29))
    birthday = born.replace(year=born.year + years)
    assert age_on(born, birthday) == years
    assert age_on(born, birthday - timedelta(days=1)) == years - 1


def test_a_leap_day_birthday_counts_on_the_first_of_march() -> None:
    born = date(2012, 2, 29)
    assert [age_on(born, day) for day in (date(2026, 2, 28), date(2026, 3, 1), date(2024, 2, 29))] == [
        13,
        14,
        12,
    ]


NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
GRACE = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("presented", "seconds", "expected"),
    [
        (b"new", None, "rotate"),
        (b"new", 29.9, "keep"),
        (b"new", 30, "rotate"),
        (b"old", 0, "repeat"),
        (b"old", 29.9, "repeat"),
        (b"old", 30, "reused"),
        (b"old", None, "reused"),
        (b"other", 1, "reused"),
    ],
)
def test_replaced_refresh_token_is_accepted_within_the_grace(
    presented: bytes, seconds: float | None, expected: str
) -> None:
    rotated_at = None if seconds is None else NOW - timedelta(seconds=seconds)
    state = RefreshState(b"new", None if seconds is None else b"old", rotated_at)
    assert decide_refresh(state, presented, NOW, GRACE) == expected
