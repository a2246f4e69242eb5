"""What the qualification of a school permits, and which measure may follow (MOE19-1.2, MOE19-1.2b, XZ69-2.1). Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from uuid import UUID

from backend.registration.rules import Refusal


class Conclusion(StrEnum):
    """The result of an annual inspection."""

    PASSED = "passed"
    FAILED = "failed"


class MeasureKind(StrEnum):
    """What an authority imposes on a school, or `LIFTED`, which ends it."""

    PLAN_CUT = "plan_cut"
    SUSPENDED = "registration_suspended"
    STOPPED = "intake_stopped"
    LIFTED = "lifted"


class Ground(StrEnum):
    """Why a measure is taken."""

    INSPECTION = "failed_inspection"
    UNLICENSED = "unlicensed"
    """The school, or a branch of it, has no qualification: intake is stopped at once (坚决取缔招生资格)."""


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence on file; both days are included. A revoked one has `revoked_on`."""

    valid_from: date
    valid_until: date
    revoked_on: date | None = None

    def in_force(self, day: date) -> bool:
        """Tell whether the licence permits intake on a day."""
        if self.revoked_on is not None and day >= self.revoked_on:
            return False
        return self.valid_from <= day <= self.valid_until


@dataclass(frozen=True, slots=True)
class Inspection:
    """The inspection of a year. After a failed one the school has until `mend_by` to mend; `mended` tells that it did."""

    id: UUID
    year: int
    conclusion: Conclusion
    mend_by: date | None
    mended: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure in force from its day on; `mend_by` is the next date by which the school has to mend."""

    kind: MeasureKind
    ground: Ground
    mend_by: date | None


@dataclass(frozen=True, slots=True)
class SchoolFile:
    """What is on file about a school, each in the order of time."""

    licences: tuple[Licence, ...] = ()
    inspections: tuple[Inspection, ...] = ()
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True)
class QualificationLaw:
    """The law of qualifications on one day at one place."""

    measures: tuple[MeasureKind, ...]
    """In the order in which they may be taken."""
    requires_qualification: bool
    last_spring_month: int


class Objection(StrEnum):
    """Why a measure may not be taken now."""

    NO_FAILED_INSPECTION = "no_failed_inspection"
    STILL_MENDING = "still_mending"
    OUT_OF_ORDER = "measure_out_of_order"
    NOTHING_TO_LIFT = "nothing_to_lift"
    NOT_MENDED = "not_mended"


def current_measure(school: SchoolFile) -> Measure | None:
    """The measure in force: the last one, unless it was lifted."""
    last = school.measures[-1] if school.measures else None
    return None if last is None or last.kind is MeasureKind.LIFTED else last


def open_inspection(school: SchoolFile) -> Inspection | None:
    """The last inspection, if the school failed it and has not mended since."""
    last = school.inspections[-1] if school.inspections else None
    return last if last and last.conclusion is Conclusion.FAILED and not last.mended else None


def intake_refusal(school: SchoolFile, law: QualificationLaw, today: date) -> Refusal | None:
    """Why the school may not register new students on a day; None if it may. A plan cut refuses no student by itself."""
    measure = current_measure(school)
    if measure is not None and measure.kind is MeasureKind.STOPPED:
        return Refusal.STOPPED
    if measure is not None and measure.kind is MeasureKind.SUSPENDED:
        return Refusal.SUSPENDED
    if not law.requires_qualification:
        return None
    if not any(licence.in_force(today) for licence in school.licences):
        return Refusal.UNLICENSED
    passed = any(each.year == today.year and _is_passed(each) for each in school.inspections)
    return None if passed else Refusal.NOT_INSPECTED


def _is_passed(inspection: Inspection) -> bool:
    return inspection.conclusion is Conclusion.PASSED or inspection.mended


def next_measure(school: SchoolFile, law: QualificationLaw) -> MeasureKind | None:
    """The measure that comes next in the order; None after the last one."""
    current = current_measure(school)
    if current is None:
        return law.measures[0]
    following = law.measures[law.measures.index(current.kind) + 1 :]
    return following[0] if following else None


def objection_to(
    school: SchoolFile, kind: MeasureKind, ground: Ground, law: QualificationLaw, today: date
) -> Objection | None:
    """Why a measure may not be taken on a day, or None if it may.

    Without a qualification intake is stopped at once. After a failed inspection each measure needs the one before it
    and a period to mend that is over: the day named for mending still belongs to the school.
    """
    if kind is MeasureKind.LIFTED:
        return _objection_to_lifting(school)
    if ground is Ground.UNLICENSED:
        return None if kind is MeasureKind.STOPPED else Objection.OUT_OF_ORDER
    failed, current = open_inspection(school), current_measure(school)
    if failed is None:
        return Objection.NO_FAILED_INSPECTION
    mend_by = (current.mend_by if current else None) or failed.mend_by
    if mend_by is not None and today <= mend_by:
        return Objection.STILL_MENDING
    return None if kind is next_measure(school, law) else Objection.OUT_OF_ORDER


def _objection_to_lifting(school: SchoolFile) -> Objection | None:
    current = current_measure(school)
    if current is None:
        return Objection.NOTHING_TO_LIFT
    if current.ground is Ground.INSPECTION and open_inspection(school) is not None:
        return Objection.NOT_MENDED
    return None


def inspection_due_on(year: int, term_starts: Iterable[date], law: QualificationLaw) -> date | None:
    """The last day for the inspection of a year and its publication: the day before the spring term begins.

    None if the school has no such term on file.
    """
    starts = [day for day in term_starts if day.year == year and day.month <= law.last_spring_month]
    return min(starts) - timedelta(days=1) if starts else None


def is_overdue(published_on: date | None, due_on: date | None, today: date) -> bool:
    """Tell whether an inspection was published too late, or is not published after its last day."""
    return due_on is not None and (published_on or today) > due_on


def latest(inspections: Sequence[Inspection], year: int) -> Inspection | None:
    """The last inspection of a year."""
    of_year = [each for each in inspections if each.year == year]
    return of_year[-1] if of_year else None
