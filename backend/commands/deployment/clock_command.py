"""`dianming clock`: the shifted clock of a demonstration. Production has no shifted clock."""

import time
from typing import Annotated

import typer

from backend.commands.output import exit_with_error, print_result
from backend.core.app_context import settings_clock
from backend.core.clock import advance_shifted_clock
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="演示用时钟 · the clock of a demonstration")
GRADUAL_STEP_SECONDS, GRADUAL_PAUSE_SECONDS = 55.0, 1.3
"""The service records a heartbeat each minute, and reads its clock each second."""
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def _print_time(*, as_json: bool) -> None:
    at = settings_clock(get_settings())()
    print_result({"now": at.isoformat()}, as_json=as_json, render=lambda payload: str(payload["now"]))


@app.command()
def show(as_json: AsJson = False) -> None:
    """服务器此刻的时间 · The current time of the server."""
    _print_time(as_json=as_json)


@app.command()
def advance(
    seconds: Annotated[float, typer.Argument(min=0)],
    gradual: Annotated[
        bool,
        typer.Option(
            "--gradual",
            help="逐分钟拨快，不留服务中断的记录；一小时约需 90 秒 · in steps of less than a minute, so that no outage is"
            " recorded; an hour takes about 90 seconds",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """拨快演示时钟 · Move the demonstration's clock forward.

    A jump within an open roll call looks like an outage of the service, which extends the window; --gradual avoids that.
    """
    path = get_settings().clock_file
    if path is None:
        message = (
            "此部署使用真实时间；演示请用 DEMO_CLOCK=1 make run 启动。"
            "This deployment uses the real time; for a demonstration, start it by DEMO_CLOCK=1 make run."
        )
        exit_with_error("clock_is_real", message, as_json=as_json)
    while gradual and seconds > GRADUAL_STEP_SECONDS:
        advance_shifted_clock(path, GRADUAL_STEP_SECONDS)
        seconds -= GRADUAL_STEP_SECONDS
        time.sleep(GRADUAL_PAUSE_SECONDS)
    advance_shifted_clock(path, seconds)
    _print_time(as_json=as_json)
