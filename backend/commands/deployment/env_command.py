"""`dianming env`: the settings of a running `make run`, for a shell."""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from backend.commands.output import exit_with_error, print_result
from backend.policy import policies_directory

RUN_SETTINGS = Path(".local", "run.env")
"""Written by the development stack while it runs, relative to the checkout. The first line is its process id."""


def command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """本机 make run 的环境变量 · The settings of a running `make run`: eval "$(dianming env)"."""
    settings = _read_settings(policies_directory().parent / RUN_SETTINGS)
    if settings is None:
        message = (
            "没有正在运行的 make run，请先在本仓库运行 make run。"
            "No `make run` is running; start it in this checkout first."
        )
        exit_with_error("not_running", message, as_json=as_json)
    print_result({"settings": settings}, as_json=as_json, render=lambda _: _render(settings))


def _read_settings(path: Path) -> dict[str, str] | None:
    """The settings, or None if there are none or the process that wrote them has ended."""
    with suppress(FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
        pid, *lines = path.read_text(encoding="utf-8").splitlines()
        os.kill(int(pid), 0)
        return dict(line.split("=", 1) for line in lines)
    return None


def _render(settings: dict[str, str]) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items())
