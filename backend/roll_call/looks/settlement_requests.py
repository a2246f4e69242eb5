"""Requests for doubts that a settlement left undetermined before the automatic attempts were used up."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.ids import new_id
from backend.org.calendar_years import get_working_calendar
from backend.roll_call.looks.bases import load_look_bases
from backend.roll_call.looks.requests import insert_requests
from backend.roll_call.looks.rules import DOUBTS, Side, choose_recorded_frames, passed_apart_from_face
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.rules import REHEARSAL, Outcome
from backend.roll_call.tables import LookRequest, OutcomeEntry, RollCall, VerdictRecord

BATCH_STUDENTS = 500

_Doubt = tuple[VerdictRecord, UUID]
"""A verdict in doubt, and the class of its student."""


async def request_looks_at_settlement(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Ask the launching side about each student whose face is the only doubt. The caller holds the roll call's lock.

    Not in a rehearsal: its result has no consequence.
    """
    if roll_call.kind == REHEARSAL:
        return
    days = roll_call_policy(roll_call).integer("look.days")
    expires_at = (await get_working_calendar(session)).deadline_instant(at, days)
    doubts = list(await _load_doubts(session, roll_call))
    for first in range(0, len(doubts), BATCH_STUDENTS):
        rows = await _build_rows(session, doubts[first : first + BATCH_STUDENTS], at, expires_at)
        await insert_requests(session, {roll_call.id: roll_call}, rows, at)


async def _load_doubts(session: AsyncSession, roll_call: RollCall) -> Sequence[_Doubt]:
    """The newest verdict of each student whom this settlement leaves undetermined for a doubt, without a request yet."""
    same = and_(
        VerdictRecord.term_code == OutcomeEntry.term_code,
        VerdictRecord.school_id == OutcomeEntry.school_id,
        VerdictRecord.roll_call_id == OutcomeEntry.roll_call_id,
        VerdictRecord.student_id == OutcomeEntry.student_id,
    )
    asked = exists().where(
        LookRequest.term_code == OutcomeEntry.term_code,
        LookRequest.roll_call_id == OutcomeEntry.roll_call_id,
        LookRequest.student_id == OutcomeEntry.student_id,
    )
    newest = (
        select(VerdictRecord, OutcomeEntry.class_id)
        .join(OutcomeEntry, same)
        .ext(distinct_on(VerdictRecord.student_id))
        .where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call.id,
            OutcomeEntry.seq == 1,
            OutcomeEntry.outcome == Outcome.UNDETERMINED.value,
            OutcomeEntry.reason.in_(DOUBTS),
            ~asked,
        )
        .order_by(VerdictRecord.student_id, VerdictRecord.at.desc())
    )
    return [(row[0], row[1]) for row in await session.execute(newest)]


async def _build_rows(
    session: AsyncSession, doubts: Sequence[_Doubt], at: datetime, expires_at: datetime
) -> list[Mapping[str, Any]]:
    bases = await load_look_bases(session, {verdict.student_id for verdict, _ in doubts})
    rows: list[Mapping[str, Any]] = []
    for verdict, class_id in doubts:
        basis = bases[verdict.student_id]
        reason = next((each for each in verdict.reasons if each in DOUBTS), None)
        frames = choose_recorded_frames(verdict.trace)
        if basis.barred or reason is None or not frames or not passed_apart_from_face(verdict.trace):
            continue
        rows.append(
            {
                "id": new_id(),
                "roll_call_id": verdict.roll_call_id,
                "school_id": verdict.school_id,
                "term_code": verdict.term_code,
                "class_id": class_id,
                "student_id": verdict.student_id,
                "submission_id": verdict.submission_id,
                "portrait_id": basis.portrait_id,
                "side": Side.LAUNCHER.value,
                "reason": reason,
                "frames": list(frames),
                "reviews": None,
                "at": at,
                "expires_at": expires_at,
            }
        )
    return rows
