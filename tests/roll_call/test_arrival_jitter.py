"""Arrival jitter: arrivals are spread evenly, and every student keeps the minimum window of the law."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.roll_call.launch.arrival_jitter import ArrivalWindow, jitter_fraction
from backend.roll_call.rules import was_notified_in_time

OPENS = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR, GRACE, SPREAD = timedelta(hours=1), timedelta(minutes=2), timedelta(minutes=2)
minutes = st.integers(0, 300).map(lambda count: timedelta(minutes=count))


def window(closes: timedelta, notified: timedelta = timedelta(0), minimum: timedelta = HOUR) -> ArrivalWindow:
    return ArrivalWindow(OPENS + notified, OPENS, OPENS + closes, minimum, GRACE)


@pytest.mark.clause("R8")
@given(minutes, minutes, minutes)
def test_latest_arrival_is_still_notified_in_time(
    closes: timedelta, ahead: timedelta, minimum: timedelta
) -> None:
    each = window(closes, -ahead, minimum)
    jitter = each.max_jitter(SPREAD)
    assert timedelta(0) <= jitter <= SPREAD
    in_time = {"minimum": minimum, "grace": GRACE}
    hours = (each.opens_at, each.closes_at)
    if was_notified_in_time(each.starts_at, hours, **in_time):
        assert was_notified_in_time(each.starts_at + jitter, hours, **in_time)
    else:
        assert jitter == timedelta(0)


def test_jitter_is_limited_by_the_minimum_window_and_grace() -> None:
    assert window(2 * HOUR).max_jitter(SPREAD) == SPREAD
    assert window(HOUR).max_jitter(timedelta(hours=1)) == GRACE
    assert window(HOUR - GRACE).max_jitter(SPREAD) == timedelta(0)


def test_fraction_is_stable_and_depends_on_key_roll_call_and_student() -> None:
    roll_call, student = uuid4(), uuid4()
    assert jitter_fraction(b"key", roll_call, student) == jitter_fraction(b"key", roll_call, student)
    others = {jitter_fraction(b"other", roll_call, student), jitter_fraction(b"key", uuid4(), student)}
    assert jitter_fraction(b"key", roll_call, student) not in others


def test_fractions_are_evenly_distributed() -> None:
    roll_call = uuid4()
    tenths = [int(10 * jitter_fraction(b"key", roll_call, uuid4())) for _ in range(5000)]
    assert all(350 < tenths.count(tenth) < 650 for tenth in range(10))
