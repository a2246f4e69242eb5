"""`dianming keys`: the key file of the deployment, and rotation of the root key of face templates."""

import sys
from typing import Annotated

import typer

from backend.commands.context import run_with_context
from backend.commands.output import exit_with_error, print_result
from backend.core.errors import Conflict
from backend.core.keys import add_version, complete_key_file, create_key_file
from backend.identity.face import key_rotation
from backend.identity.face.template_keys import ROOT_KEY_PURPOSE
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="密钥文件 · the key file")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Purpose = Annotated[
    str, typer.Argument(help=f"用途，目前为 {ROOT_KEY_PURPOSE} · the purpose: {ROOT_KEY_PURPOSE}")
]


@app.command()
def init(as_json: AsJson = False) -> None:
    """生成新的密钥文件（不覆盖） · Write a new key file; an existing one is never replaced."""
    path = get_settings().keys_file
    try:
        create_key_file(path)
    except FileExistsError:
        exit_with_error(
            "keys_exist", f"已有密钥文件，不会覆盖 · {path} exists and is never replaced", as_json=as_json
        )
    print_result({"file": str(path)}, as_json=as_json, render=lambda payload: f"{payload['file']}")


@app.command()
def complete(as_json: AsJson = False) -> None:
    """为新用途补充密钥，已有的不变 · Add keys for purposes that a newer version needs; existing keys stay."""
    path = get_settings().keys_file
    try:
        added = complete_key_file(path)
    except FileNotFoundError:
        _exit_without_file(as_json=as_json)
    print_result(
        {"file": str(path), "added": list(added)},
        as_json=as_json,
        render=lambda payload: ", ".join(payload["added"]) or "—",
    )


@app.command()
def rotate(
    purpose: Purpose,
    file_only: Annotated[
        bool,
        typer.Option(
            "--file-only",
            help="只写入密钥文件；分发并重启后再运行 rewrap · change only the key file; distribute it, restart, then run `rewrap`",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """更换根密钥：新增版本并重新保护各校密钥 · Add a key version, make it current, and wrap the keys of all schools with it."""
    _require_root_purpose(purpose, as_json=as_json)
    path = get_settings().keys_file
    try:
        version = add_version(path, purpose)
    except FileNotFoundError:
        _exit_without_file(as_json=as_json)
    if file_only:
        print_result(
            {"file": str(path), "version": version},
            as_json=as_json,
            render=lambda _: f"版本 version {version}。分发并重启后运行 · then `dianming keys rewrap`",
        )
        return
    _rewrap(as_json=as_json)


@app.command()
def rewrap(as_json: AsJson = False) -> None:
    """用当前根密钥重新保护各校密钥，可中断后再运行 · Wrap the keys of schools with the current version; can be resumed."""
    _rewrap(as_json=as_json)


@app.command()
def retire(
    purpose: Purpose,
    version: Annotated[str, typer.Argument(help="要删除的旧版本 · the older version")],
    as_json: AsJson = False,
) -> None:
    """从密钥文件删除不再使用的旧版本 · Remove an older version that is no longer used, permanently."""
    _require_root_purpose(purpose, as_json=as_json)
    try:
        run_with_context(lambda app_context: key_rotation.retire(app_context, version))
    except Conflict as conflict:
        exit_with_error(
            conflict.code, f"{conflict.sentence('zh')} · {conflict.sentence('en')}", as_json=as_json
        )
    except KeyError:
        exit_with_error(
            "version_unknown", f"没有版本 {version} · there is no version {version}", as_json=as_json
        )
    print_result(
        {"retired": version}, as_json=as_json, render=lambda _: f"已删除版本 {version} · retired {version}"
    )


def _rewrap(*, as_json: bool) -> None:
    def log_progress(done: int) -> None:
        sys.stderr.write(f"已处理学校 schools: {done}\n")

    result = run_with_context(lambda app_context: key_rotation.rewrap(app_context, log_progress))
    payload = {"version": result.version, "schools": result.done, "unreadable": result.unreadable}
    print_result(
        payload,
        as_json=as_json,
        render=lambda _: (
            f"版本 version {result.version}：学校 schools {result.done}，无法打开 unreadable {result.unreadable}\n"
            f"旧备份不再需要旧版本后 · when no backup needs the old version: dianming keys retire {ROOT_KEY_PURPOSE} <version>"
        ),
    )
    if result.unreadable:
        raise typer.Exit(1)


def _require_root_purpose(purpose: str, *, as_json: bool) -> None:
    if purpose != ROOT_KEY_PURPOSE:
        exit_with_error(
            "purpose_not_rotated",
            f"只有 {ROOT_KEY_PURPOSE} 由命令更换，其他用途见运行手册 · only {ROOT_KEY_PURPOSE} is rotated by a command; see docs/operations.md",
            as_json=as_json,
        )


def _exit_without_file(*, as_json: bool) -> None:
    path = get_settings().keys_file
    exit_with_error(
        "keys_missing",
        f"没有密钥文件 {path}，请先运行 dianming keys init · no key file: run `dianming keys init`",
        as_json=as_json,
    )


@app.callback()
def _group() -> None:
    """密钥文件 · the key file."""
