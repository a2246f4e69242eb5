"""Tables of phones: bound keys, used proofs, registrations and changes of the phone number."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


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
