"""Loading the face samples for a calibration."""

from uuid import uuid4

import numpy as np
import pytest

from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.face.calibration_data import load_deployment_samples
from backend.identity.face.selfie_fingerprints import AcceptedSelfie, store_selfie_fingerprints
from backend.identity.face.templates import shred_face_data
from biometrics.engines.base import Descriptor, EngineKey, Metric
from tests.identity.test_template_keys import enrol, template_of
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import SampleStudent


async def check_in(scenario: IdentityScenario, student: SampleStudent, seed: int, engine: EngineKey) -> None:
    descriptor = Descriptor(engine, Metric.L2, template_of(seed).mean)
    async with scenario.app_context.database.transaction(Scope.school(student.school_id)) as session:
        shown = AcceptedSelfie(student.id, new_id(), descriptor, [seed])
        await store_selfie_fingerprints(session, scenario.app_context.keys, [shown], scenario.clock())


async def test_samples_are_templates_and_accepted_check_ins(scenario: IdentityScenario) -> None:
    engine = EngineKey("dlib-onnx", uuid4().hex)
    one, other, shredded, _ = scenario.school.students
    for seed, student in enumerate((one, other, shredded)):
        await enrol(scenario, student, seed, engine)
    await check_in(scenario, one, 10, engine)
    await check_in(scenario, one, 11, engine)
    await check_in(scenario, one, 12, EngineKey("dlib-onnx", "another"))
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        await shred_face_data(session, [shredded.id], scenario.clock())
    samples = await load_deployment_samples(scenario.app_context, engine, 100)
    counts = sorted(np.bincount(samples.person).tolist())
    assert counts == [1, 3]
    several = samples.vectors[samples.person == np.argmax(np.bincount(samples.person))]
    expected = [template_of(seed).mean for seed in (0, 11, 10)]
    assert several == pytest.approx(np.array(expected), abs=1e-3)


async def test_the_sample_is_limited_and_reproducible(scenario: IdentityScenario) -> None:
    engine = EngineKey("dlib-onnx", uuid4().hex)
    for seed, student in enumerate(scenario.school.students):
        await enrol(scenario, student, seed, engine)
    first, again = [await load_deployment_samples(scenario.app_context, engine, 2) for _ in range(2)]
    assert len(set(first.person.tolist())) == 2
    assert np.array_equal(first.vectors, again.vectors)


async def test_an_engine_without_enrolments_has_no_samples(scenario: IdentityScenario) -> None:
    samples = await load_deployment_samples(scenario.app_context, EngineKey("dlib-onnx", uuid4().hex), 10)
    assert len(samples.vectors) == 0
