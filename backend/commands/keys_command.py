"""`dianming keys`: the deployment's key file."""

from typing import Annotated

import typer

from backend.commands.output import answer, refuse
from backend.core.keys import complete_key_file, create_key_file
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


@app.command()
def complete(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """为新用途补充密钥，已有的不变 · Add keys for purposes that a newer version needs; the others stay."""
    path = get_settings().keys_file
    try:
        added = complete_key_file(path)
    except FileNotFoundError:
        refuse(
            "keys_missing",
            f"没有密钥文件 {path}，请先运行 dianming keys init · no key file: run `dianming keys init`",
            as_json=as_json,
        )
    answer(
        {"file": str(path), "added": list(added)},
        as_json=as_json,
        render=lambda payload: ", ".join(payload["added"]) or "—",
    )


@app.callback()
def _group() -> None:
    """密钥文件 · the key file."""
