"""The world that the harness plays in, planted once into a template of a whole cluster and copied for each run.

Three schools with filed sites, students whose phones are bound and whose faces are enrolled, staff who can sign in. What
the clients must know of it lies beside the cluster in `world.json`.
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

from backend.campus.service import Decision, Filing, NewSite, decide_filing, file_site
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
from backend.identity.sign_in.staff_sign_in import digest
from backend.identity.tables import Account, StaffSession
from backend.people.tables import Student
from backend.settings import Settings
from tests.faults.services import start_postgres
from tests.support.campus import drawn
from tests.support.province import (
    Pupil,
    School,
    Unit,
    bureau_account,
    plant,
    province_account,
    registrar_account,
)
from tests.support.province import World as PlantedWorld
from tests.support.roll_call.scenario import Clock, Stage

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "故障演练-口令"
CLASSES, STUDENTS = 2, 8
"""Of each of the three schools."""
OFFICIALS = 3
"""Of the city and of the province: whose sign-in was lost to a fault must wait for the next code."""
MADE_FROM = (
    "migrations",
    "policies",
    "backend",
    "biometrics/engines/test_pattern.py",
    "tests/faults/template_cluster.py",
    "tests/support/province.py",
)
KEPT_TEMPLATES = 2


@dataclass(frozen=True, slots=True)
class PlantedStudent:
    """A student, the phone's private key, and the pattern that is the face."""

    id: str
    school_id: str
    class_id: str
    name: str
    id_number: str
    phone_number: str
    person: int
    key: str


@dataclass(frozen=True, slots=True)
class PlantedStaff:
    """A staff account that is active, and how it signs in."""

    role: str
    unit_id: str
    account_id: str
    login: str
    totp_secret: str
    refresh_token: str
    """Of a session that is open already: hashing passwords at every start would take longer than all else."""
    class_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """What the clients know."""

    province_id: str
    city_id: str
    schools: tuple[str, ...]
    students: tuple[PlantedStudent, ...]
    staff: tuple[PlantedStaff, ...]

    def of_role(self, role: str) -> tuple[PlantedStaff, ...]:
        return tuple(each for each in self.staff if each.role == role)

    @classmethod
    def read(cls, path: Path) -> "World":
        plain = json.loads(path.read_text())
        return cls(
            plain["province_id"],
            plain["city_id"],
            tuple(plain["schools"]),
            tuple(PlantedStudent(**each) for each in plain["students"]),
            tuple(PlantedStaff(**each | {"class_ids": tuple(each["class_ids"])}) for each in plain["staff"]),
        )


def fingerprint(root: Path = ROOT) -> str:
    """Of all that the template is made from, and of the day: its term must be this day's."""
    found = hashlib.sha256(legal_day(now()).isoformat().encode())
    for name in MADE_FROM:
        start = root / name
        for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
            if path.suffix in {".py", ".yaml"}:
                found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


@contextmanager
def template(root: Path = ROOT) -> Iterator[Path]:
    """The directory of today's template, made if it is missing; nobody replaces it meanwhile."""
    location = prepare_location(root, "faults")
    wanted = location.data / f"template-{fingerprint(root)}"
    with FileLock(location.data / "template.lock"):
        if not (wanted / "world.json").exists():
            print("建立故障演练的数据库模板 · Making the template of the fault harness", flush=True)
            shutil.rmtree(wanted, ignore_errors=True)
            _make(location, wanted)
            _forget_old(location.data, wanted)
        os.utime(wanted)
        yield wanted


def _forget_old(folder: Path, newest: Path) -> None:
    others = sorted(
        (each for each in folder.glob("template-*") if each != newest), key=lambda each: each.stat().st_mtime
    )
    for old in others[: -(KEPT_TEMPLATES - 1) or None]:
        shutil.rmtree(old, ignore_errors=True)


def _make(location: StackLocation, wanted: Path) -> None:
    own = StackLocation(data=wanted, sockets=location.sockets, user=location.user)
    make_private_directory(wanted, location.user)
    cluster = Cluster(own, choose_programs(own), durable=True)
    start_postgres(cluster)
    try:
        prepare_database(cluster)
        stack = Stack(own.sockets, own.sockets / "none", cluster.programs)
        alembic_command.upgrade(alembic_config(stack.owner_url), "heads")
        create_key_file(wanted / "keys.json")
        world = asyncio.run(_plant(stack, wanted))
    finally:
        stop_cluster(cluster)
    (wanted / "world.json").write_text(json.dumps(asdict(world), ensure_ascii=False))


async def _plant(stack: Stack, folder: Path) -> World:
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
        planted = await plant(owner, app_context.keys, classes=CLASSES, students=STUDENTS)
        stage = Stage(app_context, owner, planted, Clock(now()))
        schools = (planted.school, planted.sister, planted.direct)
        students: list[PlantedStudent] = []
        staff: list[PlantedStaff] = []
        for _ in range(OFFICIALS):
            staff += [
                await _official(stage, "province", planted.province),
                await _official(stage, "bureau", planted.city),
            ]
        for school in schools:
            await _file_site(stage, school, planted)
            staff += await _school_staff(stage, school)
            students += [await _student(stage, school, pupil) for pupil in school.students]
        await _give_numbers(stage, students)
        await _give_passwords(stage, staff)
    finally:
        await app_context.close()
        await owner.close()
    return World(
        str(planted.province.id),
        str(planted.city.id),
        tuple(str(school.id) for school in schools),
        tuple(students),
        tuple(staff),
    )


async def _file_site(stage: Stage, school: School, planted: PlantedWorld) -> None:
    """An approved site around INSIDE."""
    registrar = registrar_account(school)
    superior = (
        province_account(planted.province) if school is planted.direct else bureau_account(planted.city)
    )
    async with stage.app_context.database.transaction(registrar.scope) as session:
        new = NewSite("主校区", "main", "郑州市某路1号")
        version = await file_site(session, registrar, new, Filing(drawn()), stage.clock())
    async with stage.app_context.database.transaction(superior.scope) as session:
        await decide_filing(session, superior, version.id, Decision("approved"), stage.clock())


async def _student(stage: Stage, school: School, pupil: Pupil) -> PlantedStudent:
    candidate = await stage.activate(pupil, school=school)
    account = insert(Account).values(
        id=new_id(),
        kind="student",
        org_id=school.id,
        org_path=school.path,
        school_id=school.id,
        student_id=pupil.id,
        display_name=pupil.name,
        status="active",
        failed_attempts=0,
        created_at=stage.clock(),
    )
    async with stage.arrange() as session:
        await session.execute(account.on_conflict_do_nothing(index_elements=[Account.student_id]))
    return PlantedStudent(
        id=str(pupil.id),
        school_id=str(school.id),
        class_id=str(pupil.class_id),
        name=pupil.name,
        id_number=pupil.id_number,
        phone_number=f"139{new_id().int % 10**8:08d}",
        person=candidate.person,
        key=private_text(candidate.phone),
    )


def private_text(phone: Phone) -> str:
    """The private key of a phone, as a file would hold it."""
    text = phone.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


async def _give_numbers(stage: Stage, students: list[PlantedStudent]) -> None:
    async with stage.arrange() as session:
        for each in students:
            await session.execute(
                update(Student).where(Student.id == each.id).values(phone=each.phone_number)
            )


async def _give_passwords(stage: Stage, staff: list[PlantedStaff]) -> None:
    """One hash for all: it is made to take long."""
    hashed = await hash_password(stage.app_context, PASSWORD)
    everyone = Account.id.in_([each.account_id for each in staff])
    async with stage.arrange() as session:
        await session.execute(update(Account).where(everyone).values(password_hash=hashed))


async def _school_staff(stage: Stage, school: School) -> list[PlantedStaff]:
    registrar = await stage.account("registrar", school)
    found = [await _can_sign_in(stage, registrar)]
    for group in school.classes:
        counselor = await stage.account("counselor", school, group)
        found.append(await _can_sign_in(stage, counselor, (str(group.id),)))
    return found


async def _official(stage: Stage, kind: str, unit: Unit) -> PlantedStaff:
    """An account of an authority."""
    account_id = new_id()
    async with stage.arrange() as session:
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
                failed_attempts=0,
                created_at=stage.clock(),
            )
        )
    return await _can_sign_in(stage, Actor(account_id, "bureau", unit.id, unit.path), role=kind)


async def _can_sign_in(
    stage: Stage, actor: Actor, class_ids: tuple[str, ...] = (), role: str | None = None
) -> PlantedStaff:
    secret = new_secret()
    sealed = seal_secret(stage.app_context.keys, actor.account_id, secret)
    session_id, key, at = new_id(), new_secret(), stage.clock()
    async with stage.arrange() as session:
        await session.execute(
            update(Account).where(Account.id == actor.account_id).values(totp_sealed=sealed)
        )
        session.add(
            StaffSession(
                id=session_id,
                account_id=actor.account_id,
                refresh_hash=digest(key),
                created_at=at,
                expires_at=at + timedelta(days=30),
            )
        )
    return PlantedStaff(
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
    with template() as made:
        print(made, f"{time.monotonic() - started:.1f} s")
