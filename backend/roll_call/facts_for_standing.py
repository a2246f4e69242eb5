"""What roll calls recorded of students, for the rooms that draw consequences from it. Facts only; no judgement."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.availability import heartbeats_in, lost_time
from backend.core.database import among
from backend.notice.tables import Notice, NoticeMessage, NoticeReceipt
from backend.org.tables import OrgUnit
from backend.roll_call.partitioning import of_own_school
from backend.roll_call.policy import law_of
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    RollCall,
    RollCallSchool,
    RollCallSite,
    RollCallStep,
    Submission,
    Verdict,
)

WINDOW, AVAILABILITY, SUBMISSIONS, VERSIONS = "window", "availability", "submissions", "versions"


@dataclass(frozen=True, slots=True)
class RollCallFacts:
    """One roll call as it concerned one student who owed presence.

    `results` are (outcome, instant) in the order in which they were written; `launcher` is province, bureau or
    school. Of a missed one: when the notice reached the student by the first receipt that we had, and when that came
    in; what else is on file as evidence, and since when the attempts are all judged (None: there were none).
    """

    roll_call: RollCall
    launcher: str
    notified_at: datetime
    voided_at: datetime | None
    results: tuple[tuple[Outcome, datetime], ...]
    notice_delivered_at: datetime | None
    notice_recorded_at: datetime | None
    evidence: frozenset[str]
    evidence_since: datetime | None


async def load_roll_call_facts(
    session: AsyncSession, schools: Mapping[UUID, UUID]
) -> dict[UUID, list[RollCallFacts]]:
    """Every roll call of their school that each student owed presence in, oldest launch first; given their schools.

    The roll calls come first: by them and the students the rows are found, in the partitions of their terms alone.
    """
    student_ids = list(schools)
    frames = await _frames(session, set(schools.values()))
    within = _Within.of(frame.roll_call for frame in frames.values())
    owed = await _owed(session, within, student_ids)
    results = await _results(session, within, student_ids)
    missed = {key for key, found in results.items() if any(o is Outcome.MISSED for o, _ in found)}
    delivered = await _delivered(session, missed)
    judged = await _last_verdicts(session, within, missed)
    evidence = await _evidence(session, frames, missed, {(s, r): school for s, school, r in owed})
    found: dict[UUID, list[RollCallFacts]] = {student_id: [] for student_id in student_ids}
    for student_id, _, roll_call_id in owed:
        frame, key = frames[roll_call_id], (student_id, roll_call_id)
        delivered_at, recorded_at = delivered.get(key, (None, None))
        found[student_id].append(
            RollCallFacts(
                roll_call=frame.roll_call,
                launcher=frame.launcher,
                notified_at=frame.notified_at,
                voided_at=frame.voided_at,
                results=tuple(results.get(key, ())),
                notice_delivered_at=delivered_at,
                notice_recorded_at=recorded_at,
                evidence=evidence.get(key, frozenset()),
                evidence_since=judged.get(key),
            )
        )
    for checks in found.values():
        checks.sort(key=lambda check: (check.roll_call.launched_at, check.roll_call.id))
    return found


Key = tuple[UUID, UUID]
"""Student and roll call."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is the same for everyone in a roll call."""

    roll_call: RollCall
    launcher: str
    notified_at: datetime
    voided_at: datetime | None


Kept = type[Obligation | OutcomeEntry | Submission | Verdict]
"""What is kept by term."""


@dataclass(frozen=True, slots=True)
class _Within:
    """The roll calls to look among, by their terms."""

    roll_calls: Mapping[str, Collection[UUID]]

    @classmethod
    def of(cls, roll_calls: Iterable[RollCall]) -> Self:
        found: dict[str, list[UUID]] = defaultdict(list)
        for roll_call in roll_calls:
            found[roll_call.term_code].append(roll_call.id)
        return cls(dict(sorted(found.items())))

    async def rows(
        self,
        session: AsyncSession,
        table: Kept,
        student_ids: Collection[UUID],
        ask: Callable[[Sequence[ColumnElement[bool]]], Select[*tuple[Any, ...]]],
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """What `ask` selects of the students' rows. Each term is asked only for its own roll calls: all of them in every
        partition would be as many look-ups for nothing.
        """
        statements = [
            ask(
                (
                    *of_own_school(session, table.school_id),
                    table.term_code == term_code,
                    among(table.roll_call_id, roll_calls),
                    among(table.student_id, student_ids),
                )
            )
            for term_code, roll_calls in self.roll_calls.items()
        ]
        return (await session.execute(union_all(*statements))).all() if statements else []


async def _owed(
    session: AsyncSession, within: _Within, student_ids: Collection[UUID]
) -> list[tuple[UUID, UUID, UUID]]:
    rows = await within.rows(
        session,
        Obligation,
        student_ids,
        lambda theirs: select(Obligation.student_id, Obligation.school_id, Obligation.roll_call_id).where(
            *theirs, Obligation.duty != "exempt"
        ),
    )
    return [(student_id, school_id, roll_call_id) for student_id, school_id, roll_call_id in rows]


async def _frames(session: AsyncSession, school_ids: Collection[UUID]) -> dict[UUID, _Frame]:
    """The roll calls that the schools were asked in."""
    asked = select(RollCallSchool.roll_call_id).where(among(RollCallSchool.school_id, school_ids))
    announced, voided = aliased(RollCallStep), aliased(RollCallStep)
    rows = await session.execute(
        select(RollCall, OrgUnit.kind, announced.at, voided.at)
        .join(OrgUnit, OrgUnit.id == RollCall.launcher_id)
        .outerjoin(announced, and_(announced.roll_call_id == RollCall.id, announced.step == "announced"))
        .outerjoin(voided, and_(voided.roll_call_id == RollCall.id, voided.step == "voided"))
        .where(RollCall.id.in_(asked))
    )
    return {
        roll_call.id: _Frame(
            roll_call,
            "bureau" if kind in {"city", "county"} else kind,
            announced_at or roll_call.notify_at,
            voided_at,
        )
        for roll_call, kind, announced_at, voided_at in rows
    }


async def _results(
    session: AsyncSession, within: _Within, student_ids: Collection[UUID]
) -> dict[Key, list[tuple[Outcome, datetime]]]:
    entry = OutcomeEntry
    rows = await within.rows(
        session,
        entry,
        student_ids,
        lambda theirs: select(entry.student_id, entry.roll_call_id, entry.seq, entry.outcome, entry.at).where(
            *theirs
        ),
    )
    entries: dict[Key, list[tuple[int, Outcome, datetime]]] = defaultdict(list)
    for student_id, roll_call_id, seq, outcome, at in rows:
        entries[student_id, roll_call_id].append((seq, Outcome(outcome), at))
    return {key: [(outcome, at) for _, outcome, at in sorted(found)] for key, found in entries.items()}


async def _delivered(session: AsyncSession, missed: Collection[Key]) -> dict[Key, tuple[datetime, datetime]]:
    """When the notice reached the student by the first receipt that came in, in any channel, and when that was.

    A receipt that comes later may tell of an earlier delivery; it alters nothing that was judged before.
    """
    if not missed:
        return {}
    rows = await session.execute(
        select(Notice.student_id, NoticeMessage.group_id, NoticeReceipt.at, NoticeReceipt.recorded_at)
        .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
        .join(NoticeReceipt, NoticeReceipt.notice_id == Notice.id)
        .where(
            among(Notice.student_id, {student_id for student_id, _ in missed}),
            among(NoticeMessage.group_id, {roll_call_id for _, roll_call_id in missed}),
            NoticeReceipt.event.in_(("delivered", "opened")),
        )
        .order_by(NoticeReceipt.recorded_at.desc(), NoticeReceipt.at.desc())
    )
    return {
        (student_id, group_id): (at, recorded_at)
        for student_id, group_id, at, recorded_at in rows
        if student_id is not None
    }


async def _last_verdicts(
    session: AsyncSession, within: _Within, missed: Collection[Key]
) -> dict[Key, datetime]:
    """When the last attempt of each was judged."""
    if not missed:
        return {}
    rows = await within.rows(
        session,
        Verdict,
        {student_id for student_id, _ in missed},
        lambda theirs: (
            select(Verdict.student_id, Verdict.roll_call_id, func.max(Verdict.at))
            .where(*theirs)
            .group_by(Verdict.student_id, Verdict.roll_call_id)
        ),
    )
    return {(student_id, roll_call_id): at for student_id, roll_call_id, at in rows}


async def _evidence(
    session: AsyncSession,
    frames: Mapping[UUID, _Frame],
    missed: Collection[Key],
    schools: Mapping[Key, UUID],
) -> dict[Key, frozenset[str]]:
    """The parts that are on file of each missed check."""
    if not missed:
        return {}
    roll_calls = {roll_call_id: frames[roll_call_id].roll_call for _, roll_call_id in missed}
    within = _Within.of(roll_calls.values())
    measured = await _measured(session, roll_calls.values())
    frozen = {
        (school_id, roll_call_id)
        for school_id, roll_call_id in await session.execute(
            select(RollCallSite.school_id, RollCallSite.roll_call_id)
            .where(
                RollCallSite.term_code.in_(within.roll_calls),
                among(RollCallSite.roll_call_id, roll_calls),
                among(RollCallSite.school_id, set(schools.values())),
            )
            .distinct()
        )
    }
    unjudged = {
        (student_id, roll_call_id)
        for student_id, roll_call_id in await within.rows(
            session,
            Submission,
            {student_id for student_id, _ in missed},
            lambda theirs: select(Submission.student_id, Submission.roll_call_id).where(
                *theirs,
                ~exists().where(
                    Verdict.term_code == Submission.term_code, Verdict.submission_id == Submission.id
                ),
            ),
        )
    }
    found: dict[Key, frozenset[str]] = {}
    for key in missed:
        _, roll_call_id = key
        parts = {
            WINDOW: True,
            AVAILABILITY: roll_call_id in measured,
            SUBMISSIONS: key not in unjudged,
            VERSIONS: (schools[key], roll_call_id) in frozen,
        }
        found[key] = frozenset(part for part, there in parts.items() if there)
    return found


def tolerated_gap(roll_call: RollCall) -> timedelta:
    """The longest gap in the marks of the service through which a window still counts as watched."""
    return law_of(roll_call).duration("evidence.availability.longest_gap")


async def _measured(session: AsyncSession, roll_calls: Iterable[RollCall]) -> frozenset[UUID]:
    """Roll calls in whose windows the service is known to have answered as long as the launch had promised.

    What it was away for has been made up by an extension, or counts against the window (reading 8).
    """
    found: set[UUID] = set()
    for roll_call in roll_calls:
        window = (roll_call.opens_at, roll_call.deadline)
        lost = lost_time(window, await heartbeats_in(session, window), tolerated_gap(roll_call))
        if lost <= roll_call.deadline - roll_call.closes_at:
            found.add(roll_call.id)
    return frozenset(found)
