"""`dianming replay`: recompute the standing of students from recorded facts, at any time, and compare it with what is stored."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.commands.context import province_scope, run_with_context
from backend.commands.output import exit_with_error, print_result
from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.bilingual import Bilingual, format_instant, term_words
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import DomainError, NotFound
from backend.people.tables import Student
from backend.standing.engine.assess import Assessment, TermSummary
from backend.standing.engine.trace import decode_canonical
from backend.standing.explanations.phrases import (
    CAUSES,
    KINDS,
    OBJECTIONS,
    PROMPT_STATES,
    join_phrases,
    status_words,
)
from backend.standing.store.comparison import DIFFERENCE_KINDS as DIFFERENCES
from backend.standing.store.load import load_student_refs
from backend.standing.store.replay import Replay, replay_students

EXIT_DIFFERS = 1
BATCH = 250
"""Students replayed in one transaction."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def command(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="STUDENT", help="学生编号；加 --school 时为学校编号 · id of a student, or a school"
        ),
    ],
    *,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="DATE[THH:MM]", help="截至何时，默认现在 · at which time; a day means its end"
        ),
    ] = None,
    school: Annotated[bool, typer.Option("--school", help="全校学生 · all students of a school")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """按事实重新推算并与存档比较 · Replay the facts; exit code 1 if the stored result differs. Audited."""
    try:
        subject_id = UUID(subject)
    except ValueError:
        message = f"编号应为 UUID：{subject}。请从名册中复制编号 · An id is a UUID: {subject}. Copy it from the roster."
        exit_with_error("bad_id", message, as_json=as_json)
    time_at = _parse_time(at, as_json=as_json)
    try:
        payload = run_with_context(
            lambda app_context: (replay_school if school else replay_student)(
                app_context, subject_id, time_at or app_context.clock()
            )
        )
    except DomainError as refusal:
        exit_with_error(refusal.code, f"{refusal.sentence('zh')} {refusal.sentence('en')}", as_json=as_json)
    print_result(payload, as_json=as_json, render=_render)
    if payload["differing"]:
        raise typer.Exit(EXIT_DIFFERS)


def _parse_time(text: str | None, *, as_json: bool) -> datetime | None:
    """Parse a time of Asia/Shanghai unless it has an offset. A bare day means its last moment."""
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime.combine(day, time.max, tzinfo=LEGAL_ZONE)
        parsed = datetime.fromisoformat(text)
    except ValueError:
        message = (
            f"时间应为 YYYY-MM-DD 或 YYYY-MM-DDTHH:MM：{text} · Write YYYY-MM-DD or YYYY-MM-DDTHH:MM: {text}"
        )
        exit_with_error("bad_time", message, as_json=as_json)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=LEGAL_ZONE)


async def replay_student(app_context: AppContext, student_id: UUID, at: datetime) -> dict[str, Any]:
    """Replay one student. Raises `NotFound`."""
    return await _replay(app_context, ("student", student_id), [student_id], at)


async def replay_school(app_context: AppContext, school_id: UUID, at: datetime) -> dict[str, Any]:
    """Replay all students of a school and list those who differ. Raises `NotFound` if it has no students."""
    async with app_context.database.transaction(province_scope(app_context)) as session:
        rows = await session.scalars(
            select(Student.id).where(Student.school_id == school_id).order_by(Student.id)
        )
        ids = list(rows)
    payload = await _replay(app_context, ("school", school_id), ids, at)
    return payload | {"students": [each for each in payload["students"] if each["differences"]]}


async def _replay(
    app_context: AppContext, subject: tuple[str, UUID], ids: list[UUID], at: datetime
) -> dict[str, Any]:
    results: list[Replay] = []
    for first in range(0, len(ids), BATCH):
        async with app_context.database.transaction(province_scope(app_context)) as session:
            results += await _replay_batch(session, ids[first : first + BATCH], at)
    if not results:
        raise NotFound
    noun, key = subject
    differing = sum(bool(each.differences) for each in results)
    async with app_context.database.transaction(province_scope(app_context)) as session:
        after = {"at": at.isoformat(), "differing": differing}
        act = audit.Act(
            "standing.replayed", noun, str(key), province_scope(app_context).org_path, after=after
        )
        audit.record(session, act, app_context.clock())
    return {
        "at": at.isoformat(),
        "replayed": len(results),
        "differing": differing,
        "students": [_as_json(each) for each in results],
    }


async def _replay_batch(session: AsyncSession, ids: list[UUID], at: datetime) -> list[Replay]:
    students = await load_student_refs(session, ids)
    return await replay_students(session, [students[key] for key in ids if key in students], at)


def _as_json(result: Replay) -> dict[str, Any]:
    assessment = result.assessment
    return {
        "student_id": str(result.student_id),
        "status": decode_canonical(assessment.status),
        "terms": [_term_as_json(term) for term in assessment.terms],
        "prompts": [_prompt_as_json(each) for each in decode_canonical(assessment.prompts)],
        "ledger": decode_canonical(assessment.ledger),
        "locked_by": assessment.lock.locked_by,
        "refused": decode_canonical(assessment.refused),
        "compared_at": decode_canonical(result.compared_at),
        "differences": decode_canonical(result.differences),
        "pending": list(result.pending),
        "other_policy_versions": list(result.other_versions),
        "lines": list(_describe(assessment)),
    }


def _term_as_json(term: TermSummary) -> dict[str, Any]:
    misses = term.misses
    leave = {"used": len(term.leave.used), "planned": term.leave.planned} if term.leave else None
    return {
        "term": term.term,
        "consecutive": misses.consecutive,
        "cumulative": misses.cumulative,
        "leave": leave,
    }


def _prompt_as_json(prompt: dict[str, Any]) -> dict[str, Any]:
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


def _describe(assessment: Assessment) -> Iterable[str]:
    """The assessment in words, one line per term, prompt, change and refused act."""
    status = status_words(assessment.status.standing, assessment.status.study_form)
    yield _bilingual_line(Bilingual(f"学籍状态：{status.zh}", f"status: {status.en}"))
    for term in assessment.terms:
        name, misses = term_words(term.term), term.misses
        leave = str(len(term.leave.used)) if term.leave else "—"
        yield _bilingual_line(
            Bilingual(
                f"{name.zh}：连续未核验 {misses.consecutive} 次，累计 {misses.cumulative} 次，请假 {leave} 天",
                f"{name.en}: {misses.consecutive} misses in a row, {misses.cumulative} in all, {leave} days of leave",
            )
        )
    for prompt in assessment.prompts:
        kind, state, at = KINDS[prompt.kind], PROMPT_STATES[prompt.state], format_instant(prompt.raised_at)
        yield _bilingual_line(
            Bilingual(f"{at} 提示：{kind.zh}；{state.zh}", f"prompt: {kind.en}; {state.en}")
        ) + (f"  [{prompt.prompt_id}]")
    for entry in assessment.ledger:
        cause, at = CAUSES[entry.cause], format_instant(entry.at)
        after = status_words(entry.after.standing, entry.after.study_form)
        yield _bilingual_line(
            Bilingual(f"{at} 异动：{cause.zh}→{after.zh}", f"change: {cause.en} → {after.en}")
        ) + (f"  [{entry.entry_id}]")
    for refused in assessment.refused:
        why = join_phrases(OBJECTIONS[reason] for reason in refused.reasons)
        at = format_instant(refused.at)
        yield (
            _bilingual_line(Bilingual(f"{at} 未生效：{why.zh}", f"without effect: {why.en}"))
            + f"  [{refused.fact}]"
        )


def _bilingual_line(words: Bilingual) -> str:
    return f"{words.zh} · {words.en}"


def _render(payload: dict[str, Any]) -> str:
    lines = [f"截至 {payload['at']}，重新推算 {payload['replayed']} 人 · replayed as of {payload['at']}"]
    for student in payload["students"]:
        lines += [student["student_id"], *(f"  {line}" for line in student["lines"])]
        lines += [f"  尚待入账 · not saved yet: {key}" for key in student["pending"]]
        for difference in student["differences"]:
            zh, en = DIFFERENCES[difference["kind"]]
            lines.append(f"  不一致 DIFFERS: {zh} · {en} ({difference['kind']} {difference['id']})")
            lines.append(f"    存档 stored: {difference['stored']}")
            lines.append(f"    推算 replayed: {difference['replayed']}")
    lines.append(
        f"{payload['differing']} 人不一致 · {payload['differing']} differ"
        if payload["differing"]
        else "全部一致 · nothing differs"
    )
    return "\n".join(lines)
