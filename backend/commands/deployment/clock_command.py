"""`dianming clock`: the shifted clock of a demonstration. Production has no shifted clock."""

from typing import Annotated

import typer

from backend.commands.output import exit_with_error, print_result
from backend.core.app_context import settings_clock
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="演示用时钟 · the clock of a demonstration")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def _print_time(*, as_json: bool) -> None:
    at = settings_clock(get_settings())()
    print_result({"now": at.isoformat()}, as_json=as_json, render=lambda payload: str(payload["now"]))


@app.command()
def show(as_json: AsJson = False) -> None:
    """服务器此刻的时间 · The current time of the server."""
    _print_time(as_json=as_json)


@app.command()
def advance(seconds: Annotated[float, typer.Argument(min=0)], as_json: AsJson = False) -> None:
    """拨快演示时钟 · Move the demonstration's clock forward."""
    path = get_settings().clock_file
    if path is None:
        exit_with_error(
            "clock_is_real", "此部署使用真实时间 · this deployment uses the real time", as_json=as_json
        )
    offset = float(path.read_text()) if path.exists() else 0.0
    replacement = path.with_suffix(".new")
    replacement.write_text(str(offset + seconds))
    replacement.replace(path)
    _print_time(as_json=as_json)
