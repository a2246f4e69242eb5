"""The flow: which event calls which service. What must travel up the floors travels through this table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid import notifications as aid_telling
from backend.aid.ledger_service import post_student_aid
from backend.appeal import notifications as appeal_telling
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE
from backend.core.tables import OutboxDelivery, OutboxEvent
from backend.core.tenancy import Scope
from backend.leave import guardians
from backend.leave import notifications as leave_telling
from backend.notice.messages import Message, SmsText, StudentRecipient
from backend.notice.service import post_notice
from backend.people.tables import Student
from backend.roll_call.launch.notifications import announce, remind, tell_extended, tell_voided
from backend.roll_call.progress.access import publish_changed
from backend.standing import tasks as standing_jobs
from backend.standing.change_requests import notifications as changing_telling
from backend.standing.change_requests.policy import RequestState
from backend.standing.engine.prompts import PromptKind, PromptState
from backend.standing.ledger.queries import number_entry
from backend.standing.notifications import claims as claim_telling
from backend.standing.notifications import prompts as standing_telling
from backend.standing.notifications.prompts import NotificationContext, superior_path
from backend.standing.prompts.deliveries import PROMPT_RAISED, PromptNotice, deliver_prompt
from backend.standing.store.save import recompute

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


def _of_superior(payload: Payload) -> Scope:
    """The authority right above the school, whose accounts no school's scope holds."""
    return Scope.wide(superior_path(payload["path"]))


def _of_turn(payload: Payload) -> Scope:
    """The unit whose turn it is in a chain of approval, with the school below it."""
    return Scope.wide(payload["turn_path"])


def _id(payload: Payload, name: str) -> UUID:
    return UUID(payload[name])


async def _announce(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await announce(session, _id(payload, "roll_call_id"), at)


async def _remind(session: AsyncSession, payload: Payload, at: datetime) -> None:
    counselor = payload.get("counselor_id")
    await remind(session, _id(payload, "reminder_id"), UUID(counselor) if counselor else None, at)


async def _tell_voided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await tell_voided(session, _id(payload, "roll_call_id"), at)


async def _tell_extended(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await tell_extended(session, _id(payload, "roll_call_id"), at)


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


async def _tell_guardians_of_leave(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await guardians.tell_approved(session, _id(payload, "leave_id"), at)


async def _tell_guardians_of_limit(session: AsyncSession, payload: Payload, at: datetime) -> None:
    if payload["kind"] == PromptKind.LEAVE_OVER_CAP:
        await guardians.tell_over_limit(session, _id(payload, "student_id"), _id(payload, "prompt_id"), at)


async def _tell_leave_ended(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await leave_telling.tell_ended(session, _id(payload, "leave_id"), payload["by"], at)


async def _assess_audience(session: AsyncSession, payload: Payload, _at: datetime) -> None:
    await standing_jobs.enqueue_audience(session, _id(payload, "roll_call_id"))


async def _assess_student(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await recompute(session, _id(payload, "student_id"), at)


async def _assess_leave(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_jobs.reassess_after_leave(session, _id(payload, "student_id"), at)


async def _tell_prompt(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_telling.tell_raised(session, NotificationContext.of("prompt_id", payload), at)


async def _tell_prompt_above(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_telling.tell_superior_raised(session, NotificationContext.of("prompt_id", payload), at)


async def _tell_prompt_moved(session: AsyncSession, payload: Payload, at: datetime) -> None:
    state = PromptState(payload["state"])
    await standing_telling.tell_moved(session, NotificationContext.of("prompt_id", payload), state, at)


async def _tell_prompt_moved_above(session: AsyncSession, payload: Payload, at: datetime) -> None:
    state = PromptState(payload["state"])
    await standing_telling.tell_superior_moved(
        session, NotificationContext.of("prompt_id", payload), state, at
    )


async def _tell_changed(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_telling.tell_changed(session, NotificationContext.of("entry_id", payload), at)


async def _tell_warned(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_telling.tell_warned(session, NotificationContext.of("warning_id", payload), at)


async def _tell_warned_above(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_telling.tell_superior_warned(session, NotificationContext.of("warning_id", payload), at)


async def _tell_difference(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await standing_telling.tell_difference(session, NotificationContext.of("difference_id", payload), at)


_ASSESS_LEAVE = Consumer("assess_leave", _of_whole_school, _assess_leave)


async def _deliver_prompt(session: AsyncSession, payload: Payload, at: datetime) -> None:
    received_at = datetime.fromisoformat(payload["received_at"])
    receipt = PromptNotice(
        _id(payload, "group_id"), _id(payload, "account_id"), payload["channel"], received_at
    )
    if payload["kind"] == PROMPT_RAISED:
        await deliver_prompt(session, receipt, at)


async def _tell_claim_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await claim_telling.tell_decided(session, _id(payload, "claim_id"), at)


async def _number_entry(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await number_entry(session, _id(payload, "entry_id"), at)


async def _tell_change_turn(session: AsyncSession, payload: Payload, at: datetime) -> None:
    if "turn_org" in payload:
        await changing_telling.tell_turn(session, _id(payload, "request_id"), _id(payload, "turn_org"), at)


async def _tell_change_filed(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await changing_telling.tell_filed(session, _id(payload, "request_id"), at)


async def _tell_change_ended(session: AsyncSession, payload: Payload, at: datetime) -> None:
    state = RequestState(payload["state"])
    await changing_telling.tell_ended(session, _id(payload, "request_id"), state, at)


def _of_deciding_unit(payload: Payload) -> Scope:
    """The authority that decides an appeal, with the school below it."""
    return Scope.wide(payload["unit_path"])


async def _tell_appeal_filed(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_telling.tell_filed(session, _id(payload, "appeal_id"), at)


async def _tell_appeal_message(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_telling.tell_message(session, _id(payload, "appeal_id"), payload["side"], at)


async def _tell_appeal_withdrawn(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_telling.tell_withdrawn(session, _id(payload, "appeal_id"), at)


async def _tell_appeal_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await appeal_telling.tell_decided(session, _id(payload, "appeal_id"), at)


async def _settle_aid(session: AsyncSession, payload: Payload, at: datetime) -> None:
    """A release withdraws what is unpaid, an entry that reverses the change brings it back (HN334-4.1d, 4.2)."""
    await post_student_aid(session, _id(payload, "student_id"), at)


async def _tell_aid_decided(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await aid_telling.tell_decided(session, _id(payload, "application_id"), at)


async def _tell_aid_withdrawn(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await aid_telling.tell_withdrawn(session, _id(payload, "filing_id"), at)


async def _tell_aid_reinstated(session: AsyncSession, payload: Payload, at: datetime) -> None:
    await aid_telling.tell_reinstated(session, _id(payload, "filing_id"), at)


SUBSCRIPTIONS: dict[str, tuple[Consumer, ...]] = {
    "RollCallLaunched": (Consumer("announce", _of_path, _announce),),
    "RemindersSent": (Consumer("remind", _of_school, _remind),),
    "RollCallExtended": (Consumer("tell_extended", _of_path, _tell_extended),),
    "RollCallVoided": (
        Consumer("tell_voided", _of_path, _tell_voided),
        Consumer("assess_voided", _of_path, _assess_audience),
    ),
    "RollCallSettled": (Consumer("assess_settled", _of_path, _assess_audience),),
    "OutcomeChanged": (Consumer("assess_outcome", _of_school, _assess_student),),
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
    "LeaveRequested": (
        Consumer("tell_leave_requested", _of_whole_school, _tell_leave_requested),
        _ASSESS_LEAVE,
    ),
    "LeaveDecided": (
        Consumer("tell_leave_decided", _of_whole_school, _tell_leave_decided),
        Consumer("tell_guardians_of_leave", _of_whole_school, _tell_guardians_of_leave),
        _ASSESS_LEAVE,
    ),
    "LeaveCancelled": (Consumer("tell_leave_cancelled", _of_whole_school, _tell_leave_ended), _ASSESS_LEAVE),
    "LeaveReturned": (Consumer("tell_leave_returned", _of_whole_school, _tell_leave_ended), _ASSESS_LEAVE),
    "NoticeReceived": (Consumer("deliver_prompt", _of_whole_school, _deliver_prompt),),
    "PromptRaised": (
        Consumer("tell_prompt", _of_whole_school, _tell_prompt),
        Consumer("tell_prompt_above", _of_superior, _tell_prompt_above),
        Consumer("tell_guardians_of_limit", _of_whole_school, _tell_guardians_of_limit),
    ),
    "PromptMoved": (
        Consumer("tell_prompt_moved", _of_whole_school, _tell_prompt_moved),
        Consumer("tell_prompt_moved_above", _of_superior, _tell_prompt_moved_above),
    ),
    "StandingChanged": (
        Consumer("number_entry", _of_school, _number_entry),
        Consumer("tell_changed", _of_whole_school, _tell_changed),
        Consumer("reinstate_aid", _of_whole_school, _settle_aid),
    ),
    "ReasonClaimFiled": (Consumer("assess_claim", _of_whole_school, _assess_student),),
    "ReasonClaimDecided": (Consumer("tell_claim_decided", _of_whole_school, _tell_claim_decided),),
    "AidReleased": (Consumer("withdraw_aid", _of_whole_school, _settle_aid),),
    "AidDecided": (Consumer("tell_aid_decided", _of_whole_school, _tell_aid_decided),),
    "AidWithdrawn": (Consumer("tell_aid_withdrawn", _of_whole_school, _tell_aid_withdrawn),),
    "AidReinstated": (Consumer("tell_aid_reinstated", _of_whole_school, _tell_aid_reinstated),),
    "StudentWarned": (
        Consumer("tell_warned", _of_whole_school, _tell_warned),
        Consumer("tell_warned_above", _of_superior, _tell_warned_above),
    ),
    "AppealFiled": (
        Consumer("assess_appealed", _of_whole_school, _assess_student),
        Consumer("tell_appeal_filed", _of_deciding_unit, _tell_appeal_filed),
    ),
    "AppealMessagePosted": (Consumer("tell_appeal_message", _of_deciding_unit, _tell_appeal_message),),
    "AppealWithdrawn": (
        Consumer("assess_appeal_withdrawn", _of_whole_school, _assess_student),
        Consumer("tell_appeal_withdrawn", _of_deciding_unit, _tell_appeal_withdrawn),
    ),
    "AppealDecided": (Consumer("tell_appeal_decided", _of_deciding_unit, _tell_appeal_decided),),
    "ReplayDifferenceFound": (Consumer("tell_difference", _of_superior, _tell_difference),),
    "ChangeRequested": (
        Consumer("tell_change_turn", _of_turn, _tell_change_turn),
        Consumer("tell_change_filed", _of_whole_school, _tell_change_filed),
    ),
    "ChangeRequestDecided": (
        Consumer("tell_change_turn", _of_turn, _tell_change_turn),
        Consumer("tell_change_ended", _of_whole_school, _tell_change_ended),
    ),
}
"""Event → consumers. An event without consumers is recorded for those to come (prompts, appeals) and for audits."""


CONSUMED = frozenset(name for name, consumers in SUBSCRIPTIONS.items() if consumers)


async def deliver(app_context: AppContext, event_id: str) -> None:
    """Tell each consumer of an event once: handling and its mark are one transaction."""
    async with app_context.database.transaction(Scope.none()) as session:
        event = await session.get_one(OutboxEvent, UUID(event_id))
    for consumer in SUBSCRIPTIONS[event.name]:
        async with app_context.database.transaction(consumer.scope(event.payload)) as session:
            mark = insert(OutboxDelivery).values(
                event_id=event.id, consumer=consumer.name, handled_at=app_context.clock()
            )
            first = await session.scalar(mark.on_conflict_do_nothing().returning(OutboxDelivery.consumer))
            if first is not None:
                await consumer.handle(session, event.payload, app_context.clock())
    if "roll_call_id" in event.payload:
        await publish_changed(app_context.redis, UUID(event.payload["roll_call_id"]))
