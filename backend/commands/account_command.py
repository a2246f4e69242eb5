"""`dianming account`: recover an account of the province that no two other accounts can reset."""

from typing import Annotated

import typer

from backend.commands.context import province_scope, run_with_context
from backend.commands.output import exit_with_error, print_result
from backend.core.app_context import AppContext
from backend.core.errors import DomainError
from backend.identity.accounts.authenticator_resets import OperatorReset, reset_by_operators
from backend.identity.accounts.staff_accounts import Invitation
from backend.identity.policy import province_policy

app = typer.Typer(no_args_is_help=True, help="账号 · accounts")


@app.command("reset-authenticator")
def reset_authenticator(
    login: Annotated[str, typer.Argument(help="省级账号的登录名 · login of a province account")],
    reason: Annotated[str, typer.Option(help="原因及核对方式 · why, and how the owner was identified")],
    requested_by: Annotated[str, typer.Option(help="申请人姓名 · name of the person who requests")],
    approved_by: Annotated[str, typer.Option(help="复核人姓名 · name of the person who approves")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """重置省级账号的验证器，须两人在场 · Reset the authenticator of a province account; two persons must be present."""
    command = OperatorReset(login, reason, requested_by.strip(), approved_by.strip())

    async def work(app_context: AppContext) -> Invitation:
        at = app_context.clock()
        async with app_context.database.transaction(province_scope(app_context)) as session:
            return await reset_by_operators(session, command, province_policy(app_context, at), at)

    try:
        invitation = run_with_context(work)
    except DomainError as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    payload = {
        "login": login,
        "activation_code": invitation.activation_code,
        "expires_at": invitation.expires_at.isoformat(),
    }
    print_result(
        payload, as_json=as_json, render=lambda shown: f"{shown['login']}  {shown['activation_code']}"
    )


@app.callback()
def _group() -> None:
    """账号 · accounts."""
