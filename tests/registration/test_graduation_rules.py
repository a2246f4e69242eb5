"""The window of graduation, and what blocks it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.org.calendar import official_calendar
from backend.policy.installed import installed_policy
from backend.registration.graduation.policy import graduation_law
from backend.registration.graduation.rules import (
    Blocker,
    StudentState,
    Timing,
    find_blockers,
    graduation_window,
)

CALENDAR = official_calendar()
LAW = graduation_law(installed_policy().at(date(2026, 6, 1), "410100"))
READY = StudentState("01")


@pytest.mark.clause("MOE19-2.3c")
@pytest.mark.parametrize(
    ("day", "timing"),
    [
        (date(2026, 5, 31), Timing.EARLY),
        (date(2026, 6, 1), Timing.IN_TIME),
        (date(2026, 6, 30), Timing.IN_TIME),
        (date(2026, 7, 1), Timing.LATE),
    ],
)
def test_graduation_is_processed_within_twenty_working_days_before_leaving(day: date, timing: Timing) -> None:
    """Twenty working days follow Monday, 1 June 2026, until Tuesday, 30 June; 19 June is a holiday."""
    assert graduation_window(date(2026, 6, 30), LAW, CALENDAR).timing(day) is timing


@pytest.mark.clause("MOE19-2.3c")
@pytest.mark.parametrize(
    ("state", "blocker"),
    [
        (replace(READY, undecided=1), Blocker.AID_UNDECIDED),
        (replace(READY, unpaid_months=(date(2026, 5, 1),)), Blocker.AID_UNPAID),
        (replace(READY, unfiled=1), Blocker.AID_UNFILED),
        (replace(READY, standing="02"), Blocker.STANDING),
        (replace(READY, standing="03"), Blocker.STANDING),
        (replace(READY, open_prompts=1), Blocker.OPEN_PROMPT),
        (replace(READY, open_appeals=1), Blocker.OPEN_APPEAL),
    ],
)
def test_each_missing_item_is_named(state: StudentState, blocker: Blocker) -> None:
    assert find_blockers(state, LAW) == (blocker,)


@pytest.mark.clause("MOE19-2.3c")
def test_aid_data_come_first_and_nothing_missing_blocks_nothing() -> None:
    assert find_blockers(READY, LAW) == ()
    assert find_blockers(replace(READY, standing="05"), LAW) == ()
    both = replace(READY, undecided=2, open_prompts=1)
    assert find_blockers(both, LAW) == (Blocker.AID_UNDECIDED, Blocker.OPEN_PROMPT)


@pytest.mark.clause("HRSS28-2.4")
def test_without_an_accepted_photograph_there_is_no_certificate() -> None:
    assert find_blockers(replace(READY, has_photograph=False), LAW) == (Blocker.NO_PHOTOGRAPH,)


@given(st.dates(date(2024, 3, 1), date(2026, 12, 31)))
def test_the_window_has_twenty_working_days_after_its_first_day(leaving_on: date) -> None:
    window = graduation_window(leaving_on, LAW, CALENDAR)
    assert CALENDAR.working_days_between(window.first_day, leaving_on) == LAW.window_working_days
    earlier = window.first_day - timedelta(days=1)
    assert CALENDAR.working_days_between(earlier, leaving_on) > LAW.window_working_days
