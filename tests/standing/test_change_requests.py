"""Changes of the record that no prompt causes: filing, climbing, the change itself, and reading the ledger."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.core.actor import Actor
from backend.core.errors import BadInput, NotFound, NotPermitted
from backend.core.ids import new_id
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
    StandingBeforeRecord,
)
from backend.standing.change_requests.policy import RequestState
from backend.standing.change_requests.queries import ChangeCase, ChangeSearch, cases_page
from backend.standing.engine.facts import Status
from backend.standing.ledger.conversions import Conversions, conversions_page
from backend.standing.ledger.queries import (
    ChangesSearch,
    FeedItem,
    StatusOn,
    changes_page,
    feed_page,
    ledger_of,
    status_on,
)
from backend.standing.store.tables import ChangeRequest, ChangeRequestStep, ProvinceApproved, StandingEntry
from tests.support.province import bureau_account, counselor_account, registrar_account
from tests.support.standing.change_requests import ChangeDesk
from tests.support.standing.notices import notices, superior_account
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("MOE19-2.3b")


@pytest.fixture
def desk(registry: Registry) -> ChangeDesk:
    return ChangeDesk(registry)


# --- filing ---


async def test_a_filed_change_waits_for_the_superior_and_changes_nothing_yet(desk: ChangeDesk) -> None:
    case = await desk.file("11")
    assert case.state is RequestState.OPEN
    assert [(each.level, each.org_id) for each in case.chain] == [("city", desk.bureau.org_id)]
    assert await desk.registry.status() == ("01", "full_time")


@pytest.mark.clause("SD13-4")
async def test_suspension_in_a_five_year_programme_climbs_to_the_province(desk: ChangeDesk) -> None:
    await desk.enrol_in("five_year")
    case = await desk.change("11", desk.bureau, desk.province)
    assert [each.level for each in case.chain] == ["city", "province"]
    assert await desk.registry.status() == ("02", "full_time")
    assert await desk.registry.rows(ProvinceApproved) == []


@pytest.mark.clause("SD13-4")
async def test_withdrawal_from_a_five_year_programme_ends_with_the_direct_superior(desk: ChangeDesk) -> None:
    await desk.enrol_in("five_year")
    await desk.change("31", desk.bureau)
    assert await desk.registry.status() == ("03", "full_time")


@pytest.mark.parametrize("kind", ["counselor", "bureau", "province", "student"])
async def test_only_the_schools_registrar_files(desk: ChangeDesk, kind: str) -> None:
    registry = desk.registry
    people = {
        "counselor": registry.counselor,
        "bureau": desk.bureau,
        "province": desk.province,
        "student": registry.student(),
    }
    with pytest.raises(NotPermitted):
        await desk.file("11", actor=people[kind])


async def test_a_registrar_of_another_school_finds_no_such_student(desk: ChangeDesk) -> None:
    with pytest.raises(NotFound):
        await desk.file("11", actor=registrar_account(desk.registry.stage.world.sister))


@pytest.mark.parametrize(
    ("kind", "error"), [("12", ChangeUnfit), ("L2", NothingChanges), ("88", ChangeKindUnknown)]
)
async def test_a_kind_that_does_not_fit_the_present_status_is_refused(
    desk: ChangeDesk, kind: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await desk.file(kind)
    assert await desk.registry.rows(ChangeRequest) == []


async def test_a_second_request_waits_for_the_end_of_the_first(desk: ChangeDesk) -> None:
    first = await desk.file("11")
    with pytest.raises(ChangeOpen):
        await desk.file("31")
    await desk.answer(first, desk.bureau, "refused", "材料不全")
    assert (await desk.file("31")).state is RequestState.OPEN


async def test_of_two_requests_filed_at_once_one_is_refused(desk: ChangeDesk) -> None:
    results = await asyncio.gather(desk.file("11"), desk.file("31"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["ChangeCase", "ChangeOpen"]


# --- opinions ---


async def test_the_last_agreement_writes_the_change_with_its_trace_and_tells_of_it(desk: ChangeDesk) -> None:
    case = await desk.change("11", desk.bureau)
    assert case.state is RequestState.AGREED
    [entry] = await desk.registry.rows(StandingEntry)
    assert (entry.cause, entry.standing_before, entry.standing_after) == ("edit", "01", "02")
    assert entry.trace["rule"] == "standing.edited"
    assert await desk.registry.status() == ("02", "full_time")
    assert len(await desk.registry.events("StandingChanged")) == 1


async def test_part_time_and_back_are_changes_of_the_study_form(desk: ChangeDesk) -> None:
    await desk.change("L1", desk.bureau)
    assert await desk.registry.status() == ("01", "part_time")
    await desk.change("L2", desk.bureau)
    assert await desk.registry.status() == ("01", "full_time")


async def test_repeating_a_year_is_on_the_ledger_and_leaves_the_status(desk: ChangeDesk) -> None:
    await desk.change("02", desk.bureau)
    [entry] = await desk.registry.rows(StandingEntry)
    assert (entry.standing_before, entry.standing_after) == ("01", "01")
    assert await desk.registry.status() == ("01", "full_time")


async def test_a_refusal_ends_the_request_and_needs_an_opinion(desk: ChangeDesk) -> None:
    case = await desk.file("11")
    with pytest.raises(ChangeOpinionMissing):
        await desk.answer(case, desk.bureau, "refused")
    refused = await desk.answer(case, desk.bureau, "refused", "材料不全")
    assert refused.state is RequestState.REFUSED
    with pytest.raises(ChangeClosed):
        await desk.answer(case, desk.bureau)
    assert await desk.registry.status() == ("01", "full_time")


async def test_a_level_gives_its_opinion_when_its_turn_has_come(desk: ChangeDesk) -> None:
    await desk.enrol_in("five_year")
    case = await desk.file("11")
    with pytest.raises(NotYourTurn):
        await desk.answer(case, desk.province)
    await desk.answer(case, desk.bureau)
    with pytest.raises(NotYourTurn):
        await desk.answer(case, desk.bureau)
    await desk.answer(case, desk.province)
    assert await desk.registry.status() == ("02", "full_time")


async def test_only_the_unit_on_the_chain_decides_though_its_superior_sees_the_request(
    desk: ChangeDesk,
) -> None:
    case = await desk.file("11")
    for actor in (desk.province, desk.colleague, desk.registrar, desk.registry.counselor):
        with pytest.raises(NotPermitted):
            await desk.answer(case, actor)


async def test_another_citys_bureau_finds_no_such_request(desk: ChangeDesk) -> None:
    case = await desk.file("11")
    with pytest.raises(NotFound):
        await desk.answer(case, bureau_account(desk.registry.stage.world.other_city))


async def test_who_filed_never_approves_and_a_colleague_may(desk: ChangeDesk) -> None:
    case = await desk.file("29")
    assert [each.level for each in case.chain] == ["school"]
    with pytest.raises(OwnRequest):
        await desk.answer(case, desk.registrar)
    with pytest.raises(NotPermitted):
        await desk.answer(case, desk.registry.counselor)
    assert (await desk.answer(case, desk.colleague)).state is RequestState.AGREED


async def test_of_two_opinions_given_at_once_one_counts_and_the_change_is_written_once(
    desk: ChangeDesk,
) -> None:
    case = await desk.file("11")
    colleague = bureau_account(desk.registry.stage.world.city)
    results = await asyncio.gather(
        desk.answer(case, desk.bureau),
        desk.answer(case, colleague, "refused", "材料不全"),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in results) == ["ChangeCase", "ChangeClosed"]
    [step] = await desk.registry.rows(ChangeRequestStep)
    written = await desk.registry.rows(StandingEntry)
    assert len(written) == (step.outcome == "agreed")


async def test_an_opinion_on_a_record_that_has_changed_since_is_refused(desk: ChangeDesk) -> None:
    case = await desk.file("11")
    async with desk.registry.stage.arrange() as session:
        await session.execute(update(Student).where(Student.id == desk.pupil.id).values(standing="02"))
    with pytest.raises(NothingChanges):
        await desk.answer(case, desk.bureau)
    assert await desk.registry.rows(ChangeRequestStep) == []


async def test_the_school_withdraws_a_request_while_it_is_under_way(desk: ChangeDesk) -> None:
    case = await desk.file("11")
    assert (await desk.withdraw(case, desk.colleague)).state is RequestState.WITHDRAWN
    for act in (desk.withdraw(case), desk.answer(case, desk.bureau)):
        with pytest.raises(ChangeClosed):
            await act


async def test_every_act_is_audited_without_reasons_or_opinions(desk: ChangeDesk) -> None:
    case = await desk.change("11", desk.bureau)
    async with desk.registry.stage.arrange() as session:
        acts = (
            await session.scalars(
                select(AuditEntry)
                .where(AuditEntry.subject_id == str(case.request.id))
                .order_by(AuditEntry.id)
            )
        ).all()
    assert [(act.action, act.acting_account) for act in acts] == [
        ("change.requested", desk.registrar.account_id),
        ("change.opinion", desk.bureau.account_id),
    ]
    assert "住院" not in str([act.after for act in acts])


# --- who is told ---


async def told(desk: ChangeDesk, case: ChangeCase) -> list[tuple[str, UUID | None]]:
    """What was told of a request, and to which account or student."""
    return [(kind, who) for kind, who, _ in await notices(desk.registry, case.request.id)]


async def test_the_superior_is_told_that_a_request_waits_and_the_student_that_it_was_filed(
    desk: ChangeDesk,
) -> None:
    city = await superior_account(desk.registry)
    case = await desk.file("11")
    await desk.registry.run_events("ChangeRequested")
    found = await told(desk, case)
    assert found.count(("change_request_waiting", city)) == 1
    assert found.count(("change_request_filed", desk.pupil.id)) == 1
    assert {kind for kind, _ in found} == {"change_request_waiting", "change_request_filed"}


async def test_the_next_level_is_told_when_the_one_below_agreed(desk: ChangeDesk) -> None:
    province = await superior_account(desk.registry, desk.registry.stage.world.province)
    await desk.enrol_in("five_year")
    case = await desk.change("11", desk.bureau)
    await desk.registry.run_events("ChangeRequestDecided")
    assert ("change_request_waiting", province) in await told(desk, case)


async def test_at_the_end_the_student_is_told_and_nobody_is_asked_any_more(desk: ChangeDesk) -> None:
    case = await desk.change("11", desk.bureau)
    await desk.registry.run_events("ChangeRequestDecided")
    assert await told(desk, case) == [("change_request_agreed", desk.pupil.id)]


# --- lists ---


async def waiting(desk: ChangeDesk, actor: Actor) -> list[ChangeCase]:
    async with desk.registry.transaction(actor) as session:
        found = await cases_page(session, actor, ChangeSearch(waiting=True), None, 50)
    mine = {pupil.id for pupil in desk.registry.school.students}
    return [case for case in found if case.request.student_id in mine]


async def test_a_request_is_on_the_list_of_the_unit_whose_turn_it_is_and_on_no_other(
    desk: ChangeDesk,
) -> None:
    await desk.enrol_in("five_year")
    case = await desk.file("11")
    assert [each.request.id for each in await waiting(desk, desk.bureau)] == [case.request.id]
    assert await waiting(desk, desk.province) == []
    await desk.answer(case, desk.bureau)
    assert await waiting(desk, desk.bureau) == []
    assert [each.request.id for each in await waiting(desk, desk.province)] == [case.request.id]


async def test_who_filed_does_not_find_the_request_among_those_to_decide(desk: ChangeDesk) -> None:
    await desk.file("29")
    assert await waiting(desk, desk.registrar) == []
    assert len(await waiting(desk, registrar_account(desk.registry.school))) == 1


@pytest.mark.parametrize("state", list(RequestState))
async def test_the_list_by_state_agrees_with_the_state_of_each_request(
    desk: ChangeDesk, state: RequestState
) -> None:
    first, second, third, fourth = desk.registry.school.students[:4]
    await desk.answer(await desk.file("11", first), desk.bureau)
    await desk.answer(await desk.file("11", second), desk.bureau, "refused", "材料不全")
    await desk.withdraw(await desk.file("11", third))
    await desk.file("11", fourth)
    async with desk.registry.transaction(desk.registrar) as session:
        found = await cases_page(session, desk.registrar, ChangeSearch(state=state), None, 50)
    assert [case.state for case in found] == [state]


# --- the ledger ---


async def _status(desk: ChangeDesk, at: datetime) -> StatusOn:
    async with desk.registry.transaction(desk.bureau) as session:
        return await status_on(session, desk.bureau, desk.pupil.id, at.date(), desk.registry.at)


@pytest.mark.clause("HN334-2.4")
async def test_the_status_on_a_past_day_is_reproduced_from_the_ledger(desk: ChangeDesk) -> None:
    registry = desk.registry
    async with registry.stage.arrange() as session:
        earlier = registry.at - timedelta(days=20)
        await session.execute(update(Student).where(Student.id == desk.pupil.id).values(created_at=earlier))
    suspended = registry.at
    await desk.change("11", desk.bureau)
    registry.pass_time(days=10)
    await desk.change("12", desk.bureau)
    registry.pass_time(days=10)
    found = {
        days: (await _status(desk, suspended + timedelta(days=days))).status for days in (-1, 0, 9, 10, 20)
    }
    attending, away, back = (Status(code, "full_time") for code in ("01", "02", "05"))
    assert found == {-1: attending, 0: away, 9: away, 10: back, 20: back}


@pytest.mark.clause("HN334-2.4")
async def test_of_the_time_before_the_record_and_of_the_future_nothing_is_said(desk: ChangeDesk) -> None:
    await desk.change("11", desk.bureau)
    with pytest.raises(StandingBeforeRecord):
        await _status(desk, desk.registry.at - timedelta(days=400))
    with pytest.raises(BadInput):
        await _status(desk, desk.registry.at + timedelta(days=1))


async def test_the_ledger_names_the_request_and_the_kind_behind_an_entry(desk: ChangeDesk) -> None:
    case = await desk.change("11", desk.bureau)
    async with desk.registry.transaction(desk.registry.student()) as session:
        ledger = await ledger_of(session, desk.registry.student(), desk.pupil.id)
    [view] = ledger.entries
    assert (view.request_id, view.change_kind, view.reversed) == (case.request.id, "11", False)
    assert ledger.locked_by is None
    assert ledger.status == Status("02", "full_time")


async def test_a_counselor_reads_the_ledger_of_the_own_classes_only(desk: ChangeDesk) -> None:
    school = desk.registry.school
    counselor = counselor_account(school, school.classes[1])
    async with desk.registry.transaction(counselor) as session:
        assert (await ledger_of(session, counselor, school.classes[1].students[0].id)).entries == ()
        with pytest.raises(NotFound):
            await ledger_of(session, counselor, desk.pupil.id)


async def _feed(desk: ChangeDesk, after: int, limit: int = 50) -> list[FeedItem]:
    async with desk.registry.transaction(desk.registrar) as session:
        return list(await feed_page(session, desk.registrar, after, limit))


@pytest.mark.clause("HN334-2.4")
async def test_every_change_is_in_the_feed_once_in_the_order_of_the_numbers(desk: ChangeDesk) -> None:
    await desk.change("11", desk.bureau)
    await desk.change("12", desk.bureau)
    assert await _feed(desk, 0) == []
    for _ in range(2):
        await desk.registry.run_events("StandingChanged")
    feed = await _feed(desk, 0)
    assert [item.view.entry.standing_after for item in feed] == ["02", "05"]
    assert [item.seq for item in await _feed(desk, feed[0].seq)] == [feed[1].seq]
    assert await _feed(desk, feed[1].seq) == []


async def test_superiors_list_changes_by_school_term_and_cause(desk: ChangeDesk) -> None:
    school, term = desk.registry.school, desk.registry.stage.world.term_code
    await desk.change("11", desk.bureau)
    searches = {
        ChangesSearch(school.id): 1,
        ChangesSearch(school.id, term, "edit"): 1,
        ChangesSearch(school.id, cause="decision"): 0,
        ChangesSearch(new_id()): 0,
    }
    async with desk.registry.transaction(desk.bureau) as session:
        for search, expected in searches.items():
            assert len(await changes_page(session, desk.bureau, search, None, 50)) == expected
        with pytest.raises(BadInput):
            await changes_page(session, desk.bureau, ChangesSearch(term="1999-autumn"), None, 50)


async def _conversions(desk: ChangeDesk) -> Conversions:
    term = desk.registry.stage.world.term_code
    async with desk.registry.transaction(desk.bureau) as session:
        rows = await conversions_page(session, desk.bureau, term, None, 10_000)
    return next(row for row in rows if row.school_id == desk.registry.school.id)


@pytest.mark.clause("R15")
async def test_conversions_to_part_time_are_counted_by_their_cause_and_as_a_share(desk: ChangeDesk) -> None:
    await desk.lock()
    second = desk.registry.school.students[1]
    await desk.answer(await desk.file("L1", second), desk.bureau)
    found = await _conversions(desk)
    assert (found.students, found.by_decision, found.by_expiry, found.by_edit) == (2, 1, 0, 1)
    everybody = len(desk.registry.school.students)
    assert (found.full_time, found.share) == (everybody - 2, round(2 / everybody, 4))


@pytest.mark.clause("R15")
async def test_the_report_of_conversions_is_for_superiors(desk: ChangeDesk) -> None:
    async with desk.registry.transaction(desk.registrar) as session:
        with pytest.raises(NotPermitted):
            await conversions_page(session, desk.registrar, desk.registry.stage.world.term_code, None, 50)
