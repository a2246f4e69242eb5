"""Rehearsal readiness by cohort: who belongs to one, which schools lag, and reminders with one result a school."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from backend.core.actor import Actor
from backend.core.bulk import RowResult
from backend.core.clock import legal_day
from backend.core.errors import BadInput, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.notice.tables import Notice, NoticeMessage
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass
from backend.policy.installed import installed_policy
from backend.roll_call.readiness.cohorts import Cohort, choose_cohort, read_cohorts
from backend.roll_call.readiness.queries import (
    CohortTotals,
    ReadinessFilter,
    SchoolReadiness,
    count_schools,
    load_readiness_page,
)
from backend.roll_call.readiness.reminders import RemindSchools, remind_schools
from backend.roll_call.voiding import void_roll_call
from tests.support.province import province_account
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario

pytestmark = [pytest.mark.clause("HN334-5.1"), pytest.mark.clause("HN334-3.3")]

POLICY = installed_policy().at(date(2026, 11, 12), "410100")
COHORTS = read_cohorts(POLICY)


def test_notice_names_two_cohorts_with_their_deadlines() -> None:
    assert [(each.code, each.deadline, each.intake) for each in COHORTS] == [
        ("enrolled", date(2022, 10, 25), None),
        ("cohort_2022", date(2022, 10, 31), 2022),
    ]
    assert read_cohorts(installed_policy().at(date(2026, 11, 12), "140100")) == []
    with pytest.raises(BadInput):
        choose_cohort(COHORTS, "cohort_1999")


@given(st.none() | st.integers(2000, 2050), st.sets(st.integers(2015, 2035)))
def test_each_class_belongs_to_exactly_one_cohort(grade: int | None, intakes: set[int]) -> None:
    cohorts = [
        Cohort("enrolled", date(2022, 10, 25), None),
        *(Cohort(f"cohort_{year}", date(2022, 10, 31), year) for year in intakes),
    ]
    assert sum(each.contains(grade, cohorts) for each in cohorts) == 1


async def load(
    scenario: RollCallScenario,
    actor: Actor,
    code: str,
    *,
    lagging_only: bool = False,
    text: str | None = None,
) -> dict[str, SchoolReadiness]:
    # The school alone: the bureau has those of the other tests too.
    wanted = ReadinessFilter(lagging_only, text, scenario.school.id)
    cohort = choose_cohort(COHORTS, code)
    found: dict[str, SchoolReadiness] = {}
    after = None
    async with scenario.app_context.database.transaction(actor.scope) as session:
        while rows := await load_readiness_page(session, actor, cohort, COHORTS, wanted, after, 50):
            found |= {str(each.school_id): each for each in rows}
            after = rows[-1].path
    return found


async def count(scenario: RollCallScenario, actor: Actor, code: str) -> CohortTotals:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        totals = await count_schools(session, actor, COHORTS)
    return totals[COHORTS.index(choose_cohort(COHORTS, code))]


async def remind(scenario: RollCallScenario, actor: Actor, *school_ids: object) -> list[RowResult]:
    command = RemindSchools("enrolled", school_ids)  # type: ignore[arg-type]
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await remind_schools(session, actor, command, scenario.clock())


async def settle_rehearsal(scenario: RollCallScenario) -> None:
    launched = await scenario.launch(scenario.registrar, kind="rehearsal")
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)


@pytest.mark.clause("HN334-5.1b")
async def test_settled_rehearsal_takes_a_school_off_the_list(scenario: RollCallScenario) -> None:
    own = str(scenario.school.id)
    before = await load(scenario, scenario.bureau, "enrolled", lagging_only=True)
    assert before[own].rehearsed_at is None
    assert before[own].students == len(scenario.school.students)
    assert before[own].superior_name is not None
    totals = await count(scenario, scenario.bureau, "enrolled")
    await settle_rehearsal(scenario)
    assert own not in await load(scenario, scenario.bureau, "enrolled", lagging_only=True)
    assert (await load(scenario, scenario.bureau, "enrolled"))[own].rehearsed_at is not None
    after = await count(scenario, scenario.bureau, "enrolled")
    assert (after.schools, after.rehearsed) == (totals.schools, totals.rehearsed + 1)
    assert set(await load(scenario, scenario.registrar, "enrolled")) == {own}


async def test_schools_are_found_by_name_and_by_their_unit(scenario: RollCallScenario) -> None:
    own = str(scenario.school.id)
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        school = await session.get_one(OrgUnit, scenario.school.id)
    for text in (school.name, school.name[1:], school.code[:4]):
        assert own in await load(scenario, scenario.bureau, "enrolled", text=text)
    assert not await load(scenario, scenario.bureau, "enrolled", text=school.name + "%")
    outside = ReadinessFilter(unit_id=scenario.world.other_city.id)
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        with pytest.raises(NotFound):
            await load_readiness_page(session, scenario.bureau, COHORTS[0], COHORTS, outside, None, 50)


async def test_voided_rehearsal_does_not_count(scenario: RollCallScenario) -> None:
    own = str(scenario.school.id)
    launched = await scenario.launch(scenario.registrar, kind="rehearsal")
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    before = await count(scenario, scenario.bureau, "enrolled")
    async with scenario.app_context.database.transaction(scenario.registrar.scope) as session:
        await void_roll_call(session, scenario.registrar, launched.roll_call.id, "测试", scenario.clock())
    assert (await load(scenario, scenario.bureau, "enrolled"))[own].rehearsed_at is None
    after = await count(scenario, scenario.bureau, "enrolled")
    assert (after.schools, after.rehearsed) == (before.schools, before.rehearsed - 1)


async def test_rehearsal_counts_for_the_intake_of_its_classes(scenario: RollCallScenario) -> None:
    own = str(scenario.school.id)
    async with scenario.owner_transaction() as session:
        await session.execute(
            update(SchoolClass).where(SchoolClass.id == scenario.school.classes[0].id).values(grade=2022)
        )
    intake = (await load(scenario, scenario.bureau, "cohort_2022"))[own]
    others = (await load(scenario, scenario.bureau, "enrolled"))[own]
    assert intake.students + others.students == len(scenario.school.students)
    assert 0 < intake.students < len(scenario.school.students)


@pytest.mark.clause("HN334-5.1b")
async def test_reminders_answer_with_one_result_a_school(scenario: RollCallScenario) -> None:
    registrar = await scenario.account("registrar", scenario.school)
    elsewhere = scenario.world.other_city.id
    rows = await remind(scenario, scenario.bureau, scenario.school.id, elsewhere, new_id())
    assert [each.error and each.error.code for each in rows] == [None, "not_found", "not_found"]
    async with scenario.owner_transaction() as session:
        posted = (
            select(func.count())
            .select_from(Notice)
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.kind == "rehearsal_due", Notice.account_id == registrar.account_id)
        )
        assert await session.scalar(posted) == 1
    (again,) = await remind(scenario, scenario.bureau, scenario.school.id)
    assert again.error is not None
    assert again.error.code == "school_reminded_recently"
    scenario.clock.at += timedelta(days=1)
    (next_day,) = await remind(scenario, scenario.bureau, scenario.school.id)
    assert next_day.changed
    assert legal_day(
        (await load(scenario, scenario.bureau, "enrolled"))[str(scenario.school.id)].reminded_at
        or scenario.clock()
    ) == legal_day(scenario.clock())


@pytest.mark.clause("HN334-5.1b")
async def test_completed_or_unattended_schools_are_not_reminded(scenario: RollCallScenario) -> None:
    (refused,) = await remind(scenario, province_account(scenario.world.province), scenario.world.direct.id)
    assert refused.error is not None
    assert refused.error.code == "school_without_registrar"
    await settle_rehearsal(scenario)
    (completed,) = await remind(scenario, scenario.bureau, scenario.school.id)
    assert completed.error is not None
    assert completed.error.code == "rehearsal_completed"
    with pytest.raises(NotPermitted):
        await remind(scenario, scenario.registrar, scenario.school.id)
