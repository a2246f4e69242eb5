"""What roll calls look like on the wire to a phone."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import Schema
from backend.roll_call.policy import CheckInFigures
from backend.roll_call.tables import Challenge
from biometrics.liveness.actions import INSTRUCTIONS, Action

MAX_ENVELOPE = 65536


class RollCallOut(BaseModel):
    """A roll call as its student sees it. The fence and the thresholds are never told."""

    id: UUID
    kind: str = Field(examples=["spot_check"])
    title: str = Field(examples=["全省中职学籍核验"])
    opens_at: datetime
    closes_at: datetime
    extended_from: datetime | None = Field(
        description="因系统中断而延长时，原定截止时间 · the close as launched, where an outage of ours lengthened the window"
    )
    duty: str = Field(description="owed, excused or exempt", examples=["owed"])
    duty_reason: str | None
    state: str = Field(description="announced, open, closed or voided", examples=["open"])
    outcome: str | None = Field(
        description="present, missed, excused, undetermined; null while open", examples=[None]
    )
    outcome_reason: str | None
    what_to_do_zh: str
    what_to_do_en: str
    server_time: datetime
    ask_after_s: float = Field(
        description="seconds from server_time after which a phone that acts by itself should ask for its challenge: each"
        " has an instant of its own. Whoever asks earlier is answered too",
        examples=[41.7],
    )


class FrameRules(BaseModel):
    """How many pictures to take, in how many seconds all of them, and how large each may be."""

    min_count: int
    max_count: int
    max_bytes: int
    within_s: float


class FixRules(BaseModel):
    """How many location samples to take, and how old each may be."""

    min_count: int
    max_count: int
    max_age_s: float


class ActionOut(BaseModel):
    """One thing to do before the camera. Left and right are the person's own."""

    action: Action
    zh: str = Field(examples=["请慢慢向左转头"])
    en: str = Field(examples=["Slowly turn your head to your left"])


class FlashOut(BaseModel):
    """Colours that the screen may show while the burst is taken, from its first frame on and over again.

    Whoever shows them says so by `"flash": true` in the envelope's `claims`. Nobody needs to.
    """

    colours: list[str] = Field(examples=[["#ff0000", "#00ffff", "#0000ff"]])
    each_ms: int = Field(examples=[500])


class ChallengeIn(Schema):
    """What the student cannot do, for whatever reason. It holds for the whole roll call; two actions must remain."""

    cannot: list[Action] = Field(default=[], max_length=len(Action), examples=[["close_eyes"]])


class ChallengeOut(BaseModel):
    """Do `actions` in their order in one burst, never mirrored, and sign the nonce into an envelope before it expires."""

    nonce: str
    issued_at: datetime
    expires_at: datetime
    server_time: datetime
    actions: list[ActionOut]
    flash: FlashOut
    frames: FrameRules
    fixes: FixRules

    @classmethod
    def of(cls, challenge: Challenge, figures: CheckInFigures, at: datetime) -> Self:
        """A challenge as its student is told of it."""
        actions = [Action(code) for code in challenge.actions]
        return cls(
            nonce=challenge.nonce,
            issued_at=challenge.issued_at,
            expires_at=challenge.expires_at,
            server_time=at,
            actions=[
                ActionOut(action=each, zh=INSTRUCTIONS[each].zh, en=INSTRUCTIONS[each].en) for each in actions
            ],
            flash=FlashOut(colours=challenge.flash, each_ms=figures.flash_ms),
            frames=FrameRules(
                min_count=figures.frames_minimum,
                max_count=figures.frames_maximum,
                max_bytes=figures.frame_bytes,
                within_s=figures.answer_time.total_seconds(),
            ),
            fixes=FixRules(
                min_count=figures.fixes_minimum,
                max_count=figures.fixes_maximum,
                max_age_s=figures.fix_age_s,
            ),
        )


class EnvelopeIn(Schema):
    """A compact JWS (ES256, typ `dianming-check-in+jws`) signed with the phone's key."""

    envelope: Annotated[
        str,
        StringConstraints(
            min_length=20,
            max_length=MAX_ENVELOPE,
            pattern=r"^[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+$",
        ),
    ] = Field(examples=["eyJhbGciOiJFUzI1NiJ9.eyJub25jZSI6Ii4uLiJ9.c2lnbmF0dXJl"])
    attempted: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        default=None,
        description="what an answer `intake_busy` to this very envelope gave; anything else counts for nothing",
    )


class ReceiptOut(BaseModel):
    """The envelope is durable. `receipt` is a JWS of the server; a retry gets the very same one."""

    submission_id: UUID
    receipt: str
    frames_due_at: datetime


class FrameOut(BaseModel):
    """A stored frame; `complete` once the whole burst is here and verification has begun."""

    position: int
    complete: bool


class ReasonOut(BaseModel):
    """Why, and what to do."""

    code: str = Field(examples=["outside_site"])
    zh: str
    en: str


class SubmissionOut(BaseModel):
    """One attempt and what became of it."""

    id: UUID
    received_at: datetime
    frames_due_at: datetime
    finding: str | None = Field(description="accepted, step_up, rejected, undetermined; null while verifying")
    reasons: list[ReasonOut]


class RefusalOut(BaseModel):
    """An attempt that was refused on the spot."""

    at: datetime
    step: str
    code: str


class AttemptsOut(BaseModel):
    """Everything this student sent for a roll call."""

    submissions: list[SubmissionOut]
    refusals: list[RefusalOut]


class RegistrationOut(BaseModel):
    """A part-time student's registration of the year (HN334-2.2)."""

    year: int = Field(examples=[2026])
    number: int = Field(examples=[1])
    at: datetime
