"""After a sanction the record is locked, and each approval of the province unlocks one change."""

import pytest
from sqlalchemy import update

from backend.core.ids import new_id
from backend.people.tables import Student
from backend.standing.change_requests.errors import LockedSinceFiled
from backend.standing.change_requests.policy import RequestState
from backend.standing.ledger.queries import Ledger, ledger_of
from backend.standing.store.tables import (
    AppealDecided,
    AppealFiled,
    ProvinceApproved,
    StandingEdit,
    StandingEntry,
    StudentStanding,
)
from tests.support.province import bureau_account, registrar_account
from tests.support.standing.change_requests import ChangeDesk
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1c"), pytest.mark.clause("R11")]


@pytest.fixture
def desk(scenario: StandingScenario) -> ChangeDesk:
    return ChangeDesk(scenario)


async def load_ledger(desk: ChangeDesk) -> Ledger:
    async with desk.scenario.transaction(desk.registrar) as session:
        return await ledger_of(session, desk.registrar, desk.pupil.id)


async def test_a_decided_prompt_locks_the_record(desk: ChangeDesk) -> None:
    await desk.lock()
    ledger = await load_ledger(desk)
    assert ledger.locked_by == ledger.entries[0].entry.id
    [standing] = await desk.scenario.rows(StudentStanding)
    assert standing.locked_by == ledger.locked_by


async def test_a_change_of_a_locked_record_needs_the_province(desk: ChangeDesk) -> None:
    await desk.lock()
    case = await desk.file("L2")
    assert case.request.locked
    assert [each.level for each in case.chain] == ["city", "province"]
    await desk.answer(case, desk.bureau)
    assert await desk.scenario.status() == ("01", "part_time")
    await desk.answer(case, desk.province)
    assert await desk.scenario.status() == ("01", "full_time")


async def test_the_change_uses_up_the_approval_of_the_province(desk: ChangeDesk) -> None:
    await desk.lock()
    case = await desk.change("L2", desk.bureau, desk.province)
    [approval] = await desk.scenario.rows(ProvinceApproved)
    [edit] = await desk.scenario.rows(StandingEdit)
    assert edit.approval_id == approval.request_id == case.request.id
    assert (await desk.scenario.recompute()).lock.open_approvals == ()


async def test_one_approval_unlocks_one_change_only(desk: ChangeDesk) -> None:
    await desk.lock()
    await desk.change("L2", desk.bureau, desk.province)
    again = await desk.file("11")
    assert again.request.locked
    assert [each.level for each in again.chain] == ["city", "province"]
    await desk.answer(again, desk.bureau)
    assert await desk.scenario.status() == ("01", "full_time")


async def test_a_refusal_of_the_province_changes_nothing(desk: ChangeDesk) -> None:
    await desk.lock()
    case = await desk.change("L2", desk.bureau)
    refused = await desk.answer(case, desk.province, "refused", "核查未完成")
    assert refused.state is RequestState.REFUSED
    assert await desk.scenario.rows(ProvinceApproved) == []
    assert await desk.scenario.status() == ("01", "part_time")


async def test_return_from_a_suspension_is_locked_too(desk: ChangeDesk) -> None:
    await desk.lock("suspension")
    assert (await desk.file("12")).request.locked


async def test_death_is_not_locked(desk: ChangeDesk) -> None:
    await desk.lock()
    case = await desk.change("51", desk.bureau)
    assert not case.request.locked
    assert [each.level for each in case.chain] == ["city"]
    assert await desk.scenario.status() == ("11", "part_time")
    assert await desk.scenario.rows(ProvinceApproved) == []


async def test_a_county_school_needs_county_city_and_province(desk: ChangeDesk) -> None:
    school, county = await desk.county_school()
    registrar, pupil = registrar_account(school), school.students[0]
    async with desk.scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(update(Student).where(Student.id == pupil.id).values(programme="five_year"))
    case = await desk.file("11", pupil, registrar)
    assert [each.level for each in case.chain] == ["county", "city", "province"]
    for actor in (bureau_account(county), desk.bureau, desk.province):
        case = await desk.answer(case, actor)
    assert await desk.scenario.status(pupil) == ("02", "full_time")


async def test_a_school_directly_under_the_province_needs_only_the_province(desk: ChangeDesk) -> None:
    direct = desk.scenario.roll_call_scenario.world.direct
    pupil = direct.students[0]
    case = await desk.file("11", pupil, registrar_account(direct))
    assert [each.level for each in case.chain] == ["province"]
    await desk.answer(case, desk.province)
    assert await desk.scenario.status(pupil) == ("02", "full_time")


async def test_a_request_filed_before_the_lock_can_no_longer_be_agreed(desk: ChangeDesk) -> None:
    await desk.scenario.misses(2)
    await desk.scenario.recompute()
    case = await desk.file("11")
    await desk.decide("part_time")
    with pytest.raises(LockedSinceFiled):
        await desk.answer(case, desk.bureau)
    assert (await desk.withdraw(case)).state is RequestState.WITHDRAWN
    assert (await desk.file("11")).request.locked


async def uphold_appeal(desk: ChangeDesk) -> None:
    """Insert an upheld appeal against the change; the package `appeal` tests its own service."""
    [entry] = await desk.scenario.rows(StandingEntry)
    common = {"school_id": entry.school_id, "student_id": entry.student_id}
    appeal_id, student, at = new_id(), new_id(), desk.scenario.at
    async with desk.scenario.roll_call_scenario.owner_transaction() as session:
        session.add(
            AppealFiled(
                id=appeal_id,
                **common,
                appellant="student",
                target="change",
                target_id=str(entry.id),
                previous=None,
                filed_by=student,
                filed_at=at,
            )
        )
        await session.flush()
        session.add(
            AppealDecided(
                appeal_id=appeal_id,
                **common,
                upheld=True,
                finding="excused",
                reasons="情况属实",
                filed_by=student,
                decided_by=new_id(),
                at=at,
            )
        )
    await desk.scenario.recompute()
    desk.scenario.pass_time(hours=1)


@pytest.mark.clause("HN334-4.2")
async def test_restoration_by_appeal_needs_no_approval_and_unlocks(desk: ChangeDesk) -> None:
    await desk.lock()
    await uphold_appeal(desk)
    assert await desk.scenario.status() == ("01", "full_time")
    ledger = await load_ledger(desk)
    assert ledger.locked_by is None
    assert [view.reversed for view in ledger.entries] == [True, False]
    case = await desk.file("11")
    assert [each.level for each in case.chain] == ["city"]


@pytest.mark.clause("HN334-4.2")
async def test_a_request_filed_under_a_lock_leaves_no_approval_after_unlocking(
    desk: ChangeDesk,
) -> None:
    await desk.lock()
    case = await desk.file("11")
    await uphold_appeal(desk)
    for actor in (desk.bureau, desk.province):
        case = await desk.answer(case, actor)
    assert case.state is RequestState.AGREED
    assert await desk.scenario.rows(ProvinceApproved) == []
    assert await desk.scenario.status() == ("02", "full_time")
