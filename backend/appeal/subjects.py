"""What an appeal is against, as it stands now, with the trace behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.gaokao import Eligibility, eligibility
from backend.appeal.queries import AppealView
from backend.org.tables import OrgUnit
from backend.roll_call.tables import OutcomeEntry, RollCall
from backend.standing.store.tables import PromptRecord, StandingEntry


@dataclass(frozen=True, slots=True)
class CheckMatter:
    """A roll call, by whom it was launched, and every result of the student in it, oldest first."""

    roll_call: RollCall
    launcher: str
    outcomes: Sequence[OutcomeEntry]


@dataclass(frozen=True, slots=True)
class ChangeMatter:
    """A change with the prompt that caused it, and what has reversed it."""

    entry: StandingEntry
    prompt: PromptRecord | None
    reversed_at: datetime | None


MatterView = CheckMatter | ChangeMatter | Eligibility


async def matter_of(session: AsyncSession, appeal: AppealView, at: datetime) -> MatterView:
    """Whoever calls may read the appeal."""
    filed = appeal.filed
    match filed.target:
        case "check":
            return await _check(session, UUID(filed.target_id), filed.student_id)
        case "change":
            return await _change(session, UUID(filed.target_id))
    assert appeal.case.judged_on is not None
    return await eligibility(session, filed.student_id, appeal.case.judged_on, at)


async def _check(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> CheckMatter:
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
    return CheckMatter(roll_call, launcher.name, outcomes.all())


async def _change(session: AsyncSession, entry_id: UUID) -> ChangeMatter:
    entry = await session.get_one(StandingEntry, entry_id)
    prompt = await session.get(PromptRecord, entry.prompt_id) if entry.prompt_id else None
    reversal = await session.scalar(select(StandingEntry.at).where(StandingEntry.reverses == entry_id))
    return ChangeMatter(entry, prompt, reversal)
