"""What commands share that work on the database: an application context, and the province as scope and operator."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext, open_app_context
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.org.paths import build_unit_path
from backend.org.queries import get_unit_by_code
from backend.settings import get_settings

Result = TypeVar("Result")


def run_with_context(work: Callable[[AppContext], Awaitable[Result]]) -> Result:
    """Run `work` in a new event loop with an application context, which is closed afterwards."""

    async def run() -> Result:
        app_context = open_app_context(get_settings())
        try:
            return await work(app_context)
        finally:
            await app_context.close()

    return asyncio.run(run())


def province_scope(app_context: AppContext) -> Scope:
    """The scope of the whole province, without an acting account."""
    return Scope.wide(build_unit_path("province", app_context.settings.province_code, None))


async def province_operator(app_context: AppContext, session: AsyncSession) -> Actor:
    """An actor with the role of the province, for services that check authority. It is no stored account."""
    code = app_context.settings.province_code
    province = await get_unit_by_code(session, "province", code)
    return Actor(new_id(), "province", province.id, build_unit_path("province", code, None))
