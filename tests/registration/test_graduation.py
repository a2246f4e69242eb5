"""Graduating students of a class: early, blocked, once, with one result a student."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.bulk import RowResult
from backend.core.clock import legal_day
from backend.core.database import Database
from backend.core.errors import DomainError
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.core.tables import AuditEntry
from backend.identity.portrait_tables import Portrait
from backend.people.tables import Student
from backend.registration.graduation.errors import BLOCKER_WORDS, GraduationTooEarly
from backend.registration.graduation.queries import GraduationSearch, load_graduation_page
from backend.registration.graduation.rules import Blocker, Result, Timing
from backend.registration.graduation.service import (
    GraduateStudent,
    graduate_students,
    load_class_graduation,
)
from backend.registration.graduation.tables import Graduation
from backend.standing.store.tables import StandingEntry
from tests.support.aid import AidScenario
from tests.support.province import SampleStudent
from tests.support.standing.scenario import create_standing_scenario

pytestmark = pytest.mark.clause("MOE19-2.3c", "HRSS28-2.4")


@pytest.fixture
async def aid(app_context: AppContext, owner: Database) -> AidScenario:
    """A scenario of its own for each test."""
    return AidScenario(await create_standing_scenario(app_context, owner))


async def add_portrait(aid: AidScenario, pupil: SampleStudent) -> None:
    portrait = Portrait(
        id=new_id(),
        school_id=pupil.school_id,
        student_id=pupil.id,
        evidence_key=f"portrait/{new_id()}",
        sha256=b"0" * 32,
        status="accepted",
        score=None,
        reasons=[],
        submitted_at=aid.standing_scenario.at,
        decided_at=aid.standing_scenario.at,
    )
    async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
        session.add(portrait)


async def graduate(
    aid: AidScenario, *pupils: SampleStudent, days_left: int = 7, **changes: Any
) -> list[RowResult]:
    scenario = aid.standing_scenario
    leaving_on = legal_day(scenario.at) + timedelta(days=days_left)
    asked = [
        GraduateStudent(each.id, Result.GRADUATED, f"4101{number:08}") for number, each in enumerate(pupils)
    ]
    async with scenario.separate_transaction(scenario.registrar) as session:
        return await graduate_students(
            session,
            scenario.registrar,
            changes.get("class_id", pupils[0].class_id),
            leaving_on,
            asked,
            scenario.at,
        )


def reasons(result: RowResult) -> str:
    assert isinstance(result.error, DomainError)
    return result.error.sentence("zh")


async def test_ready_students_graduate_once_and_the_others_stay(aid: AidScenario) -> None:
    scenario = aid.standing_scenario
    ready, other = scenario.school.classes[0].students[:2]
    await add_portrait(aid, ready)
    done, blocked = await graduate(aid, ready, other)
    assert (done.changed, done.error) == (True, None)
    assert BLOCKER_WORDS[Blocker.NO_PHOTOGRAPH].zh in reasons(blocked)
    again, _ = await graduate(aid, ready, other)
    assert (again.changed, again.error) == (False, None)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        assert (await session.get_one(Student, ready.id)).standing == "07"
        assert (await session.get_one(Student, other.id)).standing == "01"
        graduation = await session.get_one(Graduation, ready.id)
        assert (graduation.certificate_number, graduation.is_late) == ("410100000000", False)
        entry = (
            await session.scalars(select(StandingEntry).where(StandingEntry.student_id == ready.id))
        ).one()
        assert entry.outcome == "graduation"
        acts = select(AuditEntry.action).where(AuditEntry.subject_id == str(ready.id))
        assert "student.graduated" in (await session.scalars(acts)).all()
    async with scenario.separate_transaction(scenario.registrar) as session:
        page = await load_graduation_page(session, scenario.registrar, GraduationSearch(), PageRequest(50))
    assert ready.id in {row.graduation.student_id for row in page.rows}


async def test_undecided_and_unpaid_aid_blocks_by_name(aid: AidScenario) -> None:
    pupil = aid.pupil
    await add_portrait(aid, pupil)
    application = await aid.apply()
    (undecided,) = await graduate(aid, pupil)
    assert BLOCKER_WORDS[Blocker.AID_UNDECIDED].zh in reasons(undecided)
    await aid.decide(application.id)
    (unpaid,) = await graduate(aid, pupil)
    assert BLOCKER_WORDS[Blocker.AID_UNPAID].zh in reasons(unpaid)

    scenario = aid.standing_scenario
    async with scenario.separate_transaction(scenario.registrar) as session:
        found = await load_class_graduation(
            session, scenario.registrar, pupil.class_id, legal_day(scenario.at), scenario.at
        )
    (candidate,) = [each for each in found.candidates if each.student_id == pupil.id]
    assert (found.timing, candidate.blockers) == (Timing.IN_TIME, (Blocker.AID_UNPAID,))
    for instalment in await aid.load_instalments(application.id):
        if instalment.month in candidate.unpaid_months:
            await aid.pay(aid.payment_line(instalment.month, instalment.fen))
    (done,) = await graduate(aid, pupil)
    assert (done.changed, done.error) == (True, None)


async def test_too_early_is_refused_and_too_late_is_marked(aid: AidScenario) -> None:
    pupil = aid.pupil
    await add_portrait(aid, pupil)
    with pytest.raises(GraduationTooEarly) as refused:
        await graduate(aid, pupil, days_left=60)
    assert str(legal_day(aid.standing_scenario.at).year) in refused.value.sentence("zh")
    (done,) = await graduate(aid, pupil, days_left=-1)
    assert done.error is None
    async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
        assert (await session.get_one(Graduation, pupil.id)).is_late


async def test_a_certificate_number_belongs_to_one_student(aid: AidScenario) -> None:
    first, second = aid.standing_scenario.school.classes[0].students[:2]
    for pupil in (first, second):
        await add_portrait(aid, pupil)
    (done,) = await graduate(aid, first)
    (refused,) = await graduate(aid, second)
    assert done.error is None
    assert isinstance(refused.error, DomainError)
    assert refused.error.code == "certificate_number_taken"


async def test_an_open_prompt_blocks(aid: AidScenario) -> None:
    await add_portrait(aid, aid.pupil)
    await aid.deliver_prompt()
    (blocked,) = await graduate(aid, aid.pupil)
    assert BLOCKER_WORDS[Blocker.OPEN_PROMPT].zh in reasons(blocked)
