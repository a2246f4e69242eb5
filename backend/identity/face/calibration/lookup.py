"""The thresholds that apply to a student, and why there are none: read once for the submissions of a school."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.identity.face.calibration.policy import age_groups, fixed_thresholds, minimum_people
from backend.identity.face.calibration.probes import has_confirmed_rehearsal
from backend.identity.face.calibration.rules import group_of
from backend.identity.face.calibration.tables import FaceSchoolThreshold, FaceThresholdVersion
from backend.identity.face.calibration.versions import limits_of, load_in_force
from backend.people.tables import Student
from backend.policy import PolicyAt
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import FaceThresholds, Method
from biometrics.matching.scoring import MatchReference

Missing = Literal[
    "no_threshold", "school_not_rehearsed", "group_too_small", "scoring_changed", "demonstration_only"
]


@dataclass(frozen=True, slots=True)
class StudentThresholds:
    """The limits for one student's scores; without limits, `missing` says why, and a person decides."""

    limits: FaceThresholds | None
    group: str
    minimum: int
    version: int | None = None
    missing: Missing | None = None
    fixed: bool = False
    demonstration: bool = False

    def trace(self) -> dict[str, Any]:
        """What a trace tells about the thresholds."""
        limits = self.limits
        return {
            "accept_from": None if limits is None else limits.accept_from,
            "reject_below": None if limits is None else limits.reject_below,
            "thresholds": "fixed" if self.fixed else self.version,
            "thresholds_missing": self.missing,
            "group": self.group,
            "group_minimum": self.minimum,
            "demonstration": self.demonstration,
        }


@dataclass(frozen=True, slots=True)
class ThresholdQuery:
    """A student whose face is compared with a reference, on a legal day under a policy."""

    student_id: UUID
    reference: MatchReference
    policy: PolicyAt
    day: date


async def load_student_thresholds(
    session: AsyncSession, app_context: AppContext, school_id: UUID, queries: list[ThresholdQuery]
) -> list[StudentThresholds]:
    """The thresholds of each of these students of one school, in the same order, with a fixed number of queries."""
    rows = await session.execute(
        select(Student.id, Student.sex, Student.birth_date).where(
            Student.id.in_({each.student_id for each in queries})
        )
    )
    people = {row.id: (row.sex, row.birth_date) for row in rows}
    school = await _load_school(session, school_id, {each.reference.template.engine for each in queries})
    found = []
    for each in queries:
        sex, birth_date = people[each.student_id]
        group = group_of(sex, birth_date, each.day, age_groups(each.policy))
        found.append(_find(school, each, group, app_context))
    return found


@dataclass(frozen=True, slots=True)
class _School:
    """What applies to all students of a school: versions in force by engine, its own limits, and its rehearsal."""

    versions: dict[EngineKey, FaceThresholdVersion]
    raised: dict[UUID, float]
    rehearsed: bool


async def _load_school(session: AsyncSession, school_id: UUID, engines: set[EngineKey]) -> _School:
    versions = {}
    for engine in engines:
        version = await load_in_force(session, engine)
        if version is not None:
            versions[engine] = version
    own = await session.execute(
        select(FaceSchoolThreshold.threshold_id, FaceSchoolThreshold.accept_from).where(
            FaceSchoolThreshold.school_id == school_id,
            FaceSchoolThreshold.threshold_id.in_([each.id for each in versions.values()]),
        )
    )
    raised = {row.threshold_id: row.accept_from for row in own}
    rehearsed = bool(versions) and await has_confirmed_rehearsal(session, school_id)
    return _School(versions, raised, rehearsed)


def _find(school: _School, query: ThresholdQuery, group: str, app_context: AppContext) -> StudentThresholds:
    reference, engine = query.reference, query.reference.template.engine
    demonstration = app_context.settings.face_demonstration
    minimum = minimum_people(query.policy, app_context)
    fixed = fixed_thresholds(query.policy, engine, reference.scoring.method)
    if fixed is not None:
        return StudentThresholds(fixed, group, minimum, fixed=True, demonstration=demonstration)
    version = school.versions.get(engine)
    missing = _missing(version, school, query, group, demonstration=demonstration)
    if version is None or missing is not None:
        number = None if version is None else version.version
        return StudentThresholds(None, group, minimum, number, missing, demonstration=demonstration)
    limits = limits_of(version)
    raised = school.raised.get(version.id)
    if raised is not None:
        limits = FaceThresholds(max(raised, limits.accept_from), limits.reject_below, limits.method)
    return StudentThresholds(
        limits, group, version.minimum, version.version, demonstration=demonstration or version.demonstration
    )


def _missing(
    version: FaceThresholdVersion | None,
    school: _School,
    query: ThresholdQuery,
    group: str,
    *,
    demonstration: bool,
) -> Missing | None:
    """Why no score of this student can decide, or None."""
    reference = query.reference
    if version is None:
        return "no_threshold"
    if version.demonstration and not demonstration:
        return "demonstration_only"
    if not school.rehearsed:
        return "school_not_rehearsed"
    if group not in {each["group"] for each in version.groups if each["bound"] is not None}:
        return "group_too_small"
    method = Method(version.method)
    if (method, version.population_version) != (reference.scoring.method, reference.population.version):
        return "scoring_changed"
    return None


async def load_one_student_thresholds(
    session: AsyncSession, app_context: AppContext, school_id: UUID, query: ThresholdQuery
) -> StudentThresholds:
    """The thresholds of one student."""
    [found] = await load_student_thresholds(session, app_context, school_id, [query])
    return found
