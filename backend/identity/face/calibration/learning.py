"""Learning the thresholds of every engine with confirmed rehearsals: nightly, or by `dianming face learn`."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.tenancy import Scope
from backend.identity.face import policy as face_policy
from backend.identity.face.calibration.policy import (
    fixed_thresholds,
    growth,
    learning_rules,
    minimum_people,
    sample_per_school,
)
from backend.identity.face.calibration.rules import relearn_from
from backend.identity.face.calibration.samples import (
    SampledPerson,
    build_faces,
    count_sampled_people,
    load_school_samples,
)
from backend.identity.face.calibration.tables import FaceCalibrationProbe, FaceThresholdVersion
from backend.identity.face.calibration.versions import NewVersion, load_newest, store_version
from backend.identity.face.population import load_current_population
from backend.identity.policy import province_policy
from backend.org.paths import build_unit_path
from backend.policy import PolicyAt
from backend.policy.errors import AbsentLaw
from biometrics.engines.base import EngineKey
from biometrics.errors import BiometricsError
from biometrics.matching.decision import Method, ThresholdsInvalid
from biometrics.matching.learned_thresholds import LearningImpossible, learn_thresholds

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LearningResult:
    """What one run did for an engine: a new version, or why there is none."""

    engine: EngineKey
    people: int
    version: FaceThresholdVersion | None
    error: BiometricsError | None = None


async def learn_all_thresholds(app_context: AppContext, *, only_after_growth: bool) -> list[LearningResult]:
    """Learn a new version for each engine; with `only_after_growth`, only where many more people were confirmed."""
    at = app_context.clock()
    policy = province_policy(app_context, at)
    province = build_unit_path("province", app_context.settings.province_code, None)
    async with app_context.database.transaction(Scope.wide(province)) as session:
        counted = await count_sampled_people(session)
        newest = {engine: await load_newest(session, engine) for engine in counted}
    results = []
    for engine, people in counted.items():
        earlier = newest[engine]
        if _has_fixed_thresholds(policy, engine):
            continue
        if only_after_growth and not _has_grown(people, earlier, policy, app_context):
            continue
        results.append(await _learn_engine(app_context, engine, people, policy, at))
    return results


def _has_fixed_thresholds(policy: PolicyAt, engine: EngineKey) -> bool:
    """Whether nothing is to be learned; also for an engine without policy, which is out of use."""
    try:
        face_policy.scoring_method(policy, engine)
        return fixed_thresholds(policy, engine, Method.NEUTRAL) is not None
    except (AbsentLaw, ThresholdsInvalid):
        log.warning("no policy for an engine with probes", engine=str(engine))
        return True


def _has_grown(
    people: int, earlier: FaceThresholdVersion | None, policy: PolicyAt, app_context: AppContext
) -> bool:
    if earlier is None:
        return people >= minimum_people(policy, app_context)
    return people >= relearn_from(earlier.people, growth(policy))


async def _learn_engine(
    app_context: AppContext, engine: EngineKey, people: int, policy: PolicyAt, at: datetime
) -> LearningResult:
    province = build_unit_path("province", app_context.settings.province_code, None)
    demonstration = app_context.settings.face_demonstration
    minimum = minimum_people(policy, app_context)
    try:
        samples = await _load_samples(app_context, engine, policy, at)
        if not samples:
            raise LearningImpossible(reason="no confirmed probe of another day than the enrolment")
        async with app_context.database.transaction(Scope.wide(province)) as session:
            population = await load_current_population(session, engine, samples[0].template.size)
        scoring = face_policy.scoring(policy, engine, population.version)
        if scoring.method is Method.AS_NORM:
            raise LearningImpossible(reason="scores by as-norm have no arctanh scale")
        faces, schools = build_faces(samples, population, scoring)
        rules = learning_rules(policy, minimum=minimum)
        learned = await asyncio.to_thread(learn_thresholds, faces, rules)
    except BiometricsError as error:
        log.warning("thresholds not learned", engine=str(engine), code=error.code, reason=str(error))
        return LearningResult(engine, people, None, error)
    new = NewVersion(
        engine, scoring, population.version, learned, schools, minimum, demonstration, policy.version
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        version = await store_version(session, new, province, at)
    log.info(
        "thresholds learned",
        engine=str(engine),
        version=version.version,
        accept_from=version.accept_from,
        effect=version.effect,
        reason=version.reason,
        people=version.people,
        demonstration=demonstration,
    )
    return LearningResult(engine, people, version)


async def _load_samples(
    app_context: AppContext, engine: EngineKey, policy: PolicyAt, at: datetime
) -> list[SampledPerson]:
    """A sample of every school, each read in its own scope and transaction."""
    province = build_unit_path("province", app_context.settings.province_code, None)
    rehearsed = select(FaceCalibrationProbe.school_id).where(
        FaceCalibrationProbe.engine_id == engine.id,
        FaceCalibrationProbe.engine_version == engine.version,
        FaceCalibrationProbe.confirmation_id.is_not(None),
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        schools = list(await session.scalars(rehearsed.distinct().order_by(FaceCalibrationProbe.school_id)))
    samples: list[SampledPerson] = []
    for school_id in schools:
        async with app_context.database.transaction(Scope.school(school_id)) as session:
            samples += await load_school_samples(
                session,
                app_context.keys,
                school_id,
                engine,
                policy,
                day=legal_day(at),
                limit=sample_per_school(policy),
            )
    return samples
