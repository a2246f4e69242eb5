"""Load the facts behind a result: one readable line for each key of a trace, within the tenant scope.

Leave shows only its dates, because its reason is visible to the school alone. A counselor's note stays with the school.
No line contains an ID number.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import Bilingual, format_end, format_instant
from backend.core.tenancy import scope_applied
from backend.leave.queries import load_leave_intervals
from backend.leave.rules import LeaveInterval
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.roll_call.facts_for_standing import RollCallFacts, load_roll_call_facts
from backend.standing.explanations.model import FactLine
from backend.standing.explanations.phrases import (
    APPEAL_TARGETS,
    CAUSES,
    RECORD_ITEMS,
    ROLL_CALL_KINDS,
    ROLL_CALL_RESULTS,
)
from backend.standing.store import tables
from backend.standing.store.carry import find_earlier_record

FactTexts = dict[str, Bilingual]
"""The text of each fact of one noun, by the id in its key."""

HIDDEN_FACT = Bilingual(
    "这项记录在这里不能显示，请向学校管理员了解。", "This record cannot be shown here. Ask the registrar."
)


async def load_fact_lines(
    session: AsyncSession, student_id: UUID, keys: Iterable[str]
) -> tuple[FactLine, ...]:
    """One line for each key, in the given order. Keys of an unknown noun raise `LookupError`."""
    requested = tuple(keys)
    by_noun: dict[str, set[str]] = defaultdict(set)
    for key in requested:
        noun, _, name = key.partition(":")
        by_noun[noun].add(name)
    texts: FactTexts = {}
    for noun, names in by_noun.items():
        noun_texts = await FACT_LOADERS[noun](session, student_id, names)
        texts |= {f"{noun}:{name}": words for name, words in noun_texts.items()}
    texts |= await _load_earlier(session, student_id, [key for key in requested if key not in texts])
    return tuple(FactLine(key, texts.get(key, HIDDEN_FACT)) for key in requested)


async def _load_earlier(session: AsyncSession, student_id: UUID, keys: Collection[str]) -> FactTexts:
    """Facts of the school that the student came from: they count on here, so they are shown here (reading 23)."""
    earlier = await find_earlier_record(session, student_id) if keys else None
    if earlier is None:
        return {}
    async with scope_applied(session, earlier.scope):
        lines = await load_fact_lines(session, earlier.student_id, keys)
    return {line.key: line.words for line in lines if line.words != HIDDEN_FACT}


# --- facts behind a prompt ---


async def _load_roll_calls(session: AsyncSession, student_id: UUID, names: Collection[str]) -> FactTexts:
    student = await session.get_one(Student, student_id)
    recorded = await load_roll_call_facts(session, {student_id: student.school_id})
    checks = [check for check in recorded[student_id] if str(check.roll_call.id) in names]
    launchers = await _load_unit_names(session, {check.roll_call.launcher_id for check in checks})
    return {
        str(check.roll_call.id): roll_call_words(check, launchers[check.roll_call.launcher_id])
        for check in checks
    }


async def _load_unit_names(session: AsyncSession, unit_ids: Collection[UUID]) -> Mapping[UUID, str]:
    rows = await session.execute(select(OrgUnit.id, OrgUnit.name).where(OrgUnit.id.in_(unit_ids)))
    return {row.id: row.name for row in rows}


def roll_call_words(check: RollCallFacts, launcher: str) -> Bilingual:
    """A roll call for the student: launcher, window, result and the receipt of its notice."""
    call, kind = check.roll_call, ROLL_CALL_KINDS[check.roll_call.kind]
    window = f"{format_instant(call.opens_at)}–{format_end(call.deadline)}"
    result = ROLL_CALL_RESULTS[check.results[-1][0].value if check.results else "unsettled"]
    zh, en = f"结果：{result.zh}", f"result: {result.en}"
    if check.voided_at is not None:
        zh, en = (
            f"已在 {format_instant(check.voided_at)} 作废",
            f"voided at {format_instant(check.voided_at)}",
        )
    receipt = Bilingual("没有通知送达的记录", "no receipt of its notice is on record")
    if check.notice_delivered_at is not None:
        at = format_instant(check.notice_delivered_at)
        receipt = Bilingual(f"通知在 {at} 送达", f"its notice arrived at {at}")
    return Bilingual(
        f"{kind.zh}“{call.title}”，{launcher}发起，时间 {window}。{zh}；{receipt.zh}。",
        f"{kind.en[0].upper()}{kind.en[1:]} “{call.title}” by {launcher}, {window}; {en}; {receipt.en}.",
    )


async def _load_leaves(session: AsyncSession, student_id: UUID, names: Collection[str]) -> FactTexts:
    leaves = (await load_leave_intervals(session, [student_id]))[student_id]
    return {leave.leave_id: leave_words(leave) for leave in leaves if leave.leave_id in names}


def leave_words(leave: LeaveInterval) -> Bilingual:
    """Leave: its interval, approval, and early return or cancellation."""
    span = f"{format_instant(leave.starts_at)}–{format_end(leave.ends_at)}"
    zh, en = f"请假 {span}", f"Leave {span}"
    if leave.approved_at is not None:
        at = format_instant(leave.approved_at)
        zh, en = f"{zh}，{at} 批准", f"{en}, approved at {at}"
    if leave.returned_at is not None:
        at = format_instant(leave.returned_at)
        zh, en = f"{zh}，{at} 返校销假", f"{en}, back at {at}"
    if leave.cancelled_at is not None:
        at = format_instant(leave.cancelled_at)
        zh, en = f"{zh}，{at} 撤销", f"{en}, cancelled at {at}"
    return Bilingual(f"{zh}。", f"{en}.")


async def _load_attendance(session: AsyncSession, student_id: UUID, names: Collection[str]) -> FactTexts:
    entry = tables.AttendanceEntry
    rows = await session.scalars(
        select(entry).where(entry.student_id == student_id, entry.id.in_(_parse_ids(names)))
    )
    return {str(row.id): attendance_words(row.at, row.recorded_at, present=row.present) for row in rows}


def attendance_words(at: datetime, recorded_at: datetime, *, present: bool) -> Bilingual:
    """A counselor's record of presence or absence."""
    moment, recorded = format_instant(at), format_instant(recorded_at)
    presence = Bilingual("在校", "present") if present else Bilingual("未请假缺席", "absent without leave")
    return Bilingual(
        f"学校记录：{moment} {presence.zh}（{recorded} 记入）。",
        f"The school's record: {presence.en} at {moment} (entered at {recorded}).",
    )


# --- facts behind an entry or a warning ---


async def _load_changes(session: AsyncSession, student_id: UUID, names: Collection[str]) -> FactTexts:
    entry = tables.StandingEntry
    rows = await session.scalars(
        select(entry).where(entry.student_id == student_id, entry.id.in_(_parse_ids(names)))
    )
    return {
        str(row.id): Bilingual(
            f"{format_instant(row.at)} 的学籍异动（{CAUSES[row.cause].zh}）。",
            f"The change of standing of {format_instant(row.at)} ({CAUSES[row.cause].en}).",
        )
        for row in rows
    }


async def _load_appeals(session: AsyncSession, student_id: UUID, names: Collection[str]) -> FactTexts:
    filed, decided = tables.AppealFiled, tables.AppealDecided
    rows = await session.execute(
        select(filed, decided)
        .outerjoin(decided, decided.appeal_id == filed.id)
        .where(filed.student_id == student_id, filed.id.in_(_parse_ids(names)))
    )
    return {str(appeal.id): _appeal_words(appeal, answer) for appeal, answer in rows}


def _appeal_words(appeal: tables.AppealFiled, answer: tables.AppealDecided | None) -> Bilingual:
    target, filed = APPEAL_TARGETS[appeal.target], format_instant(appeal.filed_at)
    zh, en = f"{filed} 提出的申诉（{target.zh}）", f"The appeal of {filed} ({target.en})"
    if answer is not None:
        at = format_instant(answer.at)
        zh += f"，{at} 认定{'成立' if answer.upheld else '不成立'}"
        en += f", {'upheld' if answer.upheld else 'rejected'} at {at}"
    return Bilingual(f"{zh}。", f"{en}.")


async def _load_reversals(session: AsyncSession, student_id: UUID, names: Collection[str]) -> FactTexts:
    reversal = tables.ChangeReversed
    rows = await session.scalars(
        select(reversal).where(reversal.student_id == student_id, reversal.id.in_(_parse_ids(names)))
    )
    return {
        str(row.id): Bilingual(
            f"主管部门在 {format_instant(row.at)} 撤回自动执行。",
            f"The authority reversed the automatic execution at {format_instant(row.at)}.",
        )
        for row in rows
    }


async def _load_edits(session: AsyncSession, student_id: UUID, names: Collection[str]) -> FactTexts:
    edit = tables.StandingEdit
    rows = await session.scalars(
        select(edit).where(edit.student_id == student_id, edit.id.in_(_parse_ids(names)))
    )
    return {
        str(row.id): Bilingual(
            f"{format_instant(row.at)} 登记的变更：{RECORD_ITEMS[row.item].zh}。",
            f"The change of the record entered at {format_instant(row.at)}: {RECORD_ITEMS[row.item].en}.",
        )
        for row in rows
    }


async def _describe_leave_days(_: AsyncSession, __: UUID, names: Collection[str]) -> FactTexts:
    return {name: describe_leave_day(name) for name in names}


async def _describe_planned_leave(_: AsyncSession, __: UUID, names: Collection[str]) -> FactTexts:
    return {name: describe_planned_days(name) for name in names}


def describe_leave_day(number: str) -> Bilingual:
    """How many days of leave were used."""
    return Bilingual(f"本学期请假已到第 {number} 天。", f"Leave this term has reached day {number}.")


def describe_planned_days(number: str) -> Bilingual:
    """How many days of leave are used and approved."""
    return Bilingual(
        f"连同已批准的，本学期请假共 {number} 天。",
        f"Including approved leave, leave this term comes to {number} days.",
    )


def _parse_ids(names: Collection[str]) -> list[UUID]:
    return [UUID(name) for name in names]


FACT_LOADERS: Mapping[str, Callable[[AsyncSession, UUID, Collection[str]], Awaitable[FactTexts]]] = {
    "check": _load_roll_calls,
    "leave": _load_leaves,
    "attendance": _load_attendance,
    "change": _load_changes,
    "appeal": _load_appeals,
    "reversal": _load_reversals,
    "edit": _load_edits,
    "day": _describe_leave_days,
    "planned": _describe_planned_leave,
}
"""The loader for the keys of each noun."""
