"""A fact that becomes known late only affects what comes after it (invariant 6)."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from backend.leave.rules import LeaveInterval
from backend.roll_call.rules import Outcome
from backend.standing.engine.facts import Outage, RollCallFact, StudentFacts
from backend.standing.engine.ledger import Cause
from backend.standing.engine.prompts import PromptState
from tests.support.standing.facts import assessment, at, check, student, with_deliveries

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R12"), pytest.mark.clause("R13")]

FIRST, SECOND = date(2025, 9, 8), date(2025, 9, 15)
DUE, LATER = at(date(2025, 9, 23), 0), at(date(2025, 10, 20))


def two_misses_with_delivery(second: RollCallFact) -> StudentFacts:
    return with_deliveries(student(check(FIRST), second), timedelta(minutes=5))


def change_instants(facts: StudentFacts) -> list[tuple[Cause, datetime]]:
    return [(entry.cause, entry.at) for entry in assessment(facts).ledger]


def test_a_late_receipt_lets_the_policy_execute_from_then_on() -> None:
    late = replace(check(SECOND), notice_recorded_at=LATER)
    facts = two_misses_with_delivery(late)
    [waiting] = assessment(facts, LATER - timedelta(hours=1)).prompts
    assert waiting.state is PromptState.BLOCKED
    assert waiting.blockers == ("notice_undelivered",)
    assert change_instants(facts) == [(Cause.EXPIRY, LATER)]


def test_a_late_verdict_lets_the_policy_execute_from_then_on() -> None:
    facts = two_misses_with_delivery(replace(check(SECOND), evidence_since=LATER))
    [waiting] = assessment(facts, LATER - timedelta(hours=1)).prompts
    assert waiting.blockers == ("incomplete_evidence",)
    assert change_instants(facts) == [(Cause.EXPIRY, LATER)]


def test_an_outage_blocks_until_its_end_is_recorded() -> None:
    began = at(date(2025, 9, 20))
    outage = Outage("o", began, began, at(date(2025, 9, 21)), end_recorded_at=LATER)
    facts = replace(two_misses_with_delivery(check(SECOND)), outages=(outage,))
    [waiting] = assessment(facts, LATER - timedelta(hours=1)).prompts
    assert waiting.blockers == ("declared_outage",)
    assert change_instants(facts) == [(Cause.EXPIRY, LATER)]


def test_without_late_facts_the_policy_executes_at_the_deadline() -> None:
    assert change_instants(two_misses_with_delivery(check(SECOND))) == [(Cause.EXPIRY, DUE)]


@pytest.mark.clause("R6")
def test_late_leave_over_a_passed_check_blocks_nothing(leave_over_a_pass: StudentFacts) -> None:
    assert change_instants(leave_over_a_pass) == [(Cause.EXPIRY, DUE)]


@pytest.fixture
def leave_over_a_pass() -> StudentFacts:
    """Leave filed after the notice of a check that the student then passed."""
    day = date(2025, 9, 4)
    leave = LeaveInterval("l", at(day, 8, 30), at(day, 9), at(day, 11), approved_at=at(day, 8, 45))
    passed = check(day, Outcome.PRESENT)
    return with_deliveries(
        student(passed, check(FIRST), check(SECOND), leaves=(leave,)), timedelta(minutes=5)
    )
