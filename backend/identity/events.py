"""Events of accounts, devices, faces and student records."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountActivated(Event):
    """A staff account was activated."""

    account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDisabled(Event):
    """A staff account was disabled."""

    account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEnabled(Event):
    """A disabled account was enabled again."""

    account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorResetRequested(Event):
    """A reset of an account's second factor was requested."""

    path: str
    account_id: UUID
    reset_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorResetDecided(AuthenticatorResetRequested):
    """A second person approved or refused the reset."""

    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBound(Event):
    """A student bound a first device key."""

    school_id: UUID
    student_id: UUID
    device_id: UUID
    cool_down_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRebound(DeviceBound):
    """A student replaced the bound device key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationCodesExhausted(Event):
    """More one-time codes were requested for a student than are sent in an hour or a day."""

    school_id: UUID
    path: str
    student_id: UUID
    registration_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RebindingRequested(Event):
    """Another phone sent the right code for a student who has a phone; the second check is still missing."""

    school_id: UUID
    student_id: UUID
    registration_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RebindingObjected(Event):
    """The old phone of a student objected to its replacement."""

    school_id: UUID
    path: str
    student_id: UUID
    objection_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolDownActRecorded(Event):
    """A student acted on a new phone during its cool-down."""

    school_id: UUID
    path: str
    student_id: UUID
    act_id: UUID
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRevoked(Event):
    """A registrar revoked a student's device key."""

    school_id: UUID
    student_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceEnrolled(Event):
    """A face enrolment was accepted."""

    school_id: UUID
    student_id: UUID
    enrolment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceEnrolmentRefused(FaceEnrolled):
    """A face enrolment was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NonFaceRouteChosen(Event):
    """A student chose to check in without a face (HN334-3.1)."""

    school_id: UUID
    student_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRouteChosen(NonFaceRouteChosen):
    """A student went back to checking in by face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookConsentRevoked(NonFaceRouteChosen):
    """A student revoked a consent without which no person may see pictures of check-ins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceReplacementRequested(Event):
    """A new face of a student waits for the approval of two persons."""

    school_id: UUID
    path: str
    student_id: UUID
    enrolment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceReplacementSeen(FaceReplacementRequested):
    """The school approved a new face; the superior answers next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceReplacementDecided(FaceReplacementRequested):
    """Two persons approved a new face, or one refused it."""

    approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitJudged(Event):
    """An ID portrait was accepted, refused or sent to review."""

    school_id: UUID
    student_id: UUID
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPictureFound(Event):
    """A student's picture was sent for another student too. Emitted once for each school concerned."""

    school_id: UUID
    path: str
    student_id: UUID
    other_school_id: UUID
    other_student_id: UUID
    source: str
    source_id: UUID
    kind: str
    sent_by_other: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateCandidateFound(Event):
    """Two students' faces are rarely similar; `path` is the common superior of their schools."""

    path: str
    candidate_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCorrectionRequested(Event):
    """A student reported an error in their record."""

    school_id: UUID
    student_id: UUID
    check_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCorrectionDecided(RecordCorrectionRequested):
    """A registrar decided on a reported error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalConfirmed(Event):
    """A counselor confirmed who was present at a rehearsal of a class."""

    school_id: UUID
    path: str
    roll_call_id: UUID
    confirmation_id: UUID
    confirmed: int
    excluded: int
