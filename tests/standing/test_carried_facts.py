"""Reading 23 on generated students: a transfer changes nothing that follows from the facts."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import StudentFacts
from backend.standing.engine.transfer import Transfer, carry_facts, open_record, without_closing
from tests.support.standing.facts import (
    FIRST,
    assessment,
    at,
    check,
    days,
    student,
    students,
    with_deliveries,
)

pytestmark = pytest.mark.clause("R23")

waits = st.sampled_from([timedelta(hours=1), timedelta(days=2), timedelta(days=40)])


def transfer_on(facts: StudentFacts, day: date, wait: timedelta) -> StudentFacts:
    """The facts as if the student had changed schools at one in the afternoon; prompts are delivered as before."""
    transfer = Transfer(at(day, 13), closed_by="", opened_by="opened")
    earlier = replace(
        facts,
        checks=tuple(each for each in facts.checks if each.closes_at <= transfer.at),
        leaves=tuple(each for each in facts.leaves if each.starts_at < transfer.at),
        attendance=tuple(each for each in facts.attendance if each.at <= transfer.at),
    )
    delivered = with_deliveries(earlier, wait, transfer.at)
    own = replace(
        facts,
        student_id="new",
        checks=tuple(each for each in facts.checks if each not in earlier.checks),
        leaves=tuple(each for each in facts.leaves if each not in earlier.leaves),
        claims=(),
        attendance=tuple(each for each in facts.attendance if each not in earlier.attendance),
    )
    going_on = without_closing(delivered, transfer)
    carried = carry_facts(open_record(own, transfer), going_on, assessment(going_on, transfer.at), transfer)
    return with_deliveries(carried, wait)


def consequences(result: Assessment) -> tuple[object, ...]:
    """What follows for the student, without ids and the opening of the record."""
    prompts = [
        (each.kind, each.evidence, each.raised_at, each.state, each.deadline) for each in result.prompts
    ]
    ledger = [
        (each.cause, each.outcome, each.at, each.after)
        for each in result.ledger
        if each.outcome != "transfer_in"
    ]
    terms = [(each.misses, each.leave) for each in result.terms]
    return result.status, prompts, ledger, terms, result.absence, result.lock.locked_by is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(students(), days, waits)
def test_a_transfer_changes_nothing_that_follows_from_the_facts(
    facts: StudentFacts, day: date, wait: timedelta
) -> None:
    moment = at(day, 13)
    leaves = tuple(each for each in facts.leaves if each.ends_at <= moment or each.starts_at >= moment)
    facts = replace(facts, leaves=leaves)
    whole = assessment(with_deliveries(facts, wait))
    assert consequences(assessment(transfer_on(facts, day, wait))) == consequences(whole)


def test_a_roll_call_of_the_earlier_school_that_had_not_closed_does_not_count() -> None:
    closed, open_then = check(FIRST), check(FIRST + timedelta(days=7))
    transfer = Transfer(open_then.opens_at, closed_by="", opened_by="opened")
    assert without_closing(student(closed, open_then), transfer).checks == (closed,)
