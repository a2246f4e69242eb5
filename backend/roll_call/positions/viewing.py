"""Shows the positions of a student's check-ins in a roll call, after recording who looks and why.

The caller has checked that the actor may decide the case, and that the case rests on this roll call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.identity.consents import LOCATION, load_agreeing
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.recording import Viewed, ViewedKind, record_view
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.policy.installed import policy_at
from backend.roll_call.positions.errors import NoCheckInSent, PositionPurposeNotAgreed, PositionsDeleted
from backend.roll_call.positions.queries import (
    CheckInPositions,
    JudgedOutline,
    load_check_in_positions,
    load_judged_outlines,
)
from backend.roll_call.tables import Obligation, RollCall


@dataclass(frozen=True, slots=True)
class ViewPositions:
    """Whose check-ins in which roll call, and why."""

    roll_call_id: UUID
    student_id: UUID
    purpose: PicturePurpose


@dataclass(frozen=True, slots=True)
class ShownPositions:
    """The positions of a student in a roll call, with the outlines that they were judged by."""

    roll_call: RollCall
    outlines: Sequence[JudgedOutline]
    check_ins: Sequence[CheckInPositions]


async def view_positions(
    session: AsyncSession, actor: Actor, command: ViewPositions, at: datetime
) -> ShownPositions:
    """Record the look and return the positions.

    Raises `NotFound`, `PositionPurposeNotAgreed`, `NoCheckInSent` and `PositionsDeleted`; then nothing is recorded.
    """
    roll_call = await session.get(RollCall, command.roll_call_id)
    obligation = await session.get(Obligation, (command.roll_call_id, command.student_id))
    if roll_call is None or obligation is None:
        raise NotFound
    await _require_agreement(session, obligation, at)
    check_ins = await load_check_in_positions(session, roll_call, command.student_id)
    if not check_ins:
        raise NoCheckInSent
    if all(each.deleted_at is not None for each in check_ins):
        raise PositionsDeleted
    viewed = Viewed(ViewedKind.POSITIONS, obligation.school_id, command.student_id, roll_call.id)
    record_view(session, actor, viewed, command.purpose, at)
    outlines = await load_judged_outlines(session, roll_call, obligation.school_id)
    return ShownPositions(roll_call, outlines, check_ins)


async def _require_agreement(session: AsyncSession, obligation: Obligation, at: datetime) -> None:
    """Raise `PositionPurposeNotAgreed` unless the student's newest consent is to a text that names this purpose."""
    school = await session.get_one(OrgUnit, obligation.school_id)
    policy = policy_at(legal_day(at), division_of(school.path))
    versions = policy.texts("positions.shown.consent_versions")
    if not await load_agreeing(session, {obligation.student_id}, LOCATION, versions):
        raise PositionPurposeNotAgreed
