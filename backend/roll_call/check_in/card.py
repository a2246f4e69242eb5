"""What a student's card of a roll call says beyond the result: tries left, and who acts next."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.consents import has_chosen_non_face_route
from backend.org.tables import OrgUnit
from backend.roll_call.partitioning import own_school_filter
from backend.roll_call.policy import CheckInLimits, check_in_limits, roll_call_policy
from backend.roll_call.rules import NextActor, Outcome, StudentPhase, count_face_failures
from backend.roll_call.student_queries import StudentRollCall, is_verdict_of_submission
from backend.roll_call.tables import Submission, VerdictRecord


@dataclass(frozen=True, slots=True)
class Attempts:
    """The reasons of each verdict so far, and whether a submission has no verdict yet."""

    verdict_reasons: list[Sequence[str]] = field(default_factory=list)
    is_pending: bool = False


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the cards of some roll calls of one student have in common, and the attempts of each."""

    without_face: bool
    launchers: Mapping[UUID, str]
    attempts: Mapping[UUID, Attempts]


async def load_card_facts(
    session: AsyncSession, student_id: UUID, views: Sequence[StudentRollCall]
) -> CardFacts:
    """Load the facts for the cards of one student."""
    launchers = select(OrgUnit.id, OrgUnit.name).where(
        OrgUnit.id.in_({view.roll_call.launcher_id for view in views})
    )
    return CardFacts(
        without_face=await has_chosen_non_face_route(session, student_id),
        launchers={row.id: row.name for row in await session.execute(launchers)},
        attempts=await _load_attempts(session, student_id, views),
    )


async def _load_attempts(
    session: AsyncSession, student_id: UUID, views: Sequence[StudentRollCall]
) -> dict[UUID, Attempts]:
    rows = await session.execute(
        select(Submission.roll_call_id, VerdictRecord.reasons)
        .outerjoin(VerdictRecord, is_verdict_of_submission())
        .where(
            Submission.term_code.in_({view.roll_call.term_code for view in views}),
            Submission.roll_call_id.in_({view.roll_call.id for view in views}),
            Submission.student_id == student_id,
            *own_school_filter(session, Submission.school_id),
        )
    )
    reasons: defaultdict[UUID, list[Sequence[str] | None]] = defaultdict(list)
    for roll_call_id, of_verdict in rows:
        reasons[roll_call_id].append(of_verdict)
    return {
        roll_call_id: Attempts([each for each in found if each is not None], is_pending=None in found)
        for roll_call_id, found in reasons.items()
    }


@dataclass(frozen=True, slots=True)
class Card:
    """The card of one roll call. `tries_left` is None unless the student may check in now."""

    phase: StudentPhase
    launcher_name: str
    without_face: bool
    tries_left: int | None
    next_actor: NextActor


def build_card(view: StudentRollCall, facts: CardFacts, phase: StudentPhase) -> Card:
    """Build the card of a roll call from its facts."""
    attempts = facts.attempts.get(view.roll_call.id, Attempts())
    is_asked = phase == "open" and view.obligation.duty == "owed" and view.outcome is None
    tries_left = None
    if is_asked and not facts.without_face:
        limits = check_in_limits(roll_call_policy(view.roll_call))
        tries_left = 0 if view.sent_to_a_person else count_tries_left(attempts.verdict_reasons, limits)
    return Card(
        phase=phase,
        launcher_name=facts.launchers[view.roll_call.launcher_id],
        without_face=facts.without_face,
        tries_left=tries_left,
        next_actor=find_next_actor(
            view, phase, is_pending=attempts.is_pending, is_exhausted=tries_left in {None, 0}
        ),
    )


def count_tries_left(verdict_reasons: Sequence[Sequence[str]], limits: CheckInLimits) -> int:
    """How many more check-ins may fail by the face before a person decides (THREATS 15)."""
    failures = count_face_failures(verdict_reasons)
    return max(0, min(limits.face_failures - failures.mismatches, limits.step_ups - failures.doubts))


_AFTER_OUTCOME: Mapping[Outcome, NextActor] = {
    Outcome.PRESENT: "nobody",
    Outcome.EXCUSED: "nobody",
    Outcome.MISSED: "student",  # may claim a reason or appeal
    Outcome.UNDETERMINED: "staff",
}


def find_next_actor(
    view: StudentRollCall, phase: StudentPhase, *, is_pending: bool, is_exhausted: bool
) -> NextActor:
    """Who acts next in a roll call of this student; `is_exhausted`: the student cannot check in by phone any more."""
    outcome = view.outcome.outcome if view.outcome else None
    if phase in {"voided", "announced"} or view.obligation.duty != "owed" or view.is_undetermined_rehearsal:
        return "nobody"
    if view.look_until is not None:
        return "staff"
    if outcome is not None:
        return _AFTER_OUTCOME[Outcome(outcome)]
    if is_pending or phase == "closed":
        return "system"
    return "counselor" if is_exhausted else "student"
