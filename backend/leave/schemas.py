"""Leave as both APIs show it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.keys import KeyRing
from backend.leave.notifications import days_sentence
from backend.leave.queries import LEAVE_FILES, Leave
from backend.leave.reasons import reason_of
from backend.leave.rules import LeaveTally
from backend.people.attachment_schemas import AttachmentOut
from backend.people.attachments import AttachmentView, attachments_of


class LeaveDecisionOut(BaseModel):
    """The answer to a request."""

    outcome: str = Field(description="approved or declined", examples=["approved"])
    opinion: str | None = Field(examples=["同意，注意休息"])
    decided_at: datetime


class LeaveOut(BaseModel):
    """A request for leave, and what became of it. `ends_at` is excluded: whole days end at 24:00."""

    id: UUID
    student_id: UUID
    kind: str = Field(description="事假 personal, 病假 sick, 其他 other", examples=["sick"])
    starts_at: datetime
    ends_at: datetime
    reason: str = Field(examples=["发烧就医"])
    attachments: list[AttachmentOut]
    filed_at: datetime
    state: str = Field(description="pending, approved, refused, cancelled, returned", examples=["pending"])
    decision: LeaveDecisionOut | None
    cancelled_at: datetime | None
    returned_at: datetime | None = Field(description="实际返校时间 · when the student was back")

    @classmethod
    def of(cls, leave: Leave, keys: KeyRing, files: Sequence[AttachmentView], at: datetime) -> Self:
        """The leave as it stands at the instant, for those who may read its reason."""
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
            reason=reason_of(keys, request),
            attachments=[AttachmentOut.model_validate(file) for file in files],
            filed_at=request.filed_at,
            state=leave.state(at).value,
            decision=answer,
            cancelled_at=leave.cancellation.cancelled_at if leave.cancellation else None,
            returned_at=leave.homecoming.returned_at if leave.homecoming else None,
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
    def of(cls, count: LeaveTally) -> Self:
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


async def shown(session: AsyncSession, keys: KeyRing, rows: Sequence[Leave], at: datetime) -> list[LeaveOut]:
    """Requests with their files, in the order given; the caller has judged who may see them."""
    files = await attachments_of(session, LEAVE_FILES, [leave.request.id for leave in rows])
    return [LeaveOut.of(leave, keys, files[leave.request.id], at) for leave in rows]
