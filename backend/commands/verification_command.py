"""`dianming verification`: the queue as an operator of the province sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from backend.commands.output import answer, refuse
from backend.core.actor import Actor
from backend.core.app_context import open_app_context
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import DomainError
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.org.queries import unit_by_code
from backend.roll_call.verification.dead_letters import DeadLetter, dead_letters_page, retry, retry_all
from backend.roll_call.verification.metrics import queue_metrics
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="核验队列 · queue of verification")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
RollCallOption = Annotated[
    UUID | None, typer.Option("--roll-call", help="只看一次点名 · of one roll call only")
]
Work = Callable[[AsyncSession, Actor, datetime], Awaitable[dict[str, Any]]]


def _answer(work: Work, render: Callable[[dict[str, Any]], str], *, as_json: bool) -> None:
    """The work in one transaction of an operator of the province."""

    async def inside() -> dict[str, Any]:
        app_context = open_app_context(get_settings())
        code = app_context.settings.province_code
        path = path_of("province", code, None)
        try:
            async with app_context.database.transaction(Scope.wide(path)) as session:
                province = await unit_by_code(session, "province", code)
                operator = Actor(new_id(), "province", province.id, path)
                return await work(session, operator, app_context.clock())
        finally:
            await app_context.close()

    try:
        answer(asyncio.run(inside()), as_json=as_json, render=render)
    except DomainError as refusal:
        refuse(refusal.code, f"{refusal.sentence('zh')} {refusal.sentence('en')}", as_json=as_json)


@app.command("gauge")
def gauge_command(roll_call: RollCallOption = None, as_json: AsJson = False) -> None:
    """等待数、速度和预计完成时间 · What waits, how fast it goes, and when all will be judged."""

    async def work(session: AsyncSession, _: Actor, at: datetime) -> dict[str, Any]:
        found = await queue_metrics(session, roll_call, at)
        return {
            "waiting": found.waiting,
            "leased": found.leased,
            "dead": found.dead,
            "oldest_seconds": None if found.oldest is None else int(found.oldest.total_seconds()),
            "judged_last_minute": found.judged_last_minute,
            "seconds_left": None if found.left is None else int(found.left.total_seconds()),
        }

    _answer(work, _gauge_lines, as_json=as_json)


def _gauge_lines(found: dict[str, Any]) -> str:
    left, oldest = found["seconds_left"], found["oldest_seconds"]
    return "\n".join(
        (
            f"等待 · waiting            {found['waiting']}",
            f"核验中 · being judged     {found['leased']}",
            f"未能核验 · dead letters   {found['dead']}",
            f"等待最久 · oldest         {'—' if oldest is None else f'{oldest} s'}",
            f"近一分钟 · last minute    {found['judged_last_minute']}",
            f"预计还需 · all judged in  {'未知 · unknown' if left is None else f'{left} s'}",
        )
    )


@app.command("list")
def list_command(
    roll_call: RollCallOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多行数 · rows at most")] = 50,
    as_json: AsJson = False,
) -> None:
    """列出未能核验的提交 · Submissions that could not be judged, the newest first."""

    async def work(session: AsyncSession, operator: Actor, at: datetime) -> dict[str, Any]:
        letters = await dead_letters_page(session, operator, roll_call, None, limit, at)
        return {"dead_letters": [_letter(letter, at) for letter in letters]}

    _answer(work, _letter_lines, as_json=as_json)


def _letter(letter: DeadLetter, at: datetime) -> dict[str, Any]:
    task, why = letter.task, letter.why
    return {
        "submission_id": task.submission_id,
        "roll_call_id": task.roll_call_id,
        "roll_call_title": letter.roll_call.title,
        "school_id": task.school_id,
        "code": why.code,
        "zh": why.zh,
        "en": why.en,
        "attempts": task.attempts,
        "died_at": task.died_at,
        "age_seconds": int((at - task.enqueued_at).total_seconds()),
    }


def _letter_lines(payload: dict[str, Any]) -> str:
    lines = []
    for each in payload["dead_letters"]:
        died = each["died_at"].astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")
        lines.append(f"{died}  {each['submission_id']}  {each['roll_call_title']}  {each['code']}")
        lines += [f"    {each['zh']}", f"    {each['en']}"]
    return "\n".join(lines) or "—"


@app.command("retry")
def retry_command(
    submission: Annotated[
        UUID | None, typer.Argument(help="提交编号；不填则须给出 --roll-call · one submission")
    ] = None,
    roll_call: Annotated[
        UUID | None, typer.Option("--roll-call", help="一次点名的全部 · all of a roll call")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """重新核验 · Send one of them, or all of a roll call's, round again."""

    async def work(session: AsyncSession, operator: Actor, at: datetime) -> dict[str, Any]:
        if submission is not None:
            await retry(session, operator, submission, at)
            return {"retried": 1}
        assert roll_call is not None
        return {"retried": await retry_all(session, operator, roll_call, at)}

    if (submission is None) == (roll_call is None):
        message = "请给出一个提交编号，或用 --roll-call 指明一次点名 · Name one submission, or a roll call with --roll-call"
        refuse("usage", message, as_json=as_json)
    _answer(work, lambda found: f"已重新排队 · queued again: {found['retried']}", as_json=as_json)
