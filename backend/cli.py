"""`dianming`: one command with a sub-command for each noun."""

import importlib

import typer

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="点名 · Dianming")

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
    "flow",
)
"""Each name is a module `backend.commands.<name>_command` with a typer `app` or a function `command`."""


@app.callback()
def _root() -> None:
    """点名核验 · verification roll calls."""


def _mount(name: str) -> None:
    module = importlib.import_module(f"backend.commands.{name}_command")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command(name)(module.command)


def main() -> None:
    """Entry point of the console script; imports only what the called sub-command needs."""
    import sys  # noqa: PLC0415

    asked = sys.argv[1] if len(sys.argv) > 1 else None
    for name in SUBCOMMANDS:
        if asked in {None, name} or asked not in SUBCOMMANDS:
            _mount(name)
    app()


if __name__ == "__main__":
    main()
