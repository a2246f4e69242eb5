"""`dianming audit`: seal the audit's entries into the hash chain, and verify it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from backend.commands.output import answer
from backend.core import audit
from backend.core.app_context import AppContext, open_app_context
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="审计链 · the audit chain")
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Answer = TypeVar("Answer")


def _run(work: Callable[[AppContext, AsyncSession], Awaitable[Answer]]) -> Answer:
    async def inside() -> Answer:
        app_context = open_app_context(get_settings())
        try:
            path = path_of("province", app_context.settings.province_code, None)
            async with app_context.database.transaction(Scope.wide(path)) as session:
                return await work(app_context, session)
        finally:
            await app_context.close()

    return asyncio.run(inside())


@app.command()
def seal(as_json: AsJson = False) -> None:
    """把新的审计记录链入哈希链 · Chain the newest entries."""
    sealed = _run(lambda app_context, session: audit.seal(session, app_context.clock()))
    answer({"sealed": sealed}, as_json=as_json, render=lambda payload: f"已链入 sealed {payload['sealed']}")


@app.command()
def verify(as_json: AsJson = False) -> None:
    """核验哈希链 · Verify the chain; `broken_at` names the first link that does not hold."""
    broken = _run(lambda _, session: audit.first_broken_link(session))
    payload = {"intact": broken is None, "broken_at": broken}
    answer(
        payload,
        as_json=as_json,
        render=lambda _: "完整 intact" if broken is None else f"断于 broken at {broken}",
    )
    if broken is not None:
        raise typer.Exit(1)
