"""When a link serves, and when a guardian may act: pure decisions, at both sides of each limit."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from backend.guardian.rules import LinkFacts, find_link_objection, may_act

END = datetime(2026, 4, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
GOOD = LinkFacts(
    expires_at=END,
    is_revoked=False,
    is_on_roster=True,
    consent_granted=True,
    consent_text="guardian-notice-2",
)
TEXTS = ("guardian-notice-2",)


def test_link_serves_until_the_instant_of_its_end() -> None:
    assert find_link_objection(GOOD, TEXTS, END - INSTANT) is None
    assert find_link_objection(GOOD, TEXTS, END) == "expired"


@pytest.mark.parametrize(
    "change",
    [
        {"is_revoked": True},
        {"is_on_roster": False},
        {"consent_granted": False},
        {"consent_text": "guardian-notice-1"},
        {"consent_text": None},
    ],
)
def test_link_is_revoked_without_its_conditions(change: dict[str, object]) -> None:
    assert find_link_objection(replace(GOOD, **change), TEXTS, END - INSTANT) == "revoked"  # type: ignore[arg-type]
    assert find_link_objection(replace(GOOD, **change), TEXTS, END) == "revoked"  # type: ignore[arg-type]


@pytest.mark.parametrize(("day", "expected"), [(date(2026, 3, 16), True), (date(2026, 3, 17), False)])
def test_guardian_acts_until_the_eighteenth_birthday(day: date, expected: bool) -> None:
    assert may_act(date(2008, 3, 17), day, below=18) is expected
