"""The flow: which event calls which service. What must travel up the floors travels through this table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import LEGAL_ZONE
from backend.core.runtime import Runtime
from backend.core.tables import OutboxDelivery, OutboxEvent
from backend.core.tenancy import Scope
from backend.leave import telling as leave_telling
from backend.notice.messages import Message, SmsText, StudentRecipient
from backend.notice.service import post_notice
from backend.people.tables import Student
from backend.roll_call.announcing import announce, remind, tell_voided
from backend.roll_call.progress import poke

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Consumer:
    """A service that an event calls, in a transaction of its own, under the scope that the payload names."""

    name: str
    scope: Callable[[Payload], Scope]
    handle: Callable[[AsyncSession, Payload, datetime], Awaitable[object]]


def _of_path(payload: Payload) -> Scope:
    return Scope.wide(payload["path"])


def _of_school(payload: Payload) -> Scope:
    return Scope.school(UUID(payload["school_id"]))


def _of_whole_school(payload: Payload) -> Scope:
    """The school with its accounts, which are found by its path."""
    return Scope.school(UUID(payload["school_id"]), payload["path"])


def _id(payload: Payload, name: str) -> UUID:
    return UUID(payload[name])


async def _announce(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await announce(session, _id(payload, "roll_call_id"), at)


async def _remind(session: AsyncSession, payload: Payload, at: datetime) -> None:
    counselor = payload.get("counselor_id")
    await remind(session, _id(payload, "urge_id"), UUID(counselor) if counselor else None, at)


async def _tell_voided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await tell_voided(session, _id(payload, "roll_call_id"), at)


async def _tell_rebound(session: AsyncSession, payload: Payload, at: datetime) -> None:
    """Whoever took over a phone number must not go unnoticed: the student is told, in the app and by SMS."""
    student = await session.get_one(Student, _id(payload, "student_id"))
    recipient = StudentRecipient(student.id, student.school_id, phone=student.phone)
    message = Message(
        kind="device_rebound",
        group_id=_id(payload, "device_id"),
        title_zh="已换绑手机",
        title_en="Your account moved to another phone",
        body_zh="您的账号已绑定到另一部手机。如非本人操作，请立即联系辅导员。",
        body_en="Your account is bound to another phone now. If that was not you, tell your counselor at once.",
        sms=SmsText(
            "notice", {"title": "换绑手机", "until": at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")}
        ),
    )
    await post_notice(session, recipient, message, ("in_app", "sms"), at)


async def _tell_leave_requested(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await leave_telling.tell_requested(session, _id(payload, "leave_id"), at)


async def _tell_leave_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await leave_telling.tell_decided(session, _id(payload, "leave_id"), at)


async def _tell_leave_ended(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await leave_telling.tell_ended(session, _id(payload, "leave_id"), payload["by"], at)


FLOW: dict[str, tuple[Consumer, ...]] = {
    "RollCallLaunched": (Consumer("announce", _of_path, _announce),),
    "StudentsUrged": (Consumer("remind", _of_school, _remind),),
    "RollCallVoided": (Consumer("tell_voided", _of_path, _tell_voided),),
    "RollCallSettled": (),
    "OutcomeChanged": (),
    "RosterImported": (),
    "AccountActivated": (),
    "AccountDisabled": (),
    "ClassesAssigned": (),
    "DeviceBound": (),
    "DeviceRebound": (Consumer("tell_rebound", _of_school, _tell_rebound),),
    "DeviceRevoked": (),
    "FaceEnrolled": (),
    "FaceEnrolmentRefused": (),
    "NonFaceRouteChosen": (),
    "PortraitJudged": (),
    "RecordCorrectionRequested": (),
    "RecordCorrectionDecided": (),
    "LeaveRequested": (Consumer("tell_leave_requested", _of_whole_school, _tell_leave_requested),),
    "LeaveDecided": (Consumer("tell_leave_decided", _of_whole_school, _tell_leave_decided),),
    "LeaveCancelled": (Consumer("tell_leave_cancelled", _of_whole_school, _tell_leave_ended),),
    "LeaveReturned": (Consumer("tell_leave_returned", _of_whole_school, _tell_leave_ended),),
    "PromptRaised": (),
    "PromptMoved": (),
    "StandingChanged": (),
    "AidReleased": (),
    "StudentWarned": (),
    "RecordDiffers": (),
}
"""Event → consumers. An event without consumers is recorded for those to come (prompts, appeals) and for audits."""


CONSUMED = frozenset(name for name, consumers in FLOW.items() if consumers)


async def deliver(runtime: Runtime, event_id: str) -> None:
    """Tell each consumer of an event once: handling and its mark are one transaction."""
    async with runtime.database.transaction(Scope.none()) as session:
        event = await session.get_one(OutboxEvent, UUID(event_id))
    for consumer in FLOW[event.name]:
        async with runtime.database.transaction(consumer.scope(event.payload)) as session:
            mark = insert(OutboxDelivery).values(
                event_id=event.id, consumer=consumer.name, handled_at=runtime.clock()
            )
            first = await session.scalar(mark.on_conflict_do_nothing().returning(OutboxDelivery.consumer))
            if first is not None:
                await consumer.handle(session, event.payload, runtime.clock())
    if "roll_call_id" in event.payload:
        await poke(runtime.redis, UUID(event.payload["roll_call_id"]))
