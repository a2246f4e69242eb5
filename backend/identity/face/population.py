"""The population mean: the mean face template of enrolled students, per engine. Learned by a task, versioned, immutable.

It averages at least as many people as policy requires and discloses nothing about any of them. So it may outlive a
shredded template; the next version does not contain it.
"""

import math
from datetime import datetime

import numpy as np
import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.face.policy import scoring_method
from backend.identity.face.templates import load_school_templates
from backend.identity.policy import province_policy
from backend.identity.tables import FacePopulation, FaceTemplateRecord
from backend.org.paths import build_unit_path
from backend.policy import PolicyAt
from backend.policy.errors import AbsentLaw
from biometrics.engines.base import EngineKey
from biometrics.matching import decision, scoring
from biometrics.matching.decision import Method, ThresholdsInvalid
from biometrics.matching.scoring import Population

_VALUE = np.dtype("<f4")
_POLICY = "verification.face.population"

log = structlog.get_logger()


async def load_current_population(session: AsyncSession, engine: EngineKey, dimension: int) -> Population:
    """The newest population mean of an engine; the neutral one if none was learned."""
    row = await _load_newest(session, engine)
    if row is None:
        return scoring.neutral_population(engine, dimension)
    return Population(engine, row.version, np.frombuffer(row.centre, dtype=_VALUE), row.people)


async def load_population(
    session: AsyncSession, engine: EngineKey, version: int, dimension: int
) -> Population:
    """A version of an engine's population mean; version 0 is the neutral one."""
    row = await session.get(FacePopulation, (engine.id, engine.version, version))
    if row is None:
        return scoring.neutral_population(engine, dimension)
    return Population(engine, version, np.frombuffer(row.centre, dtype=_VALUE), row.people)


async def learn_populations(app_context: AppContext) -> list[Population]:
    """Learn a new version for each engine whose templates have grown enough since the last; returns the new versions."""
    at = app_context.clock()
    policy = province_policy(app_context, at)
    province = build_unit_path("province", app_context.settings.province_code, None)
    learned = []
    for engine, people in (await _count_templates(app_context, province)).items():
        if not _scores_by_population(policy, engine):
            continue
        async with app_context.database.transaction(Scope.wide(province)) as session:
            newest = await _load_newest(session, engine)
        if people < policy.integer(f"{_POLICY}.minimum") or (
            newest and people < _relearn_at(newest.people, policy)
        ):
            continue
        version = newest.version + 1 if newest else 1
        population = await _learn_population(app_context, engine, version, policy)
        async with app_context.database.transaction(Scope.wide(province)) as session:
            await _store_population(session, population, people, at)
            act = audit.Act("face_population.learn", "face_population", str(engine), province)
            audit.record(session, act, at)
        log.info("population learned", engine=str(engine), version=population.version, people=people)
        learned.append(population)
    return learned


async def _store_population(
    session: AsyncSession, population: Population, enrolled: int, at: datetime
) -> None:
    row = insert(FacePopulation).values(
        engine_id=population.engine.id,
        engine_version=population.engine.version,
        version=population.version,
        centre=population.centre.astype(_VALUE).tobytes(),
        people=enrolled,
        learned_at=at,
    )
    await session.execute(row.on_conflict_do_nothing())


def _scores_by_population(policy: PolicyAt, engine: EngineKey) -> bool:
    """Whether the engine scores by a population; False also for an engine without thresholds, which is out of use."""
    try:
        return scoring_method(policy, engine) is not Method.NEUTRAL
    except (AbsentLaw, ThresholdsInvalid):
        log.warning("no thresholds for an engine with templates", engine=str(engine))
        return False


def _relearn_at(enrolled: int, policy: PolicyAt) -> int:
    """The number of templates at which a population learned from `enrolled` templates is learned again."""
    return math.ceil(enrolled * (1 + policy.ratio(f"{_POLICY}.growth")))


async def _count_templates(app_context: AppContext, province: str) -> dict[EngineKey, int]:
    """The number of active templates per engine in the province."""
    counted = (
        select(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version, func.count())
        .where(FaceTemplateRecord.status == "active")
        .group_by(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        return {EngineKey(id_, version): people for id_, version, people in await session.execute(counted)}


async def _learn_population(
    app_context: AppContext, engine: EngineKey, version: int, policy: PolicyAt
) -> Population:
    """The mean of a sample over all schools, each read in its own scope and transaction."""
    province = build_unit_path("province", app_context.settings.province_code, None)
    enrolled = select(FaceTemplateRecord.school_id).where(
        FaceTemplateRecord.engine_id == engine.id, FaceTemplateRecord.status == "active"
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        schools = list(await session.scalars(enrolled.distinct().order_by(FaceTemplateRecord.school_id)))
    per_school = math.ceil(policy.integer(f"{_POLICY}.sample") / len(schools))
    templates: list[decision.FaceTemplate] = []
    for school_id in schools:
        async with app_context.database.transaction(Scope.school(school_id)) as session:
            by_student = await load_school_templates(session, app_context.keys, school_id, engine, per_school)
            templates += by_student.values()
    return scoring.learn_population(templates, version, policy.integer(f"{_POLICY}.minimum"))


async def _load_newest(session: AsyncSession, engine: EngineKey) -> FacePopulation | None:
    newest = (
        select(FacePopulation)
        .where(FacePopulation.engine_id == engine.id, FacePopulation.engine_version == engine.version)
        .order_by(FacePopulation.version.desc())
        .limit(1)
    )
    return (await session.scalars(newest)).one_or_none()
