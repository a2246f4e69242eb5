"""Request and response schemas of roll calls for the mobile API."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import OneOf, Schema
from backend.roll_call.policy import CheckInLimits
from backend.roll_call.reason_texts import OUTCOME_REASONS
from backend.roll_call.rules import (
    DUTY_REASONS,
    Duty,
    NextActor,
    NotCountedReason,
    Outcome,
    RefusalStep,
    RollCallKind,
    StudentPhase,
    VerdictDecision,
)
from backend.roll_call.tables import Challenge
from biometrics.liveness.actions import INSTRUCTIONS, Action

MAX_ENVELOPE_LENGTH = 65536


class OwnRollCallOut(BaseModel):
    """A roll call as its student sees it. The fence and the thresholds are never disclosed."""

    id: UUID
    kind: Annotated[str, OneOf(RollCallKind)] = Field(examples=["spot_check"])
    kind_zh: str = Field(examples=["学籍核验"])
    kind_en: str = Field(examples=["Roll call"])
    title: str = Field(examples=["全省中职学籍核验"])
    launcher_id: UUID
    launcher_name: str = Field(examples=["郑州市教育局"])
    term_code: str = Field(examples=["2026-autumn"])
    opens_at: datetime
    closes_at: datetime
    extended_from: datetime | None = Field(
        description="因系统中断而延长时，原定截止时间 · the close as launched, if the window was extended because of a service outage"
    )
    duty: Annotated[str, OneOf(Duty)] = Field(description="owed, excused or exempt", examples=["owed"])
    duty_reason: Annotated[str, OneOf(DUTY_REASONS)] | None
    state: Annotated[str, OneOf(StudentPhase)] = Field(
        description="announced, open, closed or voided", examples=["open"]
    )
    outcome: Annotated[str, OneOf(Outcome)] | None = Field(
        description="present, missed, excused, undetermined; null while open", examples=[None]
    )
    outcome_reason: Annotated[str, OneOf(OUTCOME_REASONS)] | None
    outcome_reason_zh: str | None
    outcome_reason_en: str | None
    look_until: datetime | None = Field(
        description="工作人员正在人工核对照片时，最迟到何时 · until when a person compares a picture with the ID portrait,"
        " if one does; the result is undetermined until then and no miss",
        examples=[None],
    )
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
    what_to_do_zh: str
    what_to_do_en: str
    next_actor: Annotated[str, OneOf(NextActor)] = Field(
        description="接下来由谁处理：student 本人、counselor 辅导员现场核验、staff 工作人员认定、system 系统、nobody 无须处理"
        " · who acts next",
        examples=["student"],
    )
    tries_left: int | None = Field(
        description="人脸未通过时还可重试的次数；现在不能用手机核验时为空 · how many more failures of the face are possible;"
        " null: no check-in by phone now",
        examples=[3],
    )
    verification_route: Literal["face", "non_face"]
    alternative_zh: str = Field(description="不使用人脸的办法 · the way without a face")
    alternative_en: str
    server_time: datetime
    ask_after_s: float = Field(
        description="seconds from server_time after which an app should request its challenge automatically. The delay"
        " differs per student to spread the load; earlier requests are answered too",
        examples=[41.7],
    )


class FrameRules(BaseModel):
    """How many pictures to take, within how many seconds, and how large each may be."""

    min_count: int
    max_count: int
    max_bytes: int
    max_pixels: int = Field(description="width × height of one picture", examples=[4_000_000])
    max_unscaled_pixels: int = Field(description="the same for PNG and WebP", examples=[2_100_000])
    max_total_pixels: int | None = Field(
        description="for all pictures together; a pixel of a PNG, WebP or HEIC counts four times",
        examples=[36_000_000],
    )
    within_s: float


class FixRules(BaseModel):
    """How many location fixes to take, over how many seconds, and how old each may be."""

    min_count: int
    max_count: int
    max_age_s: float
    within_s: float = Field(description="sample for this long; a shorter sampling asks for a second check")


class ActionOut(BaseModel):
    """One action to do in front of the camera. Left and right are from the student's point of view."""

    action: Action
    zh: str = Field(examples=["请慢慢向左转头"])
    en: str = Field(examples=["Slowly turn your head to your left"])
    cue_ms: int | None = Field(
        description="show this action only now, in milliseconds since the burst began. Optional: an app that does sets"
        ' `"cues": true` in the envelope\'s `claims`',
        examples=[1830],
    )


class FlashOut(BaseModel):
    """Colours that the screen may show during the burst, starting with its first frame and repeating.

    Showing them is optional. An app that shows them sets `"flash": true` in the envelope's `claims`.
    """

    colours: list[str] = Field(examples=[["#ff0000", "#00ffff", "#0000ff"]])
    each_ms: int = Field(examples=[500])


class ChallengeIn(Schema):
    """Actions that the student cannot do, for any reason. It applies to the whole roll call; two actions must remain."""

    cannot: list[Action] = Field(default=[], max_length=len(Action), examples=[["close_eyes"]])


class ChallengeOut(BaseModel):
    """Do `actions` in order in one burst, not mirrored, and sign the nonce in an envelope before it expires."""

    nonce: str
    issued_at: datetime
    expires_at: datetime
    server_time: datetime
    actions: list[ActionOut]
    flash: FlashOut
    frames: FrameRules
    fixes: FixRules

    @classmethod
    def of(cls, challenge: Challenge, figures: CheckInLimits, at: datetime) -> Self:
        """Build the response for a challenge."""
        cues = challenge.cues_ms or [None] * len(challenge.actions)
        actions = [(Action(code), cue) for code, cue in zip(challenge.actions, cues, strict=True)]
        return cls(
            nonce=challenge.nonce,
            issued_at=challenge.issued_at,
            expires_at=challenge.expires_at,
            server_time=at,
            actions=[
                ActionOut(action=each, zh=INSTRUCTIONS[each].zh, en=INSTRUCTIONS[each].en, cue_ms=cue)
                for each, cue in actions
            ],
            flash=FlashOut(colours=challenge.flash, each_ms=figures.flash_ms),
            frames=FrameRules(
                min_count=figures.frames_minimum,
                max_count=figures.frames_maximum,
                max_bytes=figures.frame_decoding.max_bytes,
                max_pixels=figures.frame_decoding.max_pixels,
                max_unscaled_pixels=figures.frame_decoding.max_unscaled_pixels,
                max_total_pixels=figures.frame_decoding.max_total_pixels,
                within_s=figures.answer_time.total_seconds(),
            ),
            fixes=FixRules(
                min_count=figures.fixes_minimum,
                max_count=figures.fixes_maximum,
                max_age_s=figures.fix_age_s,
                within_s=figures.sampling_s,
            ),
        )


class EnvelopeIn(Schema):
    """A compact JWS (ES256, typ `dianming-check-in+jws`) signed with the phone's key."""

    envelope: Annotated[
        str,
        StringConstraints(
            min_length=20,
            max_length=MAX_ENVELOPE_LENGTH,
            pattern=r"^[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+$",
        ),
    ] = Field(examples=["eyJhbGciOiJFUzI1NiJ9.eyJub25jZSI6Ii4uLiJ9.c2lnbmF0dXJl"])
    attempted: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        default=None,
        description="the `attempted` token of an earlier `intake_busy` answer to the same envelope; any other value is ignored",
    )


class ReceiptOut(BaseModel):
    """The envelope is stored. `receipt` is a JWS signed by the server; a retry returns the same one."""

    submission_id: UUID
    receipt: str
    frames_due_at: datetime


class FrameOut(BaseModel):
    """A stored frame. `complete` is true once all frames of the burst are stored and verification is queued."""

    position: int
    complete: bool


class ExplainedReasonOut(BaseModel):
    """A reason and what to do."""

    code: str = Field(examples=["outside_site"])
    zh: str
    en: str


class SubmissionOut(BaseModel):
    """One submission and its verdict."""

    id: UUID
    received_at: datetime
    frames_due_at: datetime
    finding: Annotated[str, OneOf(VerdictDecision)] | None = Field(
        description="accepted, step_up, rejected, undetermined; null while verification is pending"
    )
    reasons: list[ExplainedReasonOut]


class OwnRefusalOut(BaseModel):
    """An attempt that was refused immediately."""

    at: datetime
    step: Annotated[str, OneOf(RefusalStep)]
    code: str
    zh: str
    en: str


class OwnAttemptsOut(BaseModel):
    """All attempts of this student in a roll call."""

    submissions: list[SubmissionOut]
    refusals: list[OwnRefusalOut]


class HalfYearRegistrationOut(BaseModel):
    """A part-time student's registration for a term; `number` counts those of the year (HN334-2.2)."""

    term_code: str = Field(examples=["2026-spring"])
    year: int = Field(examples=[2026])
    number: int = Field(examples=[1])
    at: datetime
