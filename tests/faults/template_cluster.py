"""Creates the data of the fault harness once, in a template cluster that is copied for each run.

Three schools with approved sites, students with bound phones and enrolled faces, staff who can sign in. The data that the
clients need is stored next to the cluster in `world.json`.
"""

import asyncio
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from alembic import command as alembic_command
from cryptography.hazmat.primitives import serialization
from filelock import FileLock
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from backend.campus.service import Filing, FilingDecision, NewSite, decide_filing, file_site
from backend.commands.deployment.migrate_command import alembic_config
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day, now
from backend.core.database import Database
from backend.core.evidence import EvidenceStore
from backend.core.ids import new_id
from backend.core.keys import KeyRing, create_key_file
from backend.core.redis_client import open_redis
from backend.demo.phone import Phone
from backend.devstack.paths import StackLocation, make_private_directory, prepare_location
from backend.devstack.postgres import Cluster, choose_programs, prepare_database, stop_cluster
from backend.devstack.services import Stack
from backend.identity.accounts.passwords import hash_password
from backend.identity.sign_in.second_factor import new_secret, seal_secret
from backend.identity.sign_in.secrets import hash_secret
from backend.identity.sign_in.tables import StaffSession
from backend.identity.tables import Account
from backend.people.tables import Student
from backend.settings import Settings
from tests.faults.services import start_postgres
from tests.support.campus import parsed_outline
from tests.support.province import SampleProvince as ProvinceWorld
from tests.support.province import (
    SampleSchool,
    SampleStudent,
    SampleUnit,
    bureau_account,
    create_sample_province,
    province_account,
    registrar_account,
)
from tests.support.roll_call.scenario import Clock, RollCallScenario

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "故障演练-口令"
CLASSES, STUDENTS = 2, 8
"""Per school."""
OFFICIALS = 3
"""Officials per authority. There are several because a lost sign-in response means waiting for the next code."""
FINGERPRINTED_FILES = (
    "migrations",
    "policies",
    "backend",
    "biometrics/engines/test_pattern.py",
    "tests/faults/template_cluster.py",
    "tests/support/province.py",
)
KEPT_TEMPLATES = 2


@dataclass(frozen=True, slots=True)
class StudentProfile:
    """A student with the private key of the phone and the number of the test face."""

    id: str
    school_id: str
    class_id: str
    name: str
    id_number: str
    phone_number: str
    person: int
    key: str


@dataclass(frozen=True, slots=True)
class StaffProfile:
    """An active staff account and its sign-in data."""

    role: str
    unit_id: str
    account_id: str
    login: str
    totp_secret: str
    refresh_token: str
    """Of an open session, because hashing passwords at each start would take too long."""
    class_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HarnessWorld:
    """The data that the clients need."""

    province_id: str
    city_id: str
    schools: tuple[str, ...]
    students: tuple[StudentProfile, ...]
    staff: tuple[StaffProfile, ...]

    def staff_with_role(self, role: str) -> tuple[StaffProfile, ...]:
        return tuple(each for each in self.staff if each.role == role)

    @classmethod
    def read(cls, path: Path) -> "HarnessWorld":
        plain = json.loads(path.read_text())
        return cls(
            plain["province_id"],
            plain["city_id"],
            tuple(plain["schools"]),
            tuple(StudentProfile(**each) for each in plain["students"]),
            tuple(StaffProfile(**each | {"class_ids": tuple(each["class_ids"])}) for each in plain["staff"]),
        )


def fingerprint(root: Path = ROOT) -> str:
    """Return a digest of all files that the template depends on, and of the day, which must be within its term."""
    found = hashlib.sha256(legal_day(now()).isoformat().encode())
    for name in FINGERPRINTED_FILES:
        start = root / name
        for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
            if path.suffix in {".py", ".yaml"}:
                found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


@contextmanager
def template(root: Path = ROOT) -> Iterator[Path]:
    """Provide the directory of the current template, created if missing and locked against replacement."""
    location = prepare_location(root, "faults")
    directory = location.data / f"template-{fingerprint(root)}"
    with FileLock(location.data / "template.lock"):
        if not (directory / "world.json").exists():
            print(
                "建立故障演练的数据库模板 · Creating the template database of the fault harness", flush=True
            )
            shutil.rmtree(directory, ignore_errors=True)
            _create_template(location, directory)
            _delete_old_templates(location.data, directory)
        os.utime(directory)
        yield directory


def _delete_old_templates(folder: Path, newest: Path) -> None:
    others = sorted(
        (each for each in folder.glob("template-*") if each != newest), key=lambda each: each.stat().st_mtime
    )
    for old in others[: -(KEPT_TEMPLATES - 1) or None]:
        shutil.rmtree(old, ignore_errors=True)


def _create_template(location: StackLocation, directory: Path) -> None:
    location_of_template = StackLocation(data=directory, sockets=location.sockets, user=location.user)
    make_private_directory(directory, location.user)
    cluster = Cluster(location_of_template, choose_programs(location_of_template), durable=True)
    start_postgres(cluster)
    try:
        prepare_database(cluster)
        stack = Stack(location_of_template.sockets, location_of_template.sockets / "none", cluster.programs)
        alembic_command.upgrade(alembic_config(stack.owner_url), "heads")
        create_key_file(directory / "keys.json")
        world = asyncio.run(_create_world(stack, directory))
    finally:
        stop_cluster(cluster)
    (directory / "world.json").write_text(json.dumps(asdict(world), ensure_ascii=False))


async def _create_world(stack: Stack, folder: Path) -> HarnessWorld:
    owner = Database.connect(stack.owner_url)
    settings = Settings(
        env="test",
        database_url=stack.app_url,
        redis_url="redis://127.0.0.1:1",
        evidence_dir=folder,
        keys_file=folder / "keys.json",
    )
    app_context = AppContext(
        settings,
        Database.connect(settings.database_url),
        open_redis(settings.redis_url),
        KeyRing.load(settings.keys_file),
        EvidenceStore.local(folder),
        now,
    )
    try:
        province_world = await create_sample_province(
            owner, app_context.keys, classes=CLASSES, students=STUDENTS
        )
        scenario = RollCallScenario(app_context, owner, province_world, Clock(now()))
        schools = (province_world.school, province_world.sister, province_world.direct)
        students: list[StudentProfile] = []
        staff: list[StaffProfile] = []
        for _ in range(OFFICIALS):
            staff += [
                await _create_official(scenario, "province", province_world.province),
                await _create_official(scenario, "bureau", province_world.city),
            ]
        for school in schools:
            await _file_site(scenario, school, province_world)
            staff += await _create_school_staff(scenario, school)
            students += [await _create_student(scenario, school, pupil) for pupil in school.students]
        await _set_phone_numbers(scenario, students)
        await _set_passwords(scenario, staff)
    finally:
        await app_context.close()
        await owner.close()
    return HarnessWorld(
        str(province_world.province.id),
        str(province_world.city.id),
        tuple(str(school.id) for school in schools),
        tuple(students),
        tuple(staff),
    )


async def _file_site(scenario: RollCallScenario, school: SampleSchool, province_world: ProvinceWorld) -> None:
    """File and approve a site that contains the position INSIDE."""
    registrar = registrar_account(school)
    superior = (
        province_account(province_world.province)
        if school is province_world.direct
        else bureau_account(province_world.city)
    )
    async with scenario.app_context.database.transaction(registrar.scope) as session:
        new = NewSite("主校区", "main", "郑州市某路1号")
        version = await file_site(session, registrar, new, Filing(parsed_outline()), scenario.clock())
    async with scenario.app_context.database.transaction(superior.scope) as session:
        await decide_filing(session, superior, version.id, FilingDecision("approved"), scenario.clock())


async def _create_student(
    scenario: RollCallScenario, school: SampleSchool, pupil: SampleStudent
) -> StudentProfile:
    student = await scenario.activate(pupil, school=school)
    account = insert(Account).values(
        id=new_id(),
        kind="student",
        org_id=school.id,
        org_path=school.path,
        school_id=school.id,
        student_id=pupil.id,
        display_name=pupil.name,
        status="active",
        created_at=scenario.clock(),
    )
    async with scenario.owner_transaction() as session:
        await session.execute(account.on_conflict_do_nothing(index_elements=[Account.student_id]))
    return StudentProfile(
        id=str(pupil.id),
        school_id=str(school.id),
        class_id=str(pupil.class_id),
        name=pupil.name,
        id_number=pupil.id_number,
        phone_number=f"139{new_id().int % 10**8:08d}",
        person=student.person,
        key=private_key_pem(student.phone),
    )


def private_key_pem(phone: Phone) -> str:
    """Return the private key of a phone in PEM format."""
    text = phone.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


async def _set_phone_numbers(scenario: RollCallScenario, students: list[StudentProfile]) -> None:
    async with scenario.owner_transaction() as session:
        for each in students:
            await session.execute(
                update(Student).where(Student.id == each.id).values(phone=each.phone_number)
            )


async def _set_passwords(scenario: RollCallScenario, staff: list[StaffProfile]) -> None:
    """Set the same password hash for all accounts, because hashing is slow by design."""
    hashed = await hash_password(scenario.app_context, PASSWORD)
    everyone = Account.id.in_([each.account_id for each in staff])
    async with scenario.owner_transaction() as session:
        await session.execute(update(Account).where(everyone).values(password_hash=hashed))


async def _create_school_staff(scenario: RollCallScenario, school: SampleSchool) -> list[StaffProfile]:
    registrar = await scenario.account("registrar", school)
    found = [await _enable_sign_in(scenario, registrar)]
    for group in school.classes:
        counselor = await scenario.account("counselor", school, group)
        found.append(await _enable_sign_in(scenario, counselor, (str(group.id),)))
    return found


async def _create_official(scenario: RollCallScenario, kind: str, unit: SampleUnit) -> StaffProfile:
    """Create an account of an authority."""
    account_id = new_id()
    async with scenario.owner_transaction() as session:
        session.add(
            Account(
                id=account_id,
                kind=kind,
                org_id=unit.id,
                org_path=unit.path,
                login=f"t{account_id.hex}",
                display_name=unit.name,
                status="active",
                password_hash="-",
                totp_sealed=b"-",
                created_at=scenario.clock(),
            )
        )
    return await _enable_sign_in(scenario, Actor(account_id, "bureau", unit.id, unit.path), role=kind)


async def _enable_sign_in(
    scenario: RollCallScenario, actor: Actor, class_ids: tuple[str, ...] = (), role: str | None = None
) -> StaffProfile:
    secret = new_secret()
    sealed = seal_secret(scenario.app_context.keys, actor.account_id, secret)
    session_id, key, at = new_id(), new_secret(), scenario.clock()
    async with scenario.owner_transaction() as session:
        await session.execute(
            update(Account).where(Account.id == actor.account_id).values(totp_sealed=sealed)
        )
        session.add(
            StaffSession(
                id=session_id,
                account_id=actor.account_id,
                refresh_hash=hash_secret(key),
                created_at=at,
                used_at=at,
                expires_at=at + timedelta(days=30),
            )
        )
    return StaffProfile(
        role=role or actor.role,
        unit_id=str(actor.org_id),
        account_id=str(actor.account_id),
        login=f"t{actor.account_id.hex}",
        totp_secret=secret,
        refresh_token=f"{session_id}.{key}",
        class_ids=class_ids,
    )


if __name__ == "__main__":
    started = time.monotonic()
    with template() as directory:
        print(directory, f"{time.monotonic() - started:.1f} s")
