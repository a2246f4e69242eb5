"""Keys of what is kept of faces: a key for each school and student, shredded one by one, rotated at the root."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import select, update

from backend.core.app_context import AppContext
from backend.core.errors import Conflict
from backend.core.ids import new_id
from backend.core.keys import KeyRing, add_version
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity import tables
from backend.identity.face import key_rotation
from backend.identity.face.selfie_records import (
    EarlierSelfie,
    Shown,
    earlier_selfies,
    keep_selfies,
    store_enrolment_fingerprint,
)
from backend.identity.face.template_keys import ROOT, get_root_key, load_school_key, unwrap_data_key
from backend.identity.face.templates import (
    SEALING_PURPOSE,
    active_template,
    load_class_templates,
    load_school_templates,
    shred,
    store_template,
)
from backend.identity.tables import FaceEnrolment, SchoolTemplateKey, SelfieRecord, TemplateKey
from biometrics.engines.base import Descriptor, EngineKey, Metric
from biometrics.matching.decision import FaceTemplate
from biometrics.templates.sealing import (
    Binding,
    DataKey,
    TemplateUnreadable,
    WrappedKey,
    open_record,
    open_school_key,
)
from tests.support.identity.other_keys import put_aside
from tests.support.identity.scenario import Stage
from tests.support.province import PROVINCE_PATH, Pupil

pytestmark = pytest.mark.clause("HN334-3.1")

ENGINE, OTHER = EngineKey("dlib-onnx", "1"), EngineKey("dlib-onnx", "2")
PROVINCE = Scope.wide(PROVINCE_PATH)


def template_of(seed: int, engine: EngineKey = ENGINE) -> FaceTemplate:
    mean = np.random.default_rng(seed).normal(0, 0.1, 128).astype(np.float32)
    return FaceTemplate(engine, Metric.L2, mean, 3, 0.2)


async def enrol(stage: Stage, pupil: Pupil, seed: int, engine: EngineKey = ENGINE) -> FaceEnrolment:
    """An accepted enrolment, under the student's own scope as the job has it."""
    at = stage.dial()
    enrolment = FaceEnrolment(
        id=new_id(),
        school_id=pupil.school_id,
        student_id=pupil.id,
        status="accepted",
        shots=3,
        reasons=[],
        submitted_at=at,
        decided_at=at,
    )
    async with stage.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        session.add(enrolment)
        await session.flush()
        await store_template(session, stage.app_context.keys, enrolment, template_of(seed, engine), at)
    return enrolment


async def keep(stage: Stage, pupil: Pupil, seed: int, submission_id: UUID | None = None) -> bool:
    descriptor = template_of(seed).descriptor()
    async with stage.app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        shown = Shown(pupil.id, submission_id or new_id(), descriptor, [seed, 2**64 - 1])
        return pupil.id in await keep_selfies(session, stage.app_context.keys, [shown], stage.dial())


async def selfies(stage: Stage, pupil: Pupil) -> list[EarlierSelfie]:
    async with stage.app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        return (await earlier_selfies(session, stage.app_context.keys, [pupil.id]))[pupil.id]


async def opens(stage: Stage, pupil: Pupil, app_context: AppContext | None = None) -> bool:
    keys = (app_context or stage.app_context).keys
    async with stage.app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        return await active_template(session, keys, pupil.id) is not None


@pytest.fixture
async def rotating(stage: Stage, tmp_path: Path) -> AsyncIterator[Stage]:
    """The stage with a key file of its own, alone in the province."""
    path = tmp_path / "keys.json"
    assert stage.app_context.keys.path is not None
    shutil.copy(stage.app_context.keys.path, path)
    stage.app_context.keys = KeyRing.load(path)
    async with put_aside(stage.owner):
        yield stage


def file_of(stage: Stage) -> Path:
    assert stage.app_context.keys.path is not None
    return stage.app_context.keys.path


# --- the hierarchy ---


async def test_each_school_and_each_student_has_one_key(stage: Stage) -> None:
    one, two = stage.school.students[:2]
    other = stage.world.sister.students[0]
    for seed, pupil in enumerate((one, two, other)):
        await enrol(stage, pupil, seed)
    async with stage.owner.transaction(PROVINCE) as session:
        schools = (await session.scalars(select(SchoolTemplateKey))).all()
        mine = [row for row in schools if row.school_id in {stage.school.id, stage.world.sister.id}]
        assert len(mine) == 2
        assert {row.root_version for row in mine} == {stage.app_context.keys.current[ROOT]}
        rows = await session.scalars(select(TemplateKey).where(TemplateKey.school_id == stage.school.id))
        assert {row.student_id for row in rows} == {one.id, two.id}


async def test_a_school_key_cannot_unwrap_another_schools_data_keys(stage: Stage) -> None:
    own, foreign = stage.school.students[0], stage.world.sister.students[0]
    await enrol(stage, own, 1)
    await enrol(stage, foreign, 2)
    async with stage.owner.transaction(PROVINCE) as session:
        mine = await load_school_key(session, stage.app_context.keys, stage.school.id)
        theirs = (await session.get_one(TemplateKey, foreign.id)).sealed
    assert mine is not None
    for name in (str(stage.school.id), str(foreign.school_id)):
        with pytest.raises(TemplateUnreadable):
            unwrap_data_key(theirs, foreign.id, replace(mine, id=name))


async def test_a_changed_cipher_applies_to_new_templates_only(stage: Stage) -> None:
    one, two = stage.school.students[:2]
    await enrol(stage, one, 1)
    stage.app_context.keys = replace(stage.app_context.keys, template_cipher="sm4-gcm")
    await enrol(stage, two, 2)
    async with stage.owner.transaction(PROVINCE) as session:
        query = select(tables.FaceTemplate).where(tables.FaceTemplate.student_id.in_([one.id, two.id]))
        ciphers = {row.student_id: row.sealed[4] for row in await session.scalars(query)}
    assert ciphers == {one.id: 1, two.id: 2}
    assert await opens(stage, one)
    assert await opens(stage, two)


# --- shredding (THREATS 18) ---


async def test_copies_made_before_shredding_cannot_be_decrypted(stage: Stage) -> None:
    """An insider keeps a copy of every sealed byte, the key file, and every key that is left in the database."""
    pupil, classmate = stage.school.students[:2]
    enrolment = await enrol(stage, pupil, 1)
    await enrol(stage, classmate, 2)
    await keep(stage, pupil, 1)
    keys = stage.app_context.keys
    student = Scope.student(pupil.school_id, pupil.id)
    async with stage.app_context.database.transaction(student) as session:
        await store_enrolment_fingerprint(
            session, keys, enrolment, template_of(1).descriptor(), [3], stage.dial()
        )
    async with stage.owner.transaction(PROVINCE) as session:
        query = select(tables.FaceTemplate.sealed).where(tables.FaceTemplate.student_id == pupil.id)
        template = await session.scalar(query)
        kept = select(SelfieRecord.sealed).where(SelfieRecord.student_id == pupil.id)
        records = list(await session.scalars(kept))
    assert template is not None
    assert len(records) == 2
    async with stage.app_context.database.transaction(student) as session:
        await shred(session, [pupil.id], stage.dial())
    async with stage.owner.transaction(PROVINCE) as session:
        assert await session.scalar(kept) is None
        school = await load_school_key(session, keys, stage.school.id)
        left = (await session.scalars(select(TemplateKey))).all()
        schools = (await session.scalars(select(SchoolTemplateKey))).all()
    assert school is not None
    secrets = [secret for (_, _), secret in keys.secrets.items()]
    for row in schools:
        root = get_root_key(keys, row.root_version)
        wrapped = WrappedKey(row.root_version, row.sealed)
        above = open_school_key(wrapped, str(row.school_id), root)
        secrets.append(above.secret)
        secrets += [
            unwrap_data_key(each.sealed, each.student_id, above).secret
            for each in left
            if each.school_id == row.school_id
        ]
    assert len(secrets) > 6
    for sealed, purpose in [(template, SEALING_PURPOSE), *((each, "re-use") for each in records)]:
        for secret in secrets:
            with pytest.raises(TemplateUnreadable):
                open_record(sealed, Binding(str(pupil.id), ENGINE, purpose), DataKey(str(pupil.id), secret))
    assert not await opens(stage, pupil)
    assert await opens(stage, classmate)


async def test_nothing_is_stored_for_a_student_after_shredding(stage: Stage) -> None:
    pupil = stage.school.students[0]
    await enrol(stage, pupil, 1)
    async with stage.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        await shred(session, [pupil.id], stage.dial())
    assert not await keep(stage, pupil, 1)
    assert await selfies(stage, pupil) == []


# --- records of accepted pictures ---


async def test_fingerprints_are_listed_newest_first_and_stored_once(stage: Stage) -> None:
    pupil = stage.school.students[0]
    await enrol(stage, pupil, 1)
    first, second = new_id(), new_id()
    assert await keep(stage, pupil, 11, first)
    stage.dial.ahead += timedelta(days=1)
    assert await keep(stage, pupil, 12, second)
    assert await keep(stage, pupil, 13, second)
    found = await selfies(stage, pupil)
    assert [each.submission_id for each in found] == [second, first]
    assert [each.hashes for each in found] == [(12, 2**64 - 1), (11, 2**64 - 1)]
    assert np.allclose(found[0].descriptor.vector, template_of(12).mean, atol=3e-4)
    assert found[0].descriptor.engine == ENGINE


async def test_only_the_newest_fingerprints_and_the_enrolment_are_kept(stage: Stage) -> None:
    pupil = stage.school.students[0]
    enrolment = await enrol(stage, pupil, 1)
    descriptor: Descriptor = template_of(1).descriptor()
    async with stage.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        await store_enrolment_fingerprint(
            session, stage.app_context.keys, enrolment, descriptor, [5], stage.dial()
        )
    sent = [new_id() for _ in range(22)]
    for number, submission_id in enumerate(sent):
        stage.dial.ahead += timedelta(hours=1)
        await keep(stage, pupil, number, submission_id)
    found = await selfies(stage, pupil)
    assert [each.submission_id for each in found] == [*reversed(sent[2:]), None]


async def test_an_altered_fingerprint_is_left_out(stage: Stage) -> None:
    pupil = stage.school.students[0]
    await enrol(stage, pupil, 1)
    first, second = new_id(), new_id()
    await keep(stage, pupil, 1, first)
    await keep(stage, pupil, 2, second)
    async with stage.owner.transaction(PROVINCE) as session:
        altered = update(SelfieRecord).where(SelfieRecord.submission_id == second)
        await session.execute(altered.values(sealed=b"DMT1\x01" + bytes(80)))
    assert [each.submission_id for each in await selfies(stage, pupil)] == [first]


async def test_a_fingerprint_is_visible_to_the_student_and_school_only(stage: Stage) -> None:
    pupil, classmate = stage.school.students[:2]
    await enrol(stage, pupil, 1)
    await keep(stage, pupil, 1)
    for scope in (
        Scope.student(classmate.school_id, classmate.id),
        Scope.school(stage.world.sister.id),
        Scope.none(),
    ):
        async with stage.app_context.database.transaction(scope) as session:
            assert await earlier_selfies(session, stage.app_context.keys, [pupil.id]) == {pupil.id: []}


# --- samples of a school and a class ---


async def sample(stage: Stage, limit: int, engine: EngineKey = ENGINE) -> list[tuple[float, ...]]:
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        found = await load_school_templates(session, stage.app_context.keys, stage.school.id, engine, limit)
    return [tuple(template.mean[:3].tolist()) for template in found.values()]


async def test_a_sample_of_a_school_is_reproducible(stage: Stage) -> None:
    pupils = stage.school.students
    for seed, pupil in enumerate(pupils):
        await enrol(stage, pupil, seed)
    await enrol(stage, stage.world.sister.students[0], 50)
    every = await sample(stage, 100)
    assert len(every) == len(pupils) == len(set(every))
    assert await sample(stage, 100) == every
    assert await sample(stage, 2) == every[:2]


async def test_a_sample_has_one_engine_and_no_shredded_template(stage: Stage) -> None:
    one, two, three = stage.school.students[:3]
    await enrol(stage, one, 1)
    await enrol(stage, two, 2, OTHER)
    await enrol(stage, three, 3)
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        await shred(session, [three.id], stage.dial())
    assert len(await sample(stage, 10)) == 1
    assert len(await sample(stage, 10, engine=OTHER)) == 1


async def test_an_unreadable_template_is_left_out_of_a_sample(stage: Stage) -> None:
    one, two = stage.school.students[:2]
    await enrol(stage, one, 1)
    await enrol(stage, two, 2)
    async with stage.owner.transaction(PROVINCE) as session:
        await session.execute(
            update(tables.FaceTemplate)
            .where(tables.FaceTemplate.student_id == two.id)
            .values(sealed=b"DMT1\x01" + bytes(300))
        )
    assert len(await sample(stage, 10)) == 1


async def test_class_templates_are_those_of_its_students(stage: Stage) -> None:
    own, other = stage.school.classes[:2]
    for seed, pupil in enumerate((*own.students, *other.students)):
        await enrol(stage, pupil, seed)
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        keys = stage.app_context.keys
        found = await load_class_templates(
            session, keys, stage.school.id, [own.id, other.id, new_id()], ENGINE, 100
        )
        few = await load_class_templates(session, keys, stage.school.id, [own.id, other.id], ENGINE, 1)
    assert {class_id: set(of) for class_id, of in found.items()} == {
        each.id: {pupil.id for pupil in each.students} for each in (own, other)
    }
    assert {class_id: len(of) for class_id, of in few.items()} == {own.id: 1, other.id: 1}


async def test_a_school_without_enrolments_has_no_templates(stage: Stage) -> None:
    assert await sample(stage, 10) == []


# --- rotating the root (THREATS 23) ---


async def test_the_root_key_is_rotated_without_touching_templates(rotating: Stage) -> None:
    """The drill: add a version, wrap the schools' keys again, take the old version away; everything still opens."""
    stage, told = rotating, list[int]()
    pupils = [stage.school.students[0], stage.world.sister.students[0], stage.world.direct.students[0]]
    for seed, pupil in enumerate(pupils):
        await enrol(stage, pupil, seed)
        await keep(stage, pupil, seed)
    before = await below_the_schools(stage)
    assert add_version(file_of(stage), ROOT) == "2"
    result = await key_rotation.rewrap(stage.app_context, told.append)
    assert (result.version, result.done, result.unreadable) == ("2", 3, 0)
    assert told[-1] == 3
    await key_rotation.retire(stage.app_context, "1")
    fresh = replace(stage.app_context, keys=KeyRing.load(file_of(stage)))
    assert [version for purpose, version in fresh.keys.secrets if purpose == ROOT] == ["2"]
    for pupil in pupils:
        assert await opens(stage, pupil, fresh)
        assert len(await selfies(stage, pupil)) == 1
    assert await below_the_schools(stage) == before
    assert file_of(stage).stat().st_mode & 0o777 == 0o600


async def below_the_schools(stage: Stage) -> set[bytes]:
    async with stage.owner.transaction(PROVINCE) as session:
        columns = (TemplateKey.sealed, tables.FaceTemplate.sealed, SelfieRecord.sealed)
        return {sealed for column in columns for sealed in await session.scalars(select(column))}


async def test_a_running_process_follows_a_rotation(rotating: Stage) -> None:
    stage, pupil = rotating, rotating.school.students[0]
    await enrol(stage, pupil, 1)
    running = replace(stage.app_context, keys=KeyRing.load(file_of(stage)))
    add_version(file_of(stage), ROOT)
    await key_rotation.rewrap(replace(stage.app_context, keys=KeyRing.load(file_of(stage))), lambda _: None)
    assert (ROOT, "2") not in running.keys.secrets
    assert await opens(stage, pupil, running)
    stage.app_context.keys = running.keys
    await enrol(stage, stage.world.sister.students[0], 2)
    async with stage.owner.transaction(PROVINCE) as session:
        versions = set(await session.scalars(select(SchoolTemplateKey.root_version)))
    assert versions == {"2"}


async def test_a_root_key_version_in_use_works_and_cannot_be_retired(rotating: Stage) -> None:
    stage, pupil = rotating, rotating.school.students[0]
    await enrol(stage, pupil, 1)
    add_version(file_of(stage), ROOT)
    stage.app_context.keys.refresh()
    assert await opens(stage, pupil)
    with pytest.raises(Conflict, match="rewrap"):
        await key_rotation.retire(stage.app_context, "1")
    with pytest.raises(Conflict, match="current"):
        await key_rotation.retire(stage.app_context, "2")
    with pytest.raises(KeyError):
        await key_rotation.retire(stage.app_context, "7")
    assert await opens(stage, pupil)


async def test_an_interrupted_rotation_is_continued(rotating: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = rotating
    pupils = [stage.school.students[0], stage.world.sister.students[0], stage.world.direct.students[0]]
    for seed, pupil in enumerate(pupils):
        await enrol(stage, pupil, seed)
    monkeypatch.setattr(key_rotation, "BATCH_SIZE", 1)
    add_version(file_of(stage), ROOT)

    def killed(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await key_rotation.rewrap(stage.app_context, killed)
    for pupil in pupils:
        assert await opens(stage, pupil)
    assert (await key_rotation.rewrap(stage.app_context, lambda _: None)).done == 1
    for pupil in pupils:
        assert await opens(stage, pupil)


async def test_a_damaged_key_does_not_block_the_rotation_of_others(rotating: Stage) -> None:
    stage = rotating
    pupils = [stage.school.students[0], stage.world.sister.students[0]]
    for seed, pupil in enumerate(pupils):
        await enrol(stage, pupil, seed)
    async with stage.owner.transaction(PROVINCE) as session:
        damaged = update(SchoolTemplateKey).where(SchoolTemplateKey.school_id == pupils[0].school_id)
        await session.execute(damaged.values(sealed=b"DMS1\x01" + bytes(60)))
    add_version(file_of(stage), ROOT)
    result = await key_rotation.rewrap(stage.app_context, lambda _: None)
    assert (result.done, result.unreadable) == (1, 1)
    assert await opens(stage, pupils[1])
    with pytest.raises(Conflict):
        await key_rotation.retire(stage.app_context, "1")


async def test_a_rotation_is_audited(rotating: Stage) -> None:
    stage = rotating
    await enrol(stage, stage.school.students[0], 1)
    add_version(file_of(stage), ROOT)
    began = stage.dial()
    await key_rotation.rewrap(stage.app_context, lambda _: None)
    await key_rotation.retire(stage.app_context, "1")
    async with stage.owner.transaction(PROVINCE) as session:
        entries = await session.scalars(
            select(AuditEntry).where(AuditEntry.at >= began, AuditEntry.subject_id == ROOT)
        )
        acts = {entry.action: entry.after or entry.before for entry in entries}
    assert acts == {
        "template_root.rewrap": {"version": "2", "schools": 1},
        "template_root.retire": {"version": "1"},
    }
