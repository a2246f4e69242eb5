"""Prompts with their decisions and statements, and reversals."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from backend.campus.service import Filing, FilingDecision, NewSite, decide_filing, file_site
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
from tests.support.campus import parsed_outline
from tests.support.province import SampleSchool, SampleStudent, registrar_account
from tests.support.roll_call.rejected_check_in import RejectedCheckIn, store_rejected_check_in
from tests.tenancy.rows import Computed, IdOf, Row

HOUR = timedelta(hours=1)

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row(
        "GET /v1/prompts",
        "ok       ok     ok        ok",
        query={"school_id": IdOf("school"), "class_id": IdOf("class"), "student_id": IdOf("student")},
    ),
    Row("GET /v1/prompts/{prompt_id}", "ok       ok     ok        ok"),
    Row("GET /v1/prompts/{prompt_id}/preview", "ok       ok     ok        ok"),
    Row(
        "GET /v1/prompts/{prompt_id}/positions/{roll_call_id}",
        "409      409    ok/409    403",
        path={"prompt_id": IdOf("received_prompt"), "roll_call_id": IdOf("missed_check")},
    ),
    Row("POST /v1/prompts/{prompt_id}/receipt", "403      403    ok        403"),
    Row(
        "POST /v1/prompts/{prompt_id}/delivery",
        "403      ok     403       403",
        Computed(
            lambda scenario: {
                "how": "written",
                "received_at": scenario.clock().isoformat(),
                "text": "送达回证〔2026〕12号",
            }
        ),
    ),
    Row(
        "POST /v1/prompts/{prompt_id}/notice-deliveries",
        "403      409    403       403",
        {
            "roll_call_id": IdOf("missed_check"),
            "how": "in_person",
            "received_at": "2026-11-20T10:00:00+08:00",
            "text": "通知签收单〔2026〕3号",
        },
        note="with complete evidence",
    ),
    Row(
        "POST /v1/prompts/{prompt_id}/check-findings",
        "409      409    403       403",
        {"roll_call_id": IdOf("missed_check"), "finding": "missed", "text": "人工比对"},
        note="with complete evidence",
    ),
    Row(
        "POST /v1/prompts/{prompt_id}/closure",
        "403      409    403       403",
        {"reasons": "无送达回证"},
        note="with complete evidence",
    ),
    Row(
        "POST /v1/prompts/{prompt_id}/leave-answers",
        "403      409    403       403",
        {"leave_id": IdOf("waiting_leave"), "accepted": True, "opinion": "病历属实"},
        note="without late leave",
    ),
    Row(
        "POST /v1/prompts/{prompt_id}/decisions",
        "403      409    ok/409    403",
        {"outcome": "part_time", "reasons": "已逐项核实"},
        path={"prompt_id": IdOf("received_prompt")},
    ),
    Row(
        "POST /v1/prompt-decisions/{decision_id}/answer",
        "403      ok/409 403       403",
        {"accepted": True, "opinion": "病历属实"},
        path={"decision_id": IdOf("dismissal")},
    ),
    Row(
        "POST /v1/standing-entries/{entry_id}/reversal",
        "403      409    403       403",
        {"reasons": "当日停电"},
        path={"entry_id": IdOf("prompted_change")},
        note="of a decided change",
    ),
)
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/me/standing", "ok"),
    Row("GET /v1/me/terms", "ok"),
    Row("GET /v1/me/prompts", "ok"),
    Row("GET /v1/me/prompts/{prompt_id}", "ok"),
    Row("POST /v1/me/prompts/{prompt_id}/statements", "ok", {"text": "当天在医院陪护家人"}),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Settle two roll calls that all students missed, and bring prompts into the states that the rows need."""
    await settle_missed_check(builder, school, superior, 6 * HOUR)
    missed = await settle_missed_check(builder, school, superior, 3 * HOUR)
    first, second, third = school.classes
    for pupil in (first.students[0], second.students[0], second.students[1], third.students[0]):
        await store_check_in(builder, missed, pupil)
    actions = _PromptActions(builder, school)
    dismissed = await actions.receive_prompt(third.students[1])
    decided = await actions.receive_prompt(second.students[1])
    dismissal = await actions.decide(DecidePrompt(dismissed, "dismiss", found_reason="illness"))
    await actions.decide(DecidePrompt(decided, "part_time"))
    return {
        "missed_check": missed,
        "prompt": await actions.raise_prompt(first.students[0]),
        "classmate_prompt": await actions.raise_prompt(first.students[2]),
        "colleague_prompt": await actions.raise_prompt(second.students[0]),
        "received_prompt": await actions.receive_prompt(third.students[0]),
        "dismissal": dismissal,
        "prompted_change": await actions.load_change(second.students[1]),
    }


async def settle_missed_check(builder: Any, school: SampleSchool, superior: Actor, ago: timedelta) -> UUID:
    """Settle a roll call that was announced `ago` and that every student of the school missed."""
    clock = builder.identity.clock
    present, clock.offset = clock.offset, clock.offset - ago
    await _file_site(builder, school, superior)
    launched = await builder.roll.launch(superior, audience=Audience(unit_ids=(school.id,)))
    roll_call: RollCall = launched.roll_call
    async with builder.roll.owner_transaction() as session:
        await _insert_heartbeats(session, roll_call)
        await _receive_notices(session, roll_call)
    clock.offset += HOUR + HOUR / 2
    await builder.roll.settle(roll_call)
    clock.offset = present
    return roll_call.id


async def store_check_in(builder: Any, roll_call_id: UUID, pupil: SampleStudent) -> None:
    """Store a check-in outside the site, of a student who agreed to be shown it on a map."""
    async with builder.roll.owner_transaction() as session:
        roll_call = await session.get_one(RollCall, roll_call_id)
        sent = RejectedCheckIn(roll_call, pupil, roll_call.opens_at + HOUR / 4)
        await store_rejected_check_in(session, sent)


async def _file_site(builder: Any, school: SampleSchool, superior: Actor) -> None:
    """Create an approved site at that time, so that the roll call has site versions."""
    registrar, database = registrar_account(school), builder.identity.app_context.database
    new = NewSite(f"校区{new_id()}", "branch", "郑州市某路3号")
    async with database.transaction(registrar.scope) as session:
        version = await file_site(session, registrar, new, Filing(parsed_outline()), builder.at)
    async with database.transaction(superior.scope) as session:
        await decide_filing(session, superior, version.id, FilingDecision("approved"), builder.at)


async def _insert_heartbeats(session: Any, roll_call: RollCall) -> None:
    minute, rows = roll_call.opens_at.replace(second=0, microsecond=0), []
    while minute < roll_call.closes_at:
        rows.append({"minute": minute})
        minute += timedelta(minutes=1)
    await session.execute(upsert(ServiceHeartbeat).values(rows).on_conflict_do_nothing())


async def _receive_notices(session: Any, roll_call: RollCall) -> None:
    at = roll_call.opens_at
    receipts = (
        select(Notice.id, literal("in_app"), literal("delivered"), literal(at), literal(at))
        .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
        .where(NoticeMessage.group_id == roll_call.id)
    )
    columns = ["notice_id", "channel", "event", "at", "recorded_at"]
    await session.execute(insert(NoticeReceipt).from_select(columns, receipts))


class _PromptActions:
    """Acts on prompts as the school's registrar."""

    def __init__(self, builder: Any, school: SampleSchool) -> None:
        self.builder = builder
        self.school = school
        self.registrar = registrar_account(school)

    @property
    def database(self) -> Any:
        return self.builder.identity.app_context.database

    async def raise_prompt(self, pupil: SampleStudent) -> UUID:
        """Assess the student and return the prompt."""
        async with self.database.transaction(Scope.school(self.school.id, self.school.path)) as session:
            assessment = await recompute(session, pupil.id, self.builder.at)
        [prompt] = assessment.prompts
        return UUID(prompt.prompt_id)

    async def receive_prompt(self, pupil: SampleStudent) -> UUID:
        """Raise a prompt and receive it as the school."""
        prompt_id = await self.raise_prompt(pupil)
        async with self.database.transaction(self.registrar.scope) as session:
            await receive_prompt(session, self.registrar, prompt_id, self.builder.at)
        return prompt_id

    async def decide(self, command: DecidePrompt) -> UUID:
        async with self.database.transaction(self.registrar.scope) as session:
            return (await decide_prompt(session, self.registrar, command, self.builder.at)).id

    async def load_change(self, pupil: SampleStudent) -> UUID:
        """Return the student's only change of standing."""
        async with self.database.transaction(Scope.school(self.school.id, self.school.path)) as session:
            assessment = await recompute(session, pupil.id, self.builder.at)
        [entry] = assessment.ledger
        return UUID(entry.entry_id)
