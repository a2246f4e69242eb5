"""What a school may expect of the face check: its people, its own rehearsal at the thresholds in force, and what is missing.

The genuine scores of the school's own rehearsal tell the shares of honest check-ins; nothing here is about strangers.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.tenancy import Scope
from backend.identity.face import policy as face_policy
from backend.identity.face.calibration.policy import (
    age_groups,
    fixed_thresholds,
    minimum_people,
    sample_per_school,
)
from backend.identity.face.calibration.probes import has_confirmed_rehearsal
from backend.identity.face.calibration.rules import group_of
from backend.identity.face.calibration.samples import SampledPerson, build_faces, load_school_samples
from backend.identity.face.calibration.tables import (
    FaceSchoolThreshold,
    FaceThresholdVersion,
)
from backend.identity.face.calibration.versions import load_in_force, load_newest
from backend.identity.face.population import load_population
from backend.identity.policy import province_policy
from backend.identity.tables import FaceTemplateRecord
from backend.org.paths import is_below
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy import PolicyAt
from backend.policy.errors import AbsentLaw
from biometrics.engines.base import EngineKey
from biometrics.errors import BiometricsError
from biometrics.matching.decision import Method
from biometrics.matching.learned_thresholds import GenuineShares, Share, measure_genuine

MISSING = {
    "rehearsal_not_confirmed": (
        "尚无辅导员确认的联调测试：本校学生的人脸一律由人工核对。",
        "No rehearsal is confirmed: people decide about every face of the school.",
    ),
    "threshold_not_learned": (
        "全省尚未得出人脸阈值。",
        "No thresholds were learned in the province yet.",
    ),
    "threshold_not_approved": (
        "已有待省级管理员批准的阈值版本。",
        "A version of thresholds waits for the approval of the province.",
    ),
    "group_below_minimum": (
        "有的组人数不足，组内学生的人脸由人工核对。",
        "Some groups have too few people; people decide about the faces of their students.",
    ),
    "demonstration_only": (
        "现有阈值是演示参数得出的，本环境不使用。",
        "The thresholds were learned with the figures of a demonstration, which this deployment does not use.",
    ),
}
"""What is missing, by code, with a sentence in Chinese and in English."""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A group of the school."""

    group: str
    enrolled: int
    probed: int
    """Students with a confirmed check-in of a rehearsal."""
    deployment_people: int | None
    """People of the group in the newest version, of all schools; None if it had none."""
    proven: bool
    """Whether thresholds apply to the group."""
    shares: GenuineShares | None


@dataclass(frozen=True, slots=True)
class SchoolReport:
    """The figures of one school and one engine, the worst group first."""

    school_id: UUID
    engine: EngineKey | None
    enrolled: int
    probed: int
    minimum: int
    demonstration: bool
    version: int | None
    """Of the thresholds in force; None without."""
    accept_from: float | None
    reject_below: float | None
    groups: tuple[GroupReport, ...]
    shares: GenuineShares | None
    """Of all groups to which thresholds apply."""
    looks: Share | None
    """Expected number of students of one roll call in which every enrolled student checks in once whom people must look at."""
    missing: tuple[str, ...]


async def require_report_reader(session: AsyncSession, actor: Actor, school_id: UUID) -> None:
    """The registrar of the school and its superiors may read its report. Raises `NotPermitted` or `NotFound`."""
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="辅导员不能查看学校人脸报告",
            reason_en="counselors do not see the face report of a school",
        )
    school = await session.get(OrgUnit, school_id)
    if school is None or school.kind != "school" or not is_below(school.path, actor.org_path):
        raise NotFound


async def load_school_report(app_context: AppContext, school_id: UUID, at: datetime) -> SchoolReport:
    """Read and compute the report of a school, within the school's scope. Raises nothing for missing data: it says so."""
    policy = province_policy(app_context, at)
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        engine = await _main_engine(session, policy, school_id)
        if engine is None:
            return await _report_without_engine(session, app_context, policy, school_id)
        facts = await _load_facts(session, app_context, policy, school_id, engine, legal_day(at))
    return await asyncio.to_thread(_compute, facts)


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    """What the report is computed from."""

    school_id: UUID
    engine: EngineKey
    minimum: int
    demonstration: bool
    rehearsed: bool
    version: FaceThresholdVersion | None
    newest: FaceThresholdVersion | None
    raised: float | None
    enrolled: Counter[str]
    samples: Sequence[SampledPerson]
    scores: np.ndarray
    owner: np.ndarray


async def _main_engine(session: AsyncSession, policy: PolicyAt, school_id: UUID) -> EngineKey | None:
    """The engine for photographs with most active templates in the school."""
    counted = (
        select(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
        .where(FaceTemplateRecord.school_id == school_id, FaceTemplateRecord.status == "active")
        .group_by(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
        .order_by(func.count().desc(), FaceTemplateRecord.engine_id)
    )
    for row in await session.execute(counted):
        engine = EngineKey(row.engine_id, row.engine_version)
        try:
            face_policy.scoring_method(policy, engine)
            if fixed_thresholds(policy, engine, Method.NEUTRAL) is None:
                return engine
        except (AbsentLaw, BiometricsError):  # out of use
            continue
    return None


async def _report_without_engine(
    session: AsyncSession, app_context: AppContext, policy: PolicyAt, school_id: UUID
) -> SchoolReport:
    missing = ["threshold_not_learned"]
    if not await has_confirmed_rehearsal(session, school_id):
        missing.insert(0, "rehearsal_not_confirmed")
    return SchoolReport(
        school_id=school_id,
        engine=None,
        enrolled=0,
        probed=0,
        minimum=minimum_people(policy, app_context),
        demonstration=app_context.settings.face_demonstration,
        version=None,
        accept_from=None,
        reject_below=None,
        groups=(),
        shares=None,
        looks=None,
        missing=tuple(missing),
    )


async def _load_facts(
    session: AsyncSession,
    app_context: AppContext,
    policy: PolicyAt,
    school_id: UUID,
    engine: EngineKey,
    day: date,
) -> _Facts:
    version = await load_in_force(session, engine)
    raised = None
    if version is not None:
        own = await session.get(FaceSchoolThreshold, (version.id, school_id))
        raised = None if own is None else own.accept_from
    samples = await load_school_samples(
        session, app_context.keys, school_id, engine, policy, day=day, limit=sample_per_school(policy)
    )
    scores, owner = np.zeros(0), np.zeros(0, np.int64)
    if version is not None and samples:
        population = await load_population(
            session, engine, version.population_version, samples[0].template.size
        )
        faces, _ = build_faces(samples, population, face_policy.scoring(policy, engine, population.version))
        scores, owner = np.einsum("ij,ij->i", faces.templates[faces.owner], faces.probes), faces.owner
    return _Facts(
        school_id=school_id,
        engine=engine,
        minimum=minimum_people(policy, app_context),
        demonstration=app_context.settings.face_demonstration,
        rehearsed=await has_confirmed_rehearsal(session, school_id),
        version=version,
        newest=await load_newest(session, engine),
        raised=raised,
        enrolled=await _count_enrolled(session, policy, school_id, engine, day),
        samples=samples,
        scores=scores,
        owner=owner,
    )


async def _count_enrolled(
    session: AsyncSession, policy: PolicyAt, school_id: UUID, engine: EngineKey, day: date
) -> Counter[str]:
    """Active templates of the engine by group."""
    rows = await session.execute(
        select(Student.sex, Student.birth_date, func.count())
        .join(FaceTemplateRecord, FaceTemplateRecord.student_id == Student.id)
        .where(
            FaceTemplateRecord.school_id == school_id,
            FaceTemplateRecord.status == "active",
            FaceTemplateRecord.engine_id == engine.id,
            FaceTemplateRecord.engine_version == engine.version,
        )
        .group_by(Student.sex, Student.birth_date)
    )
    bands = age_groups(policy)
    counted: Counter[str] = Counter()
    for sex, birth_date, number in rows:
        counted[group_of(sex, birth_date, day, bands)] += number
    return counted


def _compute(facts: _Facts) -> SchoolReport:
    version = facts.version
    usable = version is not None and (facts.demonstration or not version.demonstration)
    accept = version.accept_from if version is not None else None
    if accept is not None and facts.raised is not None:
        accept = max(accept, facts.raised)
    groups = tuple(
        _group_report(facts, name, accept, usable=usable and facts.rehearsed)
        for name in sorted(facts.enrolled)
    )
    proven = {each.group for each in groups if each.proven}
    of_proven = np.array([facts.samples[each].group in proven for each in facts.owner], dtype=bool)
    shares = _shares(facts, of_proven, accept) if proven else None
    return SchoolReport(
        school_id=facts.school_id,
        engine=facts.engine,
        enrolled=facts.enrolled.total(),
        probed=len(facts.samples),
        minimum=facts.minimum,
        demonstration=facts.demonstration or (version is not None and version.demonstration),
        version=None if version is None else version.version,
        accept_from=accept,
        reject_below=None if version is None else version.reject_below,
        groups=tuple(sorted(groups, key=_badness)),
        shares=shares,
        looks=_expected_looks(groups, shares),
        missing=_missing(facts, groups, usable=usable),
    )


def _badness(group: GroupReport) -> tuple[bool, float, str]:
    """The order of groups: those without thresholds first, then by the share accepted."""
    accepted = group.shares.accepted.value if group.shares is not None else 0.0
    return group.proven, accepted, group.group


def _group_report(facts: _Facts, name: str, accept: float | None, *, usable: bool) -> GroupReport:
    own = np.array([facts.samples[each].group == name for each in facts.owner], dtype=bool)
    learned = {each["group"]: each for each in (facts.newest.groups if facts.newest is not None else ())}
    in_force = facts.version.groups if facts.version is not None else ()
    proven = usable and any(each["group"] == name and each["bound"] is not None for each in in_force)
    return GroupReport(
        group=name,
        enrolled=facts.enrolled[name],
        probed=sum(each.group == name for each in facts.samples),
        deployment_people=int(learned[name]["people"]) if name in learned else None,
        proven=proven,
        shares=_shares(facts, own, accept) if proven else None,
    )


def _shares(facts: _Facts, chosen: np.ndarray, accept: float | None) -> GenuineShares | None:
    if accept is None or facts.version is None or not len(facts.scores):
        return None
    return measure_genuine(facts.scores[chosen], facts.owner[chosen], accept, facts.version.reject_below)


def _expected_looks(groups: Sequence[GroupReport], shares: GenuineShares | None) -> Share | None:
    """Students of groups without thresholds, and the share of the others that is not accepted. None without figures."""
    unproven = sum(each.enrolled for each in groups if not each.proven)
    proven = sum(each.enrolled for each in groups if each.proven)
    if not proven:
        return Share(unproven, unproven, unproven)
    if shares is None:
        return None
    accepted = shares.accepted
    return Share(
        unproven + proven * (1 - accepted.value),
        unproven + proven * (1 - accepted.high),
        unproven + proven * (1 - accepted.low),
    )


def _missing(facts: _Facts, groups: Sequence[GroupReport], *, usable: bool) -> tuple[str, ...]:
    found = []
    if not facts.rehearsed:
        found.append("rehearsal_not_confirmed")
    if facts.version is None:
        found.append("threshold_not_learned" if facts.newest is None else "threshold_not_approved")
    elif not usable:
        found.append("demonstration_only")
    elif facts.newest is not None and facts.newest.version > facts.version.version:
        found.append("threshold_not_approved")
    if usable and facts.rehearsed and any(not each.proven for each in groups):
        found.append("group_below_minimum")
    return tuple(found)
