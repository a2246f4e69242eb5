"""Notices of standing: recipients, once each, with instructions and no personal data."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.core.ids import new_id
from backend.core.outbox import emit
from backend.notice.tables import Notice, NoticeDelivery
from backend.people.tables import Student
from backend.roll_call.voiding import void_roll_call
from backend.standing.engine.prompts import PromptState
from backend.standing.events import StudentWarned
from backend.standing.notifications import texts
from backend.standing.notifications.prompts import CLOSED_WITHOUT_EFFECT
from backend.standing.prompts.decisions import AnswerDismissal, DecidePrompt, answer_dismissal, decide_prompt
from backend.standing.store import tables
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import LockedStudent
from backend.standing.store.save import note_difference
from tests.support.standing.notices import create_superior_account, load_notices
from tests.support.standing.prompts import confirm_receipt, load_prompt_id, raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


@dataclass(frozen=True, slots=True)
class Staff:
    """Accounts of the pupil's counselor, registrar and superior. `strangers` must receive no notices."""

    counselor: UUID
    registrar: UUID
    superior: UUID
    strangers: frozenset[UUID]


@pytest.fixture
async def staff(scenario: StandingScenario) -> Staff:
    roll_call_scenario = scenario.roll_call_scenario
    colleague = await roll_call_scenario.account("counselor", scenario.school, scenario.school.classes[1])
    elsewhere = await roll_call_scenario.account("registrar", roll_call_scenario.world.sister)
    other_city = await create_superior_account(scenario, roll_call_scenario.world.other_city)
    above = await create_superior_account(scenario, roll_call_scenario.world.province)
    counselor = await roll_call_scenario.account("counselor", scenario.school, scenario.school.classes[0])
    registrar = await roll_call_scenario.account("registrar", scenario.school)
    return Staff(
        counselor.account_id,
        registrar.account_id,
        await create_superior_account(scenario),
        frozenset({colleague.account_id, elsewhere.account_id, other_city, above}),
    )


async def load_notice_recipients(
    scenario: StandingScenario, staff: Staff, about: object
) -> list[tuple[str, UUID | None]]:
    """Kind and recipient of every notice to this staff or the pupil. Authorities also have accounts of other tests."""
    known = {staff.counselor, staff.registrar, staff.superior, scenario.pupil.id, *staff.strangers}
    return sorted((kind, who) for kind, who, _ in await load_notices(scenario, about) if who in known)


async def decide_as_registrar(
    scenario: StandingScenario, prompt_id: UUID, outcome: str, found_reason: str | None = None
) -> UUID:
    async with scenario.transaction(scenario.registrar) as session:
        command = DecidePrompt(prompt_id, outcome, found_reason=found_reason, found_text="住院")
        return (await decide_prompt(session, scenario.registrar, command, scenario.at)).id


async def answer_as_superior(scenario: StandingScenario, decision_id: UUID, *, accepted: bool) -> None:
    async with scenario.transaction(scenario.bureau) as session:
        command = AnswerDismissal(decision_id, accepted, "已核对")
        await answer_dismissal(session, scenario.bureau, command, scenario.at)


async def load_warning_ids(scenario: StandingScenario, code: str) -> list[UUID]:
    return [row.id for row in await scenario.rows(tables.StandingWarningRecord) if row.code == code]


# --- prompts ---


async def test_a_prompt_notifies_school_student_and_superior_once(
    scenario: StandingScenario, staff: Staff
) -> None:
    prompt_id = await raise_prompt(scenario)
    await scenario.run_events("PromptRaised")
    await scenario.run_events("PromptRaised")
    assert await load_notice_recipients(scenario, staff, prompt_id) == [
        ("prompt_raised", staff.registrar),
        ("prompt_raised_counselor", staff.counselor),
        ("prompt_raised_student", scenario.pupil.id),
        ("prompt_raised_superior", staff.superior),
    ]


@pytest.mark.clause("R7")
async def test_only_the_registrars_notice_delivers_the_prompt(
    scenario: StandingScenario, staff: Staff
) -> None:
    prompt_id = await raise_prompt(scenario)
    await scenario.run_events("PromptRaised")
    by_kind = {kind: message for kind, _, message in await load_notices(scenario, prompt_id)}
    assert [kind for kind, message in by_kind.items() if message.group_id == prompt_id] == ["prompt_raised"]
    assert "5 个工作日内" in by_kind["prompt_raised"].body_zh
    assert "学习形式变更为非全日制" in by_kind["prompt_raised"].body_zh


async def test_the_student_is_notified_of_a_prompt_by_sms_too(
    scenario: StandingScenario, staff: Staff
) -> None:
    async with scenario.roll_call_scenario.owner_transaction() as session:
        mine = update(Student).where(Student.id == scenario.pupil.id)
        await session.execute(mine.values(phone="13900000001"))
    prompt_id = await raise_prompt(scenario)
    await scenario.run_events("PromptRaised")
    [message] = [
        each for kind, _, each in await load_notices(scenario, prompt_id) if kind == "prompt_raised_student"
    ]
    async with scenario.roll_call_scenario.owner_transaction() as session:
        channels = await session.scalars(
            select(NoticeDelivery.channel)
            .join(Notice, Notice.id == NoticeDelivery.notice_id)
            .where(Notice.message_id == message.id)
        )
        assert sorted(channels) == ["in_app", "sms"]
    assert (message.sms_template, message.sms_params) == ("standing", {"title": "请说明情况"})


async def test_notices_contain_no_names(scenario: StandingScenario, staff: Staff) -> None:
    prompt_id = await raise_prompt(scenario)
    await scenario.run_events("PromptRaised")
    for _, _, message in await load_notices(scenario, prompt_id):
        assert scenario.pupil.name not in message.body_zh + message.title_zh
        assert message.data == {"prompt_id": str(prompt_id)}


async def test_a_receipt_changes_the_state_without_a_notice(scenario: StandingScenario, staff: Staff) -> None:
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    await scenario.run_events("PromptMoved")
    assert await load_notice_recipients(scenario, staff, prompt_id) == []


@pytest.mark.clause("R12")
async def test_an_execution_notifies_the_superior_and_the_school(
    scenario: StandingScenario, staff: Staff
) -> None:
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await scenario.recompute()
    await scenario.run_events("PromptMoved", "StandingChanged")
    assert await load_notice_recipients(scenario, staff, prompt_id) == [
        ("prompt_executed_superior", staff.superior)
    ]
    [entry] = await scenario.rows(tables.StandingEntry)
    assert await load_notice_recipients(scenario, staff, entry.id) == sorted(
        [
            ("standing_changed", scenario.pupil.id),
            ("standing_changed_staff", staff.counselor),
            ("standing_changed_staff", staff.registrar),
        ]
    )


async def test_the_notice_says_what_changed_why_and_how_to_appeal(
    scenario: StandingScenario, staff: Staff
) -> None:
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    await decide_as_registrar(scenario, prompt_id, "part_time")
    await scenario.run_events("StandingChanged")
    [entry] = await scenario.rows(tables.StandingEntry)
    [text] = [
        message.body_zh
        for kind, _, message in await load_notices(scenario, entry.id)
        if kind == "standing_changed"
    ]
    for phrase in ("学习形式变更为非全日制", "未按时核验", "核实后决定", "申诉"):
        assert phrase in text


async def test_a_blocked_prompt_notifies_registrar_and_superior(
    scenario: StandingScenario, staff: Staff
) -> None:
    for _ in range(2):
        await scenario.check(announced=False)
        scenario.set_clock(days=1)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await scenario.recompute()
    await scenario.run_events("PromptMoved")
    assert await load_notice_recipients(scenario, staff, prompt_id) == [
        ("prompt_blocked", staff.registrar),
        ("prompt_blocked_superior", staff.superior),
    ]


async def test_a_dismissal_and_its_acceptance_send_notices(scenario: StandingScenario, staff: Staff) -> None:
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    decision_id = await decide_as_registrar(scenario, prompt_id, "dismiss", "illness")
    await scenario.run_events("PromptMoved")
    assert await load_notice_recipients(scenario, staff, prompt_id) == [
        ("prompt_dismissal_pending_superior", staff.superior)
    ]
    await answer_as_superior(scenario, decision_id, accepted=True)
    await scenario.run_events("PromptMoved")
    closed = [
        each
        for each in await load_notice_recipients(scenario, staff, prompt_id)
        if each[0].startswith("prompt_dismissed")
    ]
    assert closed == sorted(
        [
            ("prompt_dismissed", staff.counselor),
            ("prompt_dismissed", staff.registrar),
            ("prompt_dismissed_student", scenario.pupil.id),
        ]
    )


async def test_a_refused_dismissal_notifies_the_registrar(scenario: StandingScenario, staff: Staff) -> None:
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    decision_id = await decide_as_registrar(scenario, prompt_id, "dismiss", "illness")
    await answer_as_superior(scenario, decision_id, accepted=False)
    await scenario.run_events("PromptMoved")
    assert ("dismissal_refused", staff.registrar) in await load_notice_recipients(scenario, staff, prompt_id)


async def test_a_withdrawn_prompt_notifies_student_and_school(
    scenario: StandingScenario, staff: Staff
) -> None:
    missed = await scenario.misses(2)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    async with scenario.transaction(scenario.bureau) as session:
        await void_roll_call(session, scenario.bureau, missed[0].id, "误操作", scenario.at)
    await scenario.recompute()
    await scenario.run_events("PromptMoved")
    assert await load_notice_recipients(scenario, staff, prompt_id) == sorted(
        [
            ("prompt_withdrawn", staff.counselor),
            ("prompt_withdrawn", staff.registrar),
            ("prompt_withdrawn_student", scenario.pupil.id),
        ]
    )


# --- warnings and differences ---


async def test_a_warning_notifies_the_student_and_the_counselor(
    scenario: StandingScenario, staff: Staff
) -> None:
    await scenario.misses(1)
    await scenario.recompute()
    await scenario.run_events("StudentWarned")
    [warning_id] = await load_warning_ids(scenario, "one_more_miss")
    assert await load_notice_recipients(scenario, staff, warning_id) == [
        ("student_warned", scenario.pupil.id),
        ("student_warned_counselor", staff.counselor),
    ]


async def test_a_replay_difference_notifies_only_the_superior(
    scenario: StandingScenario, staff: Staff
) -> None:
    async with scenario.as_worker() as session:
        found = await load_student_refs(session, [scenario.pupil.id])
        locked = LockedStudent(found[scenario.pupil.id], scenario.at)
        await note_difference(session, locked, [{"kind": "entry_without_basis", "id": "-"}], "replay")
    await scenario.run_events("ReplayDifferenceFound")
    [difference] = await scenario.rows(tables.ReplayDifference)
    assert await load_notice_recipients(scenario, staff, difference.id) == [
        ("record_differs", staff.superior)
    ]


async def test_a_change_without_basis_notifies_everyone_concerned(
    scenario: StandingScenario, staff: Staff
) -> None:
    warning_id = new_id()
    owner_columns = {"school_id": scenario.school.id, "student_id": scenario.pupil.id}
    async with scenario.as_worker() as session:
        row: dict[str, Any] = {
            "code": "change_without_basis",
            "term_code": "-",
            "facts": [],
            "proposed": None,
        }
        session.add(tables.StandingWarningRecord(id=warning_id, **owner_columns, **row, at=scenario.at))
        event = StudentWarned(**owner_columns, path=scenario.school.path, warning_id=warning_id)
        await emit(session, event, scenario.at)
    await scenario.run_events("StudentWarned")
    assert await load_notice_recipients(scenario, staff, warning_id) == sorted(
        [
            ("change_without_basis", staff.counselor),
            ("change_without_basis", staff.registrar),
            ("change_without_basis_student", scenario.pupil.id),
            ("change_without_basis_superior", staff.superior),
        ]
    )


def test_every_state_closed_without_effect_has_notice_texts() -> None:
    assert set(texts.CLOSED_TO_STUDENT) == set(texts.CLOSED_TO_STAFF) == CLOSED_WITHOUT_EFFECT
    assert PromptState.DECIDED not in texts.TO_SUPERIOR
