"""Messages, the notices that address them to a person, their deliveries by channel, and the receipts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class NoticeMessage(Base):
    """A text, stored once for all of its recipients, and readable by them only.

    `group_id` joins the messages of one cause (a launch notifies students, counselors and registrars).
    """

    __tablename__ = "notice_message"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_notice_message_group", "group_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    group_id: Mapped[UUID]
    kind: Mapped[str]
    title_zh: Mapped[str]
    title_en: Mapped[str]
    body_zh: Mapped[str]
    body_en: Mapped[str]
    data: Mapped[dict[str, Any]]
    sms_template: Mapped[str | None]
    sms_params: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Notice(Base):
    """One message addressed to one person: a student of a school, or a staff account of the unit at `org_path`."""

    __tablename__ = "notice"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint(
            "(student_id IS NOT NULL AND school_id IS NOT NULL)"
            " OR (student_id IS NULL AND account_id IS NOT NULL AND org_path IS NOT NULL)",
            name="recipient",
        ),
        Index("ix_notice_student", "student_id", "message_id"),
        Index("ix_notice_account", "account_id", "message_id", postgresql_where=text("student_id IS NULL")),
        Index("ix_notice_school", "message_id", "school_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("notice_message.id"))
    student_id: Mapped[UUID | None]
    school_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    org_path: Mapped[str | None]
    created_at: Mapped[datetime]


class NoticeDelivery(Base):
    """The delivery of one notice through one channel. This is working state; `NoticeReceipt` is the evidence.

    The recipient is repeated so that row-level security can check each row alone. `slice` is the part whose job
    sends it. `out_id` is passed to the provider and comes back in its reports. `sealed_params` holds the encrypted
    parameters of a one-time code; it is cleared once sent.
    """

    __tablename__ = "notice_delivery"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("channel IN ('in_app', 'sms', 'wechat', 'web_push')", name="channel"),
        CheckConstraint("state IN ('queued', 'sent', 'delivered', 'failed')", name="state"),
        Index("ix_notice_delivery_group", "group_id"),
        Index("ix_notice_delivery_out", "out_id", postgresql_where=text("out_id IS NOT NULL")),
        Index(
            "ix_notice_delivery_waiting",
            "message_id",
            "slice",
            postgresql_where=text("state = 'queued' AND channel <> 'in_app'"),
        ),
    )

    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notice.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[UUID]
    group_id: Mapped[UUID]
    student_id: Mapped[UUID | None]
    school_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    org_path: Mapped[str | None]
    slice: Mapped[int]
    state: Mapped[str]
    phone: Mapped[str | None]
    sealed_params: Mapped[bytes | None]
    out_id: Mapped[str | None]
    provider_message_id: Mapped[str | None]
    attempts: Mapped[int]
    attempted_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class NoticeReceipt(Base):
    """Append-only evidence: the first time a notice was delivered, failed or was opened in a channel.

    `at` is when it happened (for SMS by the provider's report), `recorded_at` when we stored it.
    """

    __tablename__ = "notice_receipt"
    __tenancy__ = "student"
    __table_args__ = (CheckConstraint("event IN ('delivered', 'failed', 'opened')", name="event"),)

    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notice.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    event: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    account_id: Mapped[UUID | None]
    report: Mapped[dict[str, Any] | None]


class PushSubscription(Base):
    """Where a student's phone receives web push (RFC 8030): the address at the browser's push service and its public keys.

    One per student, because one phone is bound. It goes with the phone's key, at sign-out, when the push service says that it
    is gone, and when the app has not renewed it for long.
    """

    __tablename__ = "push_subscription"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_push_subscription_renewed_at", "renewed_at"),)

    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    device_id: Mapped[UUID]
    endpoint: Mapped[str]
    p256dh: Mapped[str]
    auth: Mapped[str]
    created_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    """When the app last confirmed it."""
