"""What leave exempts from and how its days are counted, for any intervals."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.clock import LEGAL_ZONE
from backend.leave.rules import (
    Exemption,
    LeaveInterval,
    LeavePolicy,
    LeaveState,
    NoticedWindow,
    SchoolTerm,
    count_days_planned,
    count_days_used,
    count_leave_days,
    find_exemption,
    find_longest_free_span,
)
from backend.org.calendar import official_calendar
from backend.policy import load_policies

TERM = SchoolTerm("T", date(2025, 9, 1), date(2026, 1, 18))
LAW = LeavePolicy.at(load_policies().at(date(2025, 9, 1), "410100"))
HOUR = timedelta(hours=1)
LATER = datetime(2026, 1, 18, tzinfo=LEGAL_ZONE)
moments = st.integers(0, 24 * 60).map(lambda hours: datetime(2025, 9, 1, tzinfo=LEGAL_ZONE) + hours * HOUR)
stretches = st.tuples(moments, st.integers(1, 200)).map(lambda drawn: (drawn[0], drawn[0] + drawn[1] * HOUR))


def leave(start: datetime, end: datetime, name: str = "l", **times: datetime) -> LeaveInterval:
    filed = start - timedelta(days=2)
    return LeaveInterval(name, filed, start, end, **{"approved_at": filed + HOUR, **times})


def moment(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2025, 9, day, hour, minute, tzinfo=LEGAL_ZONE)


WINDOW = NoticedWindow(moment(15, 8, 30), moment(15, 9), moment(15, 11))
MINIMUM = timedelta(minutes=60)


@pytest.mark.clause("R4")
@given(st.lists(stretches, max_size=5))
def test_days_are_the_union_of_the_intervals(spans: list[tuple[datetime, datetime]]) -> None:
    leaves = [leave(*span, name=str(number)) for number, span in enumerate(spans)]
    every = [TERM.starts_on + timedelta(days=offset) for offset in range(120)]
    touched = tuple(
        day
        for day in every
        if any(
            start < datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=LEGAL_ZONE)
            and datetime.combine(day, datetime.min.time(), tzinfo=LEGAL_ZONE) < end
            for start, end in spans
        )
    )
    assert count_days_planned(leaves, LATER, TERM.in_session) == touched


@pytest.mark.clause("R4")
@given(st.lists(stretches, max_size=4), moments, moments)
def test_days_used_only_grow_and_never_exceed_the_planned_days(
    spans: list[tuple[datetime, datetime]], one: datetime, other: datetime
) -> None:
    leaves = [leave(*span, name=str(number)) for number, span in enumerate(spans)]
    early, late = sorted((one, other))
    used = count_days_used(leaves, early, TERM.in_session)
    assert set(used) <= set(count_days_used(leaves, late, TERM.in_session))
    assert set(used) <= set(count_days_planned(leaves, early, TERM.in_session))


@pytest.mark.clause("HN334-3.5b")
@given(stretches, st.integers(0, 200))
def test_early_return_never_adds_a_day(span: tuple[datetime, datetime], hours: int) -> None:
    whole = leave(*span)
    back = leave(*span, returned_at=span[0] + hours * HOUR)
    assert set(count_days_used([back], LATER, TERM.in_session)) <= set(
        count_days_used([whole], LATER, TERM.in_session)
    )


@pytest.mark.clause("R6")
@given(st.lists(stretches, max_size=4), stretches)
def test_longest_free_interval_equals_an_hourly_scan(
    taken: list[tuple[datetime, datetime]], window: tuple[datetime, datetime]
) -> None:
    longest = run = timedelta(0)
    hour = window[0]
    while hour < window[1]:
        run = timedelta(0) if any(start <= hour < end for start, end in taken) else run + HOUR
        longest = max(longest, run)
        hour += HOUR
    assert find_longest_free_span(window, taken) == longest


@pytest.mark.clause("HN334-3.5a")
@given(stretches)
def test_pending_leave_never_exempts(span: tuple[datetime, datetime]) -> None:
    asked = LeaveInterval("l", span[0] - timedelta(days=90), *span)
    assert find_exemption([asked], WINDOW, MINIMUM, LATER) is not Exemption.EXEMPT
    assert count_days_used([asked], LATER, TERM.in_session) == ()


@pytest.mark.clause("R6")
def test_two_leaves_together_cover_the_window_and_exempt() -> None:
    halves = [leave(moment(15, 9), moment(15, 10)), leave(moment(15, 10), moment(15, 11), name="m")]
    assert find_exemption(halves, WINDOW, MINIMUM, LATER) is Exemption.EXEMPT
    assert find_exemption(halves[:1], WINDOW, MINIMUM, LATER) is Exemption.NONE


@pytest.mark.clause("R6")
def test_timely_and_late_leave_together_are_a_claim() -> None:
    halves = [
        leave(moment(15, 9), moment(15, 10)),
        leave(moment(15, 10), moment(15, 11), name="m", approved_at=moment(15, 12)),
    ]
    assert find_exemption(halves, WINDOW, MINIMUM, LATER) is Exemption.CLAIM


def test_request_states_over_time() -> None:
    asked = leave(moment(10), moment(12), returned_at=moment(11, 8), return_recorded_at=moment(11, 20))
    states = [asked.state(at) for at in (moment(7), moment(8), moment(9), moment(11, 10), moment(11, 20))]
    assert states == [
        None,
        LeaveState.PENDING,
        LeaveState.APPROVED,
        LeaveState.APPROVED,
        LeaveState.RETURNED,
    ]
    assert leave(moment(10), moment(12), refused_at=moment(9)).state(moment(9)) is LeaveState.REFUSED
    assert leave(moment(10), moment(12), cancelled_at=moment(9)).state(moment(9)) is LeaveState.CANCELLED


def test_cancellation_during_leave_ends_it() -> None:
    cut = leave(moment(10), moment(20), cancelled_at=moment(12, 9))
    assert count_days_used([cut], LATER, TERM.in_session) == (
        date(2025, 9, 10),
        date(2025, 9, 11),
        date(2025, 9, 12),
    )


@pytest.mark.clause("HN334-3.5b")
@pytest.mark.parametrize(
    ("days", "over", "warning"), [(9, False, None), (10, False, 10), (15, False, 15), (16, True, None)]
)
def test_balance_warns_before_the_limit_and_exceeds_on_day_sixteen(
    days: int, *, over: bool, warning: int | None
) -> None:
    asked = leave(moment(1), moment(1) + timedelta(days=days))
    told = count_leave_days([asked], TERM, LATER, LAW, official_calendar())
    assert (len(told.used), told.over, told.warning) == (days, over, warning)
    assert told.left == max(0, 15 - days)
