"""Reading claims: the student's own, those of the classes in care, or all that the scope admits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.leave.law import law_at
from backend.people.attachments import AttachmentView, attachments_of
from backend.roll_call.tables import RollCall
from backend.standing.care import in_own_classes
from backend.standing.tables import ClaimDecision, ClaimFiled

ClaimState = Literal["open", "accepted", "refused"]


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim with its roll call, its answer and its files."""

    claim: ClaimFiled
    roll_call: RollCall
    decision: ClaimDecision | None
    attachments: Sequence[AttachmentView]

    @property
    def state(self) -> ClaimState:
        if self.decision is None:
            return "open"
        return "accepted" if self.decision.accepted else "refused"


@dataclass(frozen=True, slots=True)
class ClaimSearch:
    """Which claims; what is not given narrows nothing."""

    state: ClaimState | None = None
    roll_call_id: UUID | None = None
    student_id: UUID | None = None


_STATES = {
    "open": ClaimDecision.claim_id.is_(None),
    "accepted": ClaimDecision.accepted.is_(True),
    "refused": ClaimDecision.accepted.is_(False),
}


async def claim_for(session: AsyncSession, acting: Acting, claim_id: UUID) -> ClaimView:
    """One claim that the caller may see; else `NotFound`, whatever the cause."""
    found = await _views(session, _seen_by(acting).where(ClaimFiled.id == claim_id))
    if not found:
        raise NotFound
    return found[0]


async def claims_page(
    session: AsyncSession, acting: Acting, search: ClaimSearch, before: UUID | None, limit: int
) -> Sequence[ClaimView]:
    """At most `limit` claims that the caller may see, newest first, older than the id `before`."""
    page = _seen_by(acting).order_by(ClaimFiled.id.desc()).limit(limit)
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.roll_call_id is not None:
        page = page.where(ClaimFiled.roll_call_id == search.roll_call_id)
    if search.student_id is not None:
        page = page.where(ClaimFiled.student_id == search.student_id)
    if before is not None:
        page = page.where(ClaimFiled.id < before)
    return await _views(session, page)


def _seen_by(acting: Acting) -> Select[*tuple[Any, ...]]:
    return (
        select(ClaimFiled, RollCall, ClaimDecision)
        .join(RollCall, RollCall.id == ClaimFiled.roll_call_id)
        .outerjoin(ClaimDecision, ClaimDecision.claim_id == ClaimFiled.id)
        .where(in_own_classes(acting, ClaimFiled.student_id.expression))
    )


async def _views(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> list[ClaimView]:
    rows = (await session.execute(query)).all()
    files = await attachments_of(session, "reason_claim", [claim.id for claim, _, _ in rows])
    return [ClaimView(claim, roll_call, decision, files[claim.id]) for claim, roll_call, decision in rows]


@dataclass(frozen=True, slots=True)
class JustifiedReason:
    """One entry of the catalogue (reading 10)."""

    code: str
    zh: str
    en: str
    needs_text: bool


def justified_reasons(acting: Acting, at: datetime) -> list[JustifiedReason]:
    """The catalogue in force today where the caller is; raises `AbsentLaw` where there is none."""
    return [
        JustifiedReason(str(row["code"]), str(row["zh"]), str(row["en"]), bool(row["needs_text"]))
        for row in law_at(legal_day(at), acting.org_path).table("misses.justified_reasons")
    ]
