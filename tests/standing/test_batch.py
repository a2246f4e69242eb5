"""Whoever is judged by the likeness of another is judged as if alone."""

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
    is_told_by_ids_alone,
    normalise,
)
from backend.standing.engine.facts import Result, RollCallFact, StudentFacts
from backend.standing.engine.trace import canonical, document
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
TRIALS = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
waits = st.integers(1, 200).map(lambda hours: timedelta(hours=hours))
minutes = st.integers(-90, 40 * 60).map(lambda number: timedelta(minutes=number, microseconds=number))


@st.composite
def lived_checks(draw: st.DrawFn) -> tuple[RollCallFact, ...]:
    """Checks whose results, receipts and windows have instants of their own, some on one day, some over midnight."""
    lived: list[RollCallFact] = []
    for number, drawn in enumerate(draw(check_sequences())):
        closes = drawn.closes_at + draw(st.sampled_from([0, 0, 0, 14])) * timedelta(hours=1)
        earlier = lived[-1] if lived and draw(st.integers(0, 6)) == 0 else None
        move = earlier.closes_at - closes + timedelta(minutes=30) if earlier else timedelta()
        opens = drawn.opens_at + move
        delivered = draw(st.sampled_from([None, opens + timedelta(minutes=draw(st.integers(-60, 300)))]))
        recorded = draw(st.sampled_from([None, opens + timedelta(minutes=draw(st.integers(-60, 600)))]))
        results = [Result(each.outcome, closes + move + draw(minutes)) for each in drawn.results]
        if draw(st.integers(0, 5)) == 0:
            results.append(Result(draw(st.sampled_from(list(Outcome))), closes + move + draw(minutes)))
        lived.append(
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
    return tuple(lived)


lives = st.one_of(lived_checks().map(lambda checks: student(*checks)), students())


def judged_like(facts: StudentFacts, moment: timedelta) -> tuple[AssessmentRecord, AssessmentRecord]:
    """Of another student with the same record: by likeness of the first, and alone."""
    as_of = END - moment
    bench, other = BatchAssessor(CALENDAR), replace(facts, student_id=str(new_id()))
    bench.judge(replace(facts, student_id=str(new_id())), BOOK, as_of)
    return bench.judge(other, BOOK, as_of), AssessmentRecord.of(assessment(other, as_of))


@TRIALS
@given(lives, st.timedeltas(timedelta(), timedelta(days=130)))
def test_the_likeness_of_another_is_the_own_picture(facts: StudentFacts, moment: timedelta) -> None:
    by_likeness, alone = judged_like(facts, moment)
    assert by_likeness == alone
    assert digest_of(document(by_likeness.assessment)) == alone.digest


@TRIALS
@given(lived_checks(), st.timedeltas(timedelta(), timedelta(days=130)))
def test_instants_that_are_no_matter_to_the_rules_are_none_to_the_picture(
    checks: tuple[RollCallFact, ...], moment: timedelta
) -> None:
    facts = student(*checks)
    reduced = normalise(facts, BOOK, END - moment)
    assert canonical(assessment(reduced, END - moment)) == canonical(assessment(facts, END - moment))


@TRIALS
@given(students(), waits)
def test_a_course_with_changes_of_status_is_never_told_of_another(
    facts: StudentFacts, wait: timedelta
) -> None:
    lived = with_deliveries(facts, wait)
    by_likeness, alone = judged_like(lived, timedelta())
    assert by_likeness == alone
    assert not alone.assessment.ledger or not is_told_by_ids_alone(alone.assessment)


def _passed_and_missed(pair: list[date]) -> tuple[RollCallFact, RollCallFact]:
    return check(pair[0], Outcome.PRESENT), check(pair[1], Outcome.MISSED)


@given(st.lists(days, min_size=2, max_size=2, unique=True))
def test_seconds_between_their_receipts_make_no_two_records(pair: list[date]) -> None:
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
