"""`dianming`: the command line, with one sub-command per noun."""

import importlib
import json
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer._click.exceptions import UsageError  # typer's own copy of click, which it does not re-export

from backend.commands.output import (
    EXIT_BAD_INPUT,
    exit_with_domain_error,
    exit_with_error,
    exit_with_file_error,
)
from backend.core.errors import DomainError
from backend.core.process.logging import configure_logging
from backend.settings import SettingsInvalid

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="点名 · Dianming")
VERSION_OPTION = "--version"

DEPLOYMENT_COMMANDS = ("demo", "serve", "worker", "migrate", "keys", "gateway", "seed", "clock", "env")
"""Sub-commands whose modules are in `backend.commands.deployment`."""

SUBCOMMANDS = (
    "geo",
    "face",
    "workdays",
    "id",
    "roster",
    "clauses",
    "demo",
    "serve",
    "worker",
    "migrate",
    "keys",
    "calendar",
    "gateway",
    "seed",
    "clock",
    "env",
    "audit",
    "events",
    "openapi",
    "law",
    "terms",
    "explain",
    "replay",
    "retention",
    "verification",
    "progress",
    "account",
)
"""Each name is a module `<name>_command` with a typer `app` or a function `command`."""

HIDDEN_ALIASES = {"flow": "events"}
"""Earlier names of sub-commands, which still work but are not listed."""


def _print_version(value: bool) -> None:  # noqa: FBT001 — typer passes the value of the option
    if value:
        sys.stdout.write(f"dianming {version('dianming')}\n")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option(VERSION_OPTION, callback=_print_version, is_eager=True, help="版本 · print the version"),
    ] = False,
) -> None:
    """点名核验 · verification roll calls."""


def _add_command(name: str) -> None:
    package = "backend.commands.deployment" if name in DEPLOYMENT_COMMANDS else "backend.commands"
    module = importlib.import_module(f"{package}.{name}_command")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command(name)(module.command)
        for alias in (old for old, new in HIDDEN_ALIASES.items() if new == name):
            app.command(alias, hidden=True)(module.command)


def main() -> None:
    """Entry point of the console script. Imports only the module of the called sub-command."""
    configure_logging(as_json=False)  # `serve` and `worker` configure it again from their settings
    name = sys.argv[1] if len(sys.argv) > 1 else None
    requested = HIDDEN_ALIASES.get(name, name) if name else None
    for command in SUBCOMMANDS:
        if requested not in SUBCOMMANDS or requested == command:
            _add_command(command)
    try:
        status = app(standalone_mode=False)
    except UsageError as error:
        _print_usage_error(error)
        status = EXIT_BAD_INPUT
    except typer.Abort:
        status = 1
    except Exception as error:
        if not isinstance(error, (SettingsInvalid, DomainError, OSError)) and not _is_database_error(error):
            raise
        status = _print_failure(error)
    sys.exit(status if isinstance(status, int) else 0)


def _print_failure(error: Exception) -> int:
    """Print an error that no command handles itself; returns the exit status."""
    as_json = "--json" in sys.argv
    try:
        match error:
            case SettingsInvalid():
                message = (
                    f'请设置环境变量：{error}。本机 make run 的设置可用 eval "$(dianming env)" 取得。'
                    f'Set these environment variables: {error}. Those of a running `make run`: eval "$(dianming env)".'
                )
                exit_with_error("settings_missing", message, as_json=as_json)
            case DomainError():
                exit_with_domain_error(error, as_json=as_json)
            case OSError():
                exit_with_file_error(error, error.filename or "—", as_json=as_json)
            case _:
                message = (
                    "连接不上数据库，请检查 DIANMING_DATABASE_URL 和数据库是否在运行。"
                    "The database cannot be reached; check DIANMING_DATABASE_URL and that it is running."
                )
                exit_with_error("database_away", message, as_json=as_json)
    except typer.Exit as ended:
        return ended.exit_code


def _is_database_error(error: Exception) -> bool:
    """Whether a driver reports that the database cannot be reached. Does not import a driver that is not in use."""
    drivers = (sys.modules.get(name) for name in ("sqlalchemy.exc", "psycopg"))
    return any(isinstance(error, driver.OperationalError) for driver in drivers if driver is not None)


def _print_usage_error(error: UsageError) -> None:
    """Print a wrong call: as JSON with --json, else with the usage."""
    if "--json" in sys.argv:
        problem = {"error": {"code": "usage", "message": error.format_message()}}
        sys.stdout.write(json.dumps(problem, ensure_ascii=False) + "\n")
    else:
        error.show()


if __name__ == "__main__":
    main()
