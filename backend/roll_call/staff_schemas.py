"""Request and response schemas of roll calls in the staff API."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import LongText, OneOf, Schema, ShortText
from backend.org.schemas import UnitKind
from backend.roll_call.attestation.queries import AttestationView
from backend.roll_call.attestation.review import SampledAttestation
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
from geo.datum import Datum


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


class AttesterPositionIn(Schema):
    """Where the counselor's browser is now. All fields are required; the datum is never guessed."""

    lon: float = Field(description="degrees in the datum", examples=[113.5312])
    lat: float = Field(description="degrees in the datum", examples=[34.8203])
    accuracy_m: float = Field(description="radius of the 95 % circle in metres", examples=[18.0])
    datum: Datum = Field(examples=["wgs84"])
    age_s: float = Field(description="seconds since the position was taken", examples=[1.0])


class AttestIn(Schema):
    """A counselor sees the student on a filed site and enters the code of the student's card."""

    student_id: UUID
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")] = Field(examples=["20481357"])
    site_version_id: UUID
    reason: ShortText = Field(examples=["手机损坏"])
    position: AttesterPositionIn


class AttestationOut(BaseModel):
    """A recorded attestation. Whether it is sampled for review is told to the reviewing side only."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    site_version_id: UUID
    at: datetime


class ListedAttestationOut(BaseModel):
    """An attestation in the list of a roll call."""

    student_id: UUID
    student_name: str = Field(examples=["王小明"])
    class_id: UUID
    class_name: str = Field(examples=["24电商1班"])
    site_version_id: UUID
    site_name: str | None = Field(examples=["主校区"])
    reason: str = Field(examples=["手机损坏"])
    attested_by: UUID
    attested_by_name: str | None = Field(examples=["李老师"])
    at: datetime

    @classmethod
    def of(cls, view: AttestationView) -> Self:
        """Build the response for an attestation."""
        row = view.attestation
        return cls(
            student_id=row.student_id,
            student_name=view.student_name,
            class_id=row.class_id,
            class_name=view.class_name,
            site_version_id=row.site_version_id,
            site_name=view.site_name,
            reason=row.reason,
            attested_by=row.attested_by,
            attested_by_name=view.attester_name,
            at=row.at,
        )


class AttestationSampleOut(BaseModel):
    """A sampled attestation for the reviewing side, with its review and its escalation."""

    roll_call_id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    class_id: UUID
    class_name: str | None = Field(default=None, examples=["2024级1班"])
    site_version_id: UUID
    reason: str = Field(examples=["手机损坏"])
    attested_by: UUID
    attested_by_name: str | None = Field(default=None, examples=["王老师"])
    session_id: UUID = Field(description="sign-in session of the attester")
    position: dict[str, Any] = Field(description="where the attester was, and the evaluation")
    at: datetime
    state: Literal["open", "overdue", "reviewed"]
    overdue_since: datetime | None
    upheld: bool | None = Field(description="the result of the review; null until there is one")
    reviewed_by: UUID | None
    reviewed_by_name: str | None = Field(default=None, examples=["王老师"])

    @classmethod
    def of(cls, sample: SampledAttestation) -> Self:
        """Build the response for a sample."""
        row, review, escalation = sample.attestation, sample.review, sample.escalation
        return cls(
            roll_call_id=row.roll_call_id,
            student_id=row.student_id,
            school_id=row.school_id,
            class_id=row.class_id,
            site_version_id=row.site_version_id,
            reason=row.reason,
            attested_by=row.attested_by,
            session_id=row.session_id,
            position=row.position,
            at=row.at,
            state=sample.state,
            overdue_since=escalation.due_at if escalation else None,
            upheld=review.upheld if review else None,
            reviewed_by=review.reviewed_by if review else None,
        )


class ReviewIn(Schema):
    """Whether the reviewer confirms the attestation, and why."""

    upheld: bool
    note: LongText = Field(examples=["已视频核对本人在校"])


class ReviewOut(BaseModel):
    """A recorded review."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    upheld: bool
    at: datetime


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


class CodeOut(BaseModel):
    """A new card code. It is returned only once."""

    code: str = Field(examples=["20481357"])


class RollCallSiteOut(BaseModel):
    """A fence frozen for this roll call."""

    site_version_id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])


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
