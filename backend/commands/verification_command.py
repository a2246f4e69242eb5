"""`dianming verification`: the verification queue and its dead letters, for an operator of the province."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from backend.commands.context import province_operator, province_scope, run_with_context
from backend.commands.output import exit_with_error, print_result
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import DomainError
from backend.roll_call.verification.dead_letters import (
    DeadLetter,
    load_dead_letters,
    retry_all_dead_letters,
    retry_dead_letter,
)
from backend.roll_call.verification.metrics import load_queue_metrics

app = typer.Typer(no_args_is_help=True, help="核验队列 · the verification queue")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
RollCallOption = Annotated[UUID | None, typer.Option("--roll-call", help="只看一次点名 · only one roll call")]
Work = Callable[[AsyncSession, Actor, datetime], Awaitable[dict[str, Any]]]


def _run(work: Work, render: Callable[[dict[str, Any]], str], *, as_json: bool) -> None:
    """Run `work` in one transaction as an operator of the province, and print its result."""

    async def run_as_operator(app_context: AppContext) -> dict[str, Any]:
        async with app_context.database.transaction(province_scope(app_context)) as session:
            operator = await province_operator(app_context, session)
            return await work(session, operator, app_context.clock())

    try:
        print_result(run_with_context(run_as_operator), as_json=as_json, render=render)
    except DomainError as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)


@app.command("gauge")
def gauge_command(roll_call: RollCallOption = None, as_json: AsJson = False) -> None:
    """等待数、速度和预计完成时间 · Waiting submissions, throughput, and estimated time left."""

    async def work(session: AsyncSession, _: Actor, at: datetime) -> dict[str, Any]:
        metrics = await load_queue_metrics(session, roll_call, at)
        return {
            "waiting": metrics.waiting,
            "leased": metrics.leased,
            "dead": metrics.dead,
            "oldest_seconds": None if metrics.oldest is None else int(metrics.oldest.total_seconds()),
            "judged_last_minute": metrics.judged_last_minute,
            "seconds_left": None if metrics.time_left is None else int(metrics.time_left.total_seconds()),
        }

    _run(work, _render_metrics, as_json=as_json)


def _render_metrics(payload: dict[str, Any]) -> str:
    left, oldest = payload["seconds_left"], payload["oldest_seconds"]
    return "\n".join(
        (
            f"等待 · waiting            {payload['waiting']}",
            f"核验中 · in progress       {payload['leased']}",
            f"未能核验 · dead letters   {payload['dead']}",
            f"等待最久 · oldest         {'—' if oldest is None else f'{oldest} s'}",
            f"近一分钟 · last minute    {payload['judged_last_minute']}",
            f"预计还需 · all done in     {'未知 · unknown' if left is None else f'{left} s'}",
        )
    )


@app.command("list")
def list_command(
    roll_call: RollCallOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多行数 · rows at most")] = 50,
    as_json: AsJson = False,
) -> None:
    """列出未能核验的提交 · Submissions that could not be verified, newest first."""

    async def work(session: AsyncSession, operator: Actor, at: datetime) -> dict[str, Any]:
        letters = await load_dead_letters(session, operator, roll_call, None, limit, at)
        return {"dead_letters": [_letter_as_json(letter, at) for letter in letters]}

    _run(work, _render_letters, as_json=as_json)


def _letter_as_json(letter: DeadLetter, at: datetime) -> dict[str, Any]:
    task, reason = letter.task, letter.why
    return {
        "submission_id": task.submission_id,
        "roll_call_id": task.roll_call_id,
        "roll_call_title": letter.roll_call.title,
        "school_id": task.school_id,
        "code": reason.code,
        "zh": reason.zh,
        "en": reason.en,
        "attempts": task.attempts,
        "died_at": task.died_at,
        "age_seconds": int((at - task.enqueued_at).total_seconds()),
    }


def _render_letters(payload: dict[str, Any]) -> str:
    lines = []
    for letter in payload["dead_letters"]:
        died_at = letter["died_at"].astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")
        lines.append(f"{died_at}  {letter['submission_id']}  {letter['roll_call_title']}  {letter['code']}")
        lines += [f"    {letter['zh']}", f"    {letter['en']}"]
    return "\n".join(lines) or "—"


@app.command("retry")
def retry_command(
    submission: Annotated[
        UUID | None, typer.Argument(help="提交编号；不填则须给出 --roll-call · one submission")
    ] = None,
    roll_call: Annotated[
        UUID | None, typer.Option("--roll-call", help="一次点名的全部 · all of one roll call")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """重新核验 · Verify one dead letter, or all of a roll call, again."""

    async def work(session: AsyncSession, operator: Actor, at: datetime) -> dict[str, Any]:
        if submission is not None:
            await retry_dead_letter(session, operator, submission, at)
            return {"retried": 1}
        assert roll_call is not None
        return {"retried": await retry_all_dead_letters(session, operator, roll_call, at)}

    if (submission is None) == (roll_call is None):
        message = "请给出一个提交编号，或用 --roll-call 指明一次点名 · Name one submission, or a roll call with --roll-call"
        exit_with_error("usage", message, as_json=as_json)
    _run(work, lambda payload: f"已重新排队 · queued again: {payload['retried']}", as_json=as_json)
