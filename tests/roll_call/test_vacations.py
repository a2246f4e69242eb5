"""No window lies in a declared vacation (reading 17): the launch is refused and names the days."""

from datetime import date, datetime, time, timedelta

import pytest

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.org.terms import NewTerm, Vacation, declare_vacation, get_term, open_term
from backend.roll_call.errors import WindowInVacation
from backend.roll_call.launch.audience import Audience
from tests.support.province import registrar_account
from tests.support.roll_call.scenario import WINDOW, RollCallScenario

pytestmark = [pytest.mark.clause("R17"), pytest.mark.clause("HN334-3.4")]
KINDS = ("school_own", "registration", "rehearsal")


@pytest.fixture
async def vacation(scenario: RollCallScenario) -> Vacation:
    """A vacation of three days that the school declares in its own version of the term."""
    registrar, at = registrar_account(scenario.school), scenario.clock()
    async with scenario.owner_transaction() as session:
        term = await get_term(session, scenario.school.id, legal_day(at))
        first = term.starts_on + timedelta(days=30)
        vacation = Vacation("国庆", first, first + timedelta(days=2))
        own = NewTerm(scenario.school.id, term.code, term.starts_on, term.ends_on)
        opened = await open_term(session, registrar, own, at)
        await declare_vacation(session, registrar, opened.id, vacation, at)
    return vacation


async def launch_on(
    scenario: RollCallScenario, day: date, kind: str = "school_own", hours: float = 9
) -> None:
    opens_at = datetime.combine(day, time.min, tzinfo=LEGAL_ZONE) + timedelta(hours=hours)
    scenario.clock.at = opens_at - timedelta(hours=1)
    registrar = registrar_account(scenario.school)
    await scenario.launch(
        registrar, kind=kind, announced=False, opens_at=opens_at, closes_at=opens_at + WINDOW
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_window_in_a_vacation_is_refused_and_names_the_day(
    scenario: RollCallScenario, vacation: Vacation, kind: str
) -> None:
    with pytest.raises(WindowInVacation) as refused:
        await launch_on(scenario, vacation.starts_on, kind)
    assert refused.value.params["days"] == str(vacation.starts_on)


@pytest.mark.parametrize("shift", [-1, 3])
async def test_a_window_beside_a_vacation_is_launched(
    scenario: RollCallScenario, vacation: Vacation, shift: int
) -> None:
    await launch_on(scenario, vacation.starts_on + timedelta(days=shift))


async def test_a_window_that_runs_into_a_vacation_is_refused(
    scenario: RollCallScenario, vacation: Vacation
) -> None:
    with pytest.raises(WindowInVacation):
        await launch_on(scenario, vacation.starts_on - timedelta(days=1), hours=23.5)


async def test_a_superior_may_not_check_a_named_school_in_its_vacation(
    scenario: RollCallScenario, vacation: Vacation
) -> None:
    scenario.clock.at = datetime.combine(vacation.ends_on, time(9), tzinfo=LEGAL_ZONE)
    with pytest.raises(WindowInVacation):
        await scenario.launch(scenario.bureau)


async def test_one_schools_vacation_does_not_stop_a_check_of_the_city(
    scenario: RollCallScenario, vacation: Vacation
) -> None:
    scenario.clock.at = datetime.combine(vacation.ends_on, time(9), tzinfo=LEGAL_ZONE)
    launched = await scenario.launch(
        scenario.bureau, audience=Audience(), announced=False, confirmed=True
    )  # the city has many schools of other tests
    assert launched.owed > 0
