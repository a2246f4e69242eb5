"""Licences, annual inspection, and the order of measures."""

from dataclasses import replace
from datetime import date

import pytest

from backend.core.ids import new_id
from backend.policy.installed import installed_policy
from backend.registration.rules import Refusal
from backend.registration.schools.policy import qualification_law
from backend.registration.schools.rules import (
    Conclusion,
    Ground,
    Inspection,
    Licence,
    Measure,
    MeasureKind,
    Objection,
    QualificationLaw,
    SchoolFile,
    inspection_due_on,
    intake_refusal,
    is_overdue,
    next_measure,
    objection_to,
)

HENAN, XINZHOU = "410100", "140900"
TODAY = date(2026, 5, 20)
MEND_BY = date(2026, 5, 15)
FAILED = Inspection(new_id(), 2026, Conclusion.FAILED, MEND_BY, mended=False)
PASSED = Inspection(new_id(), 2026, Conclusion.PASSED, None, mended=False)
LICENCE = Licence(date(2020, 1, 1), date(2026, 12, 31))


def law_at(place: str) -> QualificationLaw:
    """The shipped law at a place."""
    return qualification_law(installed_policy().at(TODAY, place))


def measure(kind: MeasureKind, ground: Ground = Ground.INSPECTION, mend_by: date | None = MEND_BY) -> Measure:
    return Measure(kind, ground, mend_by)


def objection(
    school: SchoolFile, kind: MeasureKind, ground: Ground = Ground.INSPECTION, today: date = TODAY
) -> Objection | None:
    return objection_to(school, kind, ground, law_at(HENAN), today)


@pytest.mark.clause("MOE19-1.2")
def test_plan_cut_then_suspension_then_the_stop_of_intake() -> None:
    school = SchoolFile(inspections=(FAILED,))
    taken = []
    while (kind := next_measure(school, law_at(HENAN))) is not None:
        assert objection(school, kind) is None
        school = replace(school, measures=(*school.measures, measure(kind)))
        taken.append(kind)
    assert taken == [MeasureKind.PLAN_CUT, MeasureKind.SUSPENDED, MeasureKind.STOPPED]


@pytest.mark.clause("MOE19-1.2")
@pytest.mark.parametrize("kind", [MeasureKind.SUSPENDED, MeasureKind.STOPPED])
def test_a_step_is_not_left_out(kind: MeasureKind) -> None:
    assert objection(SchoolFile(inspections=(FAILED,)), kind) is Objection.OUT_OF_ORDER


@pytest.mark.clause("MOE19-1.2")
@pytest.mark.parametrize(
    ("today", "expected"), [(MEND_BY, Objection.STILL_MENDING), (date(2026, 5, 16), None)]
)
def test_the_school_may_mend_until_the_end_of_the_day_named(today: date, expected: Objection | None) -> None:
    assert objection(SchoolFile(inspections=(FAILED,)), MeasureKind.PLAN_CUT, today=today) is expected


@pytest.mark.clause("MOE19-1.2")
def test_the_next_step_needs_a_new_period_that_is_over() -> None:
    cut = measure(MeasureKind.PLAN_CUT, mend_by=date(2026, 6, 30))
    school = SchoolFile(inspections=(FAILED,), measures=(cut,))
    assert objection(school, MeasureKind.SUSPENDED) is Objection.STILL_MENDING
    assert objection(school, MeasureKind.SUSPENDED, today=date(2026, 7, 1)) is None


@pytest.mark.clause("MOE19-1.2")
@pytest.mark.parametrize("inspections", [(), (PASSED,), (replace(FAILED, mended=True),)])
def test_no_measure_without_a_failed_inspection_that_is_not_mended(
    inspections: tuple[Inspection, ...],
) -> None:
    found = objection(SchoolFile(inspections=inspections), MeasureKind.PLAN_CUT)
    assert found is Objection.NO_FAILED_INSPECTION


@pytest.mark.clause("MOE19-1.2")
def test_without_a_qualification_intake_is_stopped_at_once() -> None:
    assert objection(SchoolFile(), MeasureKind.STOPPED, Ground.UNLICENSED) is None
    assert objection(SchoolFile(), MeasureKind.PLAN_CUT, Ground.UNLICENSED) is Objection.OUT_OF_ORDER


@pytest.mark.clause("MOE19-1.2")
@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (MeasureKind.PLAN_CUT, None),
        (MeasureKind.SUSPENDED, Refusal.SUSPENDED),
        (MeasureKind.STOPPED, Refusal.STOPPED),
    ],
)
def test_suspension_and_stop_refuse_new_students(kind: MeasureKind, refusal: Refusal | None) -> None:
    school = SchoolFile(inspections=(FAILED,), measures=(measure(kind),))
    assert intake_refusal(school, law_at(HENAN), TODAY) is refusal
    lifted = replace(school, measures=(*school.measures, measure(MeasureKind.LIFTED)))
    assert intake_refusal(lifted, law_at(HENAN), TODAY) is None


@pytest.mark.clause("MOE19-1.2")
def test_a_measure_is_lifted_only_after_the_school_has_mended() -> None:
    school = SchoolFile(inspections=(FAILED,), measures=(measure(MeasureKind.SUSPENDED),))
    assert objection(school, MeasureKind.LIFTED) is Objection.NOT_MENDED
    mended = replace(school, inspections=(replace(FAILED, mended=True),))
    assert objection(mended, MeasureKind.LIFTED) is None
    assert objection(SchoolFile(), MeasureKind.LIFTED) is Objection.NOTHING_TO_LIFT


@pytest.mark.clause("XZ69-2.1")
@pytest.mark.parametrize(
    ("school", "refusal"),
    [
        (SchoolFile(licences=(LICENCE,), inspections=(PASSED,)), None),
        (SchoolFile(licences=(LICENCE,), inspections=(replace(FAILED, mended=True),)), None),
        (SchoolFile(licences=(LICENCE,)), Refusal.NOT_INSPECTED),
        (SchoolFile(licences=(LICENCE,), inspections=(replace(PASSED, year=2025),)), Refusal.NOT_INSPECTED),
        (SchoolFile(inspections=(PASSED,)), Refusal.UNLICENSED),
        (
            SchoolFile(licences=(replace(LICENCE, valid_until=date(2026, 5, 19)),), inspections=(PASSED,)),
            Refusal.UNLICENSED,
        ),
        (
            SchoolFile(licences=(replace(LICENCE, revoked_on=TODAY),), inspections=(PASSED,)),
            Refusal.UNLICENSED,
        ),
    ],
)
def test_xinzhou_requires_licence_and_inspection(school: SchoolFile, refusal: Refusal | None) -> None:
    assert intake_refusal(school, law_at(XINZHOU), TODAY) is refusal
    assert intake_refusal(school, law_at(HENAN), TODAY) is None, "elsewhere an authority has to act first"


@pytest.mark.clause("MOE19-1.2b")
@pytest.mark.parametrize(
    ("published_on", "today", "overdue"),
    [
        (date(2026, 2, 23), date(2026, 3, 1), False),
        (date(2026, 2, 24), date(2026, 3, 1), True),
        (None, date(2026, 2, 23), False),
        (None, date(2026, 2, 24), True),
    ],
)
def test_the_inspection_is_published_before_the_spring_term_begins(
    published_on: date | None, today: date, *, overdue: bool
) -> None:
    starts = [date(2025, 9, 1), date(2026, 2, 24), date(2026, 9, 1)]
    due_on = inspection_due_on(2026, starts, law_at(HENAN))
    assert due_on == date(2026, 2, 23)
    assert is_overdue(published_on, due_on, today) is overdue


@pytest.mark.clause("MOE19-1.2b")
def test_without_a_spring_term_no_day_is_known() -> None:
    assert inspection_due_on(2026, [date(2026, 9, 1)], law_at(HENAN)) is None
    assert not is_overdue(None, None, TODAY)
