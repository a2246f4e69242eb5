"""Inserts requests for looks: with the verdict that needs one, for a review, or for the launching side."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.ids import new_id
from backend.org.calendar_years import get_working_calendar
from backend.roll_call.attestation.limits import load_class_quotas
from backend.roll_call.events import LooksRequested
from backend.roll_call.looks.conditions import same_request
from backend.roll_call.looks.rules import REVIEW, Same, Side, Slots, find_side
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.rules import Evidence, Verdict
from backend.roll_call.tables import (
    Attestation,
    LookAnswer,
    LookClosing,
    LookRequest,
    Obligation,
    RollCall,
    Submission,
)

_Key = tuple[UUID, UUID]
_Audience = tuple[UUID, UUID, UUID | None]
"""Roll call, school and class; no class for the launching side."""


@dataclass(frozen=True, slots=True)
class LookCandidate:
    """A check-in that was not accepted. `portrait_id` is None if no person may look; `frames` are the deciding ones."""

    submission: Submission
    roll_call: RollCall
    obligation: Obligation
    portrait_id: UUID | None
    verdict: Verdict
    evidence: Evidence
    frames: tuple[int, ...]
    exhausted: bool

    @property
    def key(self) -> _Key:
        """Roll call and student."""
        return self.roll_call.id, self.obligation.student_id

    def find_side(self, *, school_may: bool) -> tuple[Side, str] | None:
        """Return who looks, and the reason; None if no person needs to or may."""
        if self.portrait_id is None or not self.frames:
            return None
        return find_side(self.verdict, self.evidence, exhausted=self.exhausted, school_may=school_may)


async def request_looks(session: AsyncSession, candidates: Sequence[LookCandidate], at: datetime) -> None:
    """Insert a request for each candidate that needs a look, unless one of the student is open in the roll call.

    The caller holds the locks of the obligations. The quota of a class is not locked here: two batches may give a class
    a request too many, and the answer counts again under the lock.
    """
    needed = [each for each in candidates if each.find_side(school_may=True) is not None]
    if not needed:
        return
    earlier = await _load_earlier(session, needed)
    slots = await _load_slots(session, needed)
    calendar = await get_working_calendar(session)
    taken = Counter[_Key]()
    rows = []
    for each in needed:
        if each.key in earlier.open:
            continue
        group = each.roll_call.id, each.obligation.class_id
        free = Slots(slots[group].quota, slots[group].used + taken[group])
        decided = each.find_side(school_may=free.left and each.key not in earlier.not_confirmed)
        assert decided is not None
        side, reason = decided
        taken[group] += side is Side.SCHOOL
        days = roll_call_policy(each.roll_call).integer("look.days")
        rows.append(_row(each, side, reason, at, calendar.deadline_instant(at, days)))
    await insert_requests(session, {each.roll_call.id: each.roll_call for each in needed}, rows, at)


def _row(
    candidate: LookCandidate, side: Side, reason: str, at: datetime, expires_at: datetime
) -> dict[str, Any]:
    submission = candidate.submission
    return {
        "id": new_id(),
        "roll_call_id": submission.roll_call_id,
        "school_id": submission.school_id,
        "term_code": submission.term_code,
        "class_id": candidate.obligation.class_id,
        "student_id": submission.student_id,
        "submission_id": submission.id,
        "portrait_id": candidate.portrait_id,
        "side": side.value,
        "reason": reason,
        "frames": list(candidate.frames),
        "reviews": None,
        "at": at,
        "expires_at": expires_at,
    }


@dataclass(slots=True)
class _Earlier:
    """Students with an open request, and those whom a person of the school did not confirm."""

    open: set[_Key] = field(default_factory=set)
    not_confirmed: set[_Key] = field(default_factory=set)


async def _load_earlier(session: AsyncSession, candidates: Sequence[LookCandidate]) -> _Earlier:
    rows = await session.execute(
        select(
            LookRequest.roll_call_id,
            LookRequest.student_id,
            LookAnswer.same,
            or_(LookAnswer.same.is_not(None), LookClosing.reason.is_not(None)),
        )
        .outerjoin(LookAnswer, same_request(LookAnswer))
        .outerjoin(LookClosing, same_request(LookClosing))
        .where(
            LookRequest.term_code.in_({each.roll_call.term_code for each in candidates}),
            tuple_(LookRequest.roll_call_id, LookRequest.student_id).in_({each.key for each in candidates}),
        )
    )
    earlier = _Earlier()
    for roll_call_id, student_id, same, ended in rows:
        key = roll_call_id, student_id
        if not ended:
            earlier.open.add(key)
        elif same in {Same.NO, Same.UNSURE}:
            earlier.not_confirmed.add(key)
    return earlier


async def _load_slots(session: AsyncSession, candidates: Sequence[LookCandidate]) -> Mapping[_Key, Slots]:
    """The quota of each class and roll call, with what attestations and requests of the school use of it."""
    classes: dict[UUID, set[UUID]] = {}
    roll_calls = {each.roll_call.id: each.roll_call for each in candidates}
    for each in candidates:
        classes.setdefault(each.roll_call.id, set()).add(each.obligation.class_id)
    slots: dict[_Key, Slots] = {}
    for roll_call_id, class_ids in classes.items():
        roll_call = roll_calls[roll_call_id]
        quotas = await load_class_quotas(session, roll_call, class_ids)
        used = await _count_used(session, roll_call, class_ids)
        slots |= {(roll_call_id, each): Slots(quotas[each], used[each]) for each in class_ids}
    return slots


async def _count_used(
    session: AsyncSession, roll_call: RollCall, class_ids: Collection[UUID]
) -> Counter[UUID]:
    used = Counter[UUID]()
    attested = select(Attestation.class_id, func.count()).where(
        Attestation.term_code == roll_call.term_code,
        Attestation.roll_call_id == roll_call.id,
        Attestation.class_id.in_(class_ids),
    )
    requested = (
        select(LookRequest.class_id, func.count())
        .outerjoin(LookAnswer, same_request(LookAnswer))
        .outerjoin(LookClosing, same_request(LookClosing))
        .where(
            LookRequest.term_code == roll_call.term_code,
            LookRequest.roll_call_id == roll_call.id,
            LookRequest.class_id.in_(class_ids),
            LookRequest.side == Side.SCHOOL.value,
            LookClosing.reason.is_(None),
            or_(LookAnswer.same.is_(None), LookAnswer.counted),
        )
    )
    for query, column in ((attested, Attestation.class_id), (requested, LookRequest.class_id)):
        for class_id, count in await session.execute(query.group_by(column)):
            used[class_id] += count
    return used


async def request_review(
    session: AsyncSession, roll_call: RollCall, answered: LookRequest, at: datetime
) -> None:
    """Ask the launching side to look at the same pictures as the school did."""
    days = roll_call_policy(roll_call).integer("attestation.review_days")
    await _follow_up(session, roll_call, answered, at, days, reason=REVIEW, reviews=answered.id)


async def ask_launcher(
    session: AsyncSession, roll_call: RollCall, answered: LookRequest, at: datetime
) -> None:
    """Pass a request of the school to the launching side."""
    days = roll_call_policy(roll_call).integer("look.days")
    await _follow_up(session, roll_call, answered, at, days, reason=answered.reason, reviews=None)


async def _follow_up(
    session: AsyncSession,
    roll_call: RollCall,
    request: LookRequest,
    at: datetime,
    days: int,
    *,
    reason: str,
    reviews: UUID | None,
) -> None:
    row = {
        "id": new_id(),
        "roll_call_id": request.roll_call_id,
        "school_id": request.school_id,
        "term_code": request.term_code,
        "class_id": request.class_id,
        "student_id": request.student_id,
        "submission_id": request.submission_id,
        "portrait_id": request.portrait_id,
        "side": Side.LAUNCHER.value,
        "reason": reason,
        "frames": request.frames,
        "reviews": reviews,
        "at": at,
        "expires_at": (await get_working_calendar(session)).deadline_instant(at, days),
    }
    await insert_requests(session, {roll_call.id: roll_call}, [row], at)


async def insert_requests(
    session: AsyncSession,
    roll_calls: Mapping[UUID, RollCall],
    rows: Sequence[Mapping[str, Any]],
    at: datetime,
) -> None:
    """Insert requests that do not exist yet. The first ones of a class, or of a launching side, are an event.

    Two transactions may both find theirs to be the first: who was told once is not told again (`look_notice`).
    """
    if not rows:
        return
    asked = await _load_asked(session, roll_calls.values(), {row["class_id"] for row in rows})
    returned = (LookRequest.roll_call_id, LookRequest.school_id, LookRequest.class_id, LookRequest.side)
    statement = insert(LookRequest).values(list(rows)).on_conflict_do_nothing()
    added = await session.execute(statement.returning(*returned, LookRequest.expires_at))
    first: dict[_Audience, datetime] = {}
    for roll_call_id, school_id, class_id, side, expires_at in added:
        audience = roll_call_id, school_id, class_id if side == Side.SCHOOL else None
        if audience not in asked:
            first[audience] = min(expires_at, first.get(audience, expires_at))
    events = [
        LooksRequested(
            roll_call_id=roll_call_id,
            path=roll_calls[roll_call_id].launcher_path,
            school_id=school_id,
            class_id=class_id,
            until=until,
        )
        for (roll_call_id, school_id, class_id), until in first.items()
    ]
    if events:
        await outbox.emit_all(session, [(event, at) for event in events])


async def _load_asked(
    session: AsyncSession, roll_calls: Collection[RollCall], class_ids: Collection[UUID]
) -> set[_Audience]:
    """The classes whose schools were asked in these roll calls, and the schools about which the launching side was."""
    rows = await session.execute(
        select(LookRequest.roll_call_id, LookRequest.school_id, LookRequest.class_id, LookRequest.side)
        .where(
            LookRequest.term_code.in_({each.term_code for each in roll_calls}),
            LookRequest.roll_call_id.in_({each.id for each in roll_calls}),
            or_(LookRequest.side == Side.LAUNCHER.value, LookRequest.class_id.in_(class_ids)),
        )
        .distinct()
    )
    return {
        (roll_call_id, school_id, class_id if side == Side.SCHOOL else None)
        for roll_call_id, school_id, class_id, side in rows
    }
