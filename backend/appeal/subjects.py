"""Load the subject of an appeal (what it is against) as of now, with its trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.gaokao import Eligibility, load_eligibility
from backend.appeal.queries import AppealView
from backend.org.tables import OrgUnit
from backend.roll_call.tables import OutcomeEntry, RollCall
from backend.standing.store.tables import PromptRecord, StandingEntry


@dataclass(frozen=True, slots=True)
class RollCallSubject:
    """A roll call, its launcher and all results of the student in it, oldest first."""

    roll_call: RollCall
    launcher: str
    outcomes: Sequence[OutcomeEntry]


@dataclass(frozen=True, slots=True)
class ChangeSubject:
    """A change of standing, the prompt that caused it, and when it was reversed."""

    entry: StandingEntry
    prompt: PromptRecord | None
    reversed_at: datetime | None


SubjectView = RollCallSubject | ChangeSubject | Eligibility


async def load_subject(session: AsyncSession, appeal: AppealView, at: datetime) -> SubjectView:
    """Load the subject. The caller must have checked access to the appeal."""
    filed = appeal.filed
    match filed.target:
        case "check":
            return await _load_roll_call_subject(session, UUID(filed.target_id), filed.student_id)
        case "change":
            return await _load_change_subject(session, UUID(filed.target_id))
    assert appeal.case.judged_on is not None
    return await load_eligibility(session, filed.student_id, appeal.case.judged_on, at)


async def _load_roll_call_subject(
    session: AsyncSession, roll_call_id: UUID, student_id: UUID
) -> RollCallSubject:
    roll_call = await session.get_one(RollCall, roll_call_id)
    launcher = await session.get_one(OrgUnit, roll_call.launcher_id)
    outcomes = await session.scalars(
        select(OutcomeEntry)
        .where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call_id,
            OutcomeEntry.student_id == student_id,
        )
        .order_by(OutcomeEntry.seq)
    )
    return RollCallSubject(roll_call, launcher.name, outcomes.all())


async def _load_change_subject(session: AsyncSession, entry_id: UUID) -> ChangeSubject:
    entry = await session.get_one(StandingEntry, entry_id)
    prompt = await session.get(PromptRecord, entry.prompt_id) if entry.prompt_id else None
    reversal = await session.scalar(select(StandingEntry.at).where(StandingEntry.reverses == entry_id))
    return ChangeSubject(entry, prompt, reversal)
