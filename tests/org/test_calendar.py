from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.clock import LEGAL_ZONE
from backend.core.errors import BadInput
from backend.org.calendar import (
    CalendarYear,
    CalendarYearInvalid,
    CalendarYearMissing,
    WorkingCalendar,
    official_calendar,
)

OFFICIAL = official_calendar()
days = st.dates(date(2004, 1, 1), date(2025, 12, 31))
counts = st.integers(0, 60)


def year_2027(*, holidays: Iterable[date] = (), makeup_workdays: Iterable[date] = ()) -> CalendarYear:
    """A year with the fixed statutory holidays and the given ones. It is invented, not the real notice."""
    return CalendarYear(2027, year_of_fixed(2027) | set(holidays), frozenset(makeup_workdays), "test")


@pytest.mark.clause("R7")
@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (date(2025, 9, 26), 5, date(2025, 10, 10)),
        (date(2026, 2, 12), 5, date(2026, 2, 26)),
        (date(2025, 9, 1), 20, date(2025, 9, 28)),
        (date(2026, 9, 1), 20, date(2026, 9, 29)),
    ],
)
def test_working_days_skip_holidays_and_count_makeup_workdays(
    start: date, count: int, expected: date
) -> None:
    assert OFFICIAL.add_working_days(start, count) == expected


def test_official_years_start_in_2004_without_a_gap() -> None:
    assert OFFICIAL.years == tuple(range(2004, OFFICIAL.years[-1] + 1))
    assert OFFICIAL.years[-1] >= 2026


@pytest.mark.clause("R7")
@pytest.mark.parametrize("start", [date(2003, 12, 31), date(2100, 1, 1)])
def test_start_in_a_missing_year_raises(start: date) -> None:
    with pytest.raises(CalendarYearMissing) as refusal:
        OFFICIAL.add_working_days(start, 0)
    assert refusal.value.params == {"year": start.year}
    assert str(start.year) in refusal.value.sentence("zh")


@pytest.mark.clause("R7")
def test_deadline_in_a_missing_year_names_the_year() -> None:
    calendar = WorkingCalendar([year_2027()])
    assert calendar.add_working_days(date(2027, 12, 30), 1) == date(2027, 12, 31)
    with pytest.raises(CalendarYearMissing) as refusal:
        calendar.add_working_days(date(2027, 12, 30), 2)
    assert refusal.value.params == {"year": 2028}


def test_counting_across_a_missing_year_raises() -> None:
    with pytest.raises(CalendarYearMissing):
        WorkingCalendar([year_2027()]).working_days_between(date(2027, 12, 30), date(2028, 1, 1))


@pytest.mark.clause("R7")
def test_deadline_continues_into_a_loaded_year() -> None:
    known = WorkingCalendar(
        [
            CalendarYear(2026, year_of_fixed(2026), frozenset(), "test"),
        ]
    ).with_years([year_2027(holidays=[date(2027, 1, 4)], makeup_workdays=[date(2027, 1, 9)])])
    assert known.add_working_days(date(2026, 12, 31), 5) == date(2027, 1, 9)


def year_of_fixed(year: int) -> frozenset[date]:
    return frozenset(
        {date(year, 1, 1), date(year, 5, 1), date(year, 10, 1), date(year, 10, 2), date(year, 10, 3)}
    )


def test_notice_may_change_days_of_the_previous_december() -> None:
    base = WorkingCalendar([CalendarYear(2026, year_of_fixed(2026), frozenset(), "test")])
    moved = base.with_years([year_2027(holidays=[date(2026, 12, 31)], makeup_workdays=[date(2026, 12, 27)])])
    assert base.is_working_day(date(2026, 12, 31))
    assert not base.is_working_day(date(2026, 12, 27))
    assert not moved.is_working_day(date(2026, 12, 31))
    assert moved.is_working_day(date(2026, 12, 27))


def test_amended_notice_replaces_the_year_in_a_new_calendar() -> None:
    amended = OFFICIAL.with_years([CalendarYear(2025, year_of_fixed(2025), frozenset(), "amendment")])
    assert amended.is_working_day(date(2025, 10, 6))
    assert not OFFICIAL.is_working_day(date(2025, 10, 6))


@pytest.mark.parametrize(
    ("holidays", "makeup_workdays"),
    [
        (year_of_fixed(2027) - {date(2027, 10, 2)}, frozenset()),
        (year_of_fixed(2027) | {date(2028, 1, 1)}, frozenset()),
        (year_of_fixed(2027) | {date(2026, 11, 30)}, frozenset()),
        (year_of_fixed(2027), frozenset({date(2027, 10, 2)})),
        (year_of_fixed(2027), frozenset({date(2027, 2, 1)})),
    ],
    ids=["fixed holiday missing", "next year", "November before", "off and working", "make-up on a weekday"],
)
def test_contradictory_year_is_rejected(holidays: frozenset[date], makeup_workdays: frozenset[date]) -> None:
    with pytest.raises(CalendarYearInvalid) as refusal:
        CalendarYear(2027, holidays, makeup_workdays, "test")
    assert "2027" in refusal.value.sentence("zh")


@pytest.mark.clause("R7")
@pytest.mark.parametrize(
    ("delivered_at", "deadline"),
    [
        (datetime(2025, 9, 26, 0, 0, tzinfo=LEGAL_ZONE), datetime(2025, 10, 11, 0, 0, tzinfo=LEGAL_ZONE)),
        (
            datetime(2025, 9, 26, 23, 59, 59, tzinfo=LEGAL_ZONE),
            datetime(2025, 10, 11, 0, 0, tzinfo=LEGAL_ZONE),
        ),
        (datetime(2025, 9, 25, 16, 0, tzinfo=UTC), datetime(2025, 10, 10, 16, 0, tzinfo=UTC)),
        (datetime(2025, 9, 25, 15, 59, 59, tzinfo=UTC), datetime(2025, 10, 9, 16, 0, tzinfo=UTC)),
    ],
)
def test_deadline_is_midnight_in_shanghai_after_the_fifth_working_day(
    delivered_at: datetime, deadline: datetime
) -> None:
    assert OFFICIAL.deadline_instant(delivered_at, 5) == deadline


def test_naive_delivery_time_is_rejected() -> None:
    with pytest.raises(ValueError, match="naive"):
        OFFICIAL.deadline_instant(datetime(2025, 9, 26), 5)  # noqa: DTZ001 — the naive datetime is the point


def test_negative_days_and_reversed_periods_are_rejected() -> None:
    with pytest.raises(BadInput):
        OFFICIAL.add_working_days(date(2025, 9, 26), -1)
    with pytest.raises(BadInput):
        OFFICIAL.working_days_between(date(2025, 9, 26), date(2025, 9, 25))


@given(days, counts)
def test_counting_is_the_inverse_of_adding(start: date, count: int) -> None:
    assert OFFICIAL.working_days_between(start, OFFICIAL.add_working_days(start, count)) == count


@given(days, counts, counts)
def test_adding_twice_equals_adding_the_sum(start: date, first: int, second: int) -> None:
    stepwise = OFFICIAL.add_working_days(OFFICIAL.add_working_days(start, first), second)
    assert stepwise == OFFICIAL.add_working_days(start, first + second)


@given(days, st.integers(1, 60))
def test_last_day_is_a_working_day_and_grows_with_the_start(start: date, count: int) -> None:
    end = OFFICIAL.add_working_days(start, count)
    assert OFFICIAL.is_working_day(end)
    assert OFFICIAL.add_working_days(start + timedelta(days=1), count) >= end
    assert OFFICIAL.add_working_days(start, count + 1) > end


@given(days, st.integers(0, 400), st.integers(0, 400))
def test_adjacent_periods_add_up(start: date, first: int, second: int) -> None:
    middle = min(start + timedelta(days=first), date(2026, 12, 31))
    end = min(middle + timedelta(days=second), date(2026, 12, 31))
    whole = OFFICIAL.working_days_between(start, end)
    assert whole == OFFICIAL.working_days_between(start, middle) + OFFICIAL.working_days_between(middle, end)
