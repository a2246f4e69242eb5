"""Read model for the package `standing`: what roll calls recorded about students. Facts only, no assessment."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.availability import compute_lost_time, load_heartbeats
from backend.core.database import equals_any
from backend.notice.tables import Notice, NoticeMessage, NoticeReceipt
from backend.org.tables import OrgUnit
from backend.roll_call.partitioning import own_school_filter
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    RollCall,
    RollCallSchool,
    RollCallSite,
    RollCallStep,
    Submission,
    VerdictRecord,
)

WINDOW, AVAILABILITY, SUBMISSIONS, VERSIONS = "window", "availability", "submissions", "versions"


@dataclass(frozen=True, slots=True)
class RollCallFacts:
    """One roll call with the facts about one student who owed presence.

    `results` are pairs (outcome, time) in the order in which they were written; `launcher` is province, bureau or
    school. The other fields are set for a missed roll call only: when the notice was delivered according to the first
    receipt, and when that receipt was recorded; which other evidence is on file; and when the last attempt got its
    verdict (None without attempts).
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


StudentInRollCall = tuple[UUID, UUID]
"""Student id and roll call id."""


async def load_roll_call_facts(
    session: AsyncSession, schools: Mapping[UUID, UUID]
) -> dict[UUID, list[RollCallFacts]]:
    """For each student the roll calls in which they owed presence, oldest launch first. `schools` maps student to school.

    The roll calls of the schools are loaded first, so that all other rows are found by roll call and student in the
    partitions of their terms only.
    """
    student_ids = list(schools)
    headers = await _load_headers(session, set(schools.values()))
    by_term = _RollCallsByTerm.group(header.roll_call for header in headers.values())
    obligations = await _load_obligations(session, by_term, student_ids)
    results = await _load_results(session, by_term, student_ids)
    missed = {
        key for key, entries in results.items() if any(outcome is Outcome.MISSED for outcome, _ in entries)
    }
    deliveries = await _load_deliveries(session, missed)
    last_verdicts = await _load_last_verdicts(session, by_term, missed)
    school_of = {(student_id, roll_call_id): school_id for student_id, school_id, roll_call_id in obligations}
    evidence = await _load_evidence(session, headers, missed, school_of)
    facts: dict[UUID, list[RollCallFacts]] = {student_id: [] for student_id in student_ids}
    for student_id, _, roll_call_id in obligations:
        header, key = headers[roll_call_id], (student_id, roll_call_id)
        delivered_at, recorded_at = deliveries.get(key, (None, None))
        facts[student_id].append(
            RollCallFacts(
                roll_call=header.roll_call,
                launcher=header.launcher,
                notified_at=header.notified_at,
                voided_at=header.voided_at,
                results=tuple(results.get(key, ())),
                notice_delivered_at=delivered_at,
                notice_recorded_at=recorded_at,
                evidence=evidence.get(key, frozenset()),
                evidence_since=last_verdicts.get(key),
            )
        )
    for each in facts.values():
        each.sort(key=lambda fact: (fact.roll_call.launched_at, fact.roll_call.id))
    return facts


@dataclass(frozen=True, slots=True)
class _Header:
    """The facts of a roll call that are the same for all its students."""

    roll_call: RollCall
    launcher: str
    notified_at: datetime
    voided_at: datetime | None


PartitionedTable = type[Obligation | OutcomeEntry | Submission | VerdictRecord]
"""Tables that are partitioned by term."""


@dataclass(frozen=True, slots=True)
class _RollCallsByTerm:
    """Ids of roll calls grouped by term, to query each partition only for its own roll calls."""

    roll_calls: Mapping[str, Collection[UUID]]

    @classmethod
    def group(cls, roll_calls: Iterable[RollCall]) -> Self:
        by_term: dict[str, list[UUID]] = defaultdict(list)
        for roll_call in roll_calls:
            by_term[roll_call.term_code].append(roll_call.id)
        return cls(dict(sorted(by_term.items())))

    async def fetch(
        self,
        session: AsyncSession,
        table: PartitionedTable,
        student_ids: Collection[UUID],
        build: Callable[[Sequence[ColumnElement[bool]]], Select[*tuple[Any, ...]]],
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Run one SELECT per term, joined by UNION ALL. `build` gets the conditions for the students' rows in a term."""
        statements = [
            build(
                (
                    *own_school_filter(session, table.school_id),
                    table.term_code == term_code,
                    equals_any(table.roll_call_id, roll_calls),
                    equals_any(table.student_id, student_ids),
                )
            )
            for term_code, roll_calls in self.roll_calls.items()
        ]
        return (await session.execute(union_all(*statements))).all() if statements else []


async def _load_obligations(
    session: AsyncSession, by_term: _RollCallsByTerm, student_ids: Collection[UUID]
) -> list[tuple[UUID, UUID, UUID]]:
    rows = await by_term.fetch(
        session,
        Obligation,
        student_ids,
        lambda conditions: select(Obligation.student_id, Obligation.school_id, Obligation.roll_call_id).where(
            *conditions, Obligation.duty != "exempt"
        ),
    )
    return [(student_id, school_id, roll_call_id) for student_id, school_id, roll_call_id in rows]


async def _load_headers(session: AsyncSession, school_ids: Collection[UUID]) -> dict[UUID, _Header]:
    """The roll calls whose audience includes any of the schools."""
    of_schools = select(RollCallSchool.roll_call_id).where(equals_any(RollCallSchool.school_id, school_ids))
    announced, voided = aliased(RollCallStep), aliased(RollCallStep)
    rows = await session.execute(
        select(RollCall, OrgUnit.kind, announced.at, voided.at)
        .join(OrgUnit, OrgUnit.id == RollCall.launcher_id)
        .outerjoin(announced, and_(announced.roll_call_id == RollCall.id, announced.step == "announced"))
        .outerjoin(voided, and_(voided.roll_call_id == RollCall.id, voided.step == "voided"))
        .where(RollCall.id.in_(of_schools))
    )
    return {
        roll_call.id: _Header(
            roll_call,
            "bureau" if kind in {"city", "county"} else kind,
            announced_at or roll_call.notify_at,
            voided_at,
        )
        for roll_call, kind, announced_at, voided_at in rows
    }


async def _load_results(
    session: AsyncSession, by_term: _RollCallsByTerm, student_ids: Collection[UUID]
) -> dict[StudentInRollCall, list[tuple[Outcome, datetime]]]:
    entry = OutcomeEntry
    rows = await by_term.fetch(
        session,
        entry,
        student_ids,
        lambda conditions: select(
            entry.student_id, entry.roll_call_id, entry.seq, entry.outcome, entry.at
        ).where(*conditions),
    )
    entries: dict[StudentInRollCall, list[tuple[int, Outcome, datetime]]] = defaultdict(list)
    for student_id, roll_call_id, seq, outcome, at in rows:
        entries[student_id, roll_call_id].append((seq, Outcome(outcome), at))
    return {key: [(outcome, at) for _, outcome, at in sorted(rows)] for key, rows in entries.items()}


async def _load_deliveries(
    session: AsyncSession, missed: Collection[StudentInRollCall]
) -> dict[StudentInRollCall, tuple[datetime, datetime]]:
    """When the notice was delivered, and when this was recorded, by the receipt recorded first in any channel.

    A receipt recorded later may report an earlier delivery. It is ignored, so that it changes no earlier assessment.
    """
    if not missed:
        return {}
    rows = await session.execute(
        select(Notice.student_id, NoticeMessage.group_id, NoticeReceipt.at, NoticeReceipt.recorded_at)
        .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
        .join(NoticeReceipt, NoticeReceipt.notice_id == Notice.id)
        .where(
            equals_any(Notice.student_id, {student_id for student_id, _ in missed}),
            equals_any(NoticeMessage.group_id, {roll_call_id for _, roll_call_id in missed}),
            NoticeReceipt.event.in_(("delivered", "opened")),
        )
        .order_by(NoticeReceipt.recorded_at.desc(), NoticeReceipt.at.desc())
    )
    return {
        (student_id, group_id): (at, recorded_at)
        for student_id, group_id, at, recorded_at in rows
        if student_id is not None
    }


async def _load_last_verdicts(
    session: AsyncSession, by_term: _RollCallsByTerm, missed: Collection[StudentInRollCall]
) -> dict[StudentInRollCall, datetime]:
    """When the last attempt of each missed roll call got its verdict."""
    if not missed:
        return {}
    rows = await by_term.fetch(
        session,
        VerdictRecord,
        {student_id for student_id, _ in missed},
        lambda conditions: (
            select(VerdictRecord.student_id, VerdictRecord.roll_call_id, func.max(VerdictRecord.at))
            .where(*conditions)
            .group_by(VerdictRecord.student_id, VerdictRecord.roll_call_id)
        ),
    )
    return {(student_id, roll_call_id): at for student_id, roll_call_id, at in rows}


async def _load_evidence(
    session: AsyncSession,
    headers: Mapping[UUID, _Header],
    missed: Collection[StudentInRollCall],
    schools: Mapping[StudentInRollCall, UUID],
) -> dict[StudentInRollCall, frozenset[str]]:
    """Which evidence is on file for each missed roll call."""
    if not missed:
        return {}
    roll_calls = {roll_call_id: headers[roll_call_id].roll_call for _, roll_call_id in missed}
    by_term = _RollCallsByTerm.group(roll_calls.values())
    measured = await _load_measured_windows(session, roll_calls.values())
    with_frozen_site = await _load_schools_with_frozen_site(session, by_term, set(schools.values()))
    without_verdict = await _load_without_verdict(session, by_term, missed)
    evidence: dict[StudentInRollCall, frozenset[str]] = {}
    for key in missed:
        _, roll_call_id = key
        parts = {
            WINDOW: True,
            AVAILABILITY: roll_call_id in measured,
            SUBMISSIONS: key not in without_verdict,
            VERSIONS: (schools[key], roll_call_id) in with_frozen_site,
        }
        evidence[key] = frozenset(part for part, is_on_file in parts.items() if is_on_file)
    return evidence


async def _load_schools_with_frozen_site(
    session: AsyncSession, by_term: _RollCallsByTerm, school_ids: Collection[UUID]
) -> set[tuple[UUID, UUID]]:
    """Pairs of school and roll call for which the launch froze at least one site."""
    roll_call_ids = [each for roll_calls in by_term.roll_calls.values() for each in roll_calls]
    rows = await session.execute(
        select(RollCallSite.school_id, RollCallSite.roll_call_id)
        .where(
            RollCallSite.term_code.in_(by_term.roll_calls),
            equals_any(RollCallSite.roll_call_id, roll_call_ids),
            equals_any(RollCallSite.school_id, school_ids),
        )
        .distinct()
    )
    return {(school_id, roll_call_id) for school_id, roll_call_id in rows}


async def _load_without_verdict(
    session: AsyncSession, by_term: _RollCallsByTerm, missed: Collection[StudentInRollCall]
) -> set[StudentInRollCall]:
    """Students and roll calls with a submission that has no verdict."""
    rows = await by_term.fetch(
        session,
        Submission,
        {student_id for student_id, _ in missed},
        lambda conditions: select(Submission.student_id, Submission.roll_call_id).where(
            *conditions,
            ~exists().where(
                VerdictRecord.term_code == Submission.term_code, VerdictRecord.submission_id == Submission.id
            ),
        ),
    )
    return {(student_id, roll_call_id) for student_id, roll_call_id in rows}


def tolerated_gap(roll_call: RollCall) -> timedelta:
    """The longest gap between heartbeats of the service that does not count as an outage."""
    return roll_call_policy(roll_call).duration("evidence.availability.longest_gap")


async def _load_measured_windows(session: AsyncSession, roll_calls: Iterable[RollCall]) -> frozenset[UUID]:
    """Roll calls in which the service was measurably available for as long as the launch had announced (reading 8).

    Lost time is either compensated by an extension or makes the window too short.
    """
    measured: set[UUID] = set()
    for roll_call in roll_calls:
        window = (roll_call.opens_at, roll_call.deadline)
        lost = compute_lost_time(window, await load_heartbeats(session, window), tolerated_gap(roll_call))
        if lost <= roll_call.deadline - roll_call.closes_at:
            measured.add(roll_call.id)
    return frozenset(measured)
