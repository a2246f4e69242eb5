"""The facts behind a result, each key of a trace read as a line for people. Only what the scope admits is read.

Of leave only its days are told: why somebody was ill is the school's business. A counselor's note stays with the
school, and no line holds a number of an identity document.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.leave.queries import intervals
from backend.leave.rules import LeaveInterval
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.roll_call.facts_for_standing import RollCallFacts, load_roll_call_facts
from backend.standing.explanations.phrases import (
    CAUSES,
    CHECK_KINDS,
    ITEMS,
    RESULTS,
    TARGETS,
    Bilingual,
    instant,
    until,
)
from backend.standing.explanations.prompt import FactLine
from backend.standing.store import tables

Found = dict[str, Bilingual]

NOT_HERE = Bilingual(
    "这项记录在这里不能显示，请向学校管理员了解。", "This record cannot be shown here; ask the registrar."
)


async def fact_lines(session: AsyncSession, student_id: UUID, keys: Iterable[str]) -> tuple[FactLine, ...]:
    """A line for each key, in the order given. Keys of an unknown noun raise `LookupError`."""
    asked = tuple(keys)
    by_noun: dict[str, set[str]] = defaultdict(set)
    for key in asked:
        noun, _, name = key.partition(":")
        by_noun[noun].add(name)
    found: Found = {}
    for noun, names in by_noun.items():
        lines = await READERS[noun](session, student_id, names)
        found |= {f"{noun}:{name}": words for name, words in lines.items()}
    return tuple(FactLine(key, found.get(key, NOT_HERE)) for key in asked)


# --- what a prompt rests on ---


async def _checks(session: AsyncSession, student_id: UUID, names: Collection[str]) -> Found:
    student = await session.get_one(Student, student_id)
    recorded = await load_roll_call_facts(session, {student_id: student.school_id})
    checks = [check for check in recorded[student_id] if str(check.roll_call.id) in names]
    launchers = await _names(session, {check.roll_call.launcher_id for check in checks})
    return {
        str(check.roll_call.id): check_words(check, launchers[check.roll_call.launcher_id])
        for check in checks
    }


async def _names(session: AsyncSession, unit_ids: Collection[UUID]) -> Mapping[UUID, str]:
    rows = await session.execute(select(OrgUnit.id, OrgUnit.name).where(OrgUnit.id.in_(unit_ids)))
    return {row.id: row.name for row in rows}


def check_words(check: RollCallFacts, launcher: str) -> Bilingual:
    """A roll call as it concerned the student: who launched it, when it was, how it ended, when its notice arrived."""
    call, kind = check.roll_call, CHECK_KINDS[check.roll_call.kind]
    window = f"{instant(call.opens_at)}–{until(call.deadline)}"
    result = RESULTS[check.results[-1][0].value if check.results else "unsettled"]
    zh, en = f"结果：{result.zh}", f"result: {result.en}"
    if check.voided_at is not None:
        zh, en = f"已在 {instant(check.voided_at)} 作废", f"voided at {instant(check.voided_at)}"
    told = Bilingual("没有通知送达的记录", "no receipt of its notice is on record")
    if check.notice_delivered_at is not None:
        at = instant(check.notice_delivered_at)
        told = Bilingual(f"通知在 {at} 送达", f"its notice arrived at {at}")
    return Bilingual(
        f"{kind.zh}“{call.title}”，{launcher}发起，时间 {window}。{zh}；{told.zh}。",
        f"{kind.en[0].upper()}{kind.en[1:]} “{call.title}” by {launcher}, {window}; {en}; {told.en}.",
    )


async def _leaves(session: AsyncSession, student_id: UUID, names: Collection[str]) -> Found:
    held = (await intervals(session, [student_id]))[student_id]
    return {leave.leave_id: leave_words(leave) for leave in held if leave.leave_id in names}


def leave_words(leave: LeaveInterval) -> Bilingual:
    """Approved leave: from when, until when, and whether it ended early."""
    span = f"{instant(leave.starts_at)}–{until(leave.ends_at)}"
    zh, en = f"请假 {span}", f"Leave {span}"
    if leave.approved_at is not None:
        at = instant(leave.approved_at)
        zh, en = f"{zh}，{at} 批准", f"{en}, approved at {at}"
    if leave.returned_at is not None:
        at = instant(leave.returned_at)
        zh, en = f"{zh}，{at} 返校销假", f"{en}, back at {at}"
    if leave.cancelled_at is not None:
        at = instant(leave.cancelled_at)
        zh, en = f"{zh}，{at} 撤销", f"{en}, cancelled at {at}"
    return Bilingual(f"{zh}。", f"{en}.")


async def _attendance(session: AsyncSession, student_id: UUID, names: Collection[str]) -> Found:
    entry = tables.AttendanceEntry
    rows = await session.scalars(
        select(entry).where(entry.student_id == student_id, entry.id.in_(_ids(names)))
    )
    return {str(row.id): _attendance_words(row) for row in rows}


def _attendance_words(row: tables.AttendanceEntry) -> Bilingual:
    at, recorded = instant(row.at), instant(row.recorded_at)
    seen = Bilingual("在校", "present") if row.present else Bilingual("未请假缺席", "absent without leave")
    return Bilingual(
        f"学校记录：{at} {seen.zh}（{recorded} 记入）。",
        f"The school's record: {seen.en} at {at} (entered at {recorded}).",
    )


# --- what an entry or a warning rests on ---


async def _changes(session: AsyncSession, student_id: UUID, names: Collection[str]) -> Found:
    entry = tables.StandingEntry
    rows = await session.scalars(
        select(entry).where(entry.student_id == student_id, entry.id.in_(_ids(names)))
    )
    return {
        str(row.id): Bilingual(
            f"{instant(row.at)} 的学籍变动（{CAUSES[row.cause].zh}）。",
            f"The change of standing of {instant(row.at)} ({CAUSES[row.cause].en}).",
        )
        for row in rows
    }


async def _appeals(session: AsyncSession, student_id: UUID, names: Collection[str]) -> Found:
    filed, decided = tables.AppealFiled, tables.AppealDecided
    rows = await session.execute(
        select(filed, decided)
        .outerjoin(decided, decided.appeal_id == filed.id)
        .where(filed.student_id == student_id, filed.id.in_(_ids(names)))
    )
    return {str(appeal.id): _appeal_words(appeal, answer) for appeal, answer in rows}


def _appeal_words(appeal: tables.AppealFiled, answer: tables.AppealDecided | None) -> Bilingual:
    target, filed = TARGETS[appeal.target], instant(appeal.filed_at)
    zh, en = f"{filed} 提出的申诉（{target.zh}）", f"The appeal of {filed} ({target.en})"
    if answer is not None:
        at = instant(answer.at)
        zh += f"，{at} 认定{'成立' if answer.upheld else '不成立'}"
        en += f", {'upheld' if answer.upheld else 'rejected'} at {at}"
    return Bilingual(f"{zh}。", f"{en}.")


async def _reversals(session: AsyncSession, student_id: UUID, names: Collection[str]) -> Found:
    reversal = tables.ChangeReversed
    rows = await session.scalars(
        select(reversal).where(reversal.student_id == student_id, reversal.id.in_(_ids(names)))
    )
    return {
        str(row.id): Bilingual(
            f"主管部门在 {instant(row.at)} 撤回自动执行。",
            f"The authority took the execution back at {instant(row.at)}.",
        )
        for row in rows
    }


async def _edits(session: AsyncSession, student_id: UUID, names: Collection[str]) -> Found:
    edit = tables.StandingEdit
    rows = await session.scalars(select(edit).where(edit.student_id == student_id, edit.id.in_(_ids(names))))
    return {
        str(row.id): Bilingual(
            f"{instant(row.at)} 登记的变更：{ITEMS[row.item].zh}。",
            f"The change of the record entered at {instant(row.at)}: {ITEMS[row.item].en}.",
        )
        for row in rows
    }


async def _days(_: AsyncSession, __: UUID, names: Collection[str]) -> Found:
    return {
        name: Bilingual(f"本学期请假已到第 {name} 天。", f"Leave this term has reached day {name}.")
        for name in names
    }


async def _planned(_: AsyncSession, __: UUID, names: Collection[str]) -> Found:
    return {
        name: Bilingual(
            f"连同已批准的，本学期请假共 {name} 天。",
            f"With what is approved, leave this term comes to {name} days.",
        )
        for name in names
    }


def _ids(names: Collection[str]) -> list[UUID]:
    return [UUID(name) for name in names]


READERS: Mapping[str, Callable[[AsyncSession, UUID, Collection[str]], Awaitable[Found]]] = {
    "check": _checks,
    "leave": _leaves,
    "attendance": _attendance,
    "change": _changes,
    "appeal": _appeals,
    "reversal": _reversals,
    "edit": _edits,
    "day": _days,
    "planned": _planned,
}
"""Who reads the keys of each noun."""
