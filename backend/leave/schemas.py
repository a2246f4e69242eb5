"""Wire schemas of leave, for both APIs."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.keys import KeyRing
from backend.core.web.schema_types import Day, LongText, OneOf, Schema, Timestamp
from backend.leave.kinds import KINDS_TEXT, LeaveKind
from backend.leave.queries import LEAVE_ATTACHMENTS, Leave
from backend.leave.reasons import decrypt_reason
from backend.leave.rules import LeaveBalance, LeaveState
from backend.leave.service import Answer, Half
from backend.leave.stand_ins import StandIn
from backend.leave.texts import days_sentence
from backend.people.attachment_schemas import AttachmentIds, AttachmentOut
from backend.people.attachments import AttachmentView, load_attachments


class LeaveDecisionOut(BaseModel):
    """The decision on a request."""

    outcome: Annotated[str, OneOf(Answer)] = Field(description="approved or declined", examples=["approved"])
    opinion: str | None = Field(examples=["同意，注意休息"])
    decided_at: datetime


class LeaveOut(BaseModel):
    """A request for leave and its state. `ends_at` is exclusive: whole days end at 24:00."""

    id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    kind: Annotated[str, OneOf(LeaveKind)] = Field(description=KINDS_TEXT, examples=["sick"])
    starts_at: datetime
    ends_at: datetime
    reason: str = Field(examples=["发烧就医"])
    attachments: list[AttachmentOut]
    filed_at: datetime
    state: Annotated[str, OneOf(LeaveState)] = Field(
        description="pending, approved, refused, cancelled, returned", examples=["pending"]
    )
    decision: LeaveDecisionOut | None
    cancelled_at: datetime | None
    returned_at: datetime | None = Field(description="实际返校时间 · when the student was back")

    @classmethod
    def of(cls, leave: Leave, keys: KeyRing, files: Sequence[AttachmentView], at: datetime) -> Self:
        """The leave at the instant, including its reason: the caller must be allowed to read it."""
        request, decision = leave.request, leave.decision
        answer = (
            LeaveDecisionOut(
                outcome=decision.outcome, opinion=decision.opinion, decided_at=decision.decided_at
            )
            if decision
            else None
        )
        return cls(
            id=request.id,
            student_id=request.student_id,
            kind=request.kind,
            starts_at=request.starts_at,
            ends_at=request.ends_at,
            reason=decrypt_reason(keys, request),
            attachments=[AttachmentOut.model_validate(file) for file in files],
            filed_at=request.filed_at,
            state=leave.state(at).value,
            decision=answer,
            cancelled_at=leave.cancellation.cancelled_at if leave.cancellation else None,
            returned_at=leave.return_record.returned_at if leave.return_record else None,
        )


class LeaveDaysOut(BaseModel):
    """Leave in one term (HN334-3.5b): the days used, what is approved beyond them, and the limit."""

    term_code: str = Field(examples=["2026-autumn"])
    days: list[date] = Field(description="已请假的日期 · the days used so far")
    used: int = Field(examples=[9])
    planned: int = Field(description="连同已批准的 · with what is approved", examples=[11])
    cap: int = Field(examples=[15])
    left: int = Field(examples=[6])
    over: bool = Field(description="已超过上限 · past the limit", examples=[False])
    plan_exceeds: bool = Field(
        description="如不提前返校将超过上限 · it will be, without an early return", examples=[False]
    )
    warning: int | None = Field(
        description="已达到的提醒天数 · the mark of warning that is reached", examples=[None]
    )
    sentence_zh: str
    sentence_en: str

    @classmethod
    def of(cls, count: LeaveBalance) -> Self:
        """The tally in figures and in words."""
        zh, en = days_sentence(count)
        return cls(
            term_code=count.term,
            days=list(count.used),
            used=len(count.used),
            planned=count.planned,
            cap=count.cap,
            left=count.left,
            over=count.over,
            plan_exceeds=count.plan_exceeds,
            warning=count.warning,
            sentence_zh=zh,
            sentence_en=en,
        )


async def leaves_out(
    session: AsyncSession, keys: KeyRing, rows: Sequence[Leave], at: datetime
) -> list[LeaveOut]:
    """Convert requests with their attachments, in the given order. The caller has checked access."""
    files = await load_attachments(session, LEAVE_ATTACHMENTS, [leave.request.id for leave in rows])
    return [LeaveOut.of(leave, keys, files[leave.request.id], at) for leave in rows]


# --- requests and stand-ins ---


class LeaveIn(Schema):
    """A request for leave in whole or half days, first and last day included."""

    kind: LeaveKind = Field(description=KINDS_TEXT, examples=["sick"])
    first_day: Day = Field(examples=["2026-10-12"])
    first_half: Half = Field(default="morning", description="从上午或下午开始 · which half it begins with")
    last_day: Day = Field(examples=["2026-10-13"])
    last_half: Half = Field(default="afternoon", description="到上午或下午结束 · which half it ends with")
    reason: LongText = Field(examples=["发烧就医"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class CancellationIn(Schema):
    """The reason of a cancellation, optional for students."""

    reason: LongText | None = Field(default=None, examples=["已康复，不再需要"])


class LeaveDecisionIn(Schema):
    """A decision on a request. Declining requires an opinion."""

    outcome: Answer = Field(examples=["approved"])
    opinion: LongText | None = Field(default=None, examples=["同意，注意休息"])


class LeaveCancellationIn(Schema):
    """The reason of a cancellation by staff."""

    reason: LongText = Field(examples=["学生已提前返校上课"])


class LeaveReturnIn(Schema):
    """The actual return; now if omitted."""

    returned_at: Timestamp | None = Field(default=None, examples=["2026-10-13T08:00:00+08:00"])


class StandInIn(Schema):
    """A stand-in for the caller from `starts_at` to `ends_at` (exclusive)."""

    stand_in_id: UUID
    starts_at: Timestamp = Field(examples=["2026-10-12T00:00:00+08:00"])
    ends_at: Timestamp = Field(examples=["2026-10-17T00:00:00+08:00"])


class StandInOut(BaseModel):
    """A stand-in arrangement."""

    id: UUID
    counselor_id: UUID
    counselor_name: str | None = Field(default=None, examples=["王老师"])
    stand_in_id: UUID
    stand_in_name: str | None = Field(default=None, examples=["王老师"])
    starts_at: datetime
    ends_at: datetime
    named_at: datetime
    ended_at: datetime | None = Field(description="提前结束的时间 · when it was ended before its time")

    @classmethod
    def of(cls, stand_in: StandIn) -> Self:
        """Convert an arrangement and its early end."""
        row = stand_in.row
        return cls(
            id=row.id,
            counselor_id=row.counselor_id,
            stand_in_id=row.stand_in_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            named_at=row.named_at,
            ended_at=stand_in.ended.ended_at if stand_in.ended else None,
        )


class LeaveClaimOut(BaseModel):
    """Leave over the window that was not in force at the notice, without its reason."""

    model_config = ConfigDict(from_attributes=True)

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    leave_id: UUID
    kind: Annotated[str, OneOf(LeaveKind)] = Field(examples=["sick"])
    starts_at: datetime
    ends_at: datetime
    filed_at: datetime
    approved_at: datetime | None
    after_notice: bool = Field(
        description="通知发出后才申请或批准 · filed or approved after the notice went out", examples=[True]
    )
