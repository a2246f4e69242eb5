"""What leave means for a roll call: frozen at the launch, by the database as by the rules (reading 6)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from backend.core.database import Base
from backend.core.ids import new_id
from backend.leave.queries import ExemptionCriteria, load_leave_intervals, select_students_on_leave
from backend.leave.rules import Exemption, NoticedWindow, find_exemption
from backend.leave.tables import LeaveCancellation, LeaveDecision, LeaveRequest, LeaveReturn
from backend.roll_call.launch.audience import Audience, Sample
from backend.roll_call.launch.service import Launched
from backend.roll_call.tables import Obligation
from tests.support.leave import LeaveScenario
from tests.support.province import SampleStudent, bureau_account

HOUR = timedelta(hours=1)
pytestmark = [pytest.mark.clause("HN334-3.5a"), pytest.mark.clause("R6")]


async def launch_on_leave(
    scenario: LeaveScenario, opens: timedelta = HOUR, length: timedelta = HOUR, **changes: Any
) -> Launched:
    opens_at = scenario.at + opens
    return await scenario.roll_call_scenario.launch(
        announced=False, opens_at=opens_at, closes_at=opens_at + length, **changes
    )


async def duties(scenario: LeaveScenario, launch: Launched) -> dict[SampleStudent, tuple[str, str | None]]:
    async with scenario.roll_call_scenario.owner_transaction() as session:
        rows = await session.scalars(select(Obligation).where(Obligation.roll_call_id == launch.roll_call.id))
        found = {row.student_id: (row.duty, row.reason) for row in rows}
    return {pupil: found[pupil.id] for pupil in scenario.school.students if pupil.id in found}


async def test_only_approved_leave_in_force_exempts(
    scenario: LeaveScenario,
) -> None:
    approved, pending, declined, cancelled, returned, none = scenario.school.students
    registrar = scenario.roll_call_scenario.registrar
    await scenario.request_approved(pupil=approved)
    await scenario.request(pupil=pending)
    await scenario.decide(await scenario.request(pupil=declined), "declined", registrar, "证明不全")
    await scenario.cancel(await scenario.request_approved(pupil=cancelled), registrar)
    await scenario.return_from(await scenario.request_approved(pupil=returned), registrar)
    launch = await launch_on_leave(scenario)
    owed = ("owed", None)
    assert await duties(scenario, launch) == {
        approved: ("excused", "on_leave"),
        pending: owed,
        declined: owed,
        cancelled: owed,
        returned: owed,
        none: owed,
    }
    assert (launch.owed, launch.excused, launch.exempt) == (5, 1, 0)


@pytest.mark.parametrize(
    ("opens_hour", "minutes_left", "duty"), [(11, 59, "excused"), (11, 60, "owed"), (11, 90, "owed")]
)
async def test_leave_exempts_if_less_than_the_minimum_window_is_free(
    scenario: LeaveScenario, opens_hour: int, minutes_left: int, duty: str
) -> None:
    """The leave ends at noon; the window opens an hour before and closes so many minutes after it."""
    await scenario.request_approved(last_half="morning")
    length = HOUR + timedelta(minutes=minutes_left)
    launch = await launch_on_leave(scenario, timedelta(hours=opens_hour - 8), length)
    assert (await duties(scenario, launch))[scenario.pupil][0] == duty


async def test_two_half_days_together_exempt_from_a_window_over_noon(scenario: LeaveScenario) -> None:
    await scenario.request_approved(last_half="morning")
    await scenario.request_approved(first_half="afternoon")
    launch = await launch_on_leave(scenario, 3 * HOUR, 2 * HOUR)
    assert (await duties(scenario, launch))[scenario.pupil] == ("excused", "on_leave")


@pytest.mark.clause("HN334-3.4")
async def test_changes_after_the_launch_do_not_alter_exemptions(scenario: LeaveScenario) -> None:
    leave = await scenario.request_approved()
    late = scenario.school.students[1]
    launch = await launch_on_leave(scenario)
    frozen = await duties(scenario, launch)
    await scenario.cancel(leave, scenario.counselor)
    await scenario.request_approved(pupil=late)
    assert await duties(scenario, launch) == frozen
    assert (frozen[scenario.pupil], frozen[late]) == (("excused", "on_leave"), ("owed", None))


async def test_student_on_leave_is_excused_at_the_settlement(scenario: LeaveScenario) -> None:
    await scenario.request_approved()
    launch = await launch_on_leave(scenario)
    scenario.roll_call_scenario.clock.at = launch.roll_call.opens_at
    await scenario.roll_call_scenario.announce(launch.roll_call)
    scenario.roll_call_scenario.clock.at = launch.roll_call.closes_at + HOUR
    await scenario.roll_call_scenario.settle(launch.roll_call)
    outcomes = await scenario.roll_call_scenario.outcomes(launch.roll_call.id)
    assert (outcomes[scenario.pupil.id].outcome, outcomes[scenario.pupil.id].reason) == (
        "excused",
        "on_leave",
    )
    assert len(outcomes) == launch.owed + launch.excused


async def test_leave_approved_before_the_notice_excuses_and_later_does_not(
    scenario: LeaveScenario,
) -> None:
    """The law's boundary is the notice; what the launch froze stays as it was (invariant 10)."""
    between, late, none = scenario.school.students[:3]
    notify_at, opens_at = scenario.at + HOUR, scenario.at + 2 * HOUR
    launch = await scenario.roll_call_scenario.launch(
        announced=False, notify_at=notify_at, opens_at=opens_at, closes_at=opens_at + HOUR
    )
    await scenario.request_approved(pupil=between)
    scenario.roll_call_scenario.clock.at = notify_at
    await scenario.roll_call_scenario.announce(launch.roll_call)
    await scenario.request_approved(pupil=late)
    scenario.roll_call_scenario.clock.at = launch.roll_call.closes_at + HOUR
    await scenario.roll_call_scenario.settle(launch.roll_call)
    assert set((await duties(scenario, launch)).values()) == {("owed", None)}
    outcomes = await scenario.roll_call_scenario.outcomes(launch.roll_call.id)
    found = [(outcomes[pupil.id].outcome, outcomes[pupil.id].reason) for pupil in (between, late, none)]
    assert found == [("excused", "on_leave"), ("missed", "no_check_in"), ("missed", "no_check_in")]


async def test_leave_does_not_change_the_sampling_of_other_students(scenario: LeaveScenario) -> None:
    audience = Audience(unit_ids=(scenario.school.id,), sample=Sample(size=3))
    before = await duties(scenario, await launch_on_leave(scenario, audience=audience, seed="同一种子"))
    drawn = next(iter(before))
    await scenario.request_approved(days=2, pupil=drawn)
    after = await duties(
        scenario, await launch_on_leave(scenario, 24 * HOUR, audience=audience, seed="同一种子")
    )
    assert before.keys() == after.keys()
    assert after[drawn] == ("excused", "on_leave")


async def test_launcher_does_not_see_leave_of_other_schools(scenario: LeaveScenario) -> None:
    """A bureau's launch sees what its own scope admits, and no more."""
    await scenario.request_approved()
    reach = ExemptionCriteria(NoticedWindow(scenario.at, scenario.at, scenario.at + HOUR), HOUR, scenario.at)
    other = scenario.roll_call_scenario.world.other_city
    async with scenario.transaction(scenario.roll_call_scenario.bureau) as session:
        assert scenario.pupil.id in set(await session.scalars(select_students_on_leave(reach)))
    async with scenario.transaction(bureau_account(other)) as session:
        assert scenario.pupil.id not in set(await session.scalars(select_students_on_leave(reach)))


# --- the database says what the rules say ---

STEP = timedelta(minutes=30)
STEPS = st.integers(0, 24)


@dataclass(frozen=True)
class History:
    """A request in half-hour steps of a morning, what became of it, and at which step."""

    begins: int
    lasts: int
    happened: str
    decided: int
    ended: int
    back: int

    def rows(self, pupil: SampleStudent, start: datetime) -> list[Base]:
        identity: dict[str, Any] = {"school_id": pupil.school_id, "student_id": pupil.id}
        request = LeaveRequest(
            id=new_id(),
            kind="sick",
            starts_at=start + self.begins * STEP,
            ends_at=start + (self.begins + self.lasts) * STEP,
            reason_sealed=b"sealed",
            filed_by=new_id(),
            filed_at=start,
            **identity,
        )
        identity["leave_id"] = request.id
        decision = LeaveDecision(
            outcome="declined" if self.happened == "declined" else "approved",
            opinion="已核实",
            filed_by=request.filed_by,
            decided_by=new_id(),
            decided_at=start + self.decided * STEP,
            **identity,
        )
        cancellation = LeaveCancellation(
            cancelled_by=new_id(), cancelled_at=start + max(self.decided, self.ended) * STEP, **identity
        )
        return_record = LeaveReturn(
            returned_at=start + min(self.back, self.ended) * STEP,
            recorded_by=new_id(),
            recorded_at=start + max(self.decided, self.ended) * STEP,
            **identity,
        )
        became = {"pending": [], "cancelled": [decision, cancellation], "returned": [decision, return_record]}
        return [request, *became.get(self.happened, [decision])]


HISTORIES = st.builds(
    History,
    begins=st.integers(0, 22),
    lasts=st.integers(1, 12),
    happened=st.sampled_from(["approved", "approved", "pending", "declined", "cancelled", "returned"]),
    decided=st.integers(0, 12),
    ended=STEPS,
    back=STEPS,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=st.lists(HISTORIES, max_size=4), opens=STEPS, lasts=st.integers(2, 8), as_of=STEPS)
async def test_sql_exempts_exactly_the_students_that_the_rules_exempt(
    scenario: LeaveScenario, held: list[History], opens: int, lasts: int, as_of: int
) -> None:
    pupil, start = scenario.pupil, scenario.at
    told = start + max(opens, as_of) * STEP
    window = NoticedWindow(told, start + opens * STEP, start + (opens + lasts) * STEP)
    reach = ExemptionCriteria(window, HOUR, start + as_of * STEP)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        for history in held:
            request, *later = history.rows(pupil, start)
            session.add(request)
            await session.flush()
            session.add_all(later)
        await session.flush()
        in_database = pupil.id in set(await session.scalars(select_students_on_leave(reach)))
        facts = (await load_leave_intervals(session, [pupil.id]))[pupil.id]
        await session.rollback()
    by_rule = find_exemption(facts, window, HOUR, reach.as_of) is Exemption.EXEMPT
    assert in_database == by_rule
