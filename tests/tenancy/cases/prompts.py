"""Prompts, decisions, statements."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from backend.campus.service import Decision, Filing, NewSite, decide_filing, file_site
from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.core.tables import ServiceHeartbeat
from backend.core.tenancy import Scope
from backend.notice.tables import Notice, NoticeMessage, NoticeReceipt
from backend.roll_call.launch.audience import Audience
from backend.roll_call.tables import RollCall
from backend.standing.prompts.decisions import DecidePrompt, decide_prompt
from backend.standing.prompts.deliveries import receive_prompt
from backend.standing.store.save import recompute
from tests.support.campus import drawn
from tests.support.province import Pupil, School, registrar_account
from tests.tenancy.rows import Made, Of, Row

HOUR = timedelta(hours=1)

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row(
        "GET /v1/prompts",
        "ok       ok     ok        ok",
        query={"school_id": Of("school"), "class_id": Of("class"), "student_id": Of("student")},
    ),
    Row("GET /v1/prompts/{prompt_id}", "ok       ok     ok        ok"),
    Row("POST /v1/prompts/{prompt_id}/receipt", "403      403    ok        403"),
    Row(
        "POST /v1/prompts/{prompt_id}/delivery",
        "403      ok     403       403",
        Made(
            lambda company: {
                "how": "written",
                "received_at": company.clock().isoformat(),
                "text": "送达回证〔2026〕12号",
            }
        ),
    ),
    Row(
        "POST /v1/prompts/{prompt_id}/decisions",
        "403      409    ok/409    403",
        {"outcome": "part_time"},
        path={"prompt_id": Of("received_prompt")},
    ),
    Row(
        "POST /v1/prompt-decisions/{decision_id}/answer",
        "403      ok/409 403       403",
        {"accepted": True, "opinion": "病历属实"},
        path={"decision_id": Of("dismissal")},
    ),
    Row(
        "POST /v1/standing-entries/{entry_id}/reversal",
        "403      409    403       403",
        {"reasons": "当日停电"},
        path={"entry_id": Of("prompted_change")},
        why="of a person's decision",
    ),
)
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/me/standing", "ok"),
    Row("GET /v1/me/prompts", "ok"),
    Row("GET /v1/me/prompts/{prompt_id}", "ok"),
    Row("POST /v1/me/prompts/{prompt_id}/statements", "ok", {"text": "当天在医院陪护家人"}),
)


async def things(
    assembly: Any,
    school: School,
    superior: Actor,
    made: dict[str, Any],
) -> dict[str, Any]:
    """Two checks of today that everybody missed, and prompts in the states that the acts need."""
    await missed_check(assembly, school, superior, 6 * HOUR)
    missed = await missed_check(assembly, school, superior, 3 * HOUR)
    first, second, third = school.classes
    room = _Room(assembly, school)
    dismissed = await room.received(third.students[1])
    decided = await room.received(second.students[1])
    dismissal = await room.decide(DecidePrompt(dismissed, "dismiss", found_reason="illness"))
    await room.decide(DecidePrompt(decided, "part_time"))
    return {
        "missed_check": missed,
        "prompt": await room.prompt(first.students[0]),
        "classmate_prompt": await room.prompt(first.students[2]),
        "colleague_prompt": await room.prompt(second.students[0]),
        "received_prompt": await room.received(third.students[0]),
        "dismissal": dismissal,
        "prompted_change": await room.change(second.students[1]),
    }


async def missed_check(assembly: Any, school: School, superior: Actor, ago: timedelta) -> UUID:
    """A check of an hour so long ago that every student of the school was told of and missed; settled."""
    dial = assembly.identity.dial
    present, dial.ahead = dial.ahead, dial.ahead - ago
    await _file_site(assembly, school, superior)
    launched = await assembly.roll.launch(superior, audience=Audience(unit_ids=(school.id,)))
    roll_call: RollCall = launched.roll_call
    async with assembly.roll.arrange() as session:
        await _leave_pulses(session, roll_call)
        await _receive_notices(session, roll_call)
    dial.ahead += HOUR + HOUR / 2
    await assembly.roll.settle(roll_call)
    dial.ahead = present
    return roll_call.id


async def _file_site(assembly: Any, school: School, superior: Actor) -> None:
    """An approved site that holds from then on, so that a check has versions to name."""
    registrar, database = registrar_account(school), assembly.identity.app_context.database
    new = NewSite(f"校区{new_id()}", "branch", "郑州市某路3号")
    async with database.transaction(registrar.scope) as session:
        version = await file_site(session, registrar, new, Filing(drawn()), assembly.at)
    async with database.transaction(superior.scope) as session:
        await decide_filing(session, superior, version.id, Decision("approved"), assembly.at)


async def _leave_pulses(session: Any, roll_call: RollCall) -> None:
    minute, rows = roll_call.opens_at.replace(second=0, microsecond=0), []
    while minute < roll_call.closes_at:
        rows.append({"minute": minute})
        minute += timedelta(minutes=1)
    await session.execute(upsert(ServiceHeartbeat).values(rows).on_conflict_do_nothing())


async def _receive_notices(session: Any, roll_call: RollCall) -> None:
    at = roll_call.opens_at
    found = (
        select(Notice.id, literal("in_app"), literal("delivered"), literal(at), literal(at))
        .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
        .where(NoticeMessage.group_id == roll_call.id)
    )
    columns = ["notice_id", "channel", "event", "at", "recorded_at"]
    await session.execute(insert(NoticeReceipt).from_select(columns, found))


class _Room:
    """What a school's registrar does with prompts."""

    def __init__(self, assembly: Any, school: School) -> None:
        self.assembly = assembly
        self.school = school
        self.registrar = registrar_account(school)

    @property
    def database(self) -> Any:
        return self.assembly.identity.app_context.database

    async def prompt(self, pupil: Pupil) -> UUID:
        """The student's prompt, not received yet."""
        async with self.database.transaction(Scope.school(self.school.id, self.school.path)) as session:
            picture = await recompute(session, pupil.id, self.assembly.at)
        [prompt] = picture.prompts
        return UUID(prompt.prompt_id)

    async def received(self, pupil: Pupil) -> UUID:
        """The same, received by the school."""
        prompt_id = await self.prompt(pupil)
        async with self.database.transaction(self.registrar.scope) as session:
            await receive_prompt(session, self.registrar, prompt_id, self.assembly.at)
        return prompt_id

    async def decide(self, command: DecidePrompt) -> UUID:
        async with self.database.transaction(self.registrar.scope) as session:
            return (await decide_prompt(session, self.registrar, command, self.assembly.at)).id

    async def change(self, pupil: Pupil) -> UUID:
        """The student's only change of standing."""
        async with self.database.transaction(Scope.school(self.school.id, self.school.path)) as session:
            picture = await recompute(session, pupil.id, self.assembly.at)
        [entry] = picture.ledger
        return UUID(entry.entry_id)
