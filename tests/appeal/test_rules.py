"""The pure rules of routing, deadlines and reminders."""

from datetime import date, datetime
from uuid import UUID

import pytest

from backend.appeal.rules import Authority, appeal_deadline, deciding_authority, due_reminder, exam_year
from backend.core.clock import LEGAL_ZONE
from backend.org.calendar import official_calendar

COUNTY, CITY, PROVINCE = (
    Authority(UUID(int=n), path) for n, path in enumerate(("p.c.x", "p.c", "p"), start=1)
)
LINE = (COUNTY, CITY, PROVINCE)
CALENDAR = official_calendar()

pytestmark = pytest.mark.clause("HN334-4.2")


@pytest.mark.parametrize(
    ("took_part", "expected"),
    [
        ((), COUNTY),
        ((COUNTY,), CITY),
        ((COUNTY, CITY), PROVINCE),
        ((PROVINCE,), COUNTY),
        (LINE, PROVINCE),
    ],
)
def test_the_nearest_uninvolved_authority_or_the_province_decides(
    took_part: tuple[Authority, ...], expected: Authority
) -> None:
    assert deciding_authority(LINE, {each.id for each in took_part}) == expected


@pytest.mark.parametrize(
    ("below", "took_part", "expected"),
    [
        (COUNTY, (), CITY),
        (COUNTY, (CITY,), PROVINCE),
        (CITY, (), PROVINCE),
        (CITY, (PROVINCE,), PROVINCE),
        (PROVINCE, (), PROVINCE),
    ],
)
def test_the_second_level_is_above_the_first_up_to_the_province(
    below: Authority, took_part: tuple[Authority, ...], expected: Authority
) -> None:
    assert deciding_authority(LINE, {each.id for each in took_part}, below.id) == expected


def test_a_school_under_the_province_appeals_to_the_province() -> None:
    assert deciding_authority((PROVINCE,), set()) == PROVINCE
    assert deciding_authority((PROVINCE,), {PROVINCE.id}, PROVINCE.id) == PROVINCE


@pytest.mark.clause("R7")
@pytest.mark.parametrize(
    ("filed", "last_day"),
    [
        (datetime(2025, 9, 26, 9, tzinfo=LEGAL_ZONE), date(2025, 10, 23)),
        (datetime(2026, 2, 12, 23, 59, tzinfo=LEGAL_ZONE), date(2026, 3, 11)),
    ],
)
def test_holidays_and_make_up_workdays_move_the_deadline(filed: datetime, last_day: date) -> None:
    assert CALENDAR.working_days_between(filed.date(), last_day) == 15
    found = appeal_deadline(filed, 15, CALENDAR)
    assert found.at == datetime(last_day.year, last_day.month, last_day.day + 1, tzinfo=LEGAL_ZONE)


@pytest.mark.clause("R7")
def test_a_deadline_in_a_missing_year_names_the_year() -> None:
    last = CALENDAR.years[-1]
    found = appeal_deadline(datetime(last, 12, 28, 9, tzinfo=LEGAL_ZONE), 15, CALENDAR)
    assert (found.at, found.missing_year) == (None, last + 1)


def test_reminders_are_sent_once_and_skipped_ones_never() -> None:
    filed, marks = date(2025, 9, 26), (10, 14, 16)

    def on(day: date, *given: int) -> int | None:
        return due_reminder(filed, day, marks, given, CALENDAR)

    tenth = CALENDAR.add_working_days(filed, 10)
    overdue = CALENDAR.add_working_days(filed, 16)
    assert on(CALENDAR.add_working_days(filed, 9)) is None
    assert on(tenth) == 10
    assert on(tenth, 10) is None
    assert on(overdue) == 16
    assert on(overdue, 10, 16) is None
    assert due_reminder(filed, date(CALENDAR.years[-1] + 1, 3, 1), marks, (), CALENDAR) is None


@pytest.mark.clause("HN334-2.4")
def test_from_september_on_the_next_exam_year_counts() -> None:
    assert exam_year(date(2026, 8, 31), 9) == 2026
    assert exam_year(date(2026, 9, 1), 9) == 2027
