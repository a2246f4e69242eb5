"""Withdrawals of aid and what undoes them, as they are filed with the aid office and acknowledged (HN334-4.1d, 4.2)."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidAcknowledged, AidNotExported
from backend.aid.rules import Account
from backend.aid.tables import (
    AidAcknowledgement,
    AidAward,
    AidFiling,
    AidFilingExported,
    AidInstalment,
    AidPosting,
)
from backend.core import audit
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy.installed import policy_at
from backend.standing.store.tables import StandingEntry

FilingKind = Literal["withdrawal", "reinstatement"]


class FilingState(StrEnum):
    """How far a filing has come: on file, sent in an approved file, acknowledged by the aid office."""

    FILED = "filed"
    EXPORTED = "exported"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Filing:
    """A filing with what became of it, its student, and the standing entry behind it."""

    filing: AidFiling
    exported_at: datetime | None
    acknowledgement: AidAcknowledgement | None
    student: Student
    entry: StandingEntry

    @property
    def state(self) -> FilingState:
        if self.acknowledgement is not None:
            return FilingState.ACKNOWLEDGED
        return FilingState.FILED if self.exported_at is None else FilingState.EXPORTED

    def age(self, at: datetime) -> int | None:
        """Legal days since it was filed; None once it is acknowledged."""
        if self.acknowledgement is not None:
            return None
        return (legal_day(at) - legal_day(self.filing.filed_at)).days


@dataclass(frozen=True, slots=True)
class FilingLine:
    """One instalment of the term, in fen: what was granted, what was paid by then and stays, and what moves."""

    award_id: UUID
    kind: str
    month: date
    granted: int
    paid: int
    fen: int


@dataclass(frozen=True, slots=True)
class FilingSearch:
    """Which filings; what is not given narrows nothing."""

    state: FilingState | None = None
    kind: FilingKind | None = None
    school_id: UUID | None = None


def must_handle_aid(actor: Actor) -> None:
    """Aid is handled by the school's registrars and by the authorities above."""
    if actor.role not in {"registrar", "bureau", "province"}:
        raise NotPermitted(
            reason_zh="资助由学校管理员和教育行政部门办理",
            reason_en="aid is handled by registrars and authorities",
        )


def filings() -> Select[*tuple[Any, ...]]:
    """Every filing that the scope admits."""
    return (
        select(AidFiling, AidFilingExported.at, AidAcknowledgement, Student, StandingEntry)
        .join(Student, Student.id == AidFiling.student_id)
        .join(StandingEntry, StandingEntry.id == AidFiling.entry_id)
        .outerjoin(AidFilingExported, AidFilingExported.filing_id == AidFiling.id)
        .outerjoin(AidAcknowledgement, AidAcknowledgement.filing_id == AidFiling.id)
    )


_STATES: dict[FilingState, ColumnElement[bool]] = {
    FilingState.FILED: and_(AidFilingExported.at.is_(None), AidAcknowledgement.at.is_(None)),
    FilingState.EXPORTED: and_(AidFilingExported.at.is_not(None), AidAcknowledgement.at.is_(None)),
    FilingState.ACKNOWLEDGED: AidAcknowledgement.at.is_not(None),
}


async def filings_page(
    session: AsyncSession, actor: Actor, search: FilingSearch, before: UUID | None, limit: int
) -> Sequence[Filing]:
    """At most `limit` filings, newest first, older than the id `before`."""
    must_handle_aid(actor)
    page = filings().order_by(AidFiling.id.desc()).limit(limit)
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.kind is not None:
        page = page.where(AidFiling.kind == search.kind)
    if search.school_id is not None:
        page = page.where(AidFiling.school_id == search.school_id)
    if before is not None:
        page = page.where(AidFiling.id < before)
    return [Filing(*row) for row in await session.execute(page)]


async def filing_for(session: AsyncSession, actor: Actor, filing_id: UUID) -> Filing:
    """One filing; raises `NotFound`."""
    must_handle_aid(actor)
    found = (await session.execute(filings().where(AidFiling.id == filing_id))).one_or_none()
    if found is None:
        raise NotFound
    return Filing(*found)


async def lines_of(session: AsyncSession, asked: Collection[AidFiling]) -> dict[UUID, list[FilingLine]]:
    """Every instalment of the filings' terms, by filing: what was paid is listed untouched."""
    causes = {_cause(filing): filing for filing in asked}
    students = {filing.student_id for filing in asked}
    moved: dict[tuple[UUID, UUID, date], int] = defaultdict(int)
    happened: dict[UUID, datetime] = {}
    for posting in await session.scalars(select(AidPosting).where(AidPosting.cause.in_(causes))):
        filing = causes[posting.cause]
        moved[filing.id, posting.award_id, posting.month] += posting.fen
        happened[filing.id] = posting.at
    paid: dict[tuple[UUID, date], list[AidPosting]] = defaultdict(list)
    settled = select(AidPosting).where(
        AidPosting.student_id.in_(students), AidPosting.target == Account.PAID.value
    )
    for posting in await session.scalars(settled):
        paid[posting.award_id, posting.month].append(posting)
    granted = (
        select(AidAward.student_id, AidAward.term_code, AidAward.kind, AidInstalment)
        .join(AidInstalment, AidInstalment.award_id == AidAward.id)
        .where(AidAward.student_id.in_(students))
        .order_by(AidAward.kind, AidInstalment.month)
    )
    parts: dict[tuple[UUID, str], list[tuple[str, AidInstalment]]] = defaultdict(list)
    for student_id, term, kind, part in await session.execute(granted):
        parts[student_id, term].append((kind, part))
    return {
        filing.id: [
            FilingLine(
                award_id=part.award_id,
                kind=kind,
                month=part.month,
                granted=part.fen,
                paid=sum(
                    item.fen for item in paid[part.award_id, part.month] if item.at <= happened[filing.id]
                ),
                fen=moved[filing.id, part.award_id, part.month],
            )
            for kind, part in parts[filing.student_id, filing.term_code]
        ]
        for filing in asked
    }


def _cause(filing: AidFiling) -> str:
    return f"{'change' if filing.kind == 'withdrawal' else 'reversal'}:{filing.entry_id}"


def change_words(entry: StandingEntry, path: str) -> tuple[str, str]:
    """What the standing entry says, in the words of the law of its day, Chinese and English."""
    if entry.reverses is not None:
        return "原异动已撤销，学籍恢复", "the change was reversed and the standing restored"
    rows = policy_at(legal_day(entry.at), division_of(path)).table("decision.outcome_effects")
    return next((str(row["zh"]), str(row["en"])) for row in rows if row["outcome"] == entry.outcome)


async def schools_of(session: AsyncSession, school_ids: Collection[UUID]) -> dict[UUID, OrgUnit]:
    """The schools by id."""
    rows = await session.scalars(select(OrgUnit).where(OrgUnit.id.in_(school_ids)))
    return {row.id: row for row in rows}


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The aid office's receipt, with its own reference number."""

    filing_id: UUID
    reference: str


async def acknowledge(session: AsyncSession, actor: Actor, command: Acknowledge, at: datetime) -> Filing:
    """Record that the aid office took a filing up, once; by the authority above, of what has been sent.

    Raises `NotFound`, `NotPermitted`, `AidNotExported` and `AidAcknowledged`.
    """
    known = await filing_for(session, actor, command.filing_id)
    if actor.role not in {"bureau", "province"}:
        raise NotPermitted(
            reason_zh="由上级资助管理部门签收", reason_en="the superior's aid office acknowledges"
        )
    if known.acknowledgement is not None:
        raise AidAcknowledged
    if known.exported_at is None:
        raise AidNotExported
    filing = known.filing
    row = {
        "filing_id": filing.id,
        "school_id": filing.school_id,
        "student_id": filing.student_id,
        "reference": command.reference,
        "acknowledged_by": actor.account_id,
        "at": at,
    }
    put = insert(AidAcknowledgement).values(row).on_conflict_do_nothing()
    if await session.scalar(put.returning(AidAcknowledgement.filing_id)) is None:
        raise AidAcknowledged
    act = audit.Act(
        "aid.acknowledged",
        "aid_filing",
        str(filing.id),
        actor.org_path,
        after={"reference": command.reference},
    )
    audit.record(session, act, at)
    return await filing_for(session, actor, filing.id)
