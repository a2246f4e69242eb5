"""Event subscriptions: which event calls which service.

A lower layer must not import a higher one, so it emits an event and this table names the consumers. `docs/events.md`
is generated from it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from backend.aid import events as aid
from backend.aid import notifications as aid_notifications
from backend.appeal import events as appeal
from backend.appeal import notifications as appeal_notifications
from backend.core.app_context import AppContext
from backend.core.event import Event
from backend.core.tables import OutboxDelivery, OutboxEvent
from backend.core.tenancy import Scope
from backend.event_consumers import (
    ASSESS_LEAVE,
    Consumer,
    appeal_authority_scope,
    approver_scope,
    assess_changed_outcome,
    assess_roll_call_students,
    assess_student,
    common_superior_scope,
    end_appeals,
    holder_scope,
    notify_guardians_of_limit,
    notify_guardians_of_misses,
    notify_guardians_of_outcome,
    notify_guardians_of_prompt,
    notify_guardians_of_warning,
    org_path_scope,
    post_aid_entries,
    school_and_accounts_scope,
    school_scope,
    superior_scope,
)
from backend.exchange.roster import events as roster
from backend.identity import events as identity
from backend.identity.accounts import notifications as account_notifications
from backend.identity.devices import notifications as device_notifications
from backend.identity.face.calibration.tasks import enqueue_rehearsal_report
from backend.identity.face.duplicates.notifications import notify_duplicate_candidate
from backend.identity.face.review import notifications as face_notifications
from backend.identity.face.review.shared_picture_reports import report_shared_picture
from backend.identity.phone_changes import events as phone_changes
from backend.identity.phone_changes import notifications as phone_change_notifications
from backend.leave import events as leave
from backend.leave import guardians
from backend.leave import notifications as leave_notifications
from backend.notice import events as notice
from backend.people import events as people
from backend.registration import events as registration
from backend.registration import notifications as registration_notifications
from backend.registration.new_students import register_transferred_student
from backend.roll_call import events as roll_call
from backend.roll_call.launch import notifications as roll_call_notifications
from backend.roll_call.looks.closing import close_after_revocation
from backend.roll_call.looks.notifications import notify_looks_requested
from backend.roll_call.progress.changes import publish_changed
from backend.standing import events as standing
from backend.standing.change_requests import notifications as change_request_notifications
from backend.standing.ledger.queries import append_to_feed
from backend.standing.notifications import claims as claim_notifications
from backend.standing.notifications import prompts as standing_notifications
from backend.standing.prompts.deliveries import deliver_prompt_by_notice
from backend.standing.transfers import notifications as transfer_notifications

E = TypeVar("E", bound=Event)

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
                Consumer("announce", org_path_scope, roll_call_notifications.announce_launched),
            ),
            _on(
                roll_call.RemindersSent,
                Consumer("remind", school_scope, roll_call_notifications.post_reminder),
            ),
            _on(
                roll_call.RollCallExtended,
                Consumer("notify_extended", org_path_scope, roll_call_notifications.notify_extended),
            ),
            _on(
                roll_call.RollCallVoided,
                Consumer("notify_voided", org_path_scope, roll_call_notifications.notify_voided),
                Consumer("assess_voided", org_path_scope, assess_roll_call_students),
            ),
            _on(
                roll_call.RollCallSettled,
                Consumer("assess_settled", org_path_scope, assess_roll_call_students),
                Consumer("notify_guardians_of_misses", org_path_scope, notify_guardians_of_misses),
            ),
            _on(
                roll_call.LooksRequested,
                Consumer("notify_looks_requested", org_path_scope, notify_looks_requested),
            ),
            _on(
                roll_call.OutcomeChanged,
                Consumer("assess_outcome", school_scope, assess_changed_outcome),
                Consumer("notify_guardians_of_outcome", school_scope, notify_guardians_of_outcome),
            ),
            _on(roster.RosterImported),
            _on(identity.AccountActivated),
            _on(identity.AccountDisabled),
            _on(identity.AccountEnabled),
            _on(
                identity.AuthenticatorResetRequested,
                Consumer(
                    "notify_reset_requested", org_path_scope, account_notifications.notify_reset_requested
                ),
            ),
            _on(
                identity.AuthenticatorResetDecided,
                Consumer("notify_reset_decided", org_path_scope, account_notifications.notify_reset_decided),
            ),
            _on(people.ClassesAssigned),
            _on(
                people.EnrolmentsQuarantined,
                Consumer(
                    "notify_quarantined",
                    school_and_accounts_scope,
                    transfer_notifications.notify_importing_school,
                ),
                Consumer(
                    "notify_holder_quarantined", holder_scope, transfer_notifications.notify_holding_school
                ),
                Consumer(
                    "notify_superiors_quarantined",
                    common_superior_scope,
                    transfer_notifications.notify_superiors,
                ),
            ),
            _on(
                people.QuarantineDecided,
                Consumer(
                    "notify_quarantine_decided",
                    school_and_accounts_scope,
                    transfer_notifications.notify_importing_school_of_decision,
                ),
                Consumer(
                    "notify_holder_quarantine_decided",
                    holder_scope,
                    transfer_notifications.notify_holding_school_of_decision,
                ),
                Consumer("register_transferred_student", school_scope, register_transferred_student),
            ),
            _on(
                registration.SchoolMeasureTaken,
                Consumer(
                    "notify_school_measure",
                    school_and_accounts_scope,
                    registration_notifications.notify_school_of_measure,
                ),
            ),
            _on(identity.DeviceBound),
            _on(
                identity.DeviceRebound,
                Consumer("notify_rebound", school_scope, device_notifications.notify_rebound),
            ),
            _on(identity.DeviceRevoked),
            _on(
                identity.RegistrationCodesExhausted,
                Consumer(
                    "notify_codes_exhausted",
                    school_and_accounts_scope,
                    device_notifications.notify_codes_exhausted,
                ),
            ),
            _on(
                identity.RebindingRequested,
                Consumer(
                    "notify_rebinding_requested",
                    school_scope,
                    device_notifications.notify_rebinding_requested,
                ),
            ),
            _on(
                identity.RebindingObjected,
                Consumer(
                    "notify_rebinding_objection",
                    school_and_accounts_scope,
                    device_notifications.notify_objection,
                ),
            ),
            _on(
                identity.CoolDownActRecorded,
                Consumer(
                    "notify_cool_down_act",
                    school_and_accounts_scope,
                    device_notifications.notify_cool_down_act,
                ),
            ),
            _on(
                phone_changes.PhoneChangesProposed,
                Consumer("warn_phone_changes", school_scope, phone_change_notifications.warn_proposed),
                Consumer(
                    "notify_superior_phone_changes",
                    superior_scope,
                    phone_change_notifications.notify_superior_proposed,
                ),
            ),
            _on(
                phone_changes.PhoneChangeDecided,
                Consumer(
                    "notify_phone_change",
                    school_and_accounts_scope,
                    phone_change_notifications.notify_decided,
                ),
            ),
            _on(identity.FaceEnrolled),
            _on(identity.FaceEnrolmentRefused),
            _on(identity.NonFaceRouteChosen),
            _on(identity.FaceRouteChosen),
            _on(
                identity.LookConsentRevoked,
                Consumer("close_looks", school_scope, close_after_revocation),
            ),
            _on(
                identity.FaceReplacementRequested,
                Consumer(
                    "notify_replacement_requested",
                    school_and_accounts_scope,
                    face_notifications.notify_replacement_requested,
                ),
            ),
            _on(
                identity.FaceReplacementSeen,
                Consumer(
                    "notify_replacement_seen", superior_scope, face_notifications.notify_replacement_seen
                ),
            ),
            _on(
                identity.FaceReplacementDecided,
                Consumer(
                    "notify_replacement_decided",
                    school_scope,
                    face_notifications.notify_replacement_decided,
                ),
            ),
            _on(identity.PortraitJudged),
            _on(
                identity.SharedPictureFound,
                Consumer("report_shared_picture", school_and_accounts_scope, report_shared_picture),
            ),
            _on(
                identity.RehearsalConfirmed,
                Consumer("report_rehearsal", school_and_accounts_scope, enqueue_rehearsal_report),
            ),
            _on(
                identity.DuplicateCandidateFound,
                Consumer("notify_duplicate_candidate", org_path_scope, notify_duplicate_candidate),
            ),
            _on(identity.RecordCorrectionRequested),
            _on(identity.RecordCorrectionDecided),
            _on(
                leave.LeaveRequested,
                Consumer(
                    "notify_leave_requested", school_and_accounts_scope, leave_notifications.notify_requested
                ),
                ASSESS_LEAVE,
            ),
            _on(
                leave.LeaveDecided,
                Consumer(
                    "notify_leave_decided", school_and_accounts_scope, leave_notifications.notify_decided
                ),
                Consumer("notify_guardians_of_leave", school_and_accounts_scope, guardians.notify_approved),
                ASSESS_LEAVE,
            ),
            _on(
                leave.LeaveCancelled,
                Consumer(
                    "notify_leave_cancelled", school_and_accounts_scope, leave_notifications.notify_ended
                ),
                ASSESS_LEAVE,
            ),
            _on(
                leave.LeaveReturned,
                Consumer(
                    "notify_leave_returned", school_and_accounts_scope, leave_notifications.notify_ended
                ),
                ASSESS_LEAVE,
            ),
            _on(
                notice.NoticeReceived,
                Consumer("deliver_prompt", school_and_accounts_scope, deliver_prompt_by_notice),
            ),
            _on(
                standing.PromptRaised,
                Consumer(
                    "notify_prompt", school_and_accounts_scope, standing_notifications.notify_prompt_raised
                ),
                Consumer(
                    "notify_superior_prompt",
                    superior_scope,
                    standing_notifications.notify_superior_prompt_raised,
                ),
                Consumer("notify_guardians_of_limit", school_and_accounts_scope, notify_guardians_of_limit),
                Consumer("notify_guardians_of_prompt", school_scope, notify_guardians_of_prompt),
            ),
            _on(
                standing.PromptMoved,
                Consumer(
                    "notify_prompt_moved",
                    school_and_accounts_scope,
                    standing_notifications.notify_prompt_moved,
                ),
                Consumer(
                    "notify_superior_prompt_moved",
                    superior_scope,
                    standing_notifications.notify_superior_prompt_moved,
                ),
            ),
            _on(
                standing.StandingChanged,
                Consumer("number_entry", school_scope, append_to_feed),
                Consumer(
                    "notify_changed",
                    school_and_accounts_scope,
                    standing_notifications.notify_standing_changed,
                ),
                Consumer("reinstate_aid", school_and_accounts_scope, post_aid_entries),
                Consumer("end_appeals", school_and_accounts_scope, end_appeals),
            ),
            _on(
                standing.EarlierRecordChanged,
                Consumer("assess_transferred", school_and_accounts_scope, assess_student),
            ),
            _on(
                standing.ReasonClaimFiled,
                Consumer("assess_claim", school_and_accounts_scope, assess_student),
            ),
            _on(
                standing.ReasonClaimDecided,
                Consumer(
                    "notify_claim_decided",
                    school_and_accounts_scope,
                    claim_notifications.notify_claim_decided,
                ),
            ),
            _on(
                standing.AidReleased,
                Consumer("withdraw_aid", school_and_accounts_scope, post_aid_entries),
            ),
            _on(
                aid.AidDecided,
                Consumer(
                    "notify_aid_decided",
                    school_and_accounts_scope,
                    aid_notifications.notify_application_decided,
                ),
            ),
            _on(
                aid.AidWithdrawn,
                Consumer(
                    "notify_aid_withdrawn", school_and_accounts_scope, aid_notifications.notify_aid_withdrawn
                ),
            ),
            _on(
                aid.AidReinstated,
                Consumer(
                    "notify_aid_reinstated",
                    school_and_accounts_scope,
                    aid_notifications.notify_aid_reinstated,
                ),
            ),
            _on(
                standing.StudentWarned,
                Consumer(
                    "notify_warned", school_and_accounts_scope, standing_notifications.notify_student_warned
                ),
                Consumer(
                    "notify_superior_warned",
                    superior_scope,
                    standing_notifications.notify_superior_student_warned,
                ),
                Consumer("notify_guardians_of_warning", school_scope, notify_guardians_of_warning),
            ),
            _on(
                appeal.AppealFiled,
                Consumer("assess_appealed", school_and_accounts_scope, assess_student),
                Consumer(
                    "notify_appeal_filed", appeal_authority_scope, appeal_notifications.notify_appeal_filed
                ),
            ),
            _on(
                appeal.AppealMessagePosted,
                Consumer(
                    "notify_appeal_message",
                    appeal_authority_scope,
                    appeal_notifications.notify_appeal_message,
                ),
            ),
            _on(
                appeal.AppealWithdrawn,
                Consumer("assess_appeal_withdrawn", school_and_accounts_scope, assess_student),
                Consumer(
                    "notify_appeal_withdrawn",
                    appeal_authority_scope,
                    appeal_notifications.notify_appeal_withdrawn,
                ),
            ),
            _on(
                appeal.AppealDecided,
                Consumer(
                    "notify_appeal_decided",
                    appeal_authority_scope,
                    appeal_notifications.notify_appeal_decided,
                ),
            ),
            _on(
                standing.ReplayDifferenceFound,
                Consumer(
                    "notify_difference", superior_scope, standing_notifications.notify_replay_difference
                ),
            ),
            _on(
                standing.ChangeRequested,
                Consumer(
                    "notify_change_turn", approver_scope, change_request_notifications.notify_current_level
                ),
                Consumer(
                    "notify_change_filed",
                    school_and_accounts_scope,
                    change_request_notifications.notify_request_filed,
                ),
            ),
            _on(
                standing.ChangeRequestDecided,
                Consumer(
                    "notify_change_turn", approver_scope, change_request_notifications.notify_current_level
                ),
                Consumer(
                    "notify_change_ended",
                    school_and_accounts_scope,
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
