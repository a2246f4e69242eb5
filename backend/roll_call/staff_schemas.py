"""Schema schemas of roll calls in the staff API."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import Line, Moment, Paragraph, Schema
from biometrics.liveness.actions import Action

Kind = Literal["spot_check", "registration", "rehearsal", "school_own"]


class SampleIn(Schema):
    """A random sample among those who owe presence: a size or a share, not both."""

    size: Annotated[int, Field(ge=1, le=2_000_000)] | None = Field(default=None, examples=[200])
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, examples=[None])


class AudienceIn(Schema):
    """Whom to ask. Without units, everyone below the launcher; filters narrow, empty ones do not."""

    unit_ids: list[UUID] = Field(default=[], max_length=1000)
    class_ids: list[UUID] = Field(default=[], max_length=5000)
    grades: list[Annotated[int, Field(ge=1990, le=2100)]] = Field(
        default=[], max_length=20, examples=[[2025]]
    )
    majors: list[Line] = Field(default=[], max_length=200)
    programmes: list[Line] = Field(default=[], max_length=20)
    sample: SampleIn | None = None


class LaunchIn(Schema):
    """A launch. Times carry an offset; `notify_at` left out means at once."""

    kind: Kind
    title: Line = Field(examples=["全省中职学籍核验"])
    notify_at: Moment | None = None
    opens_at: Moment = Field(examples=["2026-11-23T09:00:00+08:00"])
    closes_at: Moment = Field(examples=["2026-11-23T11:00:00+08:00"])
    audience: AudienceIn = AudienceIn()
    seed: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")] | None = Field(
        default=None, description="of the sample; drawn by the server if left out, recorded either way"
    )


class LaunchedOut(BaseModel):
    """What was launched and frozen."""

    id: UUID
    owed: int = Field(description="must prove presence")
    excused: int = Field(description="on approved leave")
    exempt: int = Field(description="not asked: part-time, suspended, …")
    schools: int
    schools_without_site: int = Field(
        description="have no approved filed site: their students will be undetermined"
    )
    seed: str | None


class RollCallOut(BaseModel):
    """A roll call as staff see it."""

    id: UUID
    kind: str
    title: str
    launcher_id: UUID
    phase: str = Field(description="scheduled, announced, open, closing, settled, voided", examples=["open"])
    term_code: str = Field(examples=["2026-autumn"])
    notify_at: datetime
    opens_at: datetime
    closes_at: datetime
    extended_from: datetime | None = Field(
        description="因系统中断而延长时，原定截止时间 · the close as launched, where an outage of ours lengthened the window"
    )
    policy_version: str
    seed: str | None
    figures: dict[str, int] | None = Field(description="sums at the settlement")
    void_reason: str | None
    server_time: datetime


class VoidIn(Schema):
    """Why a roll call is taken back."""

    reason: Paragraph = Field(examples=["全市停电，无法核验"])


class UrgeIn(Schema):
    """Whom to remind: one class, or all of the caller's."""

    class_id: UUID | None = None


class UrgedOut(BaseModel):
    """How many students were reminded."""

    students: int


class MissingOut(BaseModel):
    """A student who has not proven presence yet, with what to help with."""

    student_id: UUID
    name: str = Field(examples=["王小明"])
    class_id: UUID
    class_name: str = Field(examples=["24电商1班"])
    phone: str | None = Field(description="of the student, for the counselor who calls")
    submissions: int
    last_reasons: list[str] = Field(examples=[["location_uncertain"]])
    last_refusal: str | None
    sent_to_a_person: bool = Field(
        description="the student was told to see the counselor: attest presence, or leave it to be decided"
    )
    outcome: str | None


class ReasonOut(BaseModel):
    """Why, and what the student was told to do."""

    code: str = Field(examples=["challenge_unanswered"])
    zh: str
    en: str


class AttemptOut(BaseModel):
    """One envelope: what was asked, what was found. `trace` holds the figures and thresholds behind it, for superiors."""

    submission_id: UUID
    received_at: datetime
    in_cool_down: bool
    actions: list[Action]
    cannot: list[Action] = Field(description="actions that the student had said they cannot do")
    finding: str | None = Field(description="accepted, step_up, rejected, undetermined; null while verifying")
    reasons: list[ReasonOut]
    engine: str | None
    trace: dict[str, Any] | None


class RefusalOut(BaseModel):
    """An attempt that was refused on the spot."""

    at: datetime
    step: str = Field(examples=["challenge"])
    code: str = Field(examples=["step_ups_exhausted"])


class AttemptsOut(BaseModel):
    """Everything that a student sent for a roll call, oldest first."""

    attempts: list[AttemptOut]
    refusals: list[RefusalOut]


class ResultOut(BaseModel):
    """One line of the results."""

    student_id: UUID
    name: str
    class_name: str
    duty: str
    duty_reason: str | None
    outcome: str | None
    reason: str | None
    reason_zh: str | None
    reason_en: str | None
    method: str | None
    seq: int | None
    decided_at: datetime | None


class AttestIn(Schema):
    """A counselor sees the student on a filed site and enters the code of the student's card."""

    student_id: UUID
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")] = Field(examples=["20481357"])
    site_version_id: UUID
    reason: Line = Field(examples=["手机损坏"])


class AttestationOut(BaseModel):
    """A recorded attestation; `sampled` ones wait for a second person."""

    student_id: UUID
    site_version_id: UUID
    sampled: bool
    at: datetime


class ReviewIn(Schema):
    """The second person's word."""

    upheld: bool
    note: Paragraph = Field(examples=["已视频核对本人在校"])


class ReviewOut(BaseModel):
    """A recorded review."""

    student_id: UUID
    upheld: bool
    at: datetime


class DetermineIn(Schema):
    """How a person resolves an undetermined result, and why."""

    student_id: UUID
    outcome: Literal["present", "missed"]
    reason: Paragraph = Field(examples=["经与本人视频核对，确认在校"])


class OutcomeOut(BaseModel):
    """An outcome in effect."""

    student_id: UUID
    outcome: str
    reason: str
    method: str
    seq: int
    at: datetime


class CodeOut(BaseModel):
    """A fresh card code, told once."""

    code: str = Field(examples=["20481357"])


class SiteOut(BaseModel):
    """A fence frozen for this roll call."""

    site_version_id: UUID
    school_id: UUID


class OverdueOut(BaseModel):
    """A school without the registration check of the term."""

    school_id: UUID
    code: str
    name: str


class ProgressLine(BaseModel):
    """Sums of a unit or class: present + missed + excused + undetermined + waiting = obligations."""

    unit_id: UUID
    kind: str = Field(description="province, city, county, school or class")
    name: str
    obligations: int
    exempt: int
    present: int
    missed: int
    excused: int
    undetermined: int
    waiting: int


class ProgressOut(ProgressLine):
    """A unit's own sums and those directly below it."""

    children: list[ProgressLine]
