"""`dianming retention`: delete expired data now, show past runs, and seal pictures of earlier versions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from backend.commands.output import print_result
from backend.core.app_context import AppContext, open_app_context
from backend.core.clock import LEGAL_ZONE
from backend.core.tenancy import Scope
from backend.org.paths import build_unit_path
from backend.retention.deletion import delete_expired
from backend.retention.plain_pictures import seal_plain_pictures
from backend.retention.queries import newest_runs
from backend.retention.tables import RetentionRun
from backend.retention.tasks import KINDS
from backend.settings import get_settings

Result = TypeVar("Result")

app = typer.Typer(no_args_is_help=True, help="保存期限 · retention")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def _with_app_context(work: Callable[[AppContext], Awaitable[Result]]) -> Result:
    async def inside() -> Result:
        app_context = open_app_context(get_settings())
        try:
            return await work(app_context)
        finally:
            await app_context.close()

    return asyncio.run(inside())


@app.command()
def run(as_json: AsJson = False) -> None:
    """立即删除到期的图片、模板和位置（工作进程每小时执行） · Delete expired pictures, templates and positions now, as the worker does hourly."""
    _show(_with_app_context(lambda app_context: delete_expired(app_context, KINDS)), as_json=as_json)


@app.command()
def seal_pictures(as_json: AsJson = False) -> None:
    """把旧版本明文存放的照片加密（升级后运行一次） · Seal pictures that an earlier version stored plain; once after the upgrade."""

    async def seal(app_context: AppContext) -> int:
        return await seal_plain_pictures(app_context, lambda done: typer.echo(f"… {done}", err=True))

    sealed = _with_app_context(seal)
    print_result(
        {"sealed": sealed}, as_json=as_json, render=lambda payload: f"已加密 · sealed {payload['sealed']}"
    )


@app.command()
def show(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多行数 · rows at most")] = 40,
    every: Annotated[
        bool, typer.Option("--all", help="含未删除任何内容的 · include runs that deleted nothing")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """查看已删除的内容 · Show retention runs, newest first."""

    async def newest(app_context: AppContext) -> Sequence[RetentionRun]:
        province = Scope.wide(build_unit_path("province", app_context.settings.province_code, None))
        async with app_context.database.transaction(province) as session:
            return await newest_runs(session, deleting_only=not every, before=None, limit=limit)

    _show(_with_app_context(newest), as_json=as_json)


def _show(runs: Sequence[RetentionRun], *, as_json: bool) -> None:
    names = ("kind", "items", "files", "size_bytes", "oldest", "newest", "started_at", "finished_at")
    payload = {"runs": [{name: getattr(run, name) for name in names} for run in runs]}
    print_result(payload, as_json=as_json, render=_render_runs)


def _render_runs(payload: dict[str, Any]) -> str:
    return "\n".join(map(_render_run, payload["runs"])) or "—"


def _render_run(run: dict[str, Any]) -> str:
    at = run["started_at"].astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")
    size = "" if run["size_bytes"] is None else f"  {run['size_bytes'] / 2**20:.1f} MiB"
    span = "" if run["oldest"] is None else f"  {run['oldest']:%Y-%m-%d} … {run['newest']:%Y-%m-%d}"
    return f"{at}  {run['kind']:<16} {run['items']:>7}  files {run['files']:>7}{size}{span}"


@app.callback()
def _group() -> None:
    """保存期限 · retention."""
