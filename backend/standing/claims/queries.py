"""Queries on reason claims. Students see their own, counselors those of their classes, others those of their scope."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.org.paths import division_of
from backend.org.queries import is_of_schools, load_school_scope
from backend.people.attachments import AttachmentView, load_attachments
from backend.people.tables import GuardianLink, Student
from backend.policy.installed import policy_at
from backend.roll_call.tables import RollCall
from backend.standing.access import visible_students
from backend.standing.store.tables import ClaimDecision, ReasonClaimRecord

ClaimState = Literal["open", "accepted", "refused"]


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim with its roll call, decision and files."""

    claim: ReasonClaimRecord
    roll_call: RollCall
    decision: ClaimDecision | None
    attachments: Sequence[AttachmentView]
    guardian: GuardianLink | None
    """The link of the guardian who filed it for the student."""

    @property
    def state(self) -> ClaimState:
        if self.decision is None:
            return "open"
        return "accepted" if self.decision.accepted else "refused"


@dataclass(frozen=True, slots=True)
class ClaimSearch:
    """Filters of the list; None means no filter."""

    state: ClaimState | None = None
    roll_call_id: UUID | None = None
    student_id: UUID | None = None
    unit_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""


ClaimSort = Literal["filed_at", "-filed_at"]
CLAIM_SORTS = ListSorts(ReasonClaimRecord.id, {"filed_at": ReasonClaimRecord.id}, default="-filed_at")
"""An id begins with the time."""

_STATES = {
    "open": ClaimDecision.claim_id.is_(None),
    "accepted": ClaimDecision.accepted.is_(True),
    "refused": ClaimDecision.accepted.is_(False),
}


async def load_claim(session: AsyncSession, actor: Actor, claim_id: UUID) -> ClaimView:
    """One visible claim; raises `NotFound` if it does not exist or is not visible."""
    views = await _load_views(session, _select_visible_claims(actor).where(ReasonClaimRecord.id == claim_id))
    if not views:
        raise NotFound
    return views[0]


async def load_claims(session: AsyncSession, actor: Actor, ids: Collection[UUID]) -> Sequence[ClaimView]:
    """The visible claims among the ids, in no order."""
    return await _load_views(session, _select_visible_claims(actor).where(ReasonClaimRecord.id.in_(ids)))


async def load_claims_page(
    session: AsyncSession, actor: Actor, search: ClaimSearch, request: PageRequest
) -> ListPage[ClaimView]:
    """A page of the visible claims. Raises `NotFound` for a unit of others."""
    schools = await load_school_scope(session, actor, search.unit_id)
    page = _select_visible_claims(actor).where(is_of_schools(ReasonClaimRecord.school_id, schools))
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.roll_call_id is not None:
        page = page.where(ReasonClaimRecord.roll_call_id == search.roll_call_id)
    if search.student_id is not None:
        page = page.where(ReasonClaimRecord.student_id == search.student_id)
    if search.matching is not None:
        page = page.where(ReasonClaimRecord.student_id.in_(select(Student.id).where(search.matching)))
    found = await load_page(session, page, CLAIM_SORTS, request)
    return found.with_rows(await _build_views(session, found.rows))


def select_open_claim_ids(actor: Actor) -> Select[UUID]:
    """The visible claims that wait for a decision."""
    return _select_visible_claims(actor).where(_STATES["open"]).with_only_columns(ReasonClaimRecord.id)


def _select_visible_claims(actor: Actor) -> Select[*tuple[Any, ...]]:
    return (
        select(ReasonClaimRecord, RollCall, ClaimDecision, GuardianLink)
        .join(RollCall, RollCall.id == ReasonClaimRecord.roll_call_id)
        .outerjoin(ClaimDecision, ClaimDecision.claim_id == ReasonClaimRecord.id)
        .outerjoin(GuardianLink, GuardianLink.id == ReasonClaimRecord.guardian_link_id)
        .where(visible_students(actor, ReasonClaimRecord.student_id.expression))
    )


async def _load_views(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> list[ClaimView]:
    return await _build_views(session, (await session.execute(query)).all())


async def _build_views(session: AsyncSession, rows: Sequence[Any]) -> list[ClaimView]:
    files = await load_attachments(session, "reason_claim", [claim.id for claim, _, _, _ in rows])
    return [
        ClaimView(claim, roll_call, decision, files[claim.id], guardian)
        for claim, roll_call, decision, guardian in rows
    ]


@dataclass(frozen=True, slots=True)
class JustifiedReason:
    """One entry of the catalogue of justified reasons (reading 10)."""

    code: str
    zh: str
    en: str
    needs_text: bool


def load_justified_reasons(actor: Actor, at: datetime) -> list[JustifiedReason]:
    """The catalogue in force today at the caller's place; raises `AbsentLaw` if there is none."""
    return [
        JustifiedReason(str(row["code"]), str(row["zh"]), str(row["en"]), bool(row["needs_text"]))
        for row in policy_at(legal_day(at), division_of(actor.org_path)).table("misses.justified_reasons")
    ]
