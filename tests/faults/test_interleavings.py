"""Pairs of actions that can conflict, run in random orders of their statements."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from backend.appeal.decisions import UPHELD, DecideAppeal, decide_appeal
from backend.appeal.filing import AgainstCheck, FileAppeal, file_appeal
from backend.appeal.statements import NewMessage
from backend.core.errors import DomainError
from backend.demo.phone import Phone
from backend.identity.devices.service import BindDevice, bind_device
from backend.leave.kinds import LeaveKind
from backend.leave.service import (
    DecideLeave,
    HalfDay,
    RequestLeave,
    cancel_leave,
    decide_leave,
    request_leave,
)
from backend.roll_call.check_in import evaluate
from backend.roll_call.errors import WindowsOverlap
from backend.roll_call.tables import RollCall
from backend.roll_call.voiding import void_roll_call
from backend.standing.appeal_errors import NothingToAppeal
from backend.worker import load_tasks
from tests.faults.interleaving import ConcurrentClient, interleave
from tests.support.province import counselor_account, province_account
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario, make_job_context
from tests.support.roll_call.student_phone import (
    OFFLINE,
    OUTSIDE,
    StudentWithPhone,
    envelope,
    make_fixes,
    render_actions,
)

pytestmark = pytest.mark.xdist_group("faults")
ClientPair = tuple[ConcurrentClient, ConcurrentClient]
SETTLEMENT_TIMEOUT = timedelta(minutes=5)


async def sign_envelope(scenario: RollCallScenario, student: StudentWithPhone, roll_call_id: UUID) -> str:
    """Fetch a challenge and return a signed envelope for it."""
    challenge = await scenario.issue_challenge(student, roll_call_id)
    frames = render_actions(student.person, challenge.actions)
    return envelope(student, roll_call_id, challenge.nonce, frames)


async def run_jobs(scenario: RollCallScenario, *names: str) -> None:
    """Run the waiting jobs with these task names, as a worker would."""
    load_tasks()
    from backend.core.jobs import job_app  # noqa: PLC0415 - filled by load_jobs

    fetch_jobs = text(
        "DELETE FROM procrastinate_jobs WHERE task_name = ANY(:names) AND status = 'todo' RETURNING task_name, args"
    )
    async with scenario.owner_transaction() as session:
        jobs = (await session.execute(fetch_jobs, {"names": list(names)})).all()
    for name, arguments in jobs:
        await job_app.tasks[name].func(make_job_context(scenario.app_context), **arguments)


def unexpected_errors(results: dict[str, Any]) -> list[BaseException]:
    """Return the exceptions that are not domain errors."""
    return [
        each
        for each in results.values()
        if isinstance(each, BaseException) and not isinstance(each, DomainError)
    ]


async def bind(on: RollCallScenario, student: StudentWithPhone, phone: Phone) -> None:
    """Bind another phone to the student."""
    command = BindDevice(phone.thumbprint, phone.jwk, timedelta(days=7))
    async with on.app_context.database.transaction(student.actor.scope) as session:
        await bind_device(session, student.actor, command, on.clock())


async def active_keys(scenario: RollCallScenario, student: StudentWithPhone) -> list[str]:
    """Return the thumbprints of the student's active keys."""
    query = text("SELECT jkt FROM device_key WHERE student_id = :id AND status = 'active'")
    async with scenario.owner_transaction() as session:
        return list((await session.execute(query, {"id": student.student_id})).scalars())


async def settle_unverified(
    scenario: RollCallScenario, **sent: Any
) -> tuple[StudentWithPhone, RollCall, UUID]:
    """Settle a roll call with an unverified submission. Return student, roll call and submission id."""
    student = await scenario.activate(scenario.school.students[0])
    roll_call = (await scenario.launch()).roll_call
    submission_id = await scenario.check_in(student, roll_call.id, **sent)
    scenario.clock.at = roll_call.closes_at + SETTLEMENT_TIMEOUT
    await scenario.settle(roll_call)
    outcome = await scenario.outcome(roll_call.id, student)
    assert outcome is not None
    assert outcome[0] == "undetermined"
    return student, roll_call, submission_id


async def appeal(on: RollCallScenario, student: StudentWithPhone, roll_call_id: UUID) -> UUID:
    """File the student's appeal against the outcome. Return its id."""
    command = FileAppeal(AgainstCheck(roll_call_id), NewMessage("当天在校实训，有考勤记录为证。"))
    async with on.app_context.database.transaction(student.actor.scope) as session:
        return (await file_appeal(session, student.actor, command, on.clock())).filed.id


async def uphold(on: RollCallScenario, appeal_id: UUID) -> None:
    """Uphold the appeal as the province, which was not involved in the city's roll call."""
    actor = province_account(on.world.province)
    command = DecideAppeal(appeal_id, upheld=True, reasons="材料已核实", finding="present")
    async with on.app_context.database.transaction(actor.scope) as session:
        await decide_appeal(session, actor, command, on.clock())


async def test_envelope_at_the_close_never_ends_as_a_miss(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student = await scenario.activate(scenario.school.students[0])
    roll_call = (await scenario.launch()).roll_call
    scenario.clock.at = roll_call.closes_at - timedelta(seconds=5)
    compact = await sign_envelope(scenario, student, roll_call.id)
    sender, settler = clients
    sender.scenario.clock.at = roll_call.closes_at
    settler.scenario.clock.at = roll_call.closes_at + MICROSECOND
    results = await interleave(
        scenario,
        {
            "send": (sender, lambda on: on.send(student, roll_call.id, compact)),
            "settle": (settler, lambda on: on.settle(roll_call)),
        },
        order,
    )
    assert not unexpected_errors(results)
    assert isinstance(results["send"], evaluate.Acknowledgement)
    scenario.clock.at = roll_call.closes_at + SETTLEMENT_TIMEOUT
    await scenario.settle(roll_call)
    await run_jobs(scenario, "resettle_submission")
    outcome = await scenario.outcome(roll_call.id, student)
    assert outcome is not None
    assert outcome[0] == "undetermined"


async def test_rebinding_during_an_envelope_leaves_one_active_key(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student = await scenario.activate(scenario.school.students[0])
    roll_call = (await scenario.launch()).roll_call
    compact = await sign_envelope(scenario, student, roll_call.id)
    fresh = Phone(OFFLINE)
    sender, binder = clients
    results = await interleave(
        scenario,
        {
            "send": (sender, lambda on: on.send(student, roll_call.id, compact)),
            "bind": (binder, lambda on: bind(on, student, fresh)),
        },
        order,
    )
    assert not unexpected_errors(results)
    assert await active_keys(scenario, student) == [fresh.thumbprint]
    assert await scenario.count_submissions(student) == isinstance(results["send"], evaluate.Acknowledgement)


async def test_leave_is_never_approved_after_its_withdrawal(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student = await scenario.activate(scenario.school.students[0])
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    day = (scenario.clock() + timedelta(days=3)).date()
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        command = RequestLeave(
            LeaveKind.PERSONAL, HalfDay(day, "morning"), HalfDay(day, "afternoon"), "家中有事"
        )
        leave = await request_leave(
            session, student.actor, scenario.app_context.keys, command, scenario.clock()
        )

    async def approve(on: RollCallScenario) -> None:
        async with on.app_context.database.transaction(counselor.scope) as session:
            await decide_leave(session, counselor, DecideLeave(leave.request.id, "approved"), on.clock())

    async def withdraw(on: RollCallScenario) -> None:
        async with on.app_context.database.transaction(student.actor.scope) as session:
            await cancel_leave(session, student.actor, leave.request.id, None, on.clock())

    first, second = clients
    results = await interleave(scenario, {"approve": (first, approve), "withdraw": (second, withdraw)}, order)
    assert not unexpected_errors(results)
    assert results["withdraw"] is None
    async with scenario.owner_transaction() as session:
        decided, withdrawn = (
            await session.execute(
                text(
                    "SELECT (SELECT decided_at FROM leave_decision WHERE leave_id = :id),"
                    " (SELECT cancelled_at FROM leave_cancellation WHERE leave_id = :id)"
                ),
                {"id": leave.request.id},
            )
        ).one()
    assert withdrawn is not None
    assert (decided is not None) == (results["approve"] is None)
    assert decided is None or decided <= withdrawn


async def test_verdict_and_voiding_leave_one_outcome_that_is_no_miss(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student = await scenario.activate(scenario.school.students[0])
    roll_call = (await scenario.launch()).roll_call
    submission_id = await scenario.check_in(student, roll_call.id)
    judge, launcher = clients

    async def void(on: RollCallScenario) -> None:
        async with on.app_context.database.transaction(on.bureau.scope) as session:
            await void_roll_call(session, on.bureau, roll_call.id, "全市停电", on.clock())

    results = await interleave(
        scenario, {"verify": (judge, lambda on: on.verify(submission_id)), "void": (launcher, void)}, order
    )
    assert not unexpected_errors(results)
    outcome = await scenario.outcome(roll_call.id, student)
    assert outcome is not None
    assert outcome[0] in {"present", "excused"}
    assert await outcome_numbers(scenario, roll_call.id, student.student_id) == [1]


async def test_verdict_during_the_settlement_makes_the_student_present(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student = await scenario.activate(scenario.school.students[0])
    roll_call = (await scenario.launch()).roll_call
    submission_id = await scenario.check_in(student, roll_call.id)
    judge, settler = clients
    for each in clients:
        each.scenario.clock.at = roll_call.closes_at + SETTLEMENT_TIMEOUT
    results = await interleave(
        scenario,
        {
            "verify": (judge, lambda on: on.verify(submission_id)),
            "settle": (settler, lambda on: on.settle(roll_call)),
        },
        order,
    )
    assert not unexpected_errors(results)
    outcome = await scenario.outcome(roll_call.id, student)
    assert outcome is not None
    assert outcome[0] == "present"
    numbers = await outcome_numbers(scenario, roll_call.id, student.student_id)
    assert numbers == list(range(1, len(numbers) + 1))


async def test_rebinding_during_a_verdict_does_not_change_the_outcome(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student = await scenario.activate(scenario.school.students[0])
    roll_call = (await scenario.launch()).roll_call
    submission_id = await scenario.check_in(student, roll_call.id)
    fresh = Phone(OFFLINE)
    judge, binder = clients
    results = await interleave(
        scenario,
        {
            "verify": (judge, lambda on: on.verify(submission_id)),
            "bind": (binder, lambda on: bind(on, student, fresh)),
        },
        order,
    )
    assert not unexpected_errors(results)
    outcome = await scenario.outcome(roll_call.id, student)
    assert outcome is not None
    assert outcome[0] == "present"
    assert await outcome_numbers(scenario, roll_call.id, student.student_id) == [1]
    assert await active_keys(scenario, student) == [fresh.thumbprint]


async def test_appeal_during_a_verdict_does_not_change_the_outcome(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student, roll_call, submission_id = await settle_unverified(scenario)
    judge, appellant = clients
    for each in clients:
        each.scenario.clock.at = scenario.clock.at
    results = await interleave(
        scenario,
        {
            "verify": (judge, lambda on: on.verify(submission_id)),
            "appeal": (appellant, lambda on: appeal(on, student, roll_call.id)),
        },
        order,
    )
    assert not unexpected_errors(results)
    assert isinstance(results["appeal"], UUID | NothingToAppeal)
    outcome = await scenario.outcome(roll_call.id, student)
    assert outcome is not None
    assert outcome[0] == "present"
    assert await outcome_numbers(scenario, roll_call.id, student.student_id) == [1, 2]


async def test_upheld_appeal_prevails_over_a_negative_verdict(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student, roll_call, submission_id = await settle_unverified(scenario, fixes=make_fixes(OUTSIDE))
    appeal_id = await appeal(scenario, student, roll_call.id)
    judge, decider = clients
    for each in clients:
        each.scenario.clock.at = scenario.clock.at
    results = await interleave(
        scenario,
        {
            "verify": (judge, lambda on: on.verify(submission_id)),
            "decide": (decider, lambda on: uphold(on, appeal_id)),
        },
        order,
    )
    assert not unexpected_errors(results)
    if isinstance(results["decide"], DomainError):  # "the result changed just now; try again"
        await uphold(scenario, appeal_id)
    assert await scenario.outcome(roll_call.id, student) == ("present", UPHELD)
    numbers = await outcome_numbers(scenario, roll_call.id, student.student_id)
    assert numbers == list(range(1, len(numbers) + 1))


async def test_concurrent_launches_for_one_audience_create_one_roll_call(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    first, second = clients
    results = await interleave(
        scenario,
        {
            "one": (first, lambda on: on.launch(announced=False)),
            "other": (second, lambda on: on.launch(announced=False)),
        },
        order,
    )
    assert not unexpected_errors(results)
    assert sum(isinstance(each, WindowsOverlap) for each in results.values()) == 1
    async with scenario.owner_transaction() as session:
        launched = await session.scalar(
            text("SELECT count(DISTINCT roll_call_id) FROM obligation WHERE school_id = :id"),
            {"id": scenario.school.id},
        )
    assert launched == 1


async def test_concurrent_settlements_write_each_outcome_and_event_once(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    roll_call = (await scenario.launch()).roll_call
    for each in clients:
        each.scenario.clock.at = roll_call.closes_at + SETTLEMENT_TIMEOUT
    first, second = clients
    results = await interleave(
        scenario,
        {"one": (first, lambda on: on.settle(roll_call)), "other": (second, lambda on: on.settle(roll_call))},
        order,
    )
    assert not unexpected_errors(results)
    assert results["one"].figures == results["other"].figures
    assert len(await scenario.load_events("RollCallSettled", roll_call.id)) == 1
    for pupil in scenario.school.students:
        assert await outcome_numbers(scenario, roll_call.id, pupil.id) == [1]


async def test_envelope_sent_twice_at_once_has_one_receipt(
    scenario: RollCallScenario, clients: ClientPair, order: int
) -> None:
    student = await scenario.activate(scenario.school.students[0])
    roll_call = (await scenario.launch()).roll_call
    compact = await sign_envelope(scenario, student, roll_call.id)
    first, second = clients
    results = await interleave(
        scenario,
        {
            "one": (first, lambda on: on.send(student, roll_call.id, compact)),
            "other": (second, lambda on: on.send(student, roll_call.id, compact)),
        },
        order,
    )
    assert not unexpected_errors(results)
    assert results["one"].receipt == results["other"].receipt
    assert sorted(each.first for each in results.values()) == [False, True]
    assert await scenario.count_submissions(student) == 1


async def outcome_numbers(scenario: RollCallScenario, roll_call_id: UUID, student_id: UUID) -> list[int]:
    """Return the sequence numbers of the outcomes of one obligation."""
    async with scenario.owner_transaction() as session:
        rows = await session.execute(
            text("SELECT seq FROM outcome_entry WHERE roll_call_id = :r AND student_id = :s ORDER BY seq"),
            {"r": roll_call_id, "s": student_id},
        )
        return list(rows.scalars())
