"""The mean face of those who enrolled, by engine: learned by a job, versioned, never altered.

It is an average over at least as many people as policy names and tells nothing about any of them, so that it may
outlive a template that is shredded; the next version leaves the shredded out.
"""

import math

import numpy as np
import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.face.policy import intended_method
from backend.identity.face.templates import school_templates
from backend.identity.policy import province_policy
from backend.identity.tables import FacePopulation, FaceTemplate
from backend.org.paths import path_of
from backend.policy import PolicyAt
from backend.policy.errors import AbsentLaw
from biometrics.engines.base import EngineKey
from biometrics.matching import scoring
from biometrics.matching.decision import FaceTemplate as Template
from biometrics.matching.decision import Method, ThresholdsInvalid
from biometrics.matching.scoring import Population

_VALUE = np.dtype("<f4")
_POLICY = "verification.face.population"

log = structlog.get_logger()


async def current_population(session: AsyncSession, engine: EngineKey, dimension: int) -> Population:
    """The newest one of an engine; the neutral one where none was learned."""
    row = await _newest(session, engine)
    if row is None:
        return scoring.neutral(engine, dimension)
    return Population(engine, row.version, np.frombuffer(row.centre, dtype=_VALUE), row.people)


async def learn_populations(app_context: AppContext) -> list[Population]:
    """Learn anew, for each engine that scores by a population, where the templates have grown as policy says."""
    at = app_context.clock()
    law = province_policy(app_context, at)
    province = path_of("province", app_context.settings.province_code, None)
    learned = []
    for engine, people in (await _enrolled(app_context, province)).items():
        if not _scores_by_population(law, engine):
            continue
        async with app_context.database.transaction(Scope.wide(province)) as session:
            newest = await _newest(session, engine)
        if people < law.integer(f"{_POLICY}.minimum") or (newest and people < _enough(newest.people, law)):
            continue
        population = await _learned(app_context, engine, newest.version + 1 if newest else 1, law)
        async with app_context.database.transaction(Scope.wide(province)) as session:
            written = insert(FacePopulation).values(
                engine_id=engine.id,
                engine_version=engine.version,
                version=population.version,
                centre=population.centre.astype(_VALUE).tobytes(),
                people=people,
                learned_at=at,
            )
            await session.execute(written.on_conflict_do_nothing())
            act = audit.Act("face_population.learn", "face_population", str(engine), province)
            audit.record(session, act, at)
        log.info("population learned", engine=str(engine), version=population.version, people=people)
        learned.append(population)
    return learned


def _scores_by_population(law: PolicyAt, engine: EngineKey) -> bool:
    """False too for an engine without figures, which judges nobody here any more."""
    try:
        return intended_method(law, engine) is not Method.NEUTRAL
    except (AbsentLaw, ThresholdsInvalid):
        log.warning("no figures for an engine with templates", engine=str(engine))
        return False


def _enough(people: int, law: PolicyAt) -> int:
    return math.ceil(people * (1 + law.ratio(f"{_POLICY}.growth")))


async def _enrolled(app_context: AppContext, province: str) -> dict[EngineKey, int]:
    """Active templates by engine, in the whole province."""
    counted = (
        select(FaceTemplate.engine_id, FaceTemplate.engine_version, func.count())
        .where(FaceTemplate.status == "active")
        .group_by(FaceTemplate.engine_id, FaceTemplate.engine_version)
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        return {EngineKey(id_, version): people for id_, version, people in await session.execute(counted)}


async def _learned(app_context: AppContext, engine: EngineKey, version: int, law: PolicyAt) -> Population:
    """The mean of a sample spread over the schools, each read in a transaction under its own scope."""
    province = path_of("province", app_context.settings.province_code, None)
    enrolled = select(FaceTemplate.school_id).where(
        FaceTemplate.engine_id == engine.id, FaceTemplate.status == "active"
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        schools = list(await session.scalars(enrolled.distinct().order_by(FaceTemplate.school_id)))
    of_each = math.ceil(law.integer(f"{_POLICY}.sample") / len(schools))
    templates: list[Template] = []
    for school_id in schools:
        async with app_context.database.transaction(Scope.school(school_id)) as session:
            found = await school_templates(session, app_context.keys, school_id, engine, of_each)
            templates += found.values()
    return scoring.learn(templates, version, law.integer(f"{_POLICY}.minimum"))


async def _newest(session: AsyncSession, engine: EngineKey) -> FacePopulation | None:
    newest = (
        select(FacePopulation)
        .where(FacePopulation.engine_id == engine.id, FacePopulation.engine_version == engine.version)
        .order_by(FacePopulation.version.desc())
        .limit(1)
    )
    return (await session.scalars(newest)).one_or_none()
