"""`dianming progress`: compare the counters of a roll call with its outcomes, and recount them."""

from typing import Annotated, Any
from uuid import UUID

import typer

from backend.commands.context import province_scope, run_with_context
from backend.commands.output import exit_with_error, print_result
from backend.core import audit
from backend.core.app_context import AppContext
from backend.roll_call.progress.counters import find_miscounts, recount_outcomes
from backend.roll_call.tables import RollCall

app = typer.Typer(no_args_is_help=True, help="进度计数 · counters of outcomes")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
RollCallArgument = Annotated[UUID, typer.Argument(help="点名核验编号 · id of a roll call")]
EXIT_DIFFERS = 1


async def _compare(
    app_context: AppContext, roll_call_id: UUID, *, first_recount: bool
) -> dict[str, Any] | None:
    scope = province_scope(app_context)
    async with app_context.database.transaction(scope) as session:
        if await session.get(RollCall, roll_call_id) is None:
            return None
        classes = None
        if first_recount:
            classes = await recount_outcomes(session, roll_call_id)
            act = audit.Act(
                "progress.recount", "roll_call", str(roll_call_id), scope.org_path, after={"classes": classes}
            )
            audit.record(session, act, app_context.clock())
        differences = [
            {"class_id": str(each.class_id), "excess": each.excess}
            for each in await find_miscounts(session, roll_call_id)
        ]
        return {"roll_call_id": str(roll_call_id), "recounted": classes, "differences": differences}


def _run(roll_call_id: UUID, *, first_recount: bool, as_json: bool) -> None:
    payload = run_with_context(
        lambda app_context: _compare(app_context, roll_call_id, first_recount=first_recount)
    )
    if payload is None:
        exit_with_error(
            "not_found",
            f"没有点名核验 {roll_call_id} · no roll call {roll_call_id}; see its id in the console",
            as_json=as_json,
        )
    print_result(payload, as_json=as_json, render=_render)
    if payload["differences"]:
        raise typer.Exit(EXIT_DIFFERS)


def _render(payload: dict[str, Any]) -> str:
    lines = [f"{each['class_id']}  {each['excess']}" for each in payload["differences"]]
    if payload["recounted"] is not None:
        lines.append(f"已重新统计 {payload['recounted']} 个班 · {payload['recounted']} classes recounted")
    lines.append(
        "计数与结果不符，请运行 dianming progress recount · counters differ; run `dianming progress recount`"
        if payload["differences"]
        else "计数与结果一致 · counters agree with the outcomes"
    )
    return "\n".join(lines)


@app.command("check")
def check_command(roll_call: RollCallArgument, as_json: AsJson = False) -> None:
    """比对计数与结果 · Compare the counters of a roll call with its outcomes; exit code 1 if they differ."""
    _run(roll_call, first_recount=False, as_json=as_json)


@app.command("recount")
def recount_command(roll_call: RollCallArgument, as_json: AsJson = False) -> None:
    """依结果重新统计 · Recount from the outcomes; new outcomes wait meanwhile."""
    _run(roll_call, first_recount=True, as_json=as_json)
