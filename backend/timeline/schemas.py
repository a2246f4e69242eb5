"""One schema for each kind of record in a timeline. Amounts are in fen."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.aid.filings import FilingKind, FilingState
from backend.aid.queries import ApplicationState
from backend.aid.rules import AidKind
from backend.appeal.rules import AppealState
from backend.core.web.schema_types import OneOf
from backend.identity.pictures.schemas import PurposeOut
from backend.leave.kinds import LeaveKind
from backend.leave.rules import LeaveState
from backend.roll_call.rules import Outcome, RollCallKind
from backend.standing.appeal_effects import Target
from backend.standing.change_requests.policy import RequestState
from backend.standing.claims.queries import ClaimState
from backend.standing.engine.ledger import Cause
from backend.standing.ledger.schemas import StatusOut
from backend.standing.prompts.schemas import LabelledCodeOut
from backend.timeline.kinds import TimelineKind


class TimelineRecordOut(BaseModel):
    """What every record has. `id`: of the record itself, with which its own endpoint finds it."""

    id: UUID
    at: datetime = Field(description="在全部记录中的时间 · the time that the record is filed under")


class TimelineRollCallOut(TimelineRecordOut):
    """A roll call, under its opening, with the student's result."""

    kind: Literal["roll_call"] = "roll_call"
    title: str = Field(examples=["十月学籍核验"])
    roll_call_kind: RollCallKind
    outcome: Outcome | None = Field(description="尚无结果时为空 · null: no result yet")
    voided: bool = Field(examples=[False])


class TimelinePromptOut(TimelineRecordOut):
    """A prompt, under the time at which it was raised, with its state now."""

    kind: Literal["prompt"] = "prompt"
    prompt_kind: LabelledCodeOut
    proposed: LabelledCodeOut
    state: LabelledCodeOut


class TimelineStatementOut(TimelineRecordOut):
    """A statement of the student, or of a guardian, on a prompt."""

    kind: Literal["statement"] = "statement"
    prompt_id: UUID
    text: str = Field(examples=["当天在医院陪护家人，附住院证明"])
    by_guardian: bool = Field(examples=[False])


class TimelineStandingOut(TimelineRecordOut):
    """A change of the record, under the time at which it took effect."""

    kind: Literal["standing"] = "standing"
    change_kind: str | None = Field(
        description="异动类别代码，恢复原状时为空 · code of the kind; null for a restoration", examples=["L1"]
    )
    cause: Annotated[str, OneOf(Cause)] = Field(examples=["decision"])
    before: StatusOut
    after: StatusOut
    reversed: bool = Field(examples=[False])


class TimelineChangeRequestOut(TimelineRecordOut):
    """A request for a change of standing, with its state now."""

    kind: Literal["change_request"] = "change_request"
    change_kind: str = Field(examples=["11"])
    state: RequestState


class TimelineAidApplicationOut(TimelineRecordOut):
    """An application for aid. `fen`: what was granted for the term; null unless it was approved."""

    kind: Literal["aid_application"] = "aid_application"
    aid_kind: AidKind
    term_code: str = Field(examples=["2026-autumn"])
    state: ApplicationState
    fen: int | None = Field(description="批准金额（分） · granted, in fen", examples=[115000])


class TimelineAidPaymentOut(TimelineRecordOut):
    """A payment, under the time at which it was recorded."""

    kind: Literal["aid_payment"] = "aid_payment"
    aid_kind: AidKind
    month: date = Field(examples=["2026-09-01"])
    paid_on: date
    fen: int = Field(description="发放金额（分） · paid, in fen", examples=[23000])


class TimelineAidFilingOut(TimelineRecordOut):
    """A withdrawal of aid, or its reinstatement."""

    kind: Literal["aid_filing"] = "aid_filing"
    filing_kind: FilingKind
    term_code: str = Field(examples=["2026-autumn"])
    state: FilingState
    fen: int = Field(description="撤回或恢复的金额（分） · moved, in fen", examples=[69000])


class TimelineAppealOut(TimelineRecordOut):
    """An appeal with its state now."""

    kind: Literal["appeal"] = "appeal"
    target: Annotated[str, OneOf(Target)] = Field(examples=["check"])
    appellant: Annotated[str, OneOf("student", "school")] = Field(examples=["student"])
    deciding_unit: str = Field(examples=["郑州市教育局"])
    state: AppealState


class TimelineLeaveOut(TimelineRecordOut):
    """A request for leave, under its filing, with its state now. `ends_at` is exclusive."""

    kind: Literal["leave"] = "leave"
    leave_kind: LeaveKind
    starts_at: datetime
    ends_at: datetime
    text: str = Field(description="请假理由 · the reason", examples=["发烧就医"])
    state: LeaveState


class TimelineAttendanceOut(TimelineRecordOut):
    """A record of attendance, under the time that it is about."""

    kind: Literal["attendance"] = "attendance"
    present: bool
    note: str | None = Field(examples=["晚自习查寝"])


class TimelineClaimOut(TimelineRecordOut):
    """A claim that a miss had a justified reason."""

    kind: Literal["claim"] = "claim"
    roll_call_id: UUID
    roll_call_title: str = Field(examples=["十月学籍核验"])
    text: str = Field(examples=["手机送修，有维修单"])
    state: ClaimState


class TimelinePictureViewOut(TimelineRecordOut):
    """A look at a picture of the student. `person` is null for an account that the reader may not see."""

    kind: Literal["picture_view"] = "picture_view"
    unit: str = Field(examples=["郑州市第一职业学校"])
    person: str | None = Field(examples=["王老师"])
    purpose: PurposeOut


TimelineEntry = (
    TimelineRollCallOut
    | TimelinePromptOut
    | TimelineStatementOut
    | TimelineStandingOut
    | TimelineChangeRequestOut
    | TimelineAidApplicationOut
    | TimelineAidPaymentOut
    | TimelineAidFilingOut
    | TimelineAppealOut
    | TimelineLeaveOut
    | TimelineAttendanceOut
    | TimelineClaimOut
    | TimelinePictureViewOut
)
"""A record of any kind."""


class TimelineOut(BaseModel):
    """A page of a timeline. `kinds`: what the caller may read at all."""

    items: list[Annotated[TimelineEntry, Field(discriminator="kind")]]
    next_cursor: str | None = Field(default=None, examples=[None])
    kinds: list[TimelineKind]
