"""`dianming replay`: rebuild a student's standing from the facts, as of any instant, and compare with what is stored."""

import asyncio
import re
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.commands.output import answer, refuse
from backend.core import audit
from backend.core.app_context import AppContext, open_app_context
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import DomainError, NotFound
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.people.tables import Student
from backend.settings import get_settings
from backend.standing.engine.assess import Assessment, TermSummary
from backend.standing.engine.trace import document
from backend.standing.explanations.phrases import (
    CAUSES,
    KINDS,
    OBJECTIONS,
    STATES,
    Bilingual,
    instant,
    joined,
    status_words,
    term_words,
)
from backend.standing.store.comparison import DIFFERENCE_KINDS as DIFFERENCES
from backend.standing.store.load import load_student_refs
from backend.standing.store.replay import Replay, replays

EXIT_DIFFERS = 1
BATCH = 250
"""Students replayed in one go."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def command(
    whom: Annotated[
        str,
        typer.Argument(
            metavar="STUDENT", help="学生编号；加 --school 时为学校编号 · id of a student, or a school"
        ),
    ],
    *,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="DATE[THH:MM]", help="截至何时，默认现在 · as of when; a day means its end"
        ),
    ] = None,
    school: Annotated[bool, typer.Option("--school", help="全校学生 · everyone of a school")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """按事实重新推算并与存档比较 · Replay the facts; exit 1 if what was stored by then differs. The look is audited."""
    try:
        asked = UUID(whom)
    except ValueError:
        message = (
            f"编号应为 UUID：{whom}。请从名册中复制编号 · An id is a UUID: {whom}. Copy it from the roll."
        )
        refuse("bad_id", message, as_json=as_json)
    as_of = _instant(at, as_json=as_json)
    try:
        told = asyncio.run(_run(asked, as_of, school=school))
    except DomainError as refusal:
        refuse(refusal.code, f"{refusal.sentence('zh')} {refusal.sentence('en')}", as_json=as_json)
    answer(told, as_json=as_json, render=_rendered)
    if told["differing"]:
        raise typer.Exit(EXIT_DIFFERS)


def _instant(text: str | None, *, as_json: bool) -> datetime | None:
    """An instant of Asia/Shanghai unless an offset is given; a bare day means its last moment."""
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime.combine(day, time.max, tzinfo=LEGAL_ZONE)
        found = datetime.fromisoformat(text)
    except ValueError:
        message = (
            f"时间应为 YYYY-MM-DD 或 YYYY-MM-DDTHH:MM：{text} · Write YYYY-MM-DD or YYYY-MM-DDTHH:MM: {text}"
        )
        refuse("bad_time", message, as_json=as_json)
    return found if found.tzinfo else found.replace(tzinfo=LEGAL_ZONE)


async def _run(asked: UUID, as_of: datetime | None, *, school: bool) -> dict[str, Any]:
    app_context = open_app_context(get_settings())
    try:
        at = as_of or app_context.clock()
        return await (
            replay_school(app_context, asked, at) if school else replay_student(app_context, asked, at)
        )
    finally:
        await app_context.close()


async def replay_student(app_context: AppContext, student_id: UUID, at: datetime) -> dict[str, Any]:
    """One student; raises `NotFound`."""
    return await _replay(app_context, ("student", student_id), [student_id], at)


async def replay_school(app_context: AppContext, school_id: UUID, at: datetime) -> dict[str, Any]:
    """Everyone on a school's roll; only who differs is told in full. Raises `NotFound` where there is nobody."""
    async with app_context.database.transaction(_scope(app_context)) as session:
        rows = await session.scalars(
            select(Student.id).where(Student.school_id == school_id).order_by(Student.id)
        )
        ids = list(rows)
    told = await _replay(app_context, ("school", school_id), ids, at)
    return told | {"students": [each for each in told["students"] if each["differences"]]}


def _scope(app_context: AppContext) -> Scope:
    return Scope.wide(path_of("province", app_context.settings.province_code, None))


async def _replay(
    app_context: AppContext, subject: tuple[str, UUID], ids: list[UUID], at: datetime
) -> dict[str, Any]:
    found: list[Replay] = []
    for first in range(0, len(ids), BATCH):
        async with app_context.database.transaction(_scope(app_context)) as session:
            found += await _batch(session, ids[first : first + BATCH], at)
    if not found:
        raise NotFound
    noun, key = subject
    differing = sum(bool(each.differences) for each in found)
    async with app_context.database.transaction(_scope(app_context)) as session:
        after = {"at": at.isoformat(), "differing": differing}
        act = audit.Act("standing.replayed", noun, str(key), _scope(app_context).org_path, after=after)
        audit.record(session, act, app_context.clock())
    return {
        "at": at.isoformat(),
        "replayed": len(found),
        "differing": differing,
        "students": [_told(each) for each in found],
    }


async def _batch(session: AsyncSession, ids: list[UUID], at: datetime) -> list[Replay]:
    asked = await load_student_refs(session, ids)
    return await replays(session, [asked[key] for key in ids if key in asked], at)


def _told(found: Replay) -> dict[str, Any]:
    assessment = found.assessment
    return {
        "student_id": str(found.student_id),
        "status": document(assessment.status),
        "terms": [_term(term) for term in assessment.terms],
        "prompts": [_prompt(each) for each in document(assessment.prompts)],
        "ledger": document(assessment.ledger),
        "locked_by": assessment.lock.locked_by,
        "refused": document(assessment.refused),
        "compared_at": document(found.compared_at),
        "differences": document(found.differences),
        "pending": list(found.pending),
        "other_policy_versions": list(found.other_versions),
        "lines": list(_lines(assessment)),
    }


def _term(term: TermSummary) -> dict[str, Any]:
    misses = term.misses
    leave = {"used": len(term.leave.used), "planned": term.leave.planned} if term.leave else None
    return {
        "term": term.term,
        "consecutive": misses.consecutive,
        "cumulative": misses.cumulative,
        "leave": leave,
    }


def _prompt(prompt: dict[str, Any]) -> dict[str, Any]:
    names = (
        "prompt_id",
        "kind",
        "term",
        "raised_at",
        "state",
        "proposed",
        "deadline",
        "blockers",
        "evidence",
    )
    return {name: prompt[name] for name in names}


def _lines(assessment: Assessment) -> Iterable[str]:
    """The picture in words, a line a thing."""
    status = status_words(assessment.status.standing, assessment.status.study_form)
    yield _line(Bilingual(f"学籍状态：{status.zh}", f"status: {status.en}"))
    for term in assessment.terms:
        name, misses = term_words(term.term), term.misses
        leave = str(len(term.leave.used)) if term.leave else "—"
        yield _line(
            Bilingual(
                f"{name.zh}：连续未核验 {misses.consecutive} 次，累计 {misses.cumulative} 次，请假 {leave} 天",
                f"{name.en}: {misses.consecutive} misses in a row, {misses.cumulative} in all, {leave} days of leave",
            )
        )
    for prompt in assessment.prompts:
        kind, state, at = KINDS[prompt.kind], STATES[prompt.state], instant(prompt.raised_at)
        yield _line(Bilingual(f"{at} 提示：{kind.zh}；{state.zh}", f"prompt: {kind.en}; {state.en}")) + (
            f"  [{prompt.prompt_id}]"
        )
    for entry in assessment.ledger:
        cause, at = CAUSES[entry.cause], instant(entry.at)
        after = status_words(entry.after.standing, entry.after.study_form)
        yield _line(Bilingual(f"{at} 变动：{cause.zh}→{after.zh}", f"change: {cause.en} → {after.en}")) + (
            f"  [{entry.entry_id}]"
        )
    for refused in assessment.refused:
        why = joined(OBJECTIONS[reason] for reason in refused.reasons)
        at = instant(refused.at)
        yield _line(Bilingual(f"{at} 未生效：{why.zh}", f"without effect: {why.en}")) + f"  [{refused.fact}]"


def _line(words: Bilingual) -> str:
    return f"{words.zh} · {words.en}"


def _rendered(told: dict[str, Any]) -> str:
    lines = [f"截至 {told['at']}，重新推算 {told['replayed']} 人 · replayed as of {told['at']}"]
    for student in told["students"]:
        lines += [student["student_id"], *(f"  {line}" for line in student["lines"])]
        lines += [f"  尚待入账 · not kept yet: {key}" for key in student["pending"]]
        for difference in student["differences"]:
            zh, en = DIFFERENCES[difference["kind"]]
            lines.append(f"  不一致 DIFFERS: {zh} · {en} ({difference['kind']} {difference['id']})")
            lines.append(f"    存档 stored: {difference['stored']}")
            lines.append(f"    推算 replayed: {difference['replayed']}")
    lines.append(
        f"{told['differing']} 人不一致 · {told['differing']} differ"
        if told["differing"]
        else "全部一致 · nothing differs"
    )
    return "\n".join(lines)
