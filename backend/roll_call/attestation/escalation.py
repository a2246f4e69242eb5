"""Samples that were not reviewed in time: reported to the superior of the reviewing unit. The student stays present."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.clock import LEGAL_ZONE
from backend.identity.recipients import AUTHORITY_ROLES, select_staff
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message
from backend.notice.service import post_notices
from backend.org.calendar_years import get_working_calendar
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.tables import (
    Attestation,
    AttestationEscalation,
    AttestationReview,
    RollCall,
    RollCallStep,
)


@dataclass(frozen=True, slots=True)
class UnreviewedSample:
    """The key of a sampled attestation without a review, in the order of its time."""

    at: datetime
    roll_call_id: UUID
    student_id: UUID


async def load_unreviewed_samples(
    session: AsyncSession, at: datetime, after: UnreviewedSample | None, limit: int
) -> Sequence[UnreviewedSample]:
    """A page of the samples without a review or an escalation, at least a day old, oldest first.

    Samples of voided roll calls are left out: their results have no consequences.
    """
    key = (Attestation.at, Attestation.roll_call_id, Attestation.student_id)
    same = (
        (table.term_code == Attestation.term_code)
        & (table.roll_call_id == Attestation.roll_call_id)
        & (table.student_id == Attestation.student_id)
        for table in (AttestationReview, AttestationEscalation)
    )
    voided = (RollCallStep.roll_call_id == Attestation.roll_call_id) & (RollCallStep.step == "voided")
    page = select(*key).where(
        Attestation.sampled,
        Attestation.at <= at - timedelta(days=1),
        *(~exists().where(condition) for condition in (*same, voided)),
    )
    if after is not None:
        page = page.where(tuple_(*key) > (after.at, after.roll_call_id, after.student_id))
    return [UnreviewedSample(*row) for row in await session.execute(page.order_by(*key).limit(limit))]


async def escalate_if_overdue(session: AsyncSession, sample: UnreviewedSample, at: datetime) -> bool:
    """Report the sample against the reviewing unit once its working days are over. Idempotent.

    The outcome is not touched: an omission of the reviewers never counts against the student.
    """
    attestation = await session.get_one(Attestation, (sample.roll_call_id, sample.student_id))
    roll_call = await session.get_one(RollCall, sample.roll_call_id)
    days = roll_call_policy(roll_call).integer("attestation.review_days")
    due_at = (await get_working_calendar(session)).deadline_instant(attestation.at, days)
    if at < due_at:
        return False
    superior = await load_superior(session, roll_call.launcher_path)
    row = {
        "roll_call_id": attestation.roll_call_id,
        "student_id": attestation.student_id,
        "school_id": attestation.school_id,
        "term_code": attestation.term_code,
        "reviewing_path": roll_call.launcher_path,
        "reported_to": superior.id,
        "due_at": due_at,
        "at": at,
    }
    statement = insert(AttestationEscalation).values(row).on_conflict_do_nothing()
    if await session.scalar(statement.returning(AttestationEscalation.student_id)) is None:
        return False
    after = {"roll_call": str(sample.roll_call_id), "student": str(sample.student_id)}
    act = audit.Act(
        "attestation.review_overdue",
        "org_unit",
        str(roll_call.launcher_id),
        roll_call.launcher_path,
        after=after,
    )
    audit.record(session, act, at)
    await _notify_overdue(session, roll_call, superior, due_at, at)
    return True


async def load_superior(session: AsyncSession, reviewing_path: str) -> OrgUnit:
    """Load the unit above the reviewing one; the province answers for itself."""
    path = (*superior_paths(reviewing_path)[1:2], reviewing_path)[0]
    return (await session.scalars(select(OrgUnit).where(OrgUnit.path == path))).one()


async def _notify_overdue(
    session: AsyncSession, roll_call: RollCall, superior: OrgUnit, due_at: datetime, at: datetime
) -> None:
    """Notify the superior of the reviewing unit, and the unit itself."""
    reviewing = (await session.scalars(select(OrgUnit).where(OrgUnit.path == roll_call.launcher_path))).one()
    last_day = (due_at.astimezone(LEGAL_ZONE) - timedelta(seconds=1)).date().isoformat()
    message = Message(
        "attestation_review_overdue",
        roll_call.id,
        "现场核验抽查逾期未复核",
        "An attestation sample was not reviewed in time",
        f"{reviewing.name}应在 {last_day} 前复核一项抽中的现场核验，至今未复核。请督促其复核；学生的核验结果不变。",
        f"{reviewing.name} had to review a sampled attestation by {last_day} and did not. See to it that it is reviewed; the student's result does not change.",
        data={"roll_call_id": str(roll_call.id)},
    )
    recipients = select_staff(
        Account.org_id.in_({superior.id, reviewing.id}), Account.kind.in_((*AUTHORITY_ROLES, "registrar"))
    )
    await post_notices(session, recipients, message, IN_APP, at)
