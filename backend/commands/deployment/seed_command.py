"""`dianming seed`: create the province and, unless --bare, invented demo data with sign-ins. Idempotent."""

import asyncio
import json as jsonlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pyotp
import typer

from backend.app import STAFF_PREFIX, create_app
from backend.commands.output import exit_with_error
from backend.core.app_context import AppContext, open_app_context, settings_clock
from backend.core.errors import Conflict
from backend.core.tenancy import Scope
from backend.demo.fixtures import Organisation, OrganisationBuilder
from backend.identity.accounts.staff_accounts import InviteAccount, invite_first_account
from backend.identity.policy import province_policy
from backend.org.divisions import Divisions
from backend.org.paths import build_unit_path
from backend.org.service import create_province
from backend.policy import load_policies
from backend.settings import Settings, get_settings

FIRST_LOGIN = "province.admin"
STUDENTS = 2000
SHOWN_STUDENTS = 2


def _log(line: str) -> None:
    sys.stderr.write(line + "\n")


def _sign_ins_file(settings: Settings) -> Path:
    return settings.keys_file.parent / "sign-ins.json"


def _write_sign_ins(settings: Settings, document: dict[str, Any]) -> None:
    path = _sign_ins_file(settings)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        jsonlib.dump(document, file, ensure_ascii=False, indent=1)


async def _create_province(app_context: AppContext) -> dict[str, str] | None:
    """Create the tree of units and invite the first account of the province. None if there is one already."""
    code = app_context.settings.province_code
    path = build_unit_path("province", code, None)
    at = app_context.clock()
    async with app_context.database.transaction(Scope.wide(path)) as session:
        province = await create_province(session, Divisions.of(load_policies()), code, at)
        command = InviteAccount("province", province.id, FIRST_LOGIN, "省级管理员", None)
        try:
            invitation = await invite_first_account(session, command, province_policy(app_context, at), at)
        except Conflict:
            return None
    return {"login": FIRST_LOGIN, "activation_code": invitation.activation_code}


async def _load_demo_data(app_context: AppContext, first: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Create the demo data through the staff API, within this process. Returns who may sign in or register."""
    app = create_app(app_context)
    transport = httpx.ASGITransport(app=app)
    base = app_context.settings.public_url + STAFF_PREFIX
    with tempfile.TemporaryDirectory() as folder:
        async with httpx.AsyncClient(transport=transport, base_url=base, timeout=120) as client:
            builder = OrganisationBuilder(client, lambda: app_context.clock().timestamp(), Path(folder), _log)
            organisation = await builder.build(first, STUDENTS, activate_counselors=False)
    staff = [
        {
            "role": each.role,
            "unit": each.unit,
            "login": each.login,
            "password": each.password,
            "totp_secret": each.totp_secret,
        }
        for each in organisation.staff_credentials()
    ]
    return {"sign_ins": staff, "students": _pick_students(organisation)}


def _pick_students(organisation: Organisation) -> list[dict[str, str]]:
    """Some invented students of the first school and of a class whose counselor is in the list: what a phone needs."""
    school = organisation.schools[0]
    logins = f"counselor.{school.plan.code}."
    classes = {each.unit for each in organisation.staff_credentials() if each.login.startswith(logins)}
    return [
        {
            "class": row["班级名称"],
            "name": row["姓名"],
            "id_number": row["身份证件号"],
            "phone": row["联系电话"],
        }
        for row in school.roster
        if row["班级名称"] in classes and row["学习形式"] == "全日制"
    ][:SHOWN_STUDENTS]


def _already_seeded_message(settings: Settings, *, bare: bool) -> str:
    """The message if the province exists already. Interrupted loading cannot be continued."""
    path = _sign_ins_file(settings)
    is_complete = path.exists() and "sign_ins" in jsonlib.loads(path.read_text())
    if bare or is_complete:
        return "已有数据，不再写入 · data exists already"
    return (
        "演示数据只写入了一部分（上次被中断）：请运行 make clean-local 后重试。\n"
        "The demo data is incomplete (loading was interrupted): run `make clean-local` and try again."
    )


async def _seed(settings: Settings, *, bare: bool) -> None:
    app_context = open_app_context(settings)
    try:
        first = await _create_province(app_context)
        if first is None:
            _log(_already_seeded_message(settings, bare=bare))
            return
        if bare:
            # Printed before it is written: if the file cannot be written, the only code must not be lost.
            sys.stdout.write(f"login {first['login']}\nactivation_code {first['activation_code']}\n")
        _write_sign_ins(settings, {"first_invitation": first})
        if bare:
            return
        _log("正在写入演示数据（一次） · loading demo data, once …")
        _write_sign_ins(settings, await _load_demo_data(app_context, first))
    finally:
        await app_context.close()


def _print_sign_ins(settings: Settings) -> None:
    path = _sign_ins_file(settings)
    document = jsonlib.loads(path.read_text()) if path.exists() else {}
    clock = settings_clock(settings)
    for each in document.get("sign_ins", []):
        code = pyotp.TOTP(each["totp_secret"]).at(clock())
        sys.stdout.write(
            f"  {each['role']}  {each['unit']}\n      账号 login {each['login']}   密码 password {each['password']}\n"
            f"      动态码密钥 TOTP secret {each['totp_secret']}   现在 now {code}\n"
        )
    for each in document.get("students", []):
        sys.stdout.write(
            f"  学生 student  {each['class']}\n      姓名 name {each['name']}   身份证件号 ID number {each['id_number']}\n"
            f"      验证码短信 SMS {settings.gateway_url}/inbox/{each['phone']}\n"
        )


def command(
    bare: bool = typer.Option(
        False, help="只建立行政区划和省级首个账号 · only the units and the first account"
    ),
    show: bool = typer.Option(False, help="显示演示账号 · print the sign-ins of the demo data"),
) -> None:
    """写入演示数据（幂等） · Load demo data, once."""
    settings = get_settings()
    if settings.env == "production" and not bare:
        exit_with_error(
            "no_demo_in_production", "生产环境只允许 --bare · only --bare in production", as_json=False
        )
    if show:
        _print_sign_ins(settings)
        return
    asyncio.run(_seed(settings, bare=bare))
