"""Tables of `core`: events and their deliveries, availability of the service, and the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class OutboxEvent(Base):
    """An event, delivered to its consumers after the commit. Identifiers only, append-only."""

    __tablename__ = "outbox_event"
    __tenancy__ = "ledger"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    payload: Mapped[dict[str, Any]]
    occurred_at: Mapped[datetime]


class OutboxDelivery(Base):
    """One consumer has handled one event. The primary key makes handling take effect at most once."""

    __tablename__ = "outbox_delivery"
    __tenancy__ = "ledger"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    consumer: Mapped[str] = mapped_column(primary_key=True)
    handled_at: Mapped[datetime]


class ServiceHeartbeat(Base):
    """A minute in which an API process was running and could reach the database."""

    __tablename__ = "service_heartbeat"
    __tenancy__ = "open"

    minute: Mapped[datetime] = mapped_column(primary_key=True)


class ServiceOverload(Base):
    """A second in which check-ins were rejected because of load, and how many."""

    __tablename__ = "service_overload"
    __tenancy__ = "open"

    second: Mapped[datetime] = mapped_column(primary_key=True)
    rejected: Mapped[int]


class AuditEntry(Base):
    """Who did what to which record, and when. Written in the transaction of the act, never changed."""

    __tablename__ = "audit_entry"
    __tenancy__ = "org"
    __table_args__ = (
        Index("ix_audit_entry_at", "at", "id"),
        Index("ix_audit_entry_unit", "org_path", "at", "id"),
        Index(
            "ix_audit_entry_subject",
            "subject_id",
            "at",
            postgresql_where=text("subject_type <> 'outcome' OR acting_account IS NOT NULL"),
        ),
        Index(
            "ix_audit_entry_account",
            "acting_account",
            "at",
            "id",
            postgresql_where=text("acting_account IS NOT NULL"),
        ),
        Index(
            "ix_audit_entry_action",
            "action",
            "at",
            "id",
            postgresql_where=text("action <> 'outcome.write'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    acting_account: Mapped[UUID | None]
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[str]
    org_path: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]


class IdempotencyKey(Base):
    """A request that took effect, by the key that its account gave it, and its encrypted response once recorded."""

    __tablename__ = "idempotency_key"
    __tenancy__ = "account"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    """SHA-256 of path, query and body."""
    created_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    response: Mapped[bytes | None]


class AuditSeal(Base):
    """One link of the hash chain over the audit log: SHA-256 of the previous link and the sealed entry."""

    __tablename__ = "audit_seal"
    __tenancy__ = "ledger"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    sealed_at: Mapped[datetime]
