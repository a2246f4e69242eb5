"""Tables of identity: accounts, device keys, registrations, and face data. Those of sign-in are in `sign_in/`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class Account(Base):
    """An account of one of five kinds (HN334-2.3). Staff sign in with `login`, students with their device key."""

    __tablename__ = "account"
    __tenancy__ = "org"
    __table_args__ = (
        CheckConstraint("kind IN ('province', 'bureau', 'registrar', 'counselor', 'student')", name="kind"),
        CheckConstraint("status IN ('invited', 'active', 'disabled')", name="status"),
        CheckConstraint("(kind = 'student') = (student_id IS NOT NULL)", name="student"),
        CheckConstraint("(kind = 'counselor') = (counselor_id IS NOT NULL)", name="counselor"),
        CheckConstraint("(kind = 'student') = (login IS NULL)", name="login"),
        CheckConstraint("(kind IN ('province', 'bureau')) = (school_id IS NULL)", name="school"),
        CheckConstraint(
            "status <> 'active' OR kind = 'student' OR (password_hash IS NOT NULL AND totp_sealed IS NOT NULL)",
            name="two_factors",
        ),
        Index("ix_account_org", "org_id", "kind"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    org_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    org_path: Mapped[str]
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID | None] = mapped_column(ForeignKey("student.id"), unique=True)
    counselor_id: Mapped[UUID | None] = mapped_column(ForeignKey("counselor.id"), unique=True)
    login: Mapped[str | None] = mapped_column(unique=True)
    display_name: Mapped[str]
    phone: Mapped[str | None]
    status: Mapped[str]
    password_hash: Mapped[str | None]
    totp_sealed: Mapped[bytes | None]
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    """The newest 30-second step whose code was used, so that a code is accepted once."""
    activation_hash: Mapped[bytes | None]
    activation_until: Mapped[datetime | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime]


class AuthenticatorReset(Base):
    """A request to reset the second factor of an account whose owner lost it."""

    __tablename__ = "authenticator_reset"
    __tenancy__ = "org"
    __table_args__ = (
        CheckConstraint("requested_by <> account_id", name="by_another_account"),
        Index("ix_authenticator_reset_account", "account_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    org_path: Mapped[str]
    reason: Mapped[str]
    requested_by: Mapped[UUID]
    at: Mapped[datetime]


class AuthenticatorResetDecision(Base):
    """The decision of a second person on a reset."""

    __tablename__ = "authenticator_reset_decision"
    __tenancy__ = "org"
    __table_args__ = (
        CheckConstraint("decided_by <> requested_by", name="two_persons"),
        CheckConstraint("outcome IN ('approved', 'refused')", name="outcome"),
    )

    reset_id: Mapped[UUID] = mapped_column(ForeignKey("authenticator_reset.id"), primary_key=True)
    org_path: Mapped[str]
    requested_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    outcome: Mapped[str]
    note: Mapped[str | None]
    at: Mapped[datetime]


class DeviceKey(Base):
    """A phone's public key. One active key per student, one student per key for good (invariant 11).

    A revoked key is never bound again; `cool_down_until` is set when it replaced an earlier one.
    """

    __tablename__ = "device_key"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'revoked')", name="status"),
        Index("uq_device_key_active", "student_id", unique=True, postgresql_where=text("status = 'active'")),
        Index("ix_device_key_student", "student_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    jkt: Mapped[str] = mapped_column(unique=True)
    public_jwk: Mapped[dict[str, Any]]
    status: Mapped[str]
    bound_at: Mapped[datetime]
    cool_down_until: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None]


class DpopProof(Base):
    """A used DPoP proof; each is accepted once (invariant 12). Deleted when it is too old to be accepted."""

    __tablename__ = "dpop_proof"
    __tenancy__ = "ledger"
    __table_args__ = (Index("ix_dpop_proof_seen_at", "seen_at", postgresql_using="brin"),)

    jkt: Mapped[str] = mapped_column(primary_key=True)
    jti: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime]


class Registration(Base):
    """A request to bind a phone to a student. A row without a student is a decoy, which gets the same answers."""

    __tablename__ = "registration"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("face_status IN ('pending', 'matched', 'refused')", name="face_status"),
        Index("ix_registration_jkt", "jkt", "created_at"),
        Index("ix_registration_student", "student_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID | None]
    student_id: Mapped[UUID | None] = mapped_column(ForeignKey("student.id"))
    jkt: Mapped[str]
    public_jwk: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    """When the real-name service confirmed name and ID number."""
    refused_reason: Mapped[str | None]
    otp_hash: Mapped[bytes | None]
    expires_at: Mapped[datetime]
    tries: Mapped[int]
    confirmed_at: Mapped[datetime | None]
    sms_confirmed_at: Mapped[datetime | None]
    """When the code was right, but a replacement needs a second check."""
    face_status: Mapped[str | None]
    face_shots: Mapped[int] = mapped_column(server_default=text("0"))
    face_tries: Mapped[int] = mapped_column(server_default=text("0"))
    face_reasons: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))


class PhoneChange(Base):
    """A phone number that a school proposes for a student who has bound a phone; see `phone_changes`.

    The student confirms it, or a superior approves it. One is open per student.
    """

    __tablename__ = "phone_change"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'confirmed', 'approved', 'refused', 'withdrawn', 'replaced')", name="state"
        ),
        CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided"),
        CheckConstraint(
            "state NOT IN ('confirmed', 'approved') OR (decided_by IS NOT NULL AND decided_by IS DISTINCT FROM proposed_by)",
            name="second_person",
        ),
        Index("uq_phone_change_open", "student_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_phone_change_student", "student_id", "id"),
        Index("ix_phone_change_school", "school_id", "id"),
        Index("ix_phone_change_batch", "batch_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    batch_id: Mapped[UUID]
    """The proposals of one roster, or of one request of a registrar."""
    old_phone: Mapped[str | None]
    new_phone: Mapped[str]
    reasons: Mapped[str | None]
    proposed_by: Mapped[UUID | None]
    proposed_at: Mapped[datetime]
    state: Mapped[str]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    decision_reasons: Mapped[str | None]


class SchoolTemplateKey(Base):
    """A school's key, wrapped under a version of the root key. It wraps the data keys of the school's students.

    Never deleted; updated only when the root key is rotated.
    """

    __tablename__ = "school_template_key"
    __tenancy__ = "shared_school"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    root_version: Mapped[str]
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    wrapped_at: Mapped[datetime]


class TemplateKey(Base):
    """A student's data key, wrapped under the school's key. Deleting the row shreds all face data of the student."""

    __tablename__ = "template_key"
    __tenancy__ = "student"

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("school_template_key.school_id"))
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]


class FaceEnrolment(Base):
    """One attempt to enrol a face: pending until a worker has judged the shots, then accepted or refused.

    One that replaces an earlier face is in `review` until two persons have approved it (`FaceReplacementAnswer`).
    """

    __tablename__ = "face_enrolment"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'review', 'accepted', 'refused')", name="status"),
        Index("ix_face_enrolment_student", "student_id", "submitted_at"),
        Index(
            "ix_face_enrolment_shots_kept", "decided_at", postgresql_where=text("shots_deleted_at IS NULL")
        ),
        Index(
            "uq_face_enrolment_open",
            "student_id",
            unique=True,
            postgresql_where=text("status IN ('pending', 'review')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    status: Mapped[str]
    shots: Mapped[int]
    engine: Mapped[str | None]
    reasons: Mapped[list[Any]]
    """Objects `{shot, code, zh, en}`; `shot` counts from 0 and is null for all shots together."""
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    shots_deleted_at: Mapped[datetime | None]
    """When retention deleted the pictures."""


class FaceTemplateRecord(Base):
    """An encrypted template. Never overwritten: an active one ends by shredding, by two-person replacement, or when another
    engine makes a template of the same shots.

    A `proposed` one waits for the two persons. `sealed` is empty once a template was replaced or refused.
    """

    __tablename__ = "face_template"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("status IN ('proposed', 'active', 'replaced', 'refused', 'shredded')", name="status"),
        Index(
            "uq_face_template_active", "student_id", unique=True, postgresql_where=text("status = 'active'")
        ),
        Index(
            "uq_face_template_enrolment",
            "enrolment_id",
            unique=True,
            postgresql_where=text("status IN ('proposed', 'active')"),
        ),
        Index(
            "ix_face_template_sample",
            "school_id",
            "engine_id",
            "engine_version",
            text("md5(CAST(student_id AS text))"),
            postgresql_where=text("status = 'active'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    enrolment_id: Mapped[UUID] = mapped_column(ForeignKey("face_enrolment.id"))
    engine_id: Mapped[str]
    engine_version: Mapped[str]
    purpose: Mapped[str]
    sealed: Mapped[bytes]
    status: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class SelfieRecord(Base):
    """The encrypted fingerprint of accepted pictures: of an enrolment, or of a check-in (`submission_id`).

    Later submissions are compared with it, to detect a picture that is used again. Only the newest few of each student
    are kept. All become unreadable when the student's data key is shredded.
    """

    __tablename__ = "selfie_record"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("(submission_id IS NULL) <> (enrolment_id IS NULL)", name="source"),
        Index("ix_selfie_record_student", "student_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    submission_id: Mapped[UUID | None] = mapped_column(unique=True)
    enrolment_id: Mapped[UUID | None] = mapped_column(ForeignKey("face_enrolment.id"), unique=True)
    engine_id: Mapped[str]
    engine_version: Mapped[str]
    sealed: Mapped[bytes]
    at: Mapped[datetime]


class Portrait(Base):
    """An ID portrait (学籍证件照): checked for quality and, where a template exists, compared with it.

    An accepted portrait replaces earlier ones that were accepted or in review.
    """

    __tablename__ = "portrait"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'accepted', 'review', 'refused', 'replaced')", name="status"),
        Index("ix_portrait_student", "student_id", "submitted_at"),
        Index("uq_portrait_pending", "student_id", unique=True, postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    evidence_key: Mapped[str] = mapped_column(unique=True)
    """The name of the sealed file."""
    sha256: Mapped[bytes]
    status: Mapped[str]
    score: Mapped[float | None]
    reasons: Mapped[list[Any]]
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    picture_deleted_at: Mapped[datetime | None]
    """When retention deleted the picture."""


class PictureFingerprint(Base):
    """Hashes of one enrolled picture, to find the same picture under another student. No face can be derived from them.

    `file_index` and `pixel_index` are keyed (blind indexes of SHA-256). Deleted with the face data of the student, or
    with the portrait.
    """

    __tablename__ = "picture_fingerprint"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("source IN ('face_enrolment', 'portrait')", name="source"),
        UniqueConstraint("source_id", "position"),
        Index("ix_picture_fingerprint_file", "file_index"),
        Index("ix_picture_fingerprint_pixel", "pixel_index"),
        Index("ix_picture_fingerprint_school", "school_id"),
        Index("ix_picture_fingerprint_student", "student_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    source: Mapped[str]
    source_id: Mapped[UUID]
    position: Mapped[int]
    file_index: Mapped[bytes]
    pixel_index: Mapped[bytes]
    phash: Mapped[int] = mapped_column(BigInteger)
    """`Fingerprint.phash` as a signed number."""
    at: Mapped[datetime]


class SharedPicture(Base):
    """A finding that one picture was sent for two students; one row in the school of each. Append-only."""

    __tablename__ = "shared_picture"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("source IN ('face_enrolment', 'portrait')", name="source"),
        CheckConstraint("kind IN ('same', 'near_duplicate', 'same_person')", name="kind"),
        CheckConstraint("student_id <> other_student_id", name="students"),
        Index(
            "uq_shared_picture_source",
            "school_id",
            "source_id",
            "student_id",
            "other_student_id",
            unique=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    other_school_id: Mapped[UUID]
    other_student_id: Mapped[UUID]
    source: Mapped[str]
    source_id: Mapped[UUID]
    """The enrolment or portrait that was refused or sent to review."""
    kind: Mapped[str]
    sent_by_other: Mapped[bool]
    """Whether the other student sent the picture later, so that this student's picture stays as it is."""
    at: Mapped[datetime]


class FaceReplacementAnswer(Base):
    """The answer of one of the two persons who decide on the replacement of an enrolled face. Append-only."""

    __tablename__ = "face_replacement_answer"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("side IN ('school', 'superior')", name="side"),
        CheckConstraint("side <> 'school' OR NOT approved OR seen_in_person", name="seen_in_person"),
        UniqueConstraint("enrolment_id", "side"),
        UniqueConstraint("enrolment_id", "account_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    enrolment_id: Mapped[UUID] = mapped_column(ForeignKey("face_enrolment.id"))
    side: Mapped[str]
    account_id: Mapped[UUID]
    org_path: Mapped[str]
    approved: Mapped[bool]
    seen_in_person: Mapped[bool]
    """Whether this person compared the student in person with the shots; needed for the school's approval."""
    reasons: Mapped[str]
    at: Mapped[datetime]


class NonFaceRoute(Base):
    """A student's choice to be verified without a face, on equal terms, or to go back. The newest choice is valid."""

    __tablename__ = "non_face_route"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_non_face_route_student", "student_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    chosen: Mapped[bool]
    """False if the student went back to the face."""
    reason: Mapped[str]
    at: Mapped[datetime]


class FacePopulation(Base):
    """A version of the population mean of an engine: an average over many students, not personal data, immutable."""

    __tablename__ = "face_population"
    __tenancy__ = "open"
    __table_args__ = (CheckConstraint("version > 0", name="version"),)

    engine_id: Mapped[str] = mapped_column(primary_key=True)
    engine_version: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    centre: Mapped[bytes]
    """float32, little-endian, one value per dimension of the engine."""
    people: Mapped[int]
    """The number of active templates in the province when it was learned."""
    learned_at: Mapped[datetime]
