"""Filings: withdrawals and reinstatements as the school files them with the aid office (HN334-4.1d, 4.2)."""

from collections import defaultdict
from collections.abc import Collection
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
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.paths import division_of
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy.installed import policy_at
from backend.standing.store.tables import StandingEntry

FilingKind = Literal["withdrawal", "reinstatement"]


class FilingState(StrEnum):
    """The progress of a filing: created, exported in an approved file, acknowledged by the aid office."""

    FILED = "filed"
    EXPORTED = "exported"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class FilingView:
    """A filing with its export, its acknowledgement, its student and its standing entry."""

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

    def age_in_days(self, at: datetime) -> int | None:
        """Return the legal days since the filing was created; None once it is acknowledged."""
        if self.acknowledgement is not None:
            return None
        return (legal_day(at) - legal_day(self.filing.filed_at)).days


@dataclass(frozen=True, slots=True)
class FilingLine:
    """One instalment of the filing's term, in fen: awarded, paid at that time, and withdrawn or reinstated (`fen`)."""

    award_id: UUID
    kind: str
    month: date
    granted: int
    paid: int
    fen: int


@dataclass(frozen=True, slots=True)
class FilingSearch:
    """Filters for filings; None means any."""

    state: FilingState | None = None
    kind: FilingKind | None = None
    school_id: UUID | None = None
    unit_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""


def require_aid_role(actor: Actor) -> None:
    """Require a registrar or an authority above the school; raises `NotPermitted`."""
    if actor.role not in {"registrar", "bureau", "province"}:
        raise NotPermitted(
            reason_zh="资助由学校管理员和教育行政部门办理",
            reason_en="only registrars and authorities handle aid",
        )


def select_filings() -> Select[*tuple[Any, ...]]:
    """Select the columns of `FilingView` for every filing in the tenant scope."""
    return (
        select(AidFiling, AidFilingExported.at, AidAcknowledgement, Student, StandingEntry)
        .join(Student, Student.id == AidFiling.student_id)
        .join(StandingEntry, StandingEntry.id == AidFiling.entry_id)
        .outerjoin(AidFilingExported, AidFilingExported.filing_id == AidFiling.id)
        .outerjoin(AidAcknowledgement, AidAcknowledgement.filing_id == AidFiling.id)
    )


_STATE_CONDITIONS: dict[FilingState, ColumnElement[bool]] = {
    FilingState.FILED: and_(AidFilingExported.at.is_(None), AidAcknowledgement.at.is_(None)),
    FilingState.EXPORTED: and_(AidFilingExported.at.is_not(None), AidAcknowledgement.at.is_(None)),
    FilingState.ACKNOWLEDGED: AidAcknowledgement.at.is_not(None),
}


FilingSort = Literal["filed_at", "-filed_at", "name", "-name"]
FILING_SORTS = ListSorts(
    AidFiling.id, {"filed_at": AidFiling.id, "name": by_name(Student.name)}, default="-filed_at"
)
"""An id begins with the time."""


async def select_found_filings(
    session: AsyncSession, actor: Actor, search: FilingSearch
) -> Select[*tuple[Any, ...]]:
    """Select the filings that a search finds. Raises `NotFound` for a unit of others."""
    schools = await load_school_scope(session, actor, search.unit_id)
    found = select_filings().where(is_of_schools(AidFiling.school_id, schools))
    if search.state is not None:
        found = found.where(_STATE_CONDITIONS[search.state])
    if search.kind is not None:
        found = found.where(AidFiling.kind == search.kind)
    if search.school_id is not None:
        found = found.where(AidFiling.school_id == search.school_id)
    if search.matching is not None:
        found = found.where(search.matching)
    return found


async def list_filings(
    session: AsyncSession, actor: Actor, search: FilingSearch, request: PageRequest
) -> ListPage[FilingView]:
    """A page of the filings. Raises `NotFound` for a unit of others, `NotPermitted`."""
    require_aid_role(actor)
    query = await select_found_filings(session, actor, search)
    found = await load_page(session, query, FILING_SORTS, request)
    return found.with_rows([FilingView(*row) for row in found.rows])


async def get_filing(session: AsyncSession, actor: Actor, filing_id: UUID) -> FilingView:
    """Return one filing; raises `NotFound`."""
    require_aid_role(actor)
    row = (await session.execute(select_filings().where(AidFiling.id == filing_id))).one_or_none()
    if row is None:
        raise NotFound
    return FilingView(*row)


async def load_filing_lines(
    session: AsyncSession, filings: Collection[AidFiling]
) -> dict[UUID, list[FilingLine]]:
    """Load every instalment of the filings' terms, by filing; `paid` is what was paid before the filing's postings."""
    student_ids = {filing.student_id for filing in filings}
    filing_of_cause = {_cause(filing): filing for filing in filings}
    moved: dict[tuple[UUID, UUID, date], int] = defaultdict(int)
    posted_at: dict[UUID, datetime] = {}
    for posting in await session.scalars(select(AidPosting).where(AidPosting.cause.in_(filing_of_cause))):
        filing = filing_of_cause[posting.cause]
        moved[filing.id, posting.award_id, posting.month] += posting.fen
        posted_at[filing.id] = posting.at
    payments: dict[tuple[UUID, date], list[AidPosting]] = defaultdict(list)
    paid = select(AidPosting).where(
        AidPosting.student_id.in_(student_ids), AidPosting.target == Account.PAID.value
    )
    for posting in await session.scalars(paid):
        payments[posting.award_id, posting.month].append(posting)
    instalments = await _load_instalments(session, student_ids)

    def paid_before(filing: AidFiling, instalment: AidInstalment) -> int:
        postings = payments[instalment.award_id, instalment.month]
        return sum(posting.fen for posting in postings if posting.at <= posted_at[filing.id])

    return {
        filing.id: [
            FilingLine(
                award_id=instalment.award_id,
                kind=kind,
                month=instalment.month,
                granted=instalment.fen,
                paid=paid_before(filing, instalment),
                fen=moved[filing.id, instalment.award_id, instalment.month],
            )
            for kind, instalment in instalments[filing.student_id, filing.term_code]
        ]
        for filing in filings
    }


async def _load_instalments(
    session: AsyncSession, student_ids: Collection[UUID]
) -> dict[tuple[UUID, str], list[tuple[str, AidInstalment]]]:
    """Load the kind of aid and the instalment, by student and term."""
    rows = await session.execute(
        select(AidAward.student_id, AidAward.term_code, AidAward.kind, AidInstalment)
        .join(AidInstalment, AidInstalment.award_id == AidAward.id)
        .where(AidAward.student_id.in_(student_ids))
        .order_by(AidAward.kind, AidInstalment.month)
    )
    instalments: dict[tuple[UUID, str], list[tuple[str, AidInstalment]]] = defaultdict(list)
    for student_id, term, kind, instalment in rows:
        instalments[student_id, term].append((kind, instalment))
    return instalments


def _cause(filing: AidFiling) -> str:
    return f"{'change' if filing.kind == 'withdrawal' else 'reversal'}:{filing.entry_id}"


def describe_change(entry: StandingEntry, path: str) -> tuple[str, str]:
    """Describe the standing entry in the words of the law of its day, in Chinese and English."""
    if entry.reverses is not None:
        return "原异动已撤销，学籍恢复", "the change was reversed and the standing restored"
    rows = policy_at(legal_day(entry.at), division_of(path)).table("decision.outcome_effects")
    return next((str(row["zh"]), str(row["en"])) for row in rows if row["outcome"] == entry.outcome)


async def load_schools(session: AsyncSession, school_ids: Collection[UUID]) -> dict[UUID, OrgUnit]:
    """Load schools by id."""
    rows = await session.scalars(select(OrgUnit).where(OrgUnit.id.in_(school_ids)))
    return {row.id: row for row in rows}


@dataclass(frozen=True, slots=True)
class AcknowledgeFiling:
    """The aid office's acknowledgement, with its own reference number."""

    filing_id: UUID
    reference: str


async def acknowledge_filing(
    session: AsyncSession, actor: Actor, command: AcknowledgeFiling, at: datetime
) -> FilingView:
    """Record, once, that the aid office accepted an exported filing. Only an authority may do so.

    Raises `NotFound`, `NotPermitted`, `AidNotExported` and `AidAcknowledged`.
    """
    found = await get_filing(session, actor, command.filing_id)
    if actor.role not in {"bureau", "province"}:
        raise NotPermitted(
            reason_zh="由上级资助管理部门签收",
            reason_en="only the aid office of a superior authority acknowledges filings",
        )
    if found.acknowledgement is not None:
        raise AidAcknowledged
    if found.exported_at is None:
        raise AidNotExported
    filing = found.filing
    row = {
        "filing_id": filing.id,
        "school_id": filing.school_id,
        "student_id": filing.student_id,
        "reference": command.reference,
        "acknowledged_by": actor.account_id,
        "at": at,
    }
    insertion = insert(AidAcknowledgement).values(row).on_conflict_do_nothing()
    if await session.scalar(insertion.returning(AidAcknowledgement.filing_id)) is None:
        raise AidAcknowledged
    act = audit.Act(
        "aid.acknowledged",
        "aid_filing",
        str(filing.id),
        actor.org_path,
        after={"reference": command.reference},
    )
    audit.record(session, act, at)
    return await get_filing(session, actor, filing.id)
