"""What a calibration is made of: numbers of people who are only numbers."""

from uuid import uuid4

import numpy as np
import pytest

from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.face.calibration_data import deployment_samples
from backend.identity.face.selfie_records import Shown, keep_selfies
from backend.identity.face.templates import shred
from biometrics.engines.base import Descriptor, EngineKey, Metric
from tests.identity.test_template_keys import enrol, template_of
from tests.support.identity.scenario import Stage
from tests.support.province import Pupil


async def check_in(stage: Stage, pupil: Pupil, seed: int, engine: EngineKey) -> None:
    descriptor = Descriptor(engine, Metric.L2, template_of(seed).mean)
    async with stage.app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        shown = Shown(pupil.id, new_id(), descriptor, [seed])
        await keep_selfies(session, stage.app_context.keys, [shown], stage.dial())


async def test_samples_are_templates_and_accepted_check_ins(stage: Stage) -> None:
    engine = EngineKey("dlib-onnx", uuid4().hex)
    one, other, shredded, _ = stage.school.students
    for seed, pupil in enumerate((one, other, shredded)):
        await enrol(stage, pupil, seed, engine)
    await check_in(stage, one, 10, engine)
    await check_in(stage, one, 11, engine)
    await check_in(stage, one, 12, EngineKey("dlib-onnx", "another"))
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        await shred(session, [shredded.id], stage.dial())
    found = await deployment_samples(stage.app_context, engine, 100)
    counts = sorted(np.bincount(found.person).tolist())
    assert counts == [1, 3]
    several = found.vectors[found.person == np.argmax(np.bincount(found.person))]
    expected = [template_of(seed).mean for seed in (0, 11, 10)]
    assert several == pytest.approx(np.array(expected), abs=1e-3)


async def test_the_sample_is_limited_and_reproducible(stage: Stage) -> None:
    engine = EngineKey("dlib-onnx", uuid4().hex)
    for seed, pupil in enumerate(stage.school.students):
        await enrol(stage, pupil, seed, engine)
    first, again = [await deployment_samples(stage.app_context, engine, 2) for _ in range(2)]
    assert len(set(first.person.tolist())) == 2
    assert np.array_equal(first.vectors, again.vectors)


async def test_an_engine_without_enrolments_has_no_samples(stage: Stage) -> None:
    found = await deployment_samples(stage.app_context, EngineKey("dlib-onnx", uuid4().hex), 10)
    assert len(found.vectors) == 0
