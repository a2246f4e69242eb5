"""`dianming progress`: do the counters say what the outcomes say, and counting anew."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import typer

from backend.commands.output import answer, refuse
from backend.core import audit
from backend.core.app_context import open_app_context
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.roll_call.progress.counters import miscounts, recount
from backend.roll_call.tables import RollCall
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="进度计数 · counters of outcomes")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Which = Annotated[UUID, typer.Argument(help="点名核验编号 · id of a roll call")]
EXIT_DIFFERS = 1


async def _compared(roll_call_id: UUID, *, anew: bool) -> dict[str, Any] | None:
    app_context = open_app_context(get_settings())
    path = path_of("province", app_context.settings.province_code, None)
    try:
        async with app_context.database.transaction(Scope.wide(path)) as session:
            if await session.get(RollCall, roll_call_id) is None:
                return None
            counted = None
            if anew:
                counted = await recount(session, roll_call_id)
                act = audit.Act(
                    "progress.recount", "roll_call", str(roll_call_id), path, after={"classes": counted}
                )
                audit.record(session, act, app_context.clock())
            found = await miscounts(session, roll_call_id)
            differences = [{"class_id": str(each.class_id), "excess": each.excess} for each in found]
            return {"roll_call_id": str(roll_call_id), "recounted": counted, "differences": differences}
    finally:
        await app_context.close()


def _answer(roll_call_id: UUID, *, anew: bool, as_json: bool) -> None:
    found = asyncio.run(_compared(roll_call_id, anew=anew))
    if found is None:
        refuse(
            "not_found",
            f"没有点名核验 {roll_call_id} · no roll call {roll_call_id}; see its id in the console",
            as_json=as_json,
        )
    answer(found, as_json=as_json, render=_rendered)
    if found["differences"]:
        raise typer.Exit(EXIT_DIFFERS)


def _rendered(found: dict[str, Any]) -> str:
    lines = [f"{each['class_id']}  {each['excess']}" for each in found["differences"]]
    if found["recounted"] is not None:
        lines.append(f"已重新统计 {found['recounted']} 个班 · {found['recounted']} classes counted anew")
    lines.append(
        "计数与结果不符，请运行 dianming progress recount · counters differ; run `dianming progress recount`"
        if found["differences"]
        else "计数与结果一致 · counters agree with the outcomes"
    )
    return "\n".join(lines)


@app.command("check")
def check_command(roll_call: Which, as_json: AsJson = False) -> None:
    """比对计数与结果 · Compare the counters of a roll call with its outcomes; exit 1 where they differ."""
    _answer(roll_call, anew=False, as_json=as_json)


@app.command("recount")
def recount_command(roll_call: Which, as_json: AsJson = False) -> None:
    """依结果重新统计 · Count anew from the outcomes; writing outcomes waits meanwhile."""
    _answer(roll_call, anew=True, as_json=as_json)
