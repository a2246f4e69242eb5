"""Tables of accounts of staff and students, and of resets of their authenticators."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
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
        Index("ix_account_staff", "id", postgresql_where=text("kind <> 'student'")),
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
