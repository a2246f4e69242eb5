"""Launch: authority, window, audience, and what is frozen."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.people.tables import Student
from backend.roll_call.errors import AudienceEmpty, LaunchNotPermitted, WindowInvalid, WindowsOverlap
from backend.roll_call.launch.audience import Audience, Sample
from backend.roll_call.launch.checks import LaunchRollCall
from backend.roll_call.launch.service import Launched, launch_roll_call
from backend.roll_call.tables import Obligation, RollCall, RollCallSite
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=2, students=5)


def command(school: SampleSchool, **changes: Any) -> LaunchRollCall:
    at = now() + timedelta(minutes=5)
    base = LaunchRollCall(
        kind="spot_check",
        title="学籍核验",
        opens_at=at,
        closes_at=at + timedelta(hours=1),
        audience=Audience(unit_ids=(school.id,)),
    )
    return replace(base, **changes)


async def launch(
    database: Database, actor: Actor, launch_command: LaunchRollCall, at: datetime | None = None
) -> Launched:
    async with database.transaction(actor.scope) as session:
        return await launch_roll_call(session, actor, launch_command, at or now())


async def load_obligations(database: Database, actor: Actor, launched: Launched) -> dict[str, Obligation]:
    async with database.transaction(actor.scope) as session:
        rows = await session.scalars(
            select(Obligation).where(Obligation.roll_call_id == launched.roll_call.id)
        )
        return {str(row.student_id): row for row in rows}


@pytest.mark.clause("HN334-2.1")
async def test_full_time_students_of_every_programme_owe_presence(
    database: Database, owner: Database, world: SampleProvince
) -> None:
    programmes = ("regular", "higher_institution_secondary", "five_year_secondary_stage")
    async with owner.transaction(bureau_account(world.city).scope) as session:
        for pupil, programme in zip(world.school.students, programmes, strict=False):
            row = await session.get_one(Student, pupil.id)
            row.programme = programme
    launched = await launch(database, bureau_account(world.city), command(world.school))
    rows = await load_obligations(database, bureau_account(world.city), launched)
    assert launched.owed == len(world.school.students) == len(rows)
    assert {row.programme for row in rows.values()} >= set(programmes)
    assert {row.duty for row in rows.values()} == {"owed"}


@pytest.mark.clause("HN334-2.2")
async def test_part_time_and_suspended_students_are_exempt(
    database: Database, owner: Database, world: SampleProvince
) -> None:
    part_time, suspended, *_ = world.school.students
    async with owner.transaction(bureau_account(world.city).scope) as session:
        (await session.get_one(Student, part_time.id)).study_form = "part_time"
        (await session.get_one(Student, suspended.id)).standing = "02"
    launched = await launch(database, bureau_account(world.city), command(world.school))
    rows = await load_obligations(database, bureau_account(world.city), launched)
    assert (rows[str(part_time.id)].duty, rows[str(part_time.id)].reason) == ("exempt", "part_time")
    assert (rows[str(suspended.id)].duty, rows[str(suspended.id)].reason) == ("exempt", "standing_02")
    assert (launched.owed, launched.exempt) == (len(world.school.students) - 2, 2)


@pytest.mark.clause("HN334-3.4")
@pytest.mark.parametrize("who", ["other_bureau", "bureau_over_direct", "registrar", "counselor"])
async def test_spot_check_without_authority_is_refused(
    database: Database, world: SampleProvince, who: str
) -> None:
    actor, school = {
        "other_bureau": (bureau_account(world.other_city), world.school),
        "bureau_over_direct": (bureau_account(world.city), world.direct),
        "registrar": (registrar_account(world.school), world.school),
        "counselor": (counselor_account(world.school, world.school.classes[0]), world.school),
    }[who]
    with pytest.raises(LaunchNotPermitted):
        await launch(database, actor, command(school))


@pytest.mark.clause("HN334-3.4")
async def test_province_launches_for_schools_directly_under_it(
    database: Database, world: SampleProvince
) -> None:
    launched = await launch(database, province_account(world.province), command(world.direct))
    assert launched.owed == len(world.direct.students)


async def test_unknown_unit_is_not_found(database: Database, world: SampleProvince) -> None:
    ghost = replace(command(world.school), audience=Audience(unit_ids=(world.school.classes[0].id,)))
    with pytest.raises(NotFound):
        await launch(database, bureau_account(world.city), ghost)


@pytest.mark.clause("R6")
async def test_window_below_the_legal_minimum_is_refused(database: Database, world: SampleProvince) -> None:
    spot_check = command(world.school)
    short = replace(spot_check, closes_at=spot_check.opens_at + timedelta(minutes=59))
    with pytest.raises(WindowInvalid):
        await launch(database, bureau_account(world.city), short)


@pytest.mark.clause("R3")
async def test_later_of_two_overlapping_spot_checks_is_refused(
    database: Database, world: SampleProvince
) -> None:
    spot_check = command(world.school)
    await launch(database, bureau_account(world.city), spot_check)
    with pytest.raises(WindowsOverlap) as refused:
        await launch(database, province_account(world.province), spot_check)
    assert refused.value.params == {"students": len(world.school.students)}
    later = replace(
        spot_check,
        opens_at=spot_check.closes_at + timedelta(seconds=1),
        closes_at=spot_check.closes_at + timedelta(hours=2),
    )
    await launch(database, province_account(world.province), later)


async def test_audience_without_obligations_is_refused(database: Database, world: SampleProvince) -> None:
    empty = replace(command(world.school), audience=Audience(unit_ids=(world.school.id,), grades=(1999,)))
    with pytest.raises(AudienceEmpty):
        await launch(database, bureau_account(world.city), empty)


async def test_class_grade_and_major_narrow_the_audience(database: Database, world: SampleProvince) -> None:
    klass = world.school.classes[0]
    audience = Audience(
        unit_ids=(world.school.id,), class_ids=(klass.id,), grades=(2024,), majors=("机电技术应用",)
    )
    launched = await launch(database, bureau_account(world.city), command(world.school, audience=audience))
    rows = await load_obligations(database, bureau_account(world.city), launched)
    assert set(rows) == {str(pupil.id) for pupil in klass.students}


async def test_sample_is_reproducible_from_its_recorded_seed(
    database: Database, world: SampleProvince
) -> None:
    audience = Audience(unit_ids=(world.school.id,), sample=Sample(size=3))
    launched = await launch(database, bureau_account(world.city), command(world.school, audience=audience))
    seed = launched.roll_call.seed
    assert seed
    ranked = sorted(
        (hashlib.sha256(f"{seed}{pupil.id}".encode()).digest(), str(pupil.id))
        for pupil in world.school.students
    )
    rows = await load_obligations(database, bureau_account(world.city), launched)
    assert set(rows) == {student_id for _, student_id in ranked[:3]}


async def test_sample_share_is_rounded_up(database: Database, world: SampleProvince) -> None:
    audience = Audience(unit_ids=(world.school.id,), sample=Sample(share=0.11))
    launched = await launch(database, bureau_account(world.city), command(world.school, audience=audience))
    assert launched.owed == 2


@pytest.mark.clause("HN334-3.3")
async def test_rehearsal_is_hidden_from_superiors_until_settled(
    database: Database, world: SampleProvince
) -> None:
    registrar = registrar_account(world.school)
    launched = await launch(database, registrar, command(world.school, kind="rehearsal", audience=Audience()))
    async with database.transaction(registrar.scope) as session:
        assert await session.get(RollCall, launched.roll_call.id) is not None
    async with database.transaction(bureau_account(world.city).scope) as session:
        assert await session.get(RollCall, launched.roll_call.id) is None


@pytest.mark.parametrize("table", ["roll_call", "obligation", "roll_call_site", "roll_call_class"])
async def test_frozen_rows_cannot_be_changed(database: Database, world: SampleProvince, table: str) -> None:
    launched = await launch(database, bureau_account(world.city), command(world.school))
    assert launched.owed
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.transaction(bureau_account(world.city).scope) as session:
            await session.execute(text(f"DELETE FROM {table}"))


async def test_school_without_a_filed_site_is_reported(database: Database, world: SampleProvince) -> None:
    launched = await launch(database, bureau_account(world.city), command(world.school))
    assert launched.schools_without_site == 1
    async with database.transaction(bureau_account(world.city).scope) as session:
        sites = await session.scalars(
            select(RollCallSite).where(RollCallSite.roll_call_id == launched.roll_call.id)
        )
        assert sites.all() == []


@pytest.mark.clause("R3")
async def test_one_of_two_concurrent_overlapping_launches_is_refused(
    database: Database, world: SampleProvince
) -> None:
    spot_check = command(world.school)
    answers = await asyncio.gather(
        launch(database, bureau_account(world.city), spot_check),
        launch(database, province_account(world.province), spot_check),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Launched", "WindowsOverlap"]


@pytest.mark.parametrize("wrong", ["roll_call_id", "term_code"])
async def test_obligation_of_an_unknown_roll_call_is_refused(
    database: Database, owner: Database, world: SampleProvince, wrong: str
) -> None:
    launched = await launch(database, bureau_account(world.city), command(world.school))
    async with owner.transaction(bureau_account(world.city).scope) as session:
        other_term = await session.scalar(
            text("SELECT code FROM term WHERE code <> :code").bindparams(code=launched.roll_call.term_code)
        )
        other = {"roll_call_id": str(new_id()), "term_code": other_term or "2020-autumn"}[wrong]
        columns = (
            "roll_call_id, term_code, school_id, class_id, duty, reason, standing, study_form, programme"
        )
        copied = columns.replace(wrong, f"'{other}'")
        with pytest.raises(IntegrityError):
            await session.execute(
                text(
                    f"INSERT INTO obligation (student_id, {columns}) SELECT gen_random_uuid(), {copied} FROM obligation"
                )
            )
