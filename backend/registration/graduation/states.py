"""Loads what the graduation of students depends on."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.rules import Account
from backend.aid.tables import AidAcknowledgement, AidApplication, AidDecision, AidFiling, AidPosting
from backend.core.clock import legal_day
from backend.core.database import equals_any
from backend.identity.portrait_tables import Portrait
from backend.registration.graduation.rules import StudentState
from backend.standing.engine.assess import Assessment
from backend.standing.store.event_tables import AppealDecided, AppealFiled, AppealWithdrawn


@dataclass(frozen=True, slots=True)
class FoundState:
    """A student's state, and the portrait for the certificate."""

    state: StudentState
    portrait_id: UUID | None


async def load_states(
    session: AsyncSession, assessments: Mapping[UUID, Assessment], at: datetime
) -> dict[UUID, FoundState]:
    """The states of students, by a fixed number of statements. Aid counts up to the month of the day."""
    ids = list(assessments)
    undecided = await _count(session, _undecided(ids))
    unfiled = await _count(session, _unfiled(ids))
    appeals = await _count(session, _open_appeals(ids))
    unpaid = await _load_unpaid_months(session, ids, legal_day(at))
    portraits = await _load_portraits(session, ids)
    return {
        student_id: FoundState(
            StudentState(
                standing=assessment.status.standing,
                undecided=undecided.get(student_id, 0),
                unpaid_months=tuple(unpaid.get(student_id, ())),
                unfiled=unfiled.get(student_id, 0),
                open_prompts=len(assessment.open_prompts),
                open_appeals=appeals.get(student_id, 0),
                has_photograph=student_id in portraits,
            ),
            portraits.get(student_id),
        )
        for student_id, assessment in assessments.items()
    }


def _undecided(ids: Collection[UUID]) -> Select[UUID, int]:
    return (
        select(AidApplication.student_id, func.count())
        .outerjoin(AidDecision, AidDecision.application_id == AidApplication.id)
        .where(equals_any(AidApplication.student_id, ids), AidDecision.application_id.is_(None))
        .group_by(AidApplication.student_id)
    )


def _unfiled(ids: Collection[UUID]) -> Select[UUID, int]:
    return (
        select(AidFiling.student_id, func.count())
        .outerjoin(AidAcknowledgement, AidAcknowledgement.filing_id == AidFiling.id)
        .where(equals_any(AidFiling.student_id, ids), AidAcknowledgement.filing_id.is_(None))
        .group_by(AidFiling.student_id)
    )


def _open_appeals(ids: Collection[UUID]) -> Select[UUID, int]:
    return (
        select(AppealFiled.student_id, func.count())
        .outerjoin(AppealDecided, AppealDecided.appeal_id == AppealFiled.id)
        .outerjoin(AppealWithdrawn, AppealWithdrawn.appeal_id == AppealFiled.id)
        .where(
            equals_any(AppealFiled.student_id, ids),
            AppealDecided.appeal_id.is_(None),
            AppealWithdrawn.appeal_id.is_(None),
        )
        .group_by(AppealFiled.student_id)
    )


async def _count(session: AsyncSession, counts: Select[*tuple[Any, ...]]) -> dict[UUID, int]:
    return {row[0]: row[1] for row in await session.execute(counts)}


async def _load_unpaid_months(
    session: AsyncSession, ids: Collection[UUID], today: date
) -> dict[UUID, list[date]]:
    """The months up to the present one in which something is due and not paid."""
    due = func.sum(
        case((AidPosting.target == Account.DUE.value, AidPosting.fen), else_=0)
        - case((AidPosting.source == Account.DUE.value, AidPosting.fen), else_=0)
    )
    query = (
        select(AidPosting.student_id, AidPosting.month)
        .where(equals_any(AidPosting.student_id, ids), AidPosting.month <= today)
        .group_by(AidPosting.student_id, AidPosting.month)
        .having(due > 0)
        .order_by(AidPosting.month)
    )
    months: dict[UUID, list[date]] = defaultdict(list)
    for student_id, month in await session.execute(query):
        months[student_id].append(month)
    return months


async def _load_portraits(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, UUID]:
    query = select(Portrait.student_id, Portrait.id).where(
        equals_any(Portrait.student_id, ids), Portrait.status == "accepted"
    )
    return {row[0]: row[1] for row in await session.execute(query)}
