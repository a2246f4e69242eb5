"""Event subscriptions: which event calls which service.

A lower layer must not import a higher one, so it emits an event and this table names the consumers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid import notifications as aid_notifications
from backend.aid.ledger_service import post_student_aid
from backend.appeal import notifications as appeal_notifications
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE
from backend.core.tables import OutboxDelivery, OutboxEvent
from backend.core.tenancy import Scope
from backend.leave import guardians
from backend.leave import notifications as leave_notifications
from backend.notice.messages import Message, SmsText, StudentRecipient
from backend.notice.service import post_notice
from backend.people.tables import Student
from backend.roll_call.launch.notifications import announce, remind, tell_extended, tell_voided
from backend.roll_call.progress.access import publish_changed
from backend.standing import tasks as standing_tasks
from backend.standing.change_requests import notifications as change_request_notifications
from backend.standing.change_requests.policy import RequestState
from backend.standing.engine.prompts import PromptKind, PromptState
from backend.standing.ledger.queries import number_entry
from backend.standing.notifications import claims as claim_notifications
from backend.standing.notifications import prompts as standing_notifications
from backend.standing.notifications.prompts import NotificationContext, superior_path
from backend.standing.prompts.deliveries import PROMPT_RAISED, PromptNotice, deliver_prompt
from backend.standing.store.save import recompute

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Consumer:
    """A service that an event calls, in its own transaction, under the scope that the payload gives."""

    name: str
    scope: Callable[[Payload], Scope]
    handle: Callable[[AsyncSession, Payload, datetime], Awaitable[object]]


def _org_path_scope(payload: Payload) -> Scope:
    return Scope.wide(payload["path"])


def _school_scope(payload: Payload) -> Scope:
    return Scope.school(UUID(payload["school_id"]))


def _school_and_accounts_scope(payload: Payload) -> Scope:
    """The school and its accounts, which row-level security finds by path."""
    return Scope.school(UUID(payload["school_id"]), payload["path"])


def _superior_scope(payload: Payload) -> Scope:
    """The authority directly above the school. A school's scope does not include its accounts."""
    return Scope.wide(superior_path(payload["path"]))


def _approver_scope(payload: Payload) -> Scope:
    """The unit that must answer next in a chain of approval, and the school below it."""
    return Scope.wide(payload["turn_path"])


def _uuid(payload: Payload, name: str) -> UUID:
    return UUID(payload[name])


async def _notify_roll_call_launched(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await announce(session, _uuid(payload, "roll_call_id"), at)


async def _notify_reminder(session: AsyncSession, payload: Payload, at: datetime) -> None:
    counselor = payload.get("counselor_id")
    await remind(session, _uuid(payload, "reminder_id"), UUID(counselor) if counselor else None, at)


async def _notify_roll_call_voided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await tell_voided(session, _uuid(payload, "roll_call_id"), at)


async def _notify_roll_call_extended(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await tell_extended(session, _uuid(payload, "roll_call_id"), at)


async def _notify_device_rebound(session: AsyncSession, payload: Payload, at: datetime) -> None:
    """Notify the student in the app and by SMS, so that a takeover of the phone number is noticed."""
    student = await session.get_one(Student, _uuid(payload, "student_id"))
    recipient = StudentRecipient(student.id, student.school_id, phone=student.phone)
    message = Message(
        kind="device_rebound",
        group_id=_uuid(payload, "device_id"),
        title_zh="已换绑手机",
        title_en="Your account moved to another phone",
        body_zh="您的账号已绑定到另一部手机。如非本人操作，请立即联系辅导员。",
        body_en="Your account is now bound to another phone. If this was not you, tell your counselor at once.",
        sms=SmsText(
            "notice", {"title": "换绑手机", "until": at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")}
        ),
    )
    await post_notice(session, recipient, message, ("in_app", "sms"), at)


async def _notify_leave_requested(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await leave_notifications.tell_requested(session, _uuid(payload, "leave_id"), at)


async def _notify_leave_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await leave_notifications.tell_decided(session, _uuid(payload, "leave_id"), at)


async def _notify_guardians_of_leave(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await guardians.tell_approved(session, _uuid(payload, "leave_id"), at)


async def _notify_guardians_of_limit(session: AsyncSession, payload: Payload, at: datetime) -> None:
    if payload["kind"] == PromptKind.LEAVE_OVER_CAP:
        await guardians.tell_over_limit(
            session, _uuid(payload, "student_id"), _uuid(payload, "prompt_id"), at
        )


async def _notify_leave_ended(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await leave_notifications.tell_ended(session, _uuid(payload, "leave_id"), payload["by"], at)


async def _assess_roll_call_students(session: AsyncSession, payload: Payload, _at: datetime) -> None:
    await standing_tasks.enqueue_audience(session, _uuid(payload, "roll_call_id"))


async def _assess_student(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await recompute(session, _uuid(payload, "student_id"), at)


async def _assess_student_after_leave(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_tasks.reassess_after_leave(session, _uuid(payload, "student_id"), at)


async def _notify_prompt_raised(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_notifications.tell_raised(session, NotificationContext.of("prompt_id", payload), at)


async def _notify_superior_of_prompt(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_notifications.tell_superior_raised(
        session, NotificationContext.of("prompt_id", payload), at
    )


async def _notify_prompt_moved(session: AsyncSession, payload: Payload, at: datetime) -> None:
    state = PromptState(payload["state"])
    await standing_notifications.tell_moved(session, NotificationContext.of("prompt_id", payload), state, at)


async def _notify_superior_of_moved_prompt(session: AsyncSession, payload: Payload, at: datetime) -> None:
    state = PromptState(payload["state"])
    await standing_notifications.tell_superior_moved(
        session, NotificationContext.of("prompt_id", payload), state, at
    )


async def _notify_standing_changed(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_notifications.tell_changed(session, NotificationContext.of("entry_id", payload), at)


async def _notify_student_warned(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_notifications.tell_warned(session, NotificationContext.of("warning_id", payload), at)


async def _notify_superior_of_warning(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_notifications.tell_superior_warned(
        session, NotificationContext.of("warning_id", payload), at
    )


async def _notify_replay_difference(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_notifications.tell_difference(
        session, NotificationContext.of("difference_id", payload), at
    )


_ASSESS_LEAVE = Consumer("assess_leave", _school_and_accounts_scope, _assess_student_after_leave)


async def _deliver_prompt(session: AsyncSession, payload: Payload, at: datetime) -> None:
    received_at = datetime.fromisoformat(payload["received_at"])
    notice = PromptNotice(
        _uuid(payload, "group_id"), _uuid(payload, "account_id"), payload["channel"], received_at
    )
    if payload["kind"] == PROMPT_RAISED:
        await deliver_prompt(session, notice, at)


async def _notify_claim_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await claim_notifications.tell_decided(session, _uuid(payload, "claim_id"), at)


async def _number_entry(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await number_entry(session, _uuid(payload, "entry_id"), at)


async def _notify_next_approver(session: AsyncSession, payload: Payload, at: datetime) -> None:
    if "turn_org" in payload:
        await change_request_notifications.tell_turn(
            session, _uuid(payload, "request_id"), _uuid(payload, "turn_org"), at
        )


async def _notify_change_requested(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await change_request_notifications.tell_filed(session, _uuid(payload, "request_id"), at)


async def _notify_change_request_ended(session: AsyncSession, payload: Payload, at: datetime) -> None:
    state = RequestState(payload["state"])
    await change_request_notifications.tell_ended(session, _uuid(payload, "request_id"), state, at)


def _appeal_authority_scope(payload: Payload) -> Scope:
    """The authority that decides an appeal, and the school below it."""
    return Scope.wide(payload["unit_path"])


async def _notify_appeal_filed(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_notifications.tell_filed(session, _uuid(payload, "appeal_id"), at)


async def _notify_appeal_message(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_notifications.tell_message(session, _uuid(payload, "appeal_id"), payload["side"], at)


async def _notify_appeal_withdrawn(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_notifications.tell_withdrawn(session, _uuid(payload, "appeal_id"), at)


async def _notify_appeal_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_notifications.tell_decided(session, _uuid(payload, "appeal_id"), at)


async def _post_student_aid(session: AsyncSession, payload: Payload, at: datetime) -> None:
    """A release withdraws unpaid aid; an entry that reverses the change reinstates it (HN334-4.1d, 4.2)."""
    await post_student_aid(session, _uuid(payload, "student_id"), at)


async def _notify_aid_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await aid_notifications.tell_decided(session, _uuid(payload, "application_id"), at)


async def _notify_aid_withdrawn(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await aid_notifications.tell_withdrawn(session, _uuid(payload, "filing_id"), at)


async def _notify_aid_reinstated(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await aid_notifications.tell_reinstated(session, _uuid(payload, "filing_id"), at)


SUBSCRIPTIONS: dict[str, tuple[Consumer, ...]] = {
    "RollCallLaunched": (Consumer("announce", _org_path_scope, _notify_roll_call_launched),),
    "RemindersSent": (Consumer("remind", _school_scope, _notify_reminder),),
    "RollCallExtended": (Consumer("tell_extended", _org_path_scope, _notify_roll_call_extended),),
    "RollCallVoided": (
        Consumer("tell_voided", _org_path_scope, _notify_roll_call_voided),
        Consumer("assess_voided", _org_path_scope, _assess_roll_call_students),
    ),
    "RollCallSettled": (Consumer("assess_settled", _org_path_scope, _assess_roll_call_students),),
    "OutcomeChanged": (Consumer("assess_outcome", _school_scope, _assess_student),),
    "RosterImported": (),
    "AccountActivated": (),
    "AccountDisabled": (),
    "ClassesAssigned": (),
    "DeviceBound": (),
    "DeviceRebound": (Consumer("tell_rebound", _school_scope, _notify_device_rebound),),
    "DeviceRevoked": (),
    "FaceEnrolled": (),
    "FaceEnrolmentRefused": (),
    "NonFaceRouteChosen": (),
    "PortraitJudged": (),
    "RecordCorrectionRequested": (),
    "RecordCorrectionDecided": (),
    "LeaveRequested": (
        Consumer("tell_leave_requested", _school_and_accounts_scope, _notify_leave_requested),
        _ASSESS_LEAVE,
    ),
    "LeaveDecided": (
        Consumer("tell_leave_decided", _school_and_accounts_scope, _notify_leave_decided),
        Consumer("tell_guardians_of_leave", _school_and_accounts_scope, _notify_guardians_of_leave),
        _ASSESS_LEAVE,
    ),
    "LeaveCancelled": (
        Consumer("tell_leave_cancelled", _school_and_accounts_scope, _notify_leave_ended),
        _ASSESS_LEAVE,
    ),
    "LeaveReturned": (
        Consumer("tell_leave_returned", _school_and_accounts_scope, _notify_leave_ended),
        _ASSESS_LEAVE,
    ),
    "NoticeReceived": (Consumer("deliver_prompt", _school_and_accounts_scope, _deliver_prompt),),
    "PromptRaised": (
        Consumer("tell_prompt", _school_and_accounts_scope, _notify_prompt_raised),
        Consumer("tell_prompt_above", _superior_scope, _notify_superior_of_prompt),
        Consumer("tell_guardians_of_limit", _school_and_accounts_scope, _notify_guardians_of_limit),
    ),
    "PromptMoved": (
        Consumer("tell_prompt_moved", _school_and_accounts_scope, _notify_prompt_moved),
        Consumer("tell_prompt_moved_above", _superior_scope, _notify_superior_of_moved_prompt),
    ),
    "StandingChanged": (
        Consumer("number_entry", _school_scope, _number_entry),
        Consumer("tell_changed", _school_and_accounts_scope, _notify_standing_changed),
        Consumer("reinstate_aid", _school_and_accounts_scope, _post_student_aid),
    ),
    "ReasonClaimFiled": (Consumer("assess_claim", _school_and_accounts_scope, _assess_student),),
    "ReasonClaimDecided": (
        Consumer("tell_claim_decided", _school_and_accounts_scope, _notify_claim_decided),
    ),
    "AidReleased": (Consumer("withdraw_aid", _school_and_accounts_scope, _post_student_aid),),
    "AidDecided": (Consumer("tell_aid_decided", _school_and_accounts_scope, _notify_aid_decided),),
    "AidWithdrawn": (Consumer("tell_aid_withdrawn", _school_and_accounts_scope, _notify_aid_withdrawn),),
    "AidReinstated": (Consumer("tell_aid_reinstated", _school_and_accounts_scope, _notify_aid_reinstated),),
    "StudentWarned": (
        Consumer("tell_warned", _school_and_accounts_scope, _notify_student_warned),
        Consumer("tell_warned_above", _superior_scope, _notify_superior_of_warning),
    ),
    "AppealFiled": (
        Consumer("assess_appealed", _school_and_accounts_scope, _assess_student),
        Consumer("tell_appeal_filed", _appeal_authority_scope, _notify_appeal_filed),
    ),
    "AppealMessagePosted": (
        Consumer("tell_appeal_message", _appeal_authority_scope, _notify_appeal_message),
    ),
    "AppealWithdrawn": (
        Consumer("assess_appeal_withdrawn", _school_and_accounts_scope, _assess_student),
        Consumer("tell_appeal_withdrawn", _appeal_authority_scope, _notify_appeal_withdrawn),
    ),
    "AppealDecided": (Consumer("tell_appeal_decided", _appeal_authority_scope, _notify_appeal_decided),),
    "ReplayDifferenceFound": (Consumer("tell_difference", _superior_scope, _notify_replay_difference),),
    "ChangeRequested": (
        Consumer("tell_change_turn", _approver_scope, _notify_next_approver),
        Consumer("tell_change_filed", _school_and_accounts_scope, _notify_change_requested),
    ),
    "ChangeRequestDecided": (
        Consumer("tell_change_turn", _approver_scope, _notify_next_approver),
        Consumer("tell_change_ended", _school_and_accounts_scope, _notify_change_request_ended),
    ),
}
"""Event → consumers. Events without consumers are recorded for the audit and for later consumers."""


CONSUMED_EVENTS = frozenset(name for name, consumers in SUBSCRIPTIONS.items() if consumers)


async def deliver(app_context: AppContext, event_id: str) -> None:
    """Run each consumer of an event once: it and its `OutboxDelivery` row commit together."""
    async with app_context.database.transaction(Scope.none()) as session:
        event = await session.get_one(OutboxEvent, UUID(event_id))
    for consumer in SUBSCRIPTIONS[event.name]:
        async with app_context.database.transaction(consumer.scope(event.payload)) as session:
            delivery = insert(OutboxDelivery).values(
                event_id=event.id, consumer=consumer.name, handled_at=app_context.clock()
            )
            inserted = await session.scalar(
                delivery.on_conflict_do_nothing().returning(OutboxDelivery.consumer)
            )
            if inserted is not None:
                await consumer.handle(session, event.payload, app_context.clock())
    if "roll_call_id" in event.payload:
        await publish_changed(app_context.redis, UUID(event.payload["roll_call_id"]))
