"""Assessing many students gives each the same result as assessing the student alone."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.core.ids import new_id
from backend.roll_call.rules import Outcome
from backend.standing.engine.batch import (
    AssessmentRecord,
    BatchAssessor,
    digest_of,
    is_shareable,
    normalise,
)
from backend.standing.engine.facts import Result, RollCallFact, StudentFacts
from backend.standing.engine.trace import decode_canonical, encode_canonical
from tests.support.standing.facts import (
    BOOK,
    CALENDAR,
    END,
    assessment,
    check,
    check_sequences,
    days,
    student,
    students,
    with_deliveries,
)

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R13")]
EXAMPLES = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
waits = st.integers(1, 200).map(lambda hours: timedelta(hours=hours))
minutes = st.integers(-90, 40 * 60).map(lambda number: timedelta(minutes=number, microseconds=number))


@st.composite
def varied_checks(draw: st.DrawFn) -> tuple[RollCallFact, ...]:
    """Checks with individual instants of results, receipts and windows; some share a day or cross midnight."""
    checks: list[RollCallFact] = []
    for number, drawn in enumerate(draw(check_sequences())):
        closes = drawn.closes_at + draw(st.sampled_from([0, 0, 0, 14])) * timedelta(hours=1)
        earlier = checks[-1] if checks and draw(st.integers(0, 6)) == 0 else None
        move = earlier.closes_at - closes + timedelta(minutes=30) if earlier else timedelta()
        opens = drawn.opens_at + move
        delivered = draw(st.sampled_from([None, opens + timedelta(minutes=draw(st.integers(-60, 300)))]))
        recorded = draw(st.sampled_from([None, opens + timedelta(minutes=draw(st.integers(-60, 600)))]))
        results = [Result(each.outcome, closes + move + draw(minutes)) for each in drawn.results]
        if draw(st.integers(0, 5)) == 0:
            results.append(Result(draw(st.sampled_from(list(Outcome))), closes + move + draw(minutes)))
        checks.append(
            replace(
                drawn,
                check_id=f"{number}",
                launched_at=drawn.launched_at + move,
                notified_at=drawn.notified_at + move,
                opens_at=opens,
                closes_at=closes + move,
                results=tuple(results),
                notice_delivered_at=delivered,
                notice_recorded_at=recorded if delivered else None,
                evidence_since=draw(st.sampled_from([None, None, closes + move + draw(minutes)])),
            )
        )
    return tuple(checks)


any_students = st.one_of(varied_checks().map(lambda checks: student(*checks)), students())


def assess_in_batch_and_alone(
    facts: StudentFacts, before_end: timedelta
) -> tuple[AssessmentRecord, AssessmentRecord]:
    """Assess a second student with the same facts: by an assessor that knows the first one, and alone."""
    as_of = END - before_end
    assessor, second = BatchAssessor(CALENDAR), replace(facts, student_id=str(new_id()))
    assessor.assess(replace(facts, student_id=str(new_id())), BOOK, as_of)
    return assessor.assess(second, BOOK, as_of), AssessmentRecord.of(assessment(second, as_of))


@EXAMPLES
@given(any_students, st.timedeltas(timedelta(), timedelta(days=130)))
def test_a_batch_gives_the_same_result_as_assessing_alone(facts: StudentFacts, before_end: timedelta) -> None:
    in_batch, alone = assess_in_batch_and_alone(facts, before_end)
    assert in_batch == alone
    assert digest_of(decode_canonical(in_batch.assessment)) == alone.digest


@EXAMPLES
@given(varied_checks(), st.timedeltas(timedelta(), timedelta(days=130)))
def test_normalising_does_not_change_the_assessment(
    checks: tuple[RollCallFact, ...], before_end: timedelta
) -> None:
    facts = student(*checks)
    normalised = normalise(facts, BOOK, END - before_end)
    assert encode_canonical(assessment(normalised, END - before_end)) == encode_canonical(
        assessment(facts, END - before_end)
    )


@EXAMPLES
@given(students(), waits)
def test_a_ledger_is_never_shared_between_students(facts: StudentFacts, wait: timedelta) -> None:
    delivered = with_deliveries(facts, wait)
    in_batch, alone = assess_in_batch_and_alone(delivered, timedelta())
    assert in_batch == alone
    assert not alone.assessment.ledger or not is_shareable(delivered)


def _passed_and_missed(pair: list[date]) -> tuple[RollCallFact, RollCallFact]:
    return check(pair[0], Outcome.PRESENT), check(pair[1], Outcome.MISSED)


@given(st.lists(days, min_size=2, max_size=2, unique=True))
def test_facts_that_differ_by_seconds_are_normalised_to_the_same(pair: list[date]) -> None:
    [one, other] = (
        tuple(
            replace(
                each,
                results=tuple(
                    replace(
                        result, at=result.at - timedelta(seconds=late) * (result.outcome is Outcome.PRESENT)
                    )
                    for result in each.results
                ),
                notice_delivered_at=each.opens_at + timedelta(seconds=late),
            )
            for each in _passed_and_missed(pair)
        )
        for late in (3, 8)
    )
    assert one != other
    assert normalise(student(*one), BOOK, END) == normalise(student(*other), BOOK, END)
