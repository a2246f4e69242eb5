"""What holds for every course of events, not only for the written cases."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.roll_call.rules import Outcome
from backend.standing.engine.assess import Assessment
from backend.standing.engine.blockers import missing_evidence, notice_in_time
from backend.standing.engine.facts import Appeal, Decision, RollCallFact, StudentFacts
from backend.standing.engine.ledger import SANCTIONS, Cause, replay
from backend.standing.engine.misses import check_key
from backend.standing.engine.prompts import PromptKind
from backend.standing.engine.trace import canonical
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

TRIALS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
waits = st.integers(1, 200).map(lambda hours: timedelta(hours=hours))
LISTS = ("checks", "leaves", "claims", "attendance", "deliveries", "decisions", "appeals", "terms")


@pytest.mark.clause("R13")
@TRIALS
@given(students(), waits, st.randoms(use_true_random=False))
def test_the_order_of_arrival_never_matters(facts: StudentFacts, wait: timedelta, chance: Random) -> None:
    lived = with_deliveries(facts, wait)
    shuffled = {}
    for name in LISTS:
        items = list(getattr(lived, name))
        chance.shuffle(items)
        shuffled[name] = tuple(items)
    assert canonical(assessment(replace(lived, **shuffled))) == canonical(assessment(lived))  # type: ignore[arg-type]


@pytest.mark.clause("R13")
@TRIALS
@given(students(), waits, st.integers(0, 130))
def test_what_was_seen_early_is_never_rewritten_by_running_later(
    facts: StudentFacts, wait: timedelta, days_back: int
) -> None:
    lived = with_deliveries(facts, wait)
    early = END - timedelta(days=days_back)
    before, after = assessment(lived, early), assessment(lived)
    raised = [prompt.prompt_id for prompt in after.prompts if prompt.raised_at <= early]
    assert [prompt.prompt_id for prompt in before.prompts] == raised
    assert before.ledger == after.ledger[: len(before.ledger)]
    assert all(entry.at > early for entry in after.ledger[len(before.ledger) :])


def first_raised(seen: Assessment, kind: PromptKind) -> datetime:
    far = END + timedelta(days=1)
    return min((prompt.raised_at for prompt in seen.prompts if prompt.kind is kind), default=far)


@pytest.mark.clause("R1")
@TRIALS
@given(students(), days)
def test_adding_a_pass_never_makes_things_worse(facts: StudentFacts, day: date) -> None:
    passed = check(day, Outcome.PRESENT)
    if any(known.check_id == passed.check_id for known in facts.checks):
        return
    without, having = assessment(facts), assessment(replace(facts, checks=(*facts.checks, passed)))
    for kind in PromptKind:
        assert first_raised(having, kind) >= first_raised(without, kind)
    assert having.terms[0].misses.consecutive <= without.terms[0].misses.consecutive
    assert having.terms[0].misses.cumulative == without.terms[0].misses.cumulative


def essence(seen: Assessment) -> tuple[object, ...]:
    """What a student is left with, apart from how it came about."""
    standing = {(prompt.kind, prompt.evidence) for prompt in seen.open_prompts}
    places = [(item.check_id, item.place) for term in seen.terms for item in term.sequence]
    counts = [term.misses for term in seen.terms]
    return seen.status, seen.lock.locked_by, standing, places, counts


@pytest.mark.clause("HN334-4.2")
@TRIALS
@given(check_sequences(), waits, st.data())
def test_an_upheld_appeal_equals_never_having_happened(
    checks: tuple[RollCallFact, ...], wait: timedelta, data: st.DataObject
) -> None:
    missed = [item for item in checks if item.results[0].outcome is Outcome.MISSED]
    if not missed:
        return
    lived = with_deliveries(student(*checks), wait)
    wronged = data.draw(st.sampled_from(missed))
    appeal = Appeal(
        "a", "student", "check", wronged.check_id, END - timedelta(hours=2), decided_at=END, upheld=True
    )
    never = tuple(check(at_day(item), Outcome.EXCUSED) if item is wronged else item for item in checks)
    restored = assessment(replace(lived, appeals=(appeal,)))
    assert essence(restored) == essence(assessment(replace(lived, checks=never)))


def at_day(item: RollCallFact) -> date:
    return item.opens_at.date()


@pytest.mark.clause("HN334-4.2")
@TRIALS
@given(students(), waits)
def test_the_status_is_always_the_replay_of_the_ledger(facts: StudentFacts, wait: timedelta) -> None:
    seen = assessment(with_deliveries(facts, wait))
    assert seen.status == replay(facts.initial, seen.ledger)
    status = facts.initial
    for entry in seen.ledger:
        assert entry.before == status
        status = entry.after
    assert seen.status == status


@pytest.mark.clause("R12")
@TRIALS
@given(students(), waits, st.data())
def test_no_sanction_lacks_its_prompt_its_delivery_and_its_evidence(
    facts: StudentFacts, wait: timedelta, data: st.DataObject
) -> None:
    lived = with_deliveries(facts, wait) if data.draw(st.booleans()) else facts
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
        for number, prompt in enumerate(assessment(lived).prompts)
    )
    seen = assessment(replace(lived, decisions=decisions))
    prompts = {prompt.prompt_id: prompt for prompt in seen.prompts}
    by_key = {check_key(item.check_id): item for item in facts.checks}
    for entry in seen.ledger:
        assert entry.cause in SANCTIONS
        prompt = prompts[entry.prompt_id or ""]
        law = BOOK.on(prompt.event_day)
        assert prompt.delivered_at is not None
        assert prompt.raised_at <= prompt.delivered_at <= entry.at
        assert entry.trace.facts == prompt.evidence
        for item in (by_key[key] for key in prompt.evidence if key in by_key):
            assert notice_in_time(item, law, entry.at)
            assert not missing_evidence(item, law, entry.at)
        if entry.cause is Cause.EXPIRY:
            assert prompt.deadline is not None
            assert prompt.deadline.at is not None
            assert entry.at >= prompt.deadline.at


def test_no_sanction_is_made_of_evidence_that_is_incomplete() -> None:
    broken = student(check(date(2025, 9, 8), complete=False), check(date(2025, 9, 15)))
    seen = assessment(with_deliveries(broken, timedelta(hours=1)))
    assert not seen.ledger
    assert seen.open_prompts[0].blockers == ("incomplete_evidence",)
    assert at(date(2025, 9, 15), 11) == seen.open_prompts[0].raised_at
