"""`dianming`: the command line, with one sub-command per noun."""

import importlib
import json
import sys

import typer
from typer._click.exceptions import UsageError  # typer's own copy of click, which it does not re-export

from backend.commands.output import EXIT_BAD_INPUT
from backend.core.process.logging import configure_logging
from backend.settings import SettingsInvalid

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="点名 · Dianming")

DEPLOYMENT_COMMANDS = ("demo", "serve", "worker", "migrate", "keys", "gateway", "seed", "clock")
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
    "audit",
    "events",
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


@app.callback()
def _root() -> None:
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
    except SettingsInvalid as error:
        sys.stderr.write(f"请设置环境变量 · set these environment variables: {error}\n")
        status = EXIT_BAD_INPUT
    except typer.Abort:
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _print_usage_error(error: UsageError) -> None:
    """Print a wrong call: as JSON with --json, else with the usage."""
    if "--json" in sys.argv:
        problem = {"error": {"code": "usage", "message": error.format_message()}}
        sys.stdout.write(json.dumps(problem, ensure_ascii=False) + "\n")
    else:
        error.show()


if __name__ == "__main__":
    main()
