"""Notices of quarantined enrolments to both schools and to the authorities above them."""

from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.recipients import AUTHORITY_ROLES, registrars, select_staff
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message, NoticeText
from backend.notice.service import post_notices
from backend.org.paths import common_superior_path, superior_paths
from backend.people.events import EnrolmentsQuarantined, QuarantineDecided
from backend.standing.transfers import texts
from backend.standing.transfers.rules import QuarantineState


async def notify_importing_school(session: AsyncSession, event: EnrolmentsQuarantined, at: datetime) -> None:
    """Tell the registrars of the school that imported the rows."""
    text = texts.quarantined_to_staff(texts.IN_OWN_ROSTER, event.rows)
    message = _message("enrolments_quarantined", event.first_id, text, school_id=event.school_id)
    await post_notices(session, registrars(event.school_id), message, IN_APP, at)


async def notify_holding_school(session: AsyncSession, event: EnrolmentsQuarantined, at: datetime) -> None:
    """Tell the registrars of the school that has the students."""
    text = texts.quarantined_to_staff(texts.ON_OWN_ROLL, event.rows)
    message = _message("enrolments_quarantined", event.first_id, text, school_id=event.holder_school_id)
    await post_notices(session, registrars(event.holder_school_id), message, IN_APP, at)


async def notify_superiors(session: AsyncSession, event: EnrolmentsQuarantined, at: datetime) -> None:
    """Tell the direct superiors of both schools, and the lowest unit above both, which decides."""
    text = texts.quarantined_to_staff(texts.IN_A_ROSTER_BELOW, event.rows)
    message = _message("enrolments_quarantined_superior", event.first_id, text, school_id=event.school_id)
    paths = {
        superior_paths(event.path)[1],
        superior_paths(event.holder_path)[1],
        common_superior_path(event.path, event.holder_path),
    }
    superiors = select_staff(Account.kind.in_(AUTHORITY_ROLES), Account.org_path.in_(paths))
    await post_notices(session, superiors, message, IN_APP, at)


async def notify_importing_school_of_decision(
    session: AsyncSession, event: QuarantineDecided, at: datetime
) -> None:
    """Tell the registrars of the school that imported the row how it was decided."""
    await post_notices(session, registrars(event.school_id), _decided(event), IN_APP, at)


async def notify_holding_school_of_decision(
    session: AsyncSession, event: QuarantineDecided, at: datetime
) -> None:
    """Tell the registrars of the school that had the student how the row was decided."""
    await post_notices(session, registrars(event.holder_school_id), _decided(event), IN_APP, at)


def _decided(event: QuarantineDecided) -> Message:
    text = texts.decided_to_staff(QuarantineState(event.state))
    return _message("quarantine_decided", event.quarantine_id, text, quarantine_id=event.quarantine_id)


def _message(kind: str, cause: UUID, text: NoticeText, **data: UUID) -> Message:
    return Message.of(kind, uuid5(cause, kind), text, data)
