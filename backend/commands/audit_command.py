"""`dianming audit`: seal audit entries into the hash chain, and verify the chain."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from backend.commands.context import province_scope, run_with_context
from backend.commands.output import print_result
from backend.core import audit
from backend.core.app_context import AppContext

app = typer.Typer(no_args_is_help=True, help="审计链 · the audit chain")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Result = TypeVar("Result")


def _run_in_transaction(work: Callable[[AppContext, AsyncSession], Awaitable[Result]]) -> Result:
    async def run(app_context: AppContext) -> Result:
        async with app_context.database.transaction(province_scope(app_context)) as session:
            return await work(app_context, session)

    return run_with_context(run)


@app.command()
def seal(as_json: AsJson = False) -> None:
    """把新的审计记录链入哈希链 · Seal the newest entries."""
    sealed = _run_in_transaction(lambda app_context, session: audit.seal(session, app_context.clock()))
    print_result(
        {"sealed": sealed}, as_json=as_json, render=lambda payload: f"已链入 sealed {payload['sealed']}"
    )


@app.command()
def verify(as_json: AsJson = False) -> None:
    """核验哈希链 · Verify the chain; `broken_at` is the first link that does not match."""
    broken = _run_in_transaction(lambda _, session: audit.first_broken_link(session))
    payload = {"intact": broken is None, "broken_at": broken}
    print_result(
        payload,
        as_json=as_json,
        render=lambda _: "完整 intact" if broken is None else f"断于 broken at {broken}",
    )
    if broken is not None:
        raise typer.Exit(1)
