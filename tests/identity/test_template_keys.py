"""The key hierarchy of face data: root, school and student keys; shredding and root key rotation."""

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
from backend.identity.face.selfie_fingerprints import (
    AcceptedSelfie,
    SelfieFingerprint,
    load_selfie_fingerprints,
    store_enrolment_fingerprint,
    store_selfie_fingerprints,
)
from backend.identity.face.template_keys import (
    ROOT_KEY_PURPOSE,
    get_root_key,
    load_school_key,
    unwrap_data_key,
)
from backend.identity.face.templates import (
    SEALING_PURPOSE,
    load_active_template,
    load_class_templates,
    load_school_templates,
    shred_face_data,
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
from tests.support.identity.scenario import IdentityScenario
from tests.support.identity.template_keys import without_existing_keys
from tests.support.province import PROVINCE_PATH, SampleStudent

pytestmark = pytest.mark.clause("HN334-3.1")

ENGINE, OTHER = EngineKey("dlib-onnx", "1"), EngineKey("dlib-onnx", "2")
PROVINCE = Scope.wide(PROVINCE_PATH)


def template_of(seed: int, engine: EngineKey = ENGINE) -> FaceTemplate:
    mean = np.random.default_rng(seed).normal(0, 0.1, 128).astype(np.float32)
    return FaceTemplate(engine, Metric.L2, mean, 3, 0.2)


async def enrol(
    scenario: IdentityScenario, pupil: SampleStudent, seed: int, engine: EngineKey = ENGINE
) -> FaceEnrolment:
    """Store an accepted enrolment with its template, in the student's own scope as in the task."""
    at = scenario.clock()
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
    async with scenario.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        session.add(enrolment)
        await session.flush()
        await store_template(session, scenario.app_context.keys, enrolment, template_of(seed, engine), at)
    return enrolment


async def store_fingerprint(
    scenario: IdentityScenario, pupil: SampleStudent, seed: int, submission_id: UUID | None = None
) -> bool:
    descriptor = template_of(seed).descriptor()
    async with scenario.app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        shown = AcceptedSelfie(pupil.id, submission_id or new_id(), descriptor, [seed, 2**64 - 1])
        return pupil.id in await store_selfie_fingerprints(
            session, scenario.app_context.keys, [shown], scenario.clock()
        )


async def load_fingerprints(scenario: IdentityScenario, pupil: SampleStudent) -> list[SelfieFingerprint]:
    async with scenario.app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        return (await load_selfie_fingerprints(session, scenario.app_context.keys, [pupil.id]))[pupil.id]


async def has_readable_template(
    scenario: IdentityScenario, pupil: SampleStudent, app_context: AppContext | None = None
) -> bool:
    keys = (app_context or scenario.app_context).keys
    async with scenario.app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        return await load_active_template(session, keys, pupil.id) is not None


@pytest.fixture
async def rotation(scenario: IdentityScenario, tmp_path: Path) -> AsyncIterator[IdentityScenario]:
    """The scenario with its own key file, without the keys of other tests."""
    path = tmp_path / "keys.json"
    assert scenario.app_context.keys.path is not None
    shutil.copy(scenario.app_context.keys.path, path)
    scenario.app_context.keys = KeyRing.load(path)
    async with without_existing_keys(scenario.owner):
        yield scenario


def key_file(scenario: IdentityScenario) -> Path:
    assert scenario.app_context.keys.path is not None
    return scenario.app_context.keys.path


# --- the hierarchy ---


async def test_each_school_and_each_student_has_one_key(scenario: IdentityScenario) -> None:
    one, two = scenario.school.students[:2]
    other = scenario.world.sister.students[0]
    for seed, pupil in enumerate((one, two, other)):
        await enrol(scenario, pupil, seed)
    async with scenario.owner.transaction(PROVINCE) as session:
        schools = (await session.scalars(select(SchoolTemplateKey))).all()
        mine = [row for row in schools if row.school_id in {scenario.school.id, scenario.world.sister.id}]
        assert len(mine) == 2
        assert {row.root_version for row in mine} == {scenario.app_context.keys.current[ROOT_KEY_PURPOSE]}
        rows = await session.scalars(select(TemplateKey).where(TemplateKey.school_id == scenario.school.id))
        assert {row.student_id for row in rows} == {one.id, two.id}


async def test_a_school_key_cannot_unwrap_another_schools_data_keys(scenario: IdentityScenario) -> None:
    own, foreign = scenario.school.students[0], scenario.world.sister.students[0]
    await enrol(scenario, own, 1)
    await enrol(scenario, foreign, 2)
    async with scenario.owner.transaction(PROVINCE) as session:
        mine = await load_school_key(session, scenario.app_context.keys, scenario.school.id)
        theirs = (await session.get_one(TemplateKey, foreign.id)).sealed
    assert mine is not None
    for name in (str(scenario.school.id), str(foreign.school_id)):
        with pytest.raises(TemplateUnreadable):
            unwrap_data_key(theirs, foreign.id, replace(mine, id=name))


async def test_a_changed_cipher_applies_to_new_templates_only(scenario: IdentityScenario) -> None:
    one, two = scenario.school.students[:2]
    await enrol(scenario, one, 1)
    scenario.app_context.keys = replace(scenario.app_context.keys, template_cipher="sm4-gcm")
    await enrol(scenario, two, 2)
    async with scenario.owner.transaction(PROVINCE) as session:
        query = select(tables.FaceTemplateRecord).where(
            tables.FaceTemplateRecord.student_id.in_([one.id, two.id])
        )
        ciphers = {row.student_id: row.sealed[4] for row in await session.scalars(query)}
    assert ciphers == {one.id: 1, two.id: 2}
    assert await has_readable_template(scenario, one)
    assert await has_readable_template(scenario, two)


# --- shredding (THREATS 18) ---


async def test_copies_made_before_shredding_cannot_be_decrypted(scenario: IdentityScenario) -> None:
    """The attacker has copies of all encrypted data, the key file, and all keys that remain in the database."""
    pupil, classmate = scenario.school.students[:2]
    enrolment = await enrol(scenario, pupil, 1)
    await enrol(scenario, classmate, 2)
    await store_fingerprint(scenario, pupil, 1)
    keys = scenario.app_context.keys
    student = Scope.student(pupil.school_id, pupil.id)
    async with scenario.app_context.database.transaction(student) as session:
        await store_enrolment_fingerprint(
            session, keys, enrolment, template_of(1).descriptor(), [3], scenario.clock()
        )
    async with scenario.owner.transaction(PROVINCE) as session:
        query = select(tables.FaceTemplateRecord.sealed).where(
            tables.FaceTemplateRecord.student_id == pupil.id
        )
        template = await session.scalar(query)
        kept = select(SelfieRecord.sealed).where(SelfieRecord.student_id == pupil.id)
        records = list(await session.scalars(kept))
    assert template is not None
    assert len(records) == 2
    async with scenario.app_context.database.transaction(student) as session:
        await shred_face_data(session, [pupil.id], scenario.clock())
    async with scenario.owner.transaction(PROVINCE) as session:
        assert await session.scalar(kept) is None
        school = await load_school_key(session, keys, scenario.school.id)
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
    assert not await has_readable_template(scenario, pupil)
    assert await has_readable_template(scenario, classmate)


async def test_nothing_is_stored_for_a_student_after_shredding(scenario: IdentityScenario) -> None:
    pupil = scenario.school.students[0]
    await enrol(scenario, pupil, 1)
    async with scenario.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        await shred_face_data(session, [pupil.id], scenario.clock())
    assert not await store_fingerprint(scenario, pupil, 1)
    assert await load_fingerprints(scenario, pupil) == []


# --- records of accepted pictures ---


async def test_fingerprints_are_listed_newest_first_and_stored_once(scenario: IdentityScenario) -> None:
    pupil = scenario.school.students[0]
    await enrol(scenario, pupil, 1)
    first, second = new_id(), new_id()
    assert await store_fingerprint(scenario, pupil, 11, first)
    scenario.clock.offset += timedelta(days=1)
    assert await store_fingerprint(scenario, pupil, 12, second)
    assert await store_fingerprint(scenario, pupil, 13, second)
    found = await load_fingerprints(scenario, pupil)
    assert [each.submission_id for each in found] == [second, first]
    assert [each.hashes for each in found] == [(12, 2**64 - 1), (11, 2**64 - 1)]
    assert np.allclose(found[0].descriptor.vector, template_of(12).mean, atol=3e-4)
    assert found[0].descriptor.engine == ENGINE


async def test_only_the_newest_fingerprints_and_the_enrolment_are_kept(scenario: IdentityScenario) -> None:
    pupil = scenario.school.students[0]
    enrolment = await enrol(scenario, pupil, 1)
    descriptor: Descriptor = template_of(1).descriptor()
    async with scenario.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        await store_enrolment_fingerprint(
            session, scenario.app_context.keys, enrolment, descriptor, [5], scenario.clock()
        )
    sent = [new_id() for _ in range(22)]
    for number, submission_id in enumerate(sent):
        scenario.clock.offset += timedelta(hours=1)
        await store_fingerprint(scenario, pupil, number, submission_id)
    found = await load_fingerprints(scenario, pupil)
    assert [each.submission_id for each in found] == [*reversed(sent[2:]), None]


async def test_an_altered_fingerprint_is_left_out(scenario: IdentityScenario) -> None:
    pupil = scenario.school.students[0]
    await enrol(scenario, pupil, 1)
    first, second = new_id(), new_id()
    await store_fingerprint(scenario, pupil, 1, first)
    await store_fingerprint(scenario, pupil, 2, second)
    async with scenario.owner.transaction(PROVINCE) as session:
        altered = update(SelfieRecord).where(SelfieRecord.submission_id == second)
        await session.execute(altered.values(sealed=b"DMT1\x01" + bytes(80)))
    assert [each.submission_id for each in await load_fingerprints(scenario, pupil)] == [first]


async def test_a_fingerprint_is_visible_to_the_student_and_school_only(scenario: IdentityScenario) -> None:
    pupil, classmate = scenario.school.students[:2]
    await enrol(scenario, pupil, 1)
    await store_fingerprint(scenario, pupil, 1)
    for scope in (
        Scope.student(classmate.school_id, classmate.id),
        Scope.school(scenario.world.sister.id),
        Scope.none(),
    ):
        async with scenario.app_context.database.transaction(scope) as session:
            assert await load_selfie_fingerprints(session, scenario.app_context.keys, [pupil.id]) == {
                pupil.id: []
            }


# --- samples of a school and a class ---


async def load_sample(
    scenario: IdentityScenario, limit: int, engine: EngineKey = ENGINE
) -> list[tuple[float, ...]]:
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        found = await load_school_templates(
            session, scenario.app_context.keys, scenario.school.id, engine, limit
        )
    return [tuple(template.mean[:3].tolist()) for template in found.values()]


async def test_a_sample_of_a_school_is_reproducible(scenario: IdentityScenario) -> None:
    pupils = scenario.school.students
    for seed, pupil in enumerate(pupils):
        await enrol(scenario, pupil, seed)
    await enrol(scenario, scenario.world.sister.students[0], 50)
    every = await load_sample(scenario, 100)
    assert len(every) == len(pupils) == len(set(every))
    assert await load_sample(scenario, 100) == every
    assert await load_sample(scenario, 2) == every[:2]


async def test_a_sample_has_one_engine_and_no_shredded_template(scenario: IdentityScenario) -> None:
    one, two, three = scenario.school.students[:3]
    await enrol(scenario, one, 1)
    await enrol(scenario, two, 2, OTHER)
    await enrol(scenario, three, 3)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        await shred_face_data(session, [three.id], scenario.clock())
    assert len(await load_sample(scenario, 10)) == 1
    assert len(await load_sample(scenario, 10, engine=OTHER)) == 1


async def test_an_unreadable_template_is_left_out_of_a_sample(scenario: IdentityScenario) -> None:
    one, two = scenario.school.students[:2]
    await enrol(scenario, one, 1)
    await enrol(scenario, two, 2)
    async with scenario.owner.transaction(PROVINCE) as session:
        await session.execute(
            update(tables.FaceTemplateRecord)
            .where(tables.FaceTemplateRecord.student_id == two.id)
            .values(sealed=b"DMT1\x01" + bytes(300))
        )
    assert len(await load_sample(scenario, 10)) == 1


async def test_class_templates_are_those_of_its_students(scenario: IdentityScenario) -> None:
    own, other = scenario.school.classes[:2]
    for seed, pupil in enumerate((*own.students, *other.students)):
        await enrol(scenario, pupil, seed)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        keys = scenario.app_context.keys
        found = await load_class_templates(
            session, keys, scenario.school.id, [own.id, other.id, new_id()], ENGINE, 100
        )
        few = await load_class_templates(session, keys, scenario.school.id, [own.id, other.id], ENGINE, 1)
    assert {class_id: set(of) for class_id, of in found.items()} == {
        each.id: {pupil.id for pupil in each.students} for each in (own, other)
    }
    assert {class_id: len(of) for class_id, of in few.items()} == {own.id: 1, other.id: 1}


async def test_a_school_without_enrolments_has_no_templates(scenario: IdentityScenario) -> None:
    assert await load_sample(scenario, 10) == []


# --- rotating the root (THREATS 23) ---


async def test_the_root_key_is_rotated_without_touching_templates(rotation: IdentityScenario) -> None:
    """The whole procedure: add a version, rewrap the schools' keys, remove the old version; all data stay readable."""
    scenario, told = rotation, list[int]()
    pupils = [
        scenario.school.students[0],
        scenario.world.sister.students[0],
        scenario.world.direct.students[0],
    ]
    for seed, pupil in enumerate(pupils):
        await enrol(scenario, pupil, seed)
        await store_fingerprint(scenario, pupil, seed)
    before = await load_sealed_values(scenario)
    assert add_version(key_file(scenario), ROOT_KEY_PURPOSE) == "2"
    result = await key_rotation.rewrap(scenario.app_context, told.append)
    assert (result.version, result.done, result.unreadable) == ("2", 3, 0)
    assert told[-1] == 3
    await key_rotation.retire(scenario.app_context, "1")
    fresh = replace(scenario.app_context, keys=KeyRing.load(key_file(scenario)))
    assert [version for purpose, version in fresh.keys.secrets if purpose == ROOT_KEY_PURPOSE] == ["2"]
    for pupil in pupils:
        assert await has_readable_template(scenario, pupil, fresh)
        assert len(await load_fingerprints(scenario, pupil)) == 1
    assert await load_sealed_values(scenario) == before
    assert key_file(scenario).stat().st_mode & 0o777 == 0o600


async def load_sealed_values(scenario: IdentityScenario) -> set[bytes]:
    async with scenario.owner.transaction(PROVINCE) as session:
        columns = (TemplateKey.sealed, tables.FaceTemplateRecord.sealed, SelfieRecord.sealed)
        return {sealed for column in columns for sealed in await session.scalars(select(column))}


async def test_a_running_process_follows_a_rotation(rotation: IdentityScenario) -> None:
    scenario, pupil = rotation, rotation.school.students[0]
    await enrol(scenario, pupil, 1)
    running = replace(scenario.app_context, keys=KeyRing.load(key_file(scenario)))
    add_version(key_file(scenario), ROOT_KEY_PURPOSE)
    await key_rotation.rewrap(
        replace(scenario.app_context, keys=KeyRing.load(key_file(scenario))), lambda _: None
    )
    assert (ROOT_KEY_PURPOSE, "2") not in running.keys.secrets
    assert await has_readable_template(scenario, pupil, running)
    scenario.app_context.keys = running.keys
    await enrol(scenario, scenario.world.sister.students[0], 2)
    async with scenario.owner.transaction(PROVINCE) as session:
        versions = set(await session.scalars(select(SchoolTemplateKey.root_version)))
    assert versions == {"2"}


async def test_a_root_key_version_in_use_works_and_cannot_be_retired(rotation: IdentityScenario) -> None:
    scenario, pupil = rotation, rotation.school.students[0]
    await enrol(scenario, pupil, 1)
    add_version(key_file(scenario), ROOT_KEY_PURPOSE)
    scenario.app_context.keys.refresh()
    assert await has_readable_template(scenario, pupil)
    with pytest.raises(Conflict, match="rewrap"):
        await key_rotation.retire(scenario.app_context, "1")
    with pytest.raises(Conflict, match="current"):
        await key_rotation.retire(scenario.app_context, "2")
    with pytest.raises(KeyError):
        await key_rotation.retire(scenario.app_context, "7")
    assert await has_readable_template(scenario, pupil)


async def test_an_interrupted_rotation_is_continued(
    rotation: IdentityScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = rotation
    pupils = [
        scenario.school.students[0],
        scenario.world.sister.students[0],
        scenario.world.direct.students[0],
    ]
    for seed, pupil in enumerate(pupils):
        await enrol(scenario, pupil, seed)
    monkeypatch.setattr(key_rotation, "BATCH_SIZE", 1)
    add_version(key_file(scenario), ROOT_KEY_PURPOSE)

    def killed(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await key_rotation.rewrap(scenario.app_context, killed)
    for pupil in pupils:
        assert await has_readable_template(scenario, pupil)
    assert (await key_rotation.rewrap(scenario.app_context, lambda _: None)).done == 1
    for pupil in pupils:
        assert await has_readable_template(scenario, pupil)


async def test_a_damaged_key_does_not_block_the_rotation_of_others(rotation: IdentityScenario) -> None:
    scenario = rotation
    pupils = [scenario.school.students[0], scenario.world.sister.students[0]]
    for seed, pupil in enumerate(pupils):
        await enrol(scenario, pupil, seed)
    async with scenario.owner.transaction(PROVINCE) as session:
        damaged = update(SchoolTemplateKey).where(SchoolTemplateKey.school_id == pupils[0].school_id)
        await session.execute(damaged.values(sealed=b"DMS1\x01" + bytes(60)))
    add_version(key_file(scenario), ROOT_KEY_PURPOSE)
    result = await key_rotation.rewrap(scenario.app_context, lambda _: None)
    assert (result.done, result.unreadable) == (1, 1)
    assert await has_readable_template(scenario, pupils[1])
    with pytest.raises(Conflict):
        await key_rotation.retire(scenario.app_context, "1")


async def test_a_rotation_is_audited(rotation: IdentityScenario) -> None:
    scenario = rotation
    await enrol(scenario, scenario.school.students[0], 1)
    add_version(key_file(scenario), ROOT_KEY_PURPOSE)
    began = scenario.clock()
    await key_rotation.rewrap(scenario.app_context, lambda _: None)
    await key_rotation.retire(scenario.app_context, "1")
    async with scenario.owner.transaction(PROVINCE) as session:
        entries = await session.scalars(
            select(AuditEntry).where(AuditEntry.at >= began, AuditEntry.subject_id == ROOT_KEY_PURPOSE)
        )
        acts = {entry.action: entry.after or entry.before for entry in entries}
    assert acts == {
        "template_root.rewrap": {"version": "2", "schools": 1},
        "template_root.retire": {"version": "1"},
    }
