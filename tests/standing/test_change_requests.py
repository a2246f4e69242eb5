"""Change requests: filing, opinions level by level, the change itself, and the ledger."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import PageRequest
from backend.core.tables import AuditEntry
from backend.people.tables import Student
from backend.standing.change_requests.errors import (
    ChangeClosed,
    ChangeKindUnknown,
    ChangeOpen,
    ChangeOpinionMissing,
    ChangeUnfit,
    NothingChanges,
    NotYourTurn,
    OwnRequest,
)
from backend.standing.change_requests.policy import RequestState
from backend.standing.change_requests.queries import (
    ChangeRequestSearch,
    ChangeRequestView,
    load_change_kinds,
    load_requests_page,
)
from backend.standing.store.tables import ChangeRequest, ChangeRequestStep, StandingEntry
from tests.support.province import bureau_account, registrar_account
from tests.support.standing.change_requests import ChangeRequestScenario
from tests.support.standing.notices import create_superior_account, load_notices
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("MOE19-2.3b")


@pytest.fixture
def changes(scenario: StandingScenario) -> ChangeRequestScenario:
    return ChangeRequestScenario(scenario)


# --- filing ---


async def test_a_filed_change_waits_for_the_superior_and_has_no_effect_yet(
    changes: ChangeRequestScenario,
) -> None:
    view = await changes.file("11")
    assert view.state is RequestState.OPEN
    assert [(each.level, each.org_id) for each in view.chain] == [("city", changes.bureau.org_id)]
    assert await changes.scenario.status() == ("01", "full_time")


@pytest.mark.clause("SD13-4")
async def test_suspension_in_a_five_year_programme_ends_with_the_direct_superior_in_henan(
    changes: ChangeRequestScenario,
) -> None:
    await changes.enrol_in("five_year")
    view = await changes.change("11", changes.bureau)
    assert [each.level for each in view.chain] == ["city"]
    assert await changes.scenario.status() == ("02", "full_time")


@pytest.mark.clause("SD13-4")
async def test_five_year_withdrawal_ends_with_the_direct_superior(changes: ChangeRequestScenario) -> None:
    await changes.enrol_in("five_year")
    await changes.change("31", changes.bureau)
    assert await changes.scenario.status() == ("03", "full_time")


@pytest.mark.parametrize("kind", ["counselor", "bureau", "province", "student"])
async def test_only_a_registrar_of_the_school_files_requests(
    changes: ChangeRequestScenario, kind: str
) -> None:
    scenario = changes.scenario
    people = {
        "counselor": scenario.counselor,
        "bureau": changes.bureau,
        "province": changes.province,
        "student": scenario.student(),
    }
    with pytest.raises(NotPermitted):
        await changes.file("11", actor=people[kind])


async def test_a_registrar_of_another_school_cannot_find_the_student(changes: ChangeRequestScenario) -> None:
    with pytest.raises(NotFound):
        await changes.file("11", actor=registrar_account(changes.scenario.roll_call_scenario.world.sister))


@pytest.mark.parametrize(
    ("kind", "error"), [("12", ChangeUnfit), ("L2", NothingChanges), ("88", ChangeKindUnknown)]
)
async def test_a_kind_that_does_not_apply_to_the_status_is_refused(
    changes: ChangeRequestScenario, kind: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await changes.file(kind)
    assert await changes.scenario.rows(ChangeRequest) == []


async def test_listed_kinds_apply_to_the_statuses_that_they_name(changes: ChangeRequestScenario) -> None:
    registrar = changes.scenario.registrar
    async with changes.scenario.app_context.database.transaction(registrar.scope) as session:
        kinds = await load_change_kinds(session, registrar, changes.scenario.roll_call_scenario.clock())
    assert {"11", "L1"} < {each.code for each in kinds}
    for each in kinds:
        if "01" in each.from_standings or not each.from_standings:
            continue
        with pytest.raises(ChangeUnfit):
            await changes.file(each.code)  # the student is in school


async def test_a_second_request_is_refused_while_the_first_is_open(changes: ChangeRequestScenario) -> None:
    first = await changes.file("11")
    with pytest.raises(ChangeOpen):
        await changes.file("31")
    await changes.answer(first, changes.bureau, "refused", "材料不全")
    assert (await changes.file("31")).state is RequestState.OPEN


async def test_one_of_two_concurrent_requests_is_refused(changes: ChangeRequestScenario) -> None:
    results = await asyncio.gather(changes.file("11"), changes.file("31"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["ChangeOpen", "ChangeRequestView"]


# --- opinions ---


async def test_the_last_agreement_writes_the_change_trace_and_event(changes: ChangeRequestScenario) -> None:
    view = await changes.change("11", changes.bureau)
    assert view.state is RequestState.AGREED
    [entry] = await changes.scenario.rows(StandingEntry)
    assert (entry.cause, entry.standing_before, entry.standing_after) == ("edit", "01", "02")
    assert entry.trace["rule"] == "standing.edited"
    assert await changes.scenario.status() == ("02", "full_time")
    assert len(await changes.scenario.events("StandingChanged")) == 1


async def test_part_time_and_back_change_only_the_study_form(changes: ChangeRequestScenario) -> None:
    await changes.change("L1", changes.bureau)
    assert await changes.scenario.status() == ("01", "part_time")
    await changes.change("L2", changes.bureau)
    assert await changes.scenario.status() == ("01", "full_time")


async def test_repeating_a_year_is_in_the_ledger_and_keeps_the_status(changes: ChangeRequestScenario) -> None:
    await changes.change("02", changes.bureau)
    [entry] = await changes.scenario.rows(StandingEntry)
    assert (entry.standing_before, entry.standing_after) == ("01", "01")
    assert await changes.scenario.status() == ("01", "full_time")


async def test_a_refusal_closes_the_request_and_needs_an_opinion(changes: ChangeRequestScenario) -> None:
    view = await changes.file("11")
    with pytest.raises(ChangeOpinionMissing):
        await changes.answer(view, changes.bureau, "refused")
    refused = await changes.answer(view, changes.bureau, "refused", "材料不全")
    assert refused.state is RequestState.REFUSED
    with pytest.raises(ChangeClosed):
        await changes.answer(view, changes.bureau)
    assert await changes.scenario.status() == ("01", "full_time")


@pytest.mark.usefixtures("province_approves_changes")
async def test_only_the_current_level_gives_an_opinion(changes: ChangeRequestScenario) -> None:
    view = await changes.file("11")
    with pytest.raises(NotYourTurn):
        await changes.answer(view, changes.province)
    await changes.answer(view, changes.bureau)
    with pytest.raises(NotYourTurn):
        await changes.answer(view, changes.bureau)
    await changes.answer(view, changes.province)
    assert await changes.scenario.status() == ("02", "full_time")


async def test_a_superior_outside_the_chain_only_reads_the_request(
    changes: ChangeRequestScenario,
) -> None:
    view = await changes.file("11")
    for actor in (changes.province, changes.colleague, changes.registrar, changes.scenario.counselor):
        with pytest.raises(NotPermitted):
            await changes.answer(view, actor)


async def test_a_bureau_of_another_city_cannot_find_the_request(changes: ChangeRequestScenario) -> None:
    view = await changes.file("11")
    with pytest.raises(NotFound):
        await changes.answer(view, bureau_account(changes.scenario.roll_call_scenario.world.other_city))


async def test_the_filing_account_cannot_approve_but_a_colleague_can(changes: ChangeRequestScenario) -> None:
    view = await changes.file("29")
    assert [each.level for each in view.chain] == ["school"]
    with pytest.raises(OwnRequest):
        await changes.answer(view, changes.registrar)
    with pytest.raises(NotPermitted):
        await changes.answer(view, changes.scenario.counselor)
    assert (await changes.answer(view, changes.colleague)).state is RequestState.AGREED


async def test_concurrent_opinions_write_the_change_once(
    changes: ChangeRequestScenario,
) -> None:
    view = await changes.file("11")
    colleague = bureau_account(changes.scenario.roll_call_scenario.world.city)
    results = await asyncio.gather(
        changes.answer(view, changes.bureau),
        changes.answer(view, colleague, "refused", "材料不全"),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in results) == ["ChangeClosed", "ChangeRequestView"]
    [step] = await changes.scenario.rows(ChangeRequestStep)
    written = await changes.scenario.rows(StandingEntry)
    assert len(written) == (step.outcome == "agreed")


async def test_an_opinion_on_a_record_changed_since_filing_is_refused(changes: ChangeRequestScenario) -> None:
    view = await changes.file("11")
    async with changes.scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(update(Student).where(Student.id == changes.pupil.id).values(standing="02"))
    with pytest.raises(NothingChanges):
        await changes.answer(view, changes.bureau)
    assert await changes.scenario.rows(ChangeRequestStep) == []


async def test_the_school_can_withdraw_an_open_request(changes: ChangeRequestScenario) -> None:
    view = await changes.file("11")
    assert (await changes.withdraw(view, changes.colleague)).state is RequestState.WITHDRAWN
    for act in (changes.withdraw(view), changes.answer(view, changes.bureau)):
        with pytest.raises(ChangeClosed):
            await act


async def test_acts_are_audited_without_reasons_or_opinions(changes: ChangeRequestScenario) -> None:
    view = await changes.change("11", changes.bureau)
    async with changes.scenario.roll_call_scenario.owner_transaction() as session:
        acts = (
            await session.scalars(
                select(AuditEntry)
                .where(AuditEntry.subject_id == str(view.request.id))
                .order_by(AuditEntry.id)
            )
        ).all()
    assert [(act.action, act.acting_account) for act in acts] == [
        ("change.requested", changes.registrar.account_id),
        ("change.opinion", changes.bureau.account_id),
    ]
    assert "住院" not in str([act.after for act in acts])


# --- notices ---


async def load_notice_recipients(
    changes: ChangeRequestScenario, view: ChangeRequestView
) -> list[tuple[str, UUID | None]]:
    """Kind and recipient of every notice about a request."""
    return [(kind, who) for kind, who, _ in await load_notices(changes.scenario, view.request.id)]


async def test_filing_notifies_the_superior_and_the_student(
    changes: ChangeRequestScenario,
) -> None:
    city = await create_superior_account(changes.scenario)
    view = await changes.file("11")
    await changes.scenario.run_events("ChangeRequested")
    found = await load_notice_recipients(changes, view)
    assert found.count(("change_request_waiting", city)) == 1
    assert found.count(("change_request_filed", changes.pupil.id)) == 1
    assert {kind for kind, _ in found} == {"change_request_waiting", "change_request_filed"}


@pytest.mark.usefixtures("province_approves_changes")
async def test_an_agreement_notifies_the_next_level(changes: ChangeRequestScenario) -> None:
    province = await create_superior_account(
        changes.scenario, changes.scenario.roll_call_scenario.world.province
    )
    view = await changes.change("11", changes.bureau)
    await changes.scenario.run_events("ChangeRequestDecided")
    assert ("change_request_waiting", province) in await load_notice_recipients(changes, view)


async def test_a_closed_request_notifies_the_student_and_no_level(changes: ChangeRequestScenario) -> None:
    view = await changes.change("11", changes.bureau)
    await changes.scenario.run_events("ChangeRequestDecided")
    assert await load_notice_recipients(changes, view) == [("change_request_agreed", changes.pupil.id)]


# --- lists ---


async def list_waiting_requests(changes: ChangeRequestScenario, actor: Actor) -> list[ChangeRequestView]:
    async with changes.scenario.transaction(actor) as session:
        found = (
            await load_requests_page(session, actor, ChangeRequestSearch(waiting=True), PageRequest(50))
        ).rows
    mine = {pupil.id for pupil in changes.scenario.school.students}
    return [view for view in found if view.request.student_id in mine]


@pytest.mark.usefixtures("province_approves_changes")
async def test_a_request_is_listed_only_for_the_current_levels_unit(
    changes: ChangeRequestScenario,
) -> None:
    view = await changes.file("11")
    assert [each.request.id for each in await list_waiting_requests(changes, changes.bureau)] == [
        view.request.id
    ]
    assert await list_waiting_requests(changes, changes.province) == []
    await changes.answer(view, changes.bureau)
    assert await list_waiting_requests(changes, changes.bureau) == []
    assert [each.request.id for each in await list_waiting_requests(changes, changes.province)] == [
        view.request.id
    ]


async def test_the_filing_account_does_not_see_its_request_as_waiting(changes: ChangeRequestScenario) -> None:
    await changes.file("29")
    assert await list_waiting_requests(changes, changes.registrar) == []
    assert len(await list_waiting_requests(changes, registrar_account(changes.scenario.school))) == 1


@pytest.mark.parametrize("state", list(RequestState))
async def test_the_list_filter_agrees_with_the_state_of_each_request(
    changes: ChangeRequestScenario, state: RequestState
) -> None:
    first, second, third, fourth = changes.scenario.school.students[:4]
    await changes.answer(await changes.file("11", first), changes.bureau)
    await changes.answer(await changes.file("11", second), changes.bureau, "refused", "材料不全")
    await changes.withdraw(await changes.file("11", third))
    await changes.file("11", fourth)
    async with changes.scenario.transaction(changes.registrar) as session:
        found = (
            await load_requests_page(
                session, changes.registrar, ChangeRequestSearch(state=state), PageRequest(50)
            )
        ).rows
    assert [view.state for view in found] == [state]
