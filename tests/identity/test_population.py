"""The population mean, and the references for face matching."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import ProgrammingError

from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.face import population
from backend.identity.face.match_references import load_reference
from backend.identity.face.population import learn_populations, load_current_population
from backend.identity.face.templates import shred_face_data
from backend.identity.tables import FacePopulation
from backend.policy import PolicyAt, load_policies
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import Method, ThresholdsInvalid
from biometrics.matching.scoring import NEUTRAL_VERSION, ScoringConfig
from tests.identity.test_template_keys import enrol, template_of
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import PROVINCE_PATH

PROVINCE = Scope.wide(PROVINCE_PATH)


@pytest.fixture
def engine() -> EngineKey:
    """A version of the shipped engine that no other test enrols with."""
    return EngineKey("dlib-onnx", uuid4().hex)


@dataclass(frozen=True)
class SmallProvince(PolicyAt):
    """The policy with a minimum population of two and with thresholds for the test's engine version."""

    engine_version: str = "1"
    cohort_size: int | None = None
    """If set, scores are normalised by a cohort of this size."""

    def text(self, parameter: str) -> str:
        if self.cohort_size is not None and parameter == "verification.face.dlib-onnx.method":
            return Method.AS_NORM.value
        measured_on = "verification.face.dlib-onnx.version"
        return self.engine_version if parameter == measured_on else super().text(parameter)

    def integer(self, parameter: str) -> int:
        if self.cohort_size is not None and parameter == "verification.face.dlib-onnx.cohort_size":
            return self.cohort_size
        return 2 if parameter == "verification.face.population.minimum" else super().integer(parameter)


@pytest.fixture(autouse=True)
def _small_province(monkeypatch: pytest.MonkeyPatch, engine: EngineKey) -> None:
    def policy(app_context: object, at: datetime) -> PolicyAt:
        return small_policy(at, engine)

    monkeypatch.setattr(population, "province_policy", policy)


def small_policy(at: datetime, engine: EngineKey) -> SmallProvince:
    policy = load_policies().at(at.date(), "410000")
    return SmallProvince(policy.policy, policy.day, policy.lineage, engine.version)


async def learn_versions(scenario: IdentityScenario, engine: EngineKey) -> list[int]:
    """The versions that one run learned for this engine."""
    return [each.version for each in await learn_populations(scenario.app_context) if each.engine == engine]


async def test_the_population_is_neutral_before_enough_enrolments(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    await enrol(scenario, scenario.school.students[0], 1, engine)
    assert await learn_versions(scenario, engine) == []
    async with scenario.app_context.database.transaction(PROVINCE) as session:
        current = await load_current_population(session, engine, 128)
    assert (current.version, current.people) == (NEUTRAL_VERSION, 0)
    assert not current.centre.any()


async def test_a_population_is_the_mean_of_all_templates_and_is_audited(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    for seed, student in enumerate(scenario.school.students[:3]):
        await enrol(scenario, student, seed, engine)
    assert await learn_versions(scenario, engine) == [1]
    async with scenario.app_context.database.transaction(PROVINCE) as session:
        current = await load_current_population(session, engine, 128)
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.subject_id == str(engine)))).one()
    expected = np.mean([template_of(seed).mean for seed in range(3)], axis=0)
    assert current.centre == pytest.approx(expected, abs=1e-3)  # templates are kept in half precision
    assert (current.version, current.people, entry.action) == (1, 3, "face_population.learn")


async def test_a_population_is_learned_again_after_fifty_percent_growth(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    first, second, third, _ = scenario.school.students
    for seed, student in enumerate((first, second)):
        await enrol(scenario, student, seed, engine)
    assert [await learn_versions(scenario, engine), await learn_versions(scenario, engine)] == [[1], []]
    await enrol(scenario, third, 3, engine)
    assert await learn_versions(scenario, engine) == [2]


async def test_shredded_templates_are_left_out_of_the_next_version(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    first, *others = scenario.school.students
    for seed, student in enumerate((first, *others)):
        await enrol(scenario, student, seed, engine)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        await shred_face_data(session, [first.id], scenario.clock())
    await learn_versions(scenario, engine)
    async with scenario.app_context.database.transaction(PROVINCE) as session:
        current = await load_current_population(session, engine, 128)
    expected = np.mean([template_of(seed).mean for seed in (1, 2, 3)], axis=0)
    assert current.centre == pytest.approx(expected, abs=1e-3)


async def test_a_population_cannot_be_updated_or_deleted(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    for seed, student in enumerate(scenario.school.students):
        await enrol(scenario, student, seed, engine)
    await learn_versions(scenario, engine)
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with scenario.app_context.database.transaction(PROVINCE) as session:
            await session.execute(delete(FacePopulation))


@pytest.mark.parametrize("engine_id", ["test-pattern", "of-another-time"])
async def test_an_engine_that_scores_without_a_population_has_none(
    scenario: IdentityScenario, engine_id: str
) -> None:
    engine = EngineKey(engine_id, uuid4().hex)
    for seed, student in enumerate(scenario.school.students):
        await enrol(scenario, student, seed, engine)
    assert await learn_versions(scenario, engine) == []


async def test_a_reference_has_the_population_and_the_classmates(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    for seed, student in enumerate(scenario.school.students):
        await enrol(scenario, student, seed, engine)
    await learn_versions(scenario, engine)
    own, mate = scenario.school.classes[0].students
    policy = small_policy(scenario.clock(), engine)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        reference = await load_reference(
            session,
            scenario.app_context.keys,
            own.id,
            policy,
            school_id=scenario.school.id,
            class_id=own.class_id,
        )
    assert reference is not None
    assert reference.scoring == ScoringConfig(Method.CENTRED, 0.5)
    assert reference.population.version == 1
    assert [each.mean.tolist() for each in reference.roster] == [
        pytest.approx(template_of(1).mean.tolist(), abs=1e-3)
    ]
    assert mate.id != own.id
    assert reference.cohort == ()


async def test_a_students_own_scope_has_no_classmates_in_the_reference(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    for seed, student in enumerate(scenario.school.students):
        await enrol(scenario, student, seed, engine)
    own = scenario.school.students[0]
    policy = small_policy(scenario.clock(), engine)
    async with scenario.app_context.database.transaction(Scope.student(own.school_id, own.id)) as session:
        reference = await load_reference(
            session, scenario.app_context.keys, own.id, policy, school_id=own.school_id, class_id=own.class_id
        )
    assert reference is not None
    assert reference.roster == ()


async def test_a_student_without_a_template_has_no_reference(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    own = scenario.school.students[0]
    policy = small_policy(scenario.clock(), engine)
    async with scenario.app_context.database.transaction(Scope.school(own.school_id)) as session:
        assert (
            await load_reference(session, scenario.app_context.keys, own.id, policy, school_id=own.school_id)
            is None
        )


async def test_thresholds_of_another_engine_version_are_invalid(
    scenario: IdentityScenario, engine: EngineKey
) -> None:
    own = scenario.school.students[0]
    await enrol(scenario, own, 1, engine)
    policy = small_policy(scenario.clock(), EngineKey(engine.id, "of another alignment"))
    async with scenario.app_context.database.transaction(Scope.school(own.school_id)) as session:
        with pytest.raises(ThresholdsInvalid):
            await load_reference(session, scenario.app_context.keys, own.id, policy, school_id=own.school_id)


@pytest.mark.parametrize(
    ("size", "expected"), [(3, ScoringConfig(Method.AS_NORM, 0.5, 3)), (4, ScoringConfig(Method.NEUTRAL))]
)
async def test_a_school_too_small_for_a_cohort_is_scored_without_one(
    scenario: IdentityScenario, engine: EngineKey, size: int, expected: ScoringConfig
) -> None:
    for seed, student in enumerate(scenario.school.students):
        await enrol(scenario, student, seed, engine)
    await learn_versions(scenario, engine)
    own = scenario.school.students[0]
    policy = replace(small_policy(scenario.clock(), engine), cohort_size=size)
    async with scenario.app_context.database.transaction(Scope.school(own.school_id)) as session:
        reference = await load_reference(
            session, scenario.app_context.keys, own.id, policy, school_id=own.school_id
        )
    assert reference is not None
    assert reference.scoring == expected
    assert len(reference.cohort) == expected.cohort_size
