"""The clock of a demonstration moves for all processes without an outage; no other system has it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select

from backend.app import create_app
from backend.core.app_context import AppContext, settings_clock
from backend.core.tables import ServiceHeartbeat
from backend.core.tenancy import Scope
from backend.core.web.demonstration import COOKIE, LONGEST_S, PATH

Open = Callable[[bool], AbstractAsyncContextManager[AsyncClient]]


@pytest.fixture
def open_client(app_context: AppContext, tmp_path: Path) -> Open:
    """Opens a client of an application with a shifted clock, with or without the bar; far ahead of what other tests use."""
    clock_file = tmp_path / "clock"
    clock_file.write_text(str(timedelta(days=7300).total_seconds()))

    @asynccontextmanager
    async def open_(with_bar: bool) -> AsyncIterator[AsyncClient]:
        settings = app_context.settings.model_copy(update={"clock_file": clock_file, "clock_bar": with_bar})
        shifted = AppContext(
            settings=settings,
            database=app_context.database,
            redis=app_context.redis,
            keys=app_context.keys,
            evidence=app_context.evidence,
            clock=settings_clock(settings),
        )
        transport = ASGITransport(create_app(shifted))
        async with AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client

    return open_


async def test_without_the_bar_there_is_no_clock_and_no_cookie(open_client: Open) -> None:
    async with open_client(False) as client:
        answers = [await client.get(PATH), await client.post(PATH, json={"seconds": 60})]
    assert [each.status_code for each in answers] == [404, 404]
    assert not any("set-cookie" in each.headers for each in answers)


async def test_advancing_moves_the_clock_and_leaves_no_gap_in_the_heartbeats(
    open_client: Open, app_context: AppContext
) -> None:
    async with open_client(True) as client:
        before = await client.get(PATH)
        after = await client.post(PATH, json={"seconds": 3600})
    assert COOKIE in before.headers["set-cookie"]
    first, last = (datetime.fromisoformat(each.json()["now"]) for each in (before, after))
    assert timedelta(hours=1) <= last - first < timedelta(hours=1, minutes=5)
    query = (
        select(func.count()).select_from(ServiceHeartbeat).where(ServiceHeartbeat.minute.between(first, last))
    )
    async with app_context.database.transaction(Scope.none()) as session:
        assert (await session.scalar(query) or 0) >= 60


@pytest.mark.parametrize("seconds", [0, -60, LONGEST_S + 1])
async def test_the_clock_goes_forward_only_and_not_too_far(open_client: Open, seconds: int) -> None:
    async with open_client(True) as client:
        assert (await client.post(PATH, json={"seconds": seconds})).status_code == 422
