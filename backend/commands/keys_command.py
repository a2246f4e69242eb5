"""`dianming keys`: the deployment's key file."""

from typing import Annotated

import typer

from backend.commands.output import answer, refuse
from backend.core.keys import create_key_file
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="密钥文件 · the key file")


@app.command()
def init(as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False) -> None:
    """生成新的密钥文件（不覆盖） · Write a fresh key file; an existing one is never replaced."""
    path = get_settings().keys_file
    try:
        create_key_file(path)
    except FileExistsError:
        refuse("keys_exist", f"已有密钥文件，不会覆盖 · {path} exists and is never replaced", as_json=as_json)
    answer({"file": str(path)}, as_json=as_json, render=lambda payload: f"{payload['file']}")


@app.callback()
def _group() -> None:
    """密钥文件 · the key file."""
