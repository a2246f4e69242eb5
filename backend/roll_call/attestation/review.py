"""The review of attestations by the launching side: the list of samples, and the review by a second person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.roll_call import rules
from backend.roll_call.access import access_roll_call, acts_for_launcher
from backend.roll_call.attestation.service import ATTESTATION_METHOD
from backend.roll_call.outcomes import (
    OutcomeDecision,
    find_current_outcome,
    lock_obligation,
    lock_roll_call_shared,
    write_outcome,
)
from backend.roll_call.tables import (
    Attestation,
    AttestationEscalation,
    AttestationReview,
    Obligation,
    RollCall,
    RollCallStep,
)

ReviewState = Literal["open", "overdue", "reviewed"]


@dataclass(frozen=True, slots=True)
class SampledAttestation:
    """A sampled attestation with its review and escalation, if there are any."""

    attestation: Attestation
    review: AttestationReview | None
    escalation: AttestationEscalation | None

    @property
    def state(self) -> ReviewState:
        """Reviewed; overdue if it was escalated and is not reviewed yet; otherwise open."""
        if self.review is not None:
            return "reviewed"
        return "open" if self.escalation is None else "overdue"


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """Which samples to list; None does not filter."""

    state: ReviewState | None = None
    roll_call_id: UUID | None = None


SampleSort = Literal["at", "-at"]
SAMPLE_SORTS = ListSorts(Attestation.student_id, {"at": Attestation.at}, default="at")


async def load_samples_page(
    session: AsyncSession,
    actor: Actor,
    wanted: SampleFilter,
    request: PageRequest,
) -> ListPage[SampledAttestation]:
    """A page of the sampled attestations that the caller may review.

    They belong to roll calls launched by the caller's unit or below it. Counselors and checked schools get none, and
    an attester does not see their own attestations here. Raises NotPermitted for counselors.
    """
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="抽查名单仅供复核单位查看",
            reason_en="only the reviewing side sees which attestations are sampled",
        )
    statement = (
        select(Attestation, AttestationReview, AttestationEscalation)
        .join(RollCall, RollCall.id == Attestation.roll_call_id)
        .outerjoin(AttestationReview, _same_attestation(AttestationReview))
        .outerjoin(AttestationEscalation, _same_attestation(AttestationEscalation))
        .where(
            Attestation.sampled,
            Attestation.attested_by != actor.account_id,
            func.starts_with(RollCall.launcher_path + ".", actor.org_path + "."),
        )
    )
    if wanted.roll_call_id is not None:
        statement = statement.where(Attestation.roll_call_id == wanted.roll_call_id)
    if wanted.state is not None:
        reviewed = AttestationReview.student_id.is_not(None)
        escalated = AttestationEscalation.student_id.is_not(None)
        conditions = {"reviewed": reviewed, "overdue": ~reviewed & escalated, "open": ~reviewed & ~escalated}
        statement = statement.where(conditions[wanted.state])
    found = await load_page(session, statement, SAMPLE_SORTS, request)
    return found.with_rows([SampledAttestation(*row) for row in found.rows])


def _same_attestation(table: type[AttestationReview | AttestationEscalation]) -> ColumnElement[bool]:
    return and_(
        table.term_code == Attestation.term_code,
        table.roll_call_id == Attestation.roll_call_id,
        table.student_id == Attestation.student_id,
    )


@dataclass(frozen=True, slots=True)
class ReviewAttestation:
    """Command: whether a second person confirms an attestation."""

    roll_call_id: UUID
    student_id: UUID
    upheld: bool
    note: str


async def review_attestation(
    session: AsyncSession, actor: Actor, command: ReviewAttestation, at: datetime
) -> AttestationReview:
    """Review an attestation, as a person of the launcher or a superior of it (THREATS: another organisation).

    If it is not upheld, the student becomes undetermined, never missed; in a voided roll call, excused.
    """
    roll_call = await access_roll_call(session, actor, command.roll_call_id, at)
    attestation = await session.get(Attestation, (command.roll_call_id, command.student_id))
    if attestation is None:
        raise NotFound
    if actor.account_id == attestation.attested_by or not acts_for_launcher(roll_call, actor):
        raise NotPermitted(
            reason_zh="复核人须为发起单位或其上级的管理员，且不能是现场核验人",
            reason_en="the reviewer administers the launching authority or one above, and is not the attester",
        )
    written = await session.scalar(
        insert(AttestationReview)
        .values(
            roll_call_id=command.roll_call_id,
            student_id=command.student_id,
            school_id=attestation.school_id,
            term_code=attestation.term_code,
            attested_by=attestation.attested_by,
            reviewed_by=actor.account_id,
            upheld=command.upheld,
            note=command.note,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(AttestationReview.student_id)
    )
    if written is None:
        raise Conflict(reason_zh="该现场核验已复核", reason_en="this attestation was reviewed already")
    if not command.upheld:
        await _replace_presence(session, roll_call, command, at)
    return await session.get_one(AttestationReview, (command.roll_call_id, command.student_id))


async def _replace_presence(
    session: AsyncSession, roll_call: RollCall, command: ReviewAttestation, at: datetime
) -> None:
    """Replace the presence if it is based on the attestation alone."""
    await lock_obligation(session, roll_call.id, command.student_id)
    await lock_roll_call_shared(session, roll_call.id)
    earlier = await find_current_outcome(session, roll_call.id, command.student_id)
    if earlier is None or earlier.method != ATTESTATION_METHOD:
        return
    voided = await session.get(RollCallStep, (roll_call.id, "voided")) is not None
    outcome, reason = (
        (rules.Outcome.EXCUSED, "voided")
        if voided
        else (rules.Outcome.UNDETERMINED, "attestation_not_upheld")
    )
    obligation = await session.get_one(Obligation, (roll_call.id, command.student_id))
    decision = OutcomeDecision(outcome, reason, "review", {"note": command.note})
    await write_outcome(session, roll_call, obligation, decision, at, replaces=earlier)
