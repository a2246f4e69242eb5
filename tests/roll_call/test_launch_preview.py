"""The preview of a launch: the same numbers and the same refusals as the launch, and nothing is written."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.database import Database
from backend.core.errors import DomainError
from backend.identity.tables import Account
from backend.org.terms import NewTerm, Vacation, declare_vacation, get_term, open_term
from backend.people.tables import ClassCounselor, Student
from backend.roll_call.errors import LaunchNotPermitted
from backend.roll_call.launch.audience import Audience, Sample
from backend.roll_call.launch.checks import LaunchPlan, LaunchRollCall
from backend.roll_call.launch.options import load_launch_options
from backend.roll_call.launch.preview import LaunchPreview, preview_launch
from backend.roll_call.launch.service import launch_roll_call
from backend.roll_call.rules import KINDS
from backend.roll_call.tables import Obligation, RollCall, RollCallSchool
from tests.support.leave import LeaveScenario, create_leave_scenario
from tests.support.province import province_account, registrar_account
from tests.support.roll_call.scenario import WINDOW, RollCallScenario

pytestmark = [pytest.mark.clause("HN334-3.4"), pytest.mark.clause("R3")]


@pytest.fixture
async def leave(app_context: AppContext, owner: Database) -> LeaveScenario:
    return await create_leave_scenario(app_context, owner)


@pytest.fixture
def scenario(leave: LeaveScenario) -> RollCallScenario:
    return leave.roll_call_scenario


def command(scenario: RollCallScenario, **changes: Any) -> LaunchRollCall:
    opens_at = scenario.clock() + timedelta(hours=1)
    schools = (scenario.school.id, scenario.world.sister.id)
    spot_check = LaunchRollCall(
        kind="spot_check",
        title="学籍核验",
        opens_at=opens_at,
        closes_at=opens_at + WINDOW,
        audience=Audience(unit_ids=schools),
    )
    return replace(spot_check, **changes)


async def preview(
    scenario: RollCallScenario, launch: LaunchRollCall, actor: Actor | None = None
) -> LaunchPreview:
    actor = actor or scenario.bureau
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await preview_launch(session, actor, launch, scenario.clock())


async def launch(scenario: RollCallScenario, wanted: LaunchRollCall, actor: Actor | None = None) -> RollCall:
    actor = actor or scenario.bureau
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return (await launch_roll_call(session, actor, wanted, scenario.clock())).roll_call


@pytest.fixture
async def mixed(leave: LeaveScenario) -> RollCallScenario:
    """A school with a site, leave, a part-time, a suspended and an activated student; its sister's first class has no counselor.

    All counselors have accounts.
    """
    scenario = leave.roll_call_scenario
    await scenario.file_site()
    await leave.request_approved(pupil=scenario.school.students[0])
    part_time, suspended = scenario.school.students[1:3]
    await scenario.activate(scenario.school.students[3])
    for school, klass in (
        *((scenario.school, each) for each in scenario.school.classes),
        *((scenario.world.sister, each) for each in scenario.world.sister.classes[:2]),
    ):
        await scenario.account("counselor", school, klass)
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, part_time.id)).study_form = "part_time"
        (await session.get_one(Student, suspended.id)).standing = "02"
        counselors = await session.scalars(
            select(ClassCounselor).where(ClassCounselor.class_id == scenario.world.sister.classes[0].id)
        )
        counselors.one().until = scenario.clock()
    return scenario


AUDIENCES = {
    "two schools": Audience(),
    "a size": Audience(sample=Sample(size=3)),
    "a share": Audience(sample=Sample(share=0.4)),
    "a grade": Audience(grades=(2024,)),
}


@pytest.mark.parametrize("narrowed", AUDIENCES)
async def test_preview_has_the_numbers_of_the_launched_roll_call(
    mixed: RollCallScenario, narrowed: str
) -> None:
    wanted = command(mixed)
    wanted = replace(wanted, audience=replace(AUDIENCES[narrowed], unit_ids=wanted.audience.unit_ids))
    shown = await preview(mixed, wanted)
    assert shown.problems == ()
    roll_call = await launch(mixed, replace(wanted, seed=shown.seed))
    async with mixed.owner_transaction() as session:
        schools = await session.scalars(
            select(RollCallSchool).where(RollCallSchool.roll_call_id == roll_call.id)
        )
        frozen = {row.school_id: (row.owed, row.excused, row.exempt) for row in schools}
        rows = await session.execute(
            select(Obligation.reason, func.count())
            .where(Obligation.roll_call_id == roll_call.id, Obligation.reason.is_not(None))
            .group_by(Obligation.reason)
        )
        reasons = dict(tuple(row) for row in rows)
    counted = {each.id: each.counts for each in shown.schools}
    assert {key: (each.owed, each.excused, each.exempt) for key, each in counted.items()} == frozen
    assert dict(shown.totals.reasons) == reasons
    assert shown.term_code == roll_call.term_code


async def test_preview_names_what_is_missing_in_each_school(mixed: RollCallScenario) -> None:
    shown = {each.id: each for each in (await preview(mixed, command(mixed))).schools}
    school, sister = shown[mixed.school.id], shown[mixed.world.sister.id]
    students, others = len(mixed.school.students), len(mixed.world.sister.students)
    assert (school.has_site, sister.has_site) == (True, False)
    assert school.counts.reasons == {"on_leave": 1, "part_time": 1, "standing_02": 1}
    assert (school.counts.full_time, school.counts.owed) == (students - 2, students - 3)
    assert (school.counts.without_counselor, school.counts.not_activated) == (0, students - 3)
    without = len(mixed.world.sister.classes[0].students)
    assert (sister.counts.without_counselor, sister.counts.not_activated) == (without, others)


async def test_counselor_without_an_active_account_does_not_count(mixed: RollCallScenario) -> None:
    klass = mixed.school.classes[0]
    async with mixed.owner_transaction() as session:
        account = (
            await session.scalars(select(Account).where(Account.counselor_id == klass.counselor_id))
        ).one()
        account.status = "disabled"
    shown = {each.id: each for each in (await preview(mixed, command(mixed))).schools}
    exempt = {each.id for each in mixed.school.students[1:3]}
    owing = [each for each in klass.students if each.id not in exempt]
    assert shown[mixed.school.id].counts.without_counselor == len(owing)


async def _overlap(scenario: RollCallScenario) -> LaunchRollCall:
    await scenario.launch(
        province_account(scenario.world.province),
        announced=False,
        opens_at=command(scenario).opens_at,
        closes_at=command(scenario).closes_at,
    )
    return command(scenario)


async def _vacation(scenario: RollCallScenario) -> LaunchRollCall:
    registrar, at = registrar_account(scenario.school), scenario.clock()
    async with scenario.owner_transaction() as session:
        term = await get_term(session, scenario.school.id, legal_day(at))
        day = term.starts_on + timedelta(days=30)
        own = NewTerm(scenario.school.id, term.code, term.starts_on, term.ends_on)
        opened = await open_term(session, registrar, own, at)
        await declare_vacation(session, registrar, opened.id, Vacation("国庆", day, day), at)
    scenario.clock.at = datetime.combine(day, time(9), tzinfo=LEGAL_ZONE)
    return command(scenario)


async def _window(scenario: RollCallScenario, **hours: float) -> LaunchRollCall:
    at = scenario.clock()
    return command(scenario, **{name: at + timedelta(hours=value) for name, value in hours.items()})


async def _empty(scenario: RollCallScenario) -> LaunchRollCall:
    return command(scenario, audience=Audience(grades=(1999,)))


async def _without_term(scenario: RollCallScenario) -> LaunchRollCall:
    scenario.clock.at = datetime(2090, 1, 4, 9, tzinfo=LEGAL_ZONE)
    return command(scenario)


PROBLEMS: dict[str, tuple[Any, dict[str, float], list[str]]] = {
    "overlap": (_overlap, {}, ["windows_overlap"]),
    "vacation": (_vacation, {}, ["window_in_vacation"]),
    "too short": (_window, {"opens_at": 1, "closes_at": 1.9}, ["window_invalid"]),
    "too long": (_window, {"opens_at": 1, "closes_at": 40}, ["window_invalid"]),
    "in the past": (_window, {"notify_at": -1}, ["window_invalid"]),
    "before the notice": (_window, {"notify_at": 1.5}, ["window_invalid"]),
    "both": (_window, {"notify_at": -1, "closes_at": 1.5}, ["window_invalid", "window_invalid"]),
    "nobody": (_empty, {}, ["audience_empty"]),
    "no term": (_without_term, {}, ["term_not_set"]),
}


@pytest.mark.parametrize("problem", PROBLEMS)
async def test_preview_shows_every_problem_that_refuses_the_launch(
    scenario: RollCallScenario, problem: str
) -> None:
    prepare, options, codes = PROBLEMS[problem]
    wanted = await prepare(scenario, **options)
    shown = await preview(scenario, wanted)
    assert [each.code for each in shown.problems] == codes
    with pytest.raises(DomainError) as refused:
        await launch(scenario, wanted)
    first = shown.problems[0]
    assert (type(refused.value), refused.value.params) == (type(first), first.params)


async def test_preview_says_whether_the_launch_takes_the_second_factor(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    students = (await preview(scenario, command(scenario))).totals.owed
    for limit, needed in ((students, False), (students - 1, True)):
        monkeypatch.setattr(LaunchPlan, "confirmation_limit", limit)
        assert (await preview(scenario, command(scenario))).needs_confirmation is needed
    with pytest.raises(DomainError) as refused:
        await launch(scenario, command(scenario))
    assert (refused.value.code, refused.value.params["students"]) == ("launch_unconfirmed", students)
    await launch(scenario, command(scenario, confirmed=True))


async def test_a_schools_own_vacation_is_marked_in_a_check_of_the_city(scenario: RollCallScenario) -> None:
    wanted = await _vacation(scenario)
    shown = await preview(scenario, replace(wanted, audience=Audience()))
    assert shown.problems == ()
    marked = {each.id: each.in_vacation for each in shown.schools}
    assert (marked[scenario.school.id], marked[scenario.world.sister.id]) == (True, False)


async def test_preview_writes_nothing(scenario: RollCallScenario) -> None:
    actor = scenario.bureau
    async with scenario.app_context.database.transaction(actor.scope) as session:
        await preview_launch(session, actor, command(scenario), scenario.clock())
        assert await session.scalar(text("SELECT pg_current_xact_id_if_assigned()")) is None
        assert await session.scalar(text("SHOW transaction_read_only")) == "on"


@pytest.mark.clause("HN334-3.4")
async def test_options_are_the_kinds_that_a_launch_accepts(mixed: RollCallScenario) -> None:
    accepted: dict[str, set[str]] = {}
    for role, actor in {"bureau": mixed.bureau, "registrar": mixed.registrar}.items():
        async with mixed.app_context.database.transaction(actor.scope) as session:
            options = {each.kind: each for each in await load_launch_options(session, actor, mixed.clock())}
        accepted[role] = set()
        for kind in KINDS:
            wanted = replace(command(mixed), kind=kind, audience=Audience())
            try:
                shown = await preview(mixed, wanted, actor)
            except LaunchNotPermitted:
                continue
            accepted[role].add(kind)
            assert shown.plan.bounds == options[kind].bounds
        assert set(options) == accepted[role]
    assert accepted["bureau"] == {"spot_check"}
    assert "spot_check" not in accepted["registrar"]
