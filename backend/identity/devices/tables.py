"""Tables of rebinding a phone: codes given in person, objections of the old phone, and acts during the cool-down."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class BindingCode(Base):
    """A code that staff gave to a student in person, to bind a phone. Used once, within minutes."""

    __tablename__ = "binding_code"
    __tenancy__ = "student"
    __table_args__ = (CheckConstraint("(used_at IS NULL) = (registration_id IS NULL)", name="used"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    code_hash: Mapped[bytes] = mapped_column(unique=True)
    identity_check: Mapped[str]
    """How the issuer checked who the student is."""
    issued_by: Mapped[UUID]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    registration_id: Mapped[UUID | None]


class RebindingObjection(Base):
    """The old phone's objection to its replacement; one for each new key."""

    __tablename__ = "rebinding_objection"
    __tenancy__ = "student"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device_key.id"), unique=True)
    old_device_id: Mapped[UUID] = mapped_column(ForeignKey("device_key.id"))
    note: Mapped[str | None]
    at: Mapped[datetime]


class RebindingObjectionDecision(Base):
    """The decision on an objection. Upheld: the new key is revoked."""

    __tablename__ = "rebinding_objection_decision"
    __tenancy__ = "student"
    __table_args__ = (CheckConstraint("outcome IN ('upheld', 'dismissed')", name="outcome"),)

    objection_id: Mapped[UUID] = mapped_column(ForeignKey("rebinding_objection.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    outcome: Mapped[str]
    reason: Mapped[str]
    decided_by: Mapped[UUID]
    at: Mapped[datetime]


class CoolDownAct(Base):
    """An act of the student on a new phone during its cool-down. It takes effect; the counselor is told."""

    __tablename__ = "cool_down_act"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_cool_down_act_student", "student_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device_key.id"))
    kind: Mapped[str]
    subject_id: Mapped[UUID | None]
    at: Mapped[datetime]
