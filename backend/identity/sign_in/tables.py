"""Tables of staff sign-in: sessions, known devices, counters of failed attempts, and the sign-in log."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class StaffSession(Base):
    """A session of a staff account; once revoked, it is refused at the next request."""

    __tablename__ = "staff_session"
    __tenancy__ = "account"
    __table_args__ = (Index("ix_staff_session_account", "account_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    refresh_hash: Mapped[bytes]
    in_browser: Mapped[bool] = mapped_column(default=False)
    """The refresh token is in a cookie. It is accepted there only, and others only in a body."""
    previous_hash: Mapped[bytes | None]
    rotated_at: Mapped[datetime | None]
    """Of a browser's session: the refresh token before the current one, and when it was replaced."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime]
    """When the session was opened or last refreshed."""
    device_id: Mapped[UUID | None] = mapped_column(ForeignKey("sign_in_device.id", ondelete="SET NULL"))
    address: Mapped[str | None]
    user_agent: Mapped[str | None]


class SignInDevice(Base):
    """A device that signed in to a staff account. Failed attempts elsewhere do not delay it."""

    __tablename__ = "sign_in_device"
    __tenancy__ = "account"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class SignInThrottle(Base):
    """Failed attempts under a key: the keyed hash of a login name, known or not, of a device or of an address."""

    __tablename__ = "sign_in_throttle"
    __tenancy__ = "ledger"
    __table_args__ = (Index("ix_sign_in_throttle_counted_at", "counted_at"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    refusals: Mapped[int]
    """Attempts that were refused during the current delay."""
    counted_at: Mapped[datetime]
    blocked_until: Mapped[datetime | None]


class SignInEvent(Base):
    """An entry of the sign-in log (登录日志). Entries of unknown login names belong to the province."""

    __tablename__ = "sign_in_event"
    __tenancy__ = "org"
    __table_args__ = (
        CheckConstraint("outcome IN ('succeeded', 'refused', 'delayed')", name="outcome"),
        Index("ix_sign_in_event_account", "account_id", "id"),
        Index("ix_sign_in_event_at", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    org_path: Mapped[str]
    outcome: Mapped[str]
    reason: Mapped[str | None]
    """A `Reason` of `unscoped_queries`. The answer to the attempt never contains it."""
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    known_device: Mapped[bool]
    delayed_until: Mapped[datetime | None]
    """Until when the next attempt must wait."""
