"""Properties of the engine that hold for all facts, not only for the written cases."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.roll_call.rules import Outcome
from backend.standing.engine.assess import Assessment
from backend.standing.engine.decision_rules import list_missing_evidence, was_notice_in_time
from backend.standing.engine.facts import Appeal, Decision, RollCallFact, StudentFacts, check_key
from backend.standing.engine.ledger import SANCTIONS, Cause, replay_status
from backend.standing.engine.prompts import PromptKind
from backend.standing.engine.trace import encode_canonical
from tests.support.standing.facts import (
    BOOK,
    END,
    assessment,
    at,
    check,
    check_sequences,
    days,
    student,
    students,
    with_deliveries,
)

EXAMPLES = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
waits = st.integers(1, 200).map(lambda hours: timedelta(hours=hours))
LISTS = ("checks", "leaves", "claims", "attendance", "deliveries", "decisions", "appeals", "terms")


@pytest.mark.clause("R13")
@EXAMPLES
@given(students(), waits, st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_matter(facts: StudentFacts, wait: timedelta, chance: Random) -> None:
    delivered = with_deliveries(facts, wait)
    shuffled: dict[str, Any] = {}
    for name in LISTS:
        items = list(getattr(delivered, name))
        chance.shuffle(items)
        shuffled[name] = tuple(items)
    assert encode_canonical(assessment(replace(delivered, **shuffled))) == encode_canonical(
        assessment(delivered)
    )


@pytest.mark.clause("R13")
@EXAMPLES
@given(students(), waits, st.integers(0, 130))
def test_a_later_assessment_keeps_earlier_results(
    facts: StudentFacts, wait: timedelta, days_back: int
) -> None:
    delivered = with_deliveries(facts, wait)
    early = END - timedelta(days=days_back)
    before, after = assessment(delivered, early), assessment(delivered)
    raised = [prompt.prompt_id for prompt in after.prompts if prompt.raised_at <= early]
    assert [prompt.prompt_id for prompt in before.prompts] == raised
    assert before.ledger == after.ledger[: len(before.ledger)]
    assert all(entry.at > early for entry in after.ledger[len(before.ledger) :])


def first_raised(result: Assessment, kind: PromptKind) -> datetime:
    far = END + timedelta(days=1)
    return min((prompt.raised_at for prompt in result.prompts if prompt.kind is kind), default=far)


@pytest.mark.clause("R1")
@EXAMPLES
@given(students(), days)
def test_an_additional_pass_never_makes_things_worse(facts: StudentFacts, day: date) -> None:
    passed = check(day, Outcome.PRESENT)
    if any(known.check_id == passed.check_id for known in facts.checks):
        return
    without, with_pass = assessment(facts), assessment(replace(facts, checks=(*facts.checks, passed)))
    for kind in PromptKind:
        assert first_raised(with_pass, kind) >= first_raised(without, kind)
    assert with_pass.terms[0].misses.consecutive <= without.terms[0].misses.consecutive
    assert with_pass.terms[0].misses.cumulative == without.terms[0].misses.cumulative


def consequences(result: Assessment) -> tuple[object, ...]:
    """The consequences for the student, without their history."""
    standing = {(prompt.kind, prompt.evidence) for prompt in result.open_prompts}
    places = [(item.check_id, item.place) for term in result.terms for item in term.sequence]
    counts = [term.misses for term in result.terms]
    return result.status, result.lock.locked_by, standing, places, counts


@pytest.mark.clause("HN334-4.2")
@EXAMPLES
@given(check_sequences(), waits, st.data())
def test_an_upheld_appeal_has_the_effect_of_an_excused_check(
    checks: tuple[RollCallFact, ...], wait: timedelta, data: st.DataObject
) -> None:
    missed = [item for item in checks if item.results[0].outcome is Outcome.MISSED]
    if not missed:
        return
    delivered = with_deliveries(student(*checks), wait)
    appealed = data.draw(st.sampled_from(missed))
    appeal = Appeal(
        "a", "student", "check", appealed.check_id, END - timedelta(hours=2), decided_at=END, upheld=True
    )
    excused = tuple(check(day_of(item), Outcome.EXCUSED) if item is appealed else item for item in checks)
    restored = assessment(replace(delivered, appeals=(appeal,)))
    assert consequences(restored) == consequences(assessment(replace(delivered, checks=excused)))


def day_of(item: RollCallFact) -> date:
    return item.opens_at.date()


@pytest.mark.clause("HN334-4.2")
@EXAMPLES
@given(students(), waits)
def test_the_status_is_the_replay_of_the_ledger(facts: StudentFacts, wait: timedelta) -> None:
    result = assessment(with_deliveries(facts, wait))
    assert result.status == replay_status(facts.initial, result.ledger)
    status = facts.initial
    for entry in result.ledger:
        assert entry.before == status
        status = entry.after
    assert result.status == status


@pytest.mark.clause("R12")
@EXAMPLES
@given(students(), waits, st.data())
def test_every_sanction_has_a_delivered_prompt_and_complete_evidence(
    facts: StudentFacts, wait: timedelta, data: st.DataObject
) -> None:
    delivered = with_deliveries(facts, wait) if data.draw(st.booleans()) else facts
    decisions = tuple(
        Decision(
            str(number),
            prompt.prompt_id,
            prompt.raised_at + data.draw(waits),
            "registrar",
            data.draw(st.sampled_from(["registrar", "superior"])),
            data.draw(st.sampled_from(["part_time", "suspension", "withdrawal", "expulsion"])),
            data.draw(st.sampled_from(["", "因事"])),
        )
        for number, prompt in enumerate(assessment(delivered).prompts)
    )
    result = assessment(replace(delivered, decisions=decisions))
    prompts = {prompt.prompt_id: prompt for prompt in result.prompts}
    by_key = {check_key(item.check_id): item for item in facts.checks}
    for entry in result.ledger:
        assert entry.cause in SANCTIONS
        prompt = prompts[entry.prompt_id or ""]
        law = BOOK.on(prompt.event_day)
        assert prompt.delivered_at is not None
        assert prompt.raised_at <= prompt.delivered_at <= entry.at
        assert entry.trace.facts == prompt.evidence
        for item in (by_key[key] for key in prompt.evidence if key in by_key):
            assert was_notice_in_time(item, law, entry.at)
            assert not list_missing_evidence(item, law, entry.at)
        if entry.cause is Cause.EXPIRY:
            assert prompt.deadline is not None
            assert prompt.deadline.at is not None
            assert entry.at >= prompt.deadline.at


def test_incomplete_evidence_blocks_a_sanction() -> None:
    broken = student(check(date(2025, 9, 8), complete=False), check(date(2025, 9, 15)))
    result = assessment(with_deliveries(broken, timedelta(hours=1)))
    assert not result.ledger
    assert result.open_prompts[0].blockers == ("incomplete_evidence",)
    assert at(date(2025, 9, 15), 11) == result.open_prompts[0].raised_at
