"""Event subscriptions: which event calls which service.

A lower layer must not import a higher one, so it emits an event and this table names the consumers. `docs/events.md`
is generated from it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid import events as aid
from backend.aid import notifications as aid_notifications
from backend.aid.ledger_service import post_student_aid
from backend.appeal import events as appeal
from backend.appeal import notifications as appeal_notifications
from backend.appeal.ending import end_appeals_without_object
from backend.core.app_context import AppContext
from backend.core.event import Event, StudentEvent
from backend.core.tables import OutboxDelivery, OutboxEvent
from backend.core.tenancy import Scope
from backend.exchange.roster import events as roster
from backend.identity import events as identity
from backend.identity.accounts import notifications as account_notifications
from backend.identity.devices import notifications as device_notifications
from backend.identity.face.review import notifications as face_notifications
from backend.identity.face.review.shared_picture_reports import report_shared_picture
from backend.identity.phone_changes import events as phone_changes
from backend.identity.phone_changes import notifications as phone_change_notifications
from backend.leave import events as leave
from backend.leave import guardians
from backend.leave import notifications as leave_notifications
from backend.notice import events as notice
from backend.org.paths import common_superior_path
from backend.people import events as people
from backend.roll_call import events as roll_call
from backend.roll_call.launch import notifications as roll_call_notifications
from backend.roll_call.progress.changes import publish_changed
from backend.standing import events as standing
from backend.standing import tasks as standing_tasks
from backend.standing.change_requests import notifications as change_request_notifications
from backend.standing.engine.prompts import PromptKind
from backend.standing.ledger.queries import append_to_feed
from backend.standing.notifications import claims as claim_notifications
from backend.standing.notifications import prompts as standing_notifications
from backend.standing.notifications.prompts import superior_path
from backend.standing.prompts.deliveries import deliver_prompt_by_notice
from backend.standing.store.save import recompute
from backend.standing.transfers import notifications as transfer_notifications

E = TypeVar("E", bound=Event)
E_contra = TypeVar("E_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Consumer(Generic[E_contra]):
    """A service that an event calls, in its own transaction, under the scope that the event gives."""

    name: str
    scope: Callable[[E_contra], Scope]
    handle: Callable[[AsyncSession, E_contra, datetime], Awaitable[object]]


# --- scopes ---


class HasPath(Protocol):
    """An event with the ltree path of a unit."""

    @property
    def path(self) -> str: ...


class HasSchool(Protocol):
    """An event of one school."""

    @property
    def school_id(self) -> UUID: ...


class HasSchoolAndPath(HasSchool, HasPath, Protocol):
    """An event of one school, with the school's path."""


def _org_path_scope(event: HasPath) -> Scope:
    return Scope.wide(event.path)


def _school_scope(event: HasSchool) -> Scope:
    return Scope.school(event.school_id)


def _school_and_accounts_scope(event: HasSchoolAndPath) -> Scope:
    """The school and its accounts, which row-level security finds by path."""
    return Scope.school(event.school_id, event.path)


def _superior_scope(event: HasPath) -> Scope:
    """The authority directly above the school. A school's scope does not include its accounts."""
    return Scope.wide(superior_path(event.path))


def _holder_scope(event: people.EnrolmentsQuarantined | people.QuarantineDecided) -> Scope:
    """The school that has the student, and its accounts."""
    return Scope.school(event.holder_school_id, event.holder_path)


def _common_superior_scope(event: people.EnrolmentsQuarantined) -> Scope:
    """The lowest unit above both schools."""
    return Scope.wide(common_superior_path(event.path, event.holder_path))


def _approver_scope(event: standing.ChangeRequested) -> Scope:
    """The unit that must answer next in a chain of approval, and the school below it."""
    return Scope.wide(event.turn_path)


def _appeal_authority_scope(event: appeal.AppealEvent) -> Scope:
    """The authority that decides an appeal, and the school below it."""
    return Scope.wide(event.unit_path)


# --- consumers that serve several events, or connect packages that do not import each other ---


async def _assess_student(session: AsyncSession, event: StudentEvent, at: datetime) -> None:
    await recompute(session, event.student_id, at)


async def _assess_changed_outcome(
    session: AsyncSession, event: roll_call.OutcomeChanged, at: datetime
) -> None:
    await recompute(session, event.student_id, at)


async def _assess_roll_call_students(
    session: AsyncSession, event: roll_call.RollCallEvent, _at: datetime
) -> None:
    await standing_tasks.enqueue_audience(session, event)


async def _post_student_aid(session: AsyncSession, event: StudentEvent, at: datetime) -> None:
    """A release withdraws unpaid aid; an entry that reverses the change reinstates it (HN334-4.1d, 4.2)."""
    await post_student_aid(session, event.student_id, at)


async def _notify_guardians_of_limit(
    session: AsyncSession, event: standing.PromptRaised, at: datetime
) -> None:
    if event.kind is PromptKind.LEAVE_OVER_CAP:
        await guardians.notify_over_limit(session, event.student_id, event.prompt_id, at)


async def _end_appeals(session: AsyncSession, event: standing.StandingChanged, at: datetime) -> None:
    await end_appeals_without_object(session, event, at)


_ASSESS_LEAVE: Consumer[leave.LeaveEvent] = Consumer(
    "assess_leave", _school_and_accounts_scope, standing_tasks.reassess_after_leave
)

# --- the table ---

_Subscription = tuple[type[Event], tuple[Consumer[Any], ...]]


def _on(event: type[E], *consumers: Consumer[E]) -> _Subscription:
    """One row of the table; the consumers must accept the event's type."""
    return event, consumers


SUBSCRIPTIONS: Mapping[type[Event], tuple[Consumer[Any], ...]] = MappingProxyType(
    dict(
        (
            _on(
                roll_call.RollCallLaunched,
                Consumer("announce", _org_path_scope, roll_call_notifications.announce_launched),
            ),
            _on(
                roll_call.RemindersSent,
                Consumer("remind", _school_scope, roll_call_notifications.post_reminder),
            ),
            _on(
                roll_call.RollCallExtended,
                Consumer("notify_extended", _org_path_scope, roll_call_notifications.notify_extended),
            ),
            _on(
                roll_call.RollCallVoided,
                Consumer("notify_voided", _org_path_scope, roll_call_notifications.notify_voided),
                Consumer("assess_voided", _org_path_scope, _assess_roll_call_students),
            ),
            _on(
                roll_call.RollCallSettled,
                Consumer("assess_settled", _org_path_scope, _assess_roll_call_students),
            ),
            _on(roll_call.OutcomeChanged, Consumer("assess_outcome", _school_scope, _assess_changed_outcome)),
            _on(roster.RosterImported),
            _on(identity.AccountActivated),
            _on(identity.AccountDisabled),
            _on(identity.AccountEnabled),
            _on(
                identity.AuthenticatorResetRequested,
                Consumer(
                    "notify_reset_requested", _org_path_scope, account_notifications.notify_reset_requested
                ),
            ),
            _on(
                identity.AuthenticatorResetDecided,
                Consumer("notify_reset_decided", _org_path_scope, account_notifications.notify_reset_decided),
            ),
            _on(people.ClassesAssigned),
            _on(
                people.EnrolmentsQuarantined,
                Consumer(
                    "notify_quarantined",
                    _school_and_accounts_scope,
                    transfer_notifications.notify_importing_school,
                ),
                Consumer(
                    "notify_holder_quarantined", _holder_scope, transfer_notifications.notify_holding_school
                ),
                Consumer(
                    "notify_superiors_quarantined",
                    _common_superior_scope,
                    transfer_notifications.notify_superiors,
                ),
            ),
            _on(
                people.QuarantineDecided,
                Consumer(
                    "notify_quarantine_decided",
                    _school_and_accounts_scope,
                    transfer_notifications.notify_importing_school_of_decision,
                ),
                Consumer(
                    "notify_holder_quarantine_decided",
                    _holder_scope,
                    transfer_notifications.notify_holding_school_of_decision,
                ),
            ),
            _on(identity.DeviceBound),
            _on(
                identity.DeviceRebound,
                Consumer("notify_rebound", _school_scope, device_notifications.notify_rebound),
            ),
            _on(identity.DeviceRevoked),
            _on(
                identity.RegistrationCodesExhausted,
                Consumer(
                    "notify_codes_exhausted",
                    _school_and_accounts_scope,
                    device_notifications.notify_codes_exhausted,
                ),
            ),
            _on(
                identity.RebindingRequested,
                Consumer(
                    "notify_rebinding_requested",
                    _school_scope,
                    device_notifications.notify_rebinding_requested,
                ),
            ),
            _on(
                identity.RebindingObjected,
                Consumer(
                    "notify_rebinding_objection",
                    _school_and_accounts_scope,
                    device_notifications.notify_objection,
                ),
            ),
            _on(
                identity.CoolDownActRecorded,
                Consumer(
                    "notify_cool_down_act",
                    _school_and_accounts_scope,
                    device_notifications.notify_cool_down_act,
                ),
            ),
            _on(
                phone_changes.PhoneChangesProposed,
                Consumer("warn_phone_changes", _school_scope, phone_change_notifications.warn_proposed),
                Consumer(
                    "notify_superior_phone_changes",
                    _superior_scope,
                    phone_change_notifications.notify_superior_proposed,
                ),
            ),
            _on(
                phone_changes.PhoneChangeDecided,
                Consumer(
                    "notify_phone_change",
                    _school_and_accounts_scope,
                    phone_change_notifications.notify_decided,
                ),
            ),
            _on(identity.FaceEnrolled),
            _on(identity.FaceEnrolmentRefused),
            _on(identity.NonFaceRouteChosen),
            _on(identity.FaceRouteChosen),
            _on(
                identity.FaceReplacementRequested,
                Consumer(
                    "notify_replacement_requested",
                    _school_and_accounts_scope,
                    face_notifications.notify_replacement_requested,
                ),
            ),
            _on(
                identity.FaceReplacementSeen,
                Consumer(
                    "notify_replacement_seen", _superior_scope, face_notifications.notify_replacement_seen
                ),
            ),
            _on(
                identity.FaceReplacementDecided,
                Consumer(
                    "notify_replacement_decided",
                    _school_scope,
                    face_notifications.notify_replacement_decided,
                ),
            ),
            _on(identity.PortraitJudged),
            _on(
                identity.SharedPictureFound,
                Consumer("report_shared_picture", _school_and_accounts_scope, report_shared_picture),
            ),
            _on(identity.RecordCorrectionRequested),
            _on(identity.RecordCorrectionDecided),
            _on(
                leave.LeaveRequested,
                Consumer(
                    "notify_leave_requested", _school_and_accounts_scope, leave_notifications.notify_requested
                ),
                _ASSESS_LEAVE,
            ),
            _on(
                leave.LeaveDecided,
                Consumer(
                    "notify_leave_decided", _school_and_accounts_scope, leave_notifications.notify_decided
                ),
                Consumer("notify_guardians_of_leave", _school_and_accounts_scope, guardians.notify_approved),
                _ASSESS_LEAVE,
            ),
            _on(
                leave.LeaveCancelled,
                Consumer(
                    "notify_leave_cancelled", _school_and_accounts_scope, leave_notifications.notify_ended
                ),
                _ASSESS_LEAVE,
            ),
            _on(
                leave.LeaveReturned,
                Consumer(
                    "notify_leave_returned", _school_and_accounts_scope, leave_notifications.notify_ended
                ),
                _ASSESS_LEAVE,
            ),
            _on(
                notice.NoticeReceived,
                Consumer("deliver_prompt", _school_and_accounts_scope, deliver_prompt_by_notice),
            ),
            _on(
                standing.PromptRaised,
                Consumer(
                    "notify_prompt", _school_and_accounts_scope, standing_notifications.notify_prompt_raised
                ),
                Consumer(
                    "notify_superior_prompt",
                    _superior_scope,
                    standing_notifications.notify_superior_prompt_raised,
                ),
                Consumer("notify_guardians_of_limit", _school_and_accounts_scope, _notify_guardians_of_limit),
            ),
            _on(
                standing.PromptMoved,
                Consumer(
                    "notify_prompt_moved",
                    _school_and_accounts_scope,
                    standing_notifications.notify_prompt_moved,
                ),
                Consumer(
                    "notify_superior_prompt_moved",
                    _superior_scope,
                    standing_notifications.notify_superior_prompt_moved,
                ),
            ),
            _on(
                standing.StandingChanged,
                Consumer("number_entry", _school_scope, append_to_feed),
                Consumer(
                    "notify_changed",
                    _school_and_accounts_scope,
                    standing_notifications.notify_standing_changed,
                ),
                Consumer("reinstate_aid", _school_and_accounts_scope, _post_student_aid),
                Consumer("end_appeals", _school_and_accounts_scope, _end_appeals),
            ),
            _on(
                standing.EarlierRecordChanged,
                Consumer("assess_transferred", _school_and_accounts_scope, _assess_student),
            ),
            _on(
                standing.ReasonClaimFiled,
                Consumer("assess_claim", _school_and_accounts_scope, _assess_student),
            ),
            _on(
                standing.ReasonClaimDecided,
                Consumer(
                    "notify_claim_decided",
                    _school_and_accounts_scope,
                    claim_notifications.notify_claim_decided,
                ),
            ),
            _on(
                standing.AidReleased,
                Consumer("withdraw_aid", _school_and_accounts_scope, _post_student_aid),
            ),
            _on(
                aid.AidDecided,
                Consumer(
                    "notify_aid_decided",
                    _school_and_accounts_scope,
                    aid_notifications.notify_application_decided,
                ),
            ),
            _on(
                aid.AidWithdrawn,
                Consumer(
                    "notify_aid_withdrawn", _school_and_accounts_scope, aid_notifications.notify_aid_withdrawn
                ),
            ),
            _on(
                aid.AidReinstated,
                Consumer(
                    "notify_aid_reinstated",
                    _school_and_accounts_scope,
                    aid_notifications.notify_aid_reinstated,
                ),
            ),
            _on(
                standing.StudentWarned,
                Consumer(
                    "notify_warned", _school_and_accounts_scope, standing_notifications.notify_student_warned
                ),
                Consumer(
                    "notify_superior_warned",
                    _superior_scope,
                    standing_notifications.notify_superior_student_warned,
                ),
            ),
            _on(
                appeal.AppealFiled,
                Consumer("assess_appealed", _school_and_accounts_scope, _assess_student),
                Consumer(
                    "notify_appeal_filed", _appeal_authority_scope, appeal_notifications.notify_appeal_filed
                ),
            ),
            _on(
                appeal.AppealMessagePosted,
                Consumer(
                    "notify_appeal_message",
                    _appeal_authority_scope,
                    appeal_notifications.notify_appeal_message,
                ),
            ),
            _on(
                appeal.AppealWithdrawn,
                Consumer("assess_appeal_withdrawn", _school_and_accounts_scope, _assess_student),
                Consumer(
                    "notify_appeal_withdrawn",
                    _appeal_authority_scope,
                    appeal_notifications.notify_appeal_withdrawn,
                ),
            ),
            _on(
                appeal.AppealDecided,
                Consumer(
                    "notify_appeal_decided",
                    _appeal_authority_scope,
                    appeal_notifications.notify_appeal_decided,
                ),
            ),
            _on(
                standing.ReplayDifferenceFound,
                Consumer(
                    "notify_difference", _superior_scope, standing_notifications.notify_replay_difference
                ),
            ),
            _on(
                standing.ChangeRequested,
                Consumer(
                    "notify_change_turn", _approver_scope, change_request_notifications.notify_current_level
                ),
                Consumer(
                    "notify_change_filed",
                    _school_and_accounts_scope,
                    change_request_notifications.notify_request_filed,
                ),
            ),
            _on(
                standing.ChangeRequestDecided,
                Consumer(
                    "notify_change_turn", _approver_scope, change_request_notifications.notify_current_level
                ),
                Consumer(
                    "notify_change_ended",
                    _school_and_accounts_scope,
                    change_request_notifications.notify_request_closed,
                ),
            ),
        )
    )
)
"""Event → consumers. Events without consumers are recorded for the audit and for later consumers."""

EVENT_TYPES: Mapping[str, type[Event]] = MappingProxyType({event.__name__: event for event in SUBSCRIPTIONS})
"""The event types by their names in the outbox."""

CONSUMED_EVENTS = frozenset(event.__name__ for event, consumers in SUBSCRIPTIONS.items() if consumers)


async def deliver(app_context: AppContext, event_id: str) -> None:
    """Run each consumer of an event once: it and its `OutboxDelivery` row commit together."""
    async with app_context.database.transaction(Scope.none()) as session:
        row = await session.get_one(OutboxEvent, UUID(event_id))
    event_type = EVENT_TYPES[row.name]
    event = event_type.parse(row.payload)
    for consumer in SUBSCRIPTIONS[event_type]:
        async with app_context.database.transaction(consumer.scope(event)) as session:
            delivery = insert(OutboxDelivery).values(
                event_id=row.id, consumer=consumer.name, handled_at=app_context.clock()
            )
            inserted = await session.scalar(
                delivery.on_conflict_do_nothing().returning(OutboxDelivery.consumer)
            )
            if inserted is not None:
                await consumer.handle(session, event, app_context.clock())
    roll_call_id = getattr(event, "roll_call_id", None)
    if roll_call_id is not None:
        await publish_changed(app_context.redis, roll_call_id)
