"""Request and response schemas of roll calls in the staff API."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.web.bulk_schemas import Ids
from backend.core.web.schema_types import LongText, OneOf, Schema
from backend.org.schemas import UnitKind
from backend.roll_call.progress.series import Curve
from backend.roll_call.reason_texts import OUTCOME_REASONS
from backend.roll_call.rules import (
    DUTY_REASONS,
    Duty,
    NotCountedReason,
    Outcome,
    OutcomeMethod,
    Phase,
    RefusalStep,
    RollCallKind,
    VerdictDecision,
)
from biometrics.liveness.actions import Action


class StaffRollCallOut(BaseModel):
    """A roll call as staff see it."""

    id: UUID
    kind: Annotated[str, OneOf(RollCallKind)]
    title: str
    launcher_id: UUID
    launcher_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    phase: Annotated[str, OneOf(Phase)] = Field(
        description="scheduled, announced, open, closing, settled, voided", examples=["open"]
    )
    term_code: str = Field(examples=["2026-autumn"])
    notify_at: datetime
    opens_at: datetime
    closes_at: datetime
    extended_from: datetime | None = Field(
        description="因系统中断而延长时，原定截止时间 · the close as launched, if a service outage extended the window"
    )
    policy_version: str
    seed: str | None
    figures: dict[str, int] | None = Field(description="sums at the settlement; null before it")
    void_reason: str | None
    server_time: datetime


class VoidIn(Schema):
    """Why a roll call is voided."""

    reason: LongText = Field(examples=["全市停电，无法核验"])


class ReminderIn(Schema):
    """Whom to remind: one class, or all classes of the caller."""

    class_id: UUID | None = None


class ReminderSentOut(BaseModel):
    """How many students were reminded."""

    students: int


class StudentRemindersIn(Schema):
    """The students to remind."""

    student_ids: Ids


class UndeterminedResultOut(BaseModel):
    """A result that the caller may determine."""

    roll_call_id: UUID
    roll_call_title: str = Field(examples=["第十二周点名"])
    student_id: UUID
    student_name: str = Field(examples=["李明"])
    class_id: UUID
    class_name: str = Field(examples=["2025级汽修1班"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    reason: Annotated[str, OneOf(OUTCOME_REASONS)] = Field(examples=["verification_pending"])
    reason_zh: str = Field(examples=["已按时提交，尚未核验完毕，结果待定。"])
    reason_en: str
    at: datetime = Field(description="自何时起待定 · undetermined since then")


class MissingStudentOut(BaseModel):
    """A student who is not present yet, with what a counselor needs to help."""

    student_id: UUID
    name: str = Field(examples=["王小明"])
    class_id: UUID
    class_name: str = Field(examples=["24电商1班"])
    phone: str | None = Field(description="phone number of the student")
    submissions: int
    last_reasons: list[str] = Field(examples=[["location_uncertain"]])
    last_refusal: str | None
    last_reason_zh: str | None = Field(
        description="最近一次未通过的原因；尚未尝试时为空 · why the last attempt failed; null: no attempt yet",
        examples=["定位无法确定您是否在校内，请到开阔处重试，或找辅导员现场核验。"],
    )
    last_reason_en: str | None = Field(examples=[None])
    sent_to_a_person: bool = Field(
        description="the student was sent to the counselor, who can attest presence; otherwise the outcome is undetermined"
    )
    outcome: Annotated[str, OneOf(Outcome)] | None


class AttemptReasonOut(BaseModel):
    """A reason with its text for the student."""

    code: str = Field(examples=["challenge_unanswered"])
    zh: str
    en: str


class AttemptOut(BaseModel):
    """One submission with its challenge and verdict. `trace` has the values and thresholds, for superiors only."""

    submission_id: UUID
    received_at: datetime
    in_cool_down: bool
    actions: list[Action]
    cannot: list[Action] = Field(description="actions that the student declared as not possible")
    finding: Annotated[str, OneOf(VerdictDecision)] | None = Field(
        description="accepted, step_up, rejected, undetermined; null until verified"
    )
    reasons: list[AttemptReasonOut]
    engine: str | None
    trace: dict[str, Any] | None


class AttemptRefusalOut(BaseModel):
    """An attempt that was refused immediately."""

    at: datetime
    step: Annotated[str, OneOf(RefusalStep)] = Field(examples=["challenge"])
    code: str = Field(examples=["step_ups_exhausted"])
    zh: str
    en: str


class StudentAttemptsOut(BaseModel):
    """All submissions and refusals of a student in a roll call, oldest first."""

    attempts: list[AttemptOut]
    refusals: list[AttemptRefusalOut]


class ResultOut(BaseModel):
    """A student of the audience with the current outcome."""

    student_id: UUID
    name: str
    class_name: str
    duty: Annotated[str, OneOf(Duty)]
    duty_reason: Annotated[str, OneOf(DUTY_REASONS)] | None
    outcome: Annotated[str, OneOf(Outcome)] | None
    reason: Annotated[str, OneOf(OUTCOME_REASONS)] | None
    reason_zh: str | None
    reason_en: str | None
    counts_as_miss: bool | None = Field(
        description="未按时核验是否计入次数；null 表示没有未核验或尚未统计 · whether a miss counts towards a prompt;"
        " null: no miss, or not assessed yet",
        examples=[None],
    )
    not_counted_reason: Annotated[str, OneOf(NotCountedReason)] | None = Field(
        description="为何不计入 · code of why the miss does not count", examples=[None]
    )
    not_counted_zh: str | None
    not_counted_en: str | None
    method: Annotated[str, OneOf(OutcomeMethod)] | None
    seq: int | None
    decided_at: datetime | None


class DetermineIn(Schema):
    """The outcome that a person determines, and why."""

    student_id: UUID
    outcome: Literal["present", "missed"]
    reason: LongText = Field(examples=["经与本人视频核对，确认在校"])


class DeterminedOutcomeOut(BaseModel):
    """A current outcome."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    outcome: Annotated[str, OneOf(Outcome)]
    reason: Annotated[str, OneOf(OUTCOME_REASONS)]
    method: Annotated[str, OneOf(OutcomeMethod)]
    seq: int
    at: datetime


class OverdueOut(BaseModel):
    """A school that has not completed the registration check of the term."""

    school_id: UUID
    code: str
    name: str


class ProgressTotals(BaseModel):
    """Totals of a unit or class: present + missed + excused + undetermined + waiting = obligations."""

    unit_id: UUID
    kind: Annotated[str, OneOf(UnitKind, "class")] = Field(
        description="province, city, county, school or class"
    )
    name: str
    obligations: int
    exempt: int
    present: int
    missed: int
    excused: int
    undetermined: int
    waiting: int


class ProgressOut(ProgressTotals):
    """The totals of a unit and of its direct children."""

    children: list[ProgressTotals]


class CurvePointOut(BaseModel):
    """The outcomes of a unit at an instant."""

    at: datetime
    present: int
    missed: int
    excused: int
    undetermined: int


class CurveOut(BaseModel):
    """The outcomes of a unit over time, from the opening until now or the settlement."""

    unit_id: UUID
    unit_name: str = Field(examples=["郑州市"])
    obligations: int = Field(examples=[2400])
    step_seconds: int = Field(
        description="相邻两点的间隔，末段可更短 · between two points; the last step may be shorter",
        examples=[60],
    )
    points: list[CurvePointOut]
    server_time: datetime

    @classmethod
    def of(cls, curve: Curve, at: datetime) -> Self:
        """Build the response for a curve."""
        names = ("present", "missed", "excused", "undetermined")
        return cls(
            unit_id=curve.unit_id,
            unit_name=curve.unit_name,
            obligations=curve.obligations,
            step_seconds=int(curve.step.total_seconds()),
            points=[
                CurvePointOut(at=each.at, **dict(zip(names, each.counts, strict=True)))
                for each in curve.points
            ],
            server_time=at,
        )


class UnitPlaceOut(BaseModel):
    """The middle of the sites below a unit, in degrees (WGS-84)."""

    model_config = ConfigDict(from_attributes=True)

    unit_id: UUID
    lon: float = Field(examples=[113.665])
    lat: float = Field(examples=[34.757])
    sites: int = Field(description="办学地址数 · number of sites", examples=[12])


class SiteOutlineOut(BaseModel):
    """The outline of a site as frozen for the roll call: GeoJSON in WGS-84."""

    model_config = ConfigDict(from_attributes=True)

    site_version_id: UUID
    name: str = Field(examples=["主校区"])
    geojson: dict[str, Any]


class PlacesOut(BaseModel):
    """Where the direct children of a unit are; for a school its outlines instead."""

    model_config = ConfigDict(from_attributes=True)

    unit_id: UUID
    units: list[UnitPlaceOut]
    outlines: list[SiteOutlineOut]
