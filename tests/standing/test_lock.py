"""After a sanction the record is locked, and each approval of the province unlocks one change."""

import pytest

from backend.core.ids import new_id
from backend.standing.change_requests.errors import LockedSinceFiled
from backend.standing.change_requests.policy import RequestState
from backend.standing.ledger.queries import Ledger, load_ledger
from backend.standing.store.tables import (
    AppealDecided,
    AppealFiled,
    ProvinceApproved,
    StandingEdit,
    StandingEntry,
    StudentStanding,
)
from tests.support.province import bureau_account, registrar_account
from tests.support.standing.change_requests import ChangeRequestScenario
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1c"), pytest.mark.clause("R11")]


@pytest.fixture
def changes(scenario: StandingScenario) -> ChangeRequestScenario:
    return ChangeRequestScenario(scenario)


async def load_pupil_ledger(changes: ChangeRequestScenario) -> Ledger:
    async with changes.scenario.transaction(changes.registrar) as session:
        return await load_ledger(session, changes.registrar, changes.pupil.id)


async def test_a_decided_prompt_locks_the_record(changes: ChangeRequestScenario) -> None:
    await changes.lock()
    ledger = await load_pupil_ledger(changes)
    assert ledger.locked_by == ledger.entries[0].entry.id
    [standing] = await changes.scenario.rows(StudentStanding)
    assert standing.locked_by == ledger.locked_by


async def test_a_change_of_a_locked_record_needs_the_province(changes: ChangeRequestScenario) -> None:
    await changes.lock()
    case = await changes.file("L2")
    assert case.request.locked
    assert [each.level for each in case.chain] == ["city", "province"]
    await changes.answer(case, changes.bureau)
    assert await changes.scenario.status() == ("01", "part_time")
    await changes.answer(case, changes.province)
    assert await changes.scenario.status() == ("01", "full_time")


async def test_the_change_uses_up_the_approval_of_the_province(changes: ChangeRequestScenario) -> None:
    await changes.lock()
    case = await changes.change("L2", changes.bureau, changes.province)
    [approval] = await changes.scenario.rows(ProvinceApproved)
    [edit] = await changes.scenario.rows(StandingEdit)
    assert edit.approval_id == approval.request_id == case.request.id
    assert (await changes.scenario.recompute()).lock.open_approvals == ()


async def test_one_approval_unlocks_one_change_only(changes: ChangeRequestScenario) -> None:
    await changes.lock()
    await changes.change("L2", changes.bureau, changes.province)
    again = await changes.file("11")
    assert again.request.locked
    assert [each.level for each in again.chain] == ["city", "province"]
    await changes.answer(again, changes.bureau)
    assert await changes.scenario.status() == ("01", "full_time")


async def test_a_refusal_of_the_province_changes_nothing(changes: ChangeRequestScenario) -> None:
    await changes.lock()
    case = await changes.change("L2", changes.bureau)
    refused = await changes.answer(case, changes.province, "refused", "核查未完成")
    assert refused.state is RequestState.REFUSED
    assert await changes.scenario.rows(ProvinceApproved) == []
    assert await changes.scenario.status() == ("01", "part_time")


async def test_return_from_a_suspension_is_locked_too(changes: ChangeRequestScenario) -> None:
    await changes.lock("suspension")
    assert (await changes.file("12")).request.locked


async def test_death_is_not_locked(changes: ChangeRequestScenario) -> None:
    await changes.lock()
    case = await changes.change("51", changes.bureau)
    assert not case.request.locked
    assert [each.level for each in case.chain] == ["city"]
    assert await changes.scenario.status() == ("11", "part_time")
    assert await changes.scenario.rows(ProvinceApproved) == []


@pytest.mark.usefixtures("province_approves_changes")
async def test_a_county_school_needs_county_city_and_province(changes: ChangeRequestScenario) -> None:
    school, county = await changes.county_school()
    registrar, pupil = registrar_account(school), school.students[0]
    case = await changes.file("11", pupil, registrar)
    assert [each.level for each in case.chain] == ["county", "city", "province"]
    for actor in (bureau_account(county), changes.bureau, changes.province):
        case = await changes.answer(case, actor)
    assert await changes.scenario.status(pupil) == ("02", "full_time")


async def test_a_school_directly_under_the_province_needs_only_the_province(
    changes: ChangeRequestScenario,
) -> None:
    direct = changes.scenario.roll_call_scenario.world.direct
    pupil = direct.students[0]
    case = await changes.file("11", pupil, registrar_account(direct))
    assert [each.level for each in case.chain] == ["province"]
    await changes.answer(case, changes.province)
    assert await changes.scenario.status(pupil) == ("02", "full_time")


async def test_a_request_filed_before_the_lock_can_no_longer_be_agreed(
    changes: ChangeRequestScenario,
) -> None:
    await changes.scenario.misses(2)
    await changes.scenario.recompute()
    case = await changes.file("11")
    await changes.decide("part_time")
    with pytest.raises(LockedSinceFiled):
        await changes.answer(case, changes.bureau)
    assert (await changes.withdraw(case)).state is RequestState.WITHDRAWN
    assert (await changes.file("11")).request.locked


async def uphold_appeal(changes: ChangeRequestScenario) -> None:
    """Insert an upheld appeal against the change; the package `appeal` tests its own service."""
    [entry] = await changes.scenario.rows(StandingEntry)
    common = {"school_id": entry.school_id, "student_id": entry.student_id}
    appeal_id, student, at = new_id(), new_id(), changes.scenario.at
    async with changes.scenario.roll_call_scenario.owner_transaction() as session:
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
    await changes.scenario.recompute()
    changes.scenario.pass_time(hours=1)


@pytest.mark.clause("HN334-4.2")
async def test_restoration_by_appeal_needs_no_approval_and_unlocks(changes: ChangeRequestScenario) -> None:
    await changes.lock()
    await uphold_appeal(changes)
    assert await changes.scenario.status() == ("01", "full_time")
    ledger = await load_pupil_ledger(changes)
    assert ledger.locked_by is None
    assert [view.reversed for view in ledger.entries] == [True, False]
    case = await changes.file("11")
    assert [each.level for each in case.chain] == ["city"]


@pytest.mark.clause("HN334-4.2")
async def test_a_request_filed_under_a_lock_leaves_no_approval_after_unlocking(
    changes: ChangeRequestScenario,
) -> None:
    await changes.lock()
    case = await changes.file("11")
    await uphold_appeal(changes)
    for actor in (changes.bureau, changes.province):
        case = await changes.answer(case, actor)
    assert case.state is RequestState.AGREED
    assert await changes.scenario.rows(ProvinceApproved) == []
    assert await changes.scenario.status() == ("02", "full_time")
