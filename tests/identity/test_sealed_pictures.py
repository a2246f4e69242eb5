"""Pictures of faces at rest: sealed under the student's picture key, under opaque names, readable by the owner only."""

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from backend.core.app_context import AppContext
from backend.core.evidence import EvidenceStore
from backend.core.ids import new_id
from backend.core.keys import KeyRing, TemplateCipher, add_version
from backend.core.tenancy import Scope
from backend.identity.face import key_rotation
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.face.pool import face_pool
from backend.identity.face.template_keys import ROOT_KEY_PURPOSE
from backend.identity.pictures.keys import ensure_picture_key, load_picture_key, shred_picture_keys
from backend.identity.pictures.refs import PictureKind, PictureRef
from backend.identity.pictures.store import get_picture, put_picture
from backend.identity.pictures.tables import PictureKeyRecord
from backend.identity.tables import TemplateKey
from biometrics.engines.test_pattern import render_pattern
from biometrics.templates.sealing import PictureKey, PictureUnreadable
from tests.identity.test_activation import (
    PoolInProcess,
    enrol,
    judge_newest_portrait,
    load_portraits,
)
from tests.support.identity.scenario import IdentityScenario
from tests.support.identity.template_keys import without_existing_keys
from tests.support.pictures import name_picture, read_picture, seal_and_store
from tests.support.province import SampleStudent

PICTURE = b"\xff\xd8\xff picture of a face" * 100


def portrait_of(student: SampleStudent) -> PictureRef:
    return PictureRef(PictureKind.PORTRAIT, student.school_id, student.id, new_id())


@pytest.fixture
def store(scenario: IdentityScenario, tmp_path: Path) -> AppContext:
    """The application with an evidence folder of its own."""
    return replace(scenario.app_context, evidence=EvidenceStore.local(tmp_path / "evidence"))


@pytest.fixture
def pool(scenario: IdentityScenario) -> PoolInProcess:
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("cipher", ["aes-256-gcm", "sm4-gcm"])
async def test_file_is_sealed_and_only_its_owner_may_read_it(
    scenario: IdentityScenario, store: AppContext, tmp_path: Path, cipher: TemplateCipher
) -> None:
    student = scenario.school.students[0]
    store = replace(store, keys=replace(store.keys, template_cipher=cipher))
    picture = portrait_of(student)
    name = await seal_and_store(store, picture, PICTURE)
    [file] = files_of(tmp_path)
    assert file == tmp_path / "evidence" / name
    assert PICTURE not in file.read_bytes()
    assert b"picture of a face" not in file.read_bytes()
    assert await read_picture(store, picture) == PICTURE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (file.parent, file.parent.parent, tmp_path / "evidence"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir(mode=0o755)
    EvidenceStore.local(tmp_path / "evidence")
    assert stat.S_IMODE((tmp_path / "evidence").stat().st_mode) == 0o700


async def test_name_contains_no_identifier_and_differs_by_student_kind_source_and_position(
    scenario: IdentityScenario, store: AppContext
) -> None:
    one, other = scenario.school.students[:2]
    picture = portrait_of(one)
    variants = [
        picture,
        replace(picture, student_id=other.id),
        replace(picture, kind=PictureKind.FRAME),
        replace(picture, source_id=new_id()),
        replace(picture, position=1),
    ]
    names = [await name_picture(store, each) for each in variants]
    assert len(set(names)) == len(variants)
    assert await name_picture(store, picture) == names[0]
    for each in (one.id, one.school_id, picture.source_id):
        assert each.hex not in names[0].replace("/", "")
        assert str(each) not in names[0]


@pytest.mark.parametrize("change", ["student", "kind", "position"])
async def test_swapped_files_are_detected(
    scenario: IdentityScenario, store: AppContext, tmp_path: Path, change: str
) -> None:
    picture = portrait_of(scenario.school.students[0])
    changes = {
        "student": {"student_id": scenario.school.students[1].id},
        "kind": {"kind": PictureKind.FRAME},
        "position": {"position": 1},
    }
    other = replace(picture, **changes[change])  # type: ignore[arg-type]
    names = [
        await seal_and_store(store, picture, PICTURE),
        await seal_and_store(store, other, PICTURE + b"2"),
    ]
    first, second = (tmp_path / "evidence" / name for name in names)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    for each in (picture, other):
        with pytest.raises(PictureUnreadable):
            await read_picture(store, each)


async def test_altered_and_unsealed_files_are_refused(
    scenario: IdentityScenario, store: AppContext, tmp_path: Path
) -> None:
    picture = portrait_of(scenario.school.students[0])
    file = tmp_path / "evidence" / await seal_and_store(store, picture, PICTURE)
    sealed = file.read_bytes()
    for content in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:10], b"", PICTURE):
        file.write_bytes(content)
        with pytest.raises(PictureUnreadable):
            await read_picture(store, picture)


async def test_deleting_the_key_makes_every_picture_of_the_student_unreadable(
    scenario: IdentityScenario, store: AppContext, tmp_path: Path
) -> None:
    one, other = scenario.school.students[:2]
    pictures = [portrait_of(one), portrait_of(one), portrait_of(other)]
    for picture in pictures:
        await seal_and_store(store, picture, PICTURE)
    async with store.database.transaction(Scope.school(one.school_id)) as session:
        await shred_picture_keys(session, [one.id])
        assert await load_picture_key(session, store.keys, one.id) is None
        key = await ensure_picture_key(session, store.keys, one.school_id, one.id, store.clock())
    assert len(files_of(tmp_path)) == len(pictures)
    for picture in pictures[:2]:
        with pytest.raises(FileNotFoundError):
            await get_picture(store, None, picture)
        with pytest.raises(FileNotFoundError):
            await get_picture(store, key, picture)  # a new key gives other names
    assert await read_picture(store, pictures[2]) == PICTURE


async def test_key_of_another_student_opens_nothing(scenario: IdentityScenario, store: AppContext) -> None:
    one, other = scenario.school.students[:2]
    picture = portrait_of(one)
    await seal_and_store(store, picture, PICTURE)
    async with store.database.transaction(Scope.school(one.school_id)) as session:
        row = await session.get_one(PictureKeyRecord, one.id)
        session.expunge(row)
        foreign = await ensure_picture_key(session, store.keys, other.school_id, other.id, store.clock())
    with pytest.raises(FileNotFoundError):
        await get_picture(store, foreign, picture)
    with pytest.raises(PictureUnreadable):
        async with scenario.owner.transaction(Scope.none()) as session:
            await session.execute(
                text("UPDATE picture_key SET sealed = :sealed WHERE student_id = :id"),
                {"sealed": row.sealed, "id": other.id},
            )
            await load_picture_key(session, store.keys, other.id)


async def test_root_key_rotation_keeps_pictures_readable(
    scenario: IdentityScenario, store: AppContext, tmp_path: Path
) -> None:
    """A rotation wraps the schools' keys again; after the old version is removed, the picture still opens."""
    picture = portrait_of(scenario.school.students[0])
    path = tmp_path / "keys.json"
    shutil.copyfile(store.settings.keys_file, path)
    path.chmod(0o600)
    rotated = replace(store, keys=KeyRing.load(path))
    async with without_existing_keys(scenario.owner):
        await seal_and_store(rotated, picture, PICTURE)
        old = rotated.keys.current[ROOT_KEY_PURPOSE]
        add_version(path, ROOT_KEY_PURPOSE)
        assert (await key_rotation.rewrap(rotated, lambda _: None)).unreadable == 0
        await key_rotation.retire(rotated, old)
        fresh = replace(rotated, keys=KeyRing.load(path))
        assert (ROOT_KEY_PURPOSE, old) not in fresh.keys.secrets
        assert await read_picture(fresh, picture) == PICTURE


async def test_two_uploads_at_once_use_one_key(scenario: IdentityScenario, store: AppContext) -> None:
    student = scenario.school.students[2]
    scope, at = Scope.student(student.school_id, student.id), store.clock()
    async with store.database.transaction(scope) as first, store.database.transaction(scope) as second:
        one = await ensure_picture_key(first, store.keys, student.school_id, student.id, at)
        await first.commit()
        other = await ensure_picture_key(second, store.keys, student.school_id, student.id, at)
    assert isinstance(one, PictureKey)
    assert one == other


async def test_portrait_stays_readable_when_a_consent_about_the_face_is_revoked(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    assert (await phone.submit_portrait(render_pattern(7, 40))).status_code == 202
    portrait = await judge_newest_portrait(scenario, student)
    await phone.post(
        "/v1/me/consents", json={"kind": "face_use", "text_version": "face-use-1", "granted": False}
    )
    async with scenario.app_context.database.transaction(Scope.school(student.school_id)) as session:
        assert await session.get(TemplateKey, student.id) is None
        assert await session.get(PictureKeyRecord, student.id) is not None
    ref = PortraitRef.of(portrait).picture
    assert (await read_picture(scenario.app_context, ref))[:3] == b"\xff\xd8\xff"


async def test_uploaded_shots_and_portraits_are_sealed_byte_for_byte(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    sent = render_pattern(7, 41)
    assert (await phone.submit_portrait(sent)).status_code == 202
    (row,) = await load_portraits(scenario, student)
    picture = PortraitRef.of(row).picture
    assert row.evidence_key == await name_picture(scenario.app_context, picture)
    assert await read_picture(scenario.app_context, picture) == sent
    folder = scenario.app_context.settings.evidence_dir
    stored = {path.read_bytes()[:3] for path in files_of(folder / "pictures")}
    assert stored == {b"DMP"}
    assert all(sent not in path.read_bytes() for path in files_of(folder))


async def test_students_see_their_own_key_only(scenario: IdentityScenario, store: AppContext) -> None:
    one, other = scenario.school.students[:2]
    for student in (one, other):
        await put_picture(store, await _key(store, student), portrait_of(student), PICTURE)
    async with store.database.transaction(Scope.student(one.school_id, one.id)) as session:
        assert list(await session.scalars(select(PictureKeyRecord.student_id))) == [one.id]
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with store.database.transaction(Scope.student(one.school_id, one.id)) as session:
            await session.execute(text("UPDATE picture_key SET sealed = ''"))


async def _key(store: AppContext, student: SampleStudent) -> PictureKey:
    async with store.database.transaction(Scope.school(student.school_id)) as session:
        return await ensure_picture_key(session, store.keys, student.school_id, student.id, store.clock())
