"""A province does not come at once, and nobody is put off beyond what the law leaves room for."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.roll_call.launch.arrival_jitter import Window, jitter_fraction
from backend.roll_call.rules import told_in_time

OPENS = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR, GRACE, SPREAD = timedelta(hours=1), timedelta(minutes=2), timedelta(minutes=2)
minutes = st.integers(0, 300).map(lambda count: timedelta(minutes=count))


def window(closes: timedelta, notified: timedelta = timedelta(0), minimum: timedelta = HOUR) -> Window:
    return Window(OPENS + notified, OPENS, OPENS + closes, minimum, GRACE)


@pytest.mark.clause("R8")
@given(minutes, minutes, minutes)
def test_whoever_comes_last_was_still_told_in_time(
    closes: timedelta, ahead: timedelta, minimum: timedelta
) -> None:
    each = window(closes, -ahead, minimum)
    room = each.room(SPREAD)
    assert timedelta(0) <= room <= SPREAD
    in_time = {"minimum": minimum, "grace": GRACE}
    hours = (each.opens_at, each.closes_at)
    if told_in_time(each.starts_at, hours, **in_time):
        assert told_in_time(each.starts_at + room, hours, **in_time)
    else:
        assert room == timedelta(0)


def test_a_long_window_leaves_the_whole_spread_and_the_shortest_one_the_grace() -> None:
    assert window(2 * HOUR).room(SPREAD) == SPREAD
    assert window(HOUR).room(timedelta(hours=1)) == GRACE
    assert window(HOUR - GRACE).room(SPREAD) == timedelta(0)


def test_each_has_a_share_of_their_own_that_stays_and_only_the_key_tells() -> None:
    roll_call, student = uuid4(), uuid4()
    assert jitter_fraction(b"key", roll_call, student) == jitter_fraction(b"key", roll_call, student)
    others = {jitter_fraction(b"other", roll_call, student), jitter_fraction(b"key", uuid4(), student)}
    assert jitter_fraction(b"key", roll_call, student) not in others


def test_shares_fill_the_spread_evenly() -> None:
    roll_call = uuid4()
    tenths = [int(10 * jitter_fraction(b"key", roll_call, uuid4())) for _ in range(5000)]
    assert all(350 < tenths.count(tenth) < 650 for tenth in range(10))
