"""Redis may be gone, silent or full: nobody waits for it, and it is said."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from redis.exceptions import RedisError

from backend.app import create_app
from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.redis_client import RedisClient, open_redis
from backend.roll_call.progress.access import publish_changed


class Silent:
    """Listens and never answers, as a stopped Redis does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.knocks = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.knocks += 1
        await reader.read()
        writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[Silent]:
    with TemporaryDirectory() as folder:
        found = Silent(Path(folder) / "redis.sock")
        server = await asyncio.start_unix_server(found.serve, found.path)
        yield found
        server.close()


async def test_a_silent_redis_is_asked_once_and_then_left_alone_for_a_while(silent: Silent) -> None:
    link = open_redis(f"unix://{silent.path}")
    for _ in range(20):
        await publish_changed(link, new_id())
    assert silent.knocks == 1
    await link.aclose()


async def test_every_failure_is_an_error_of_redis(silent: Silent) -> None:
    link = open_redis(f"unix://{silent.path}")
    for _ in range(2):
        with pytest.raises(RedisError):
            await link.execute_command("PING")
    await link.aclose()


async def test_a_redis_that_answers_again_is_used_again(app_context: AppContext) -> None:
    link: RedisClient = open_redis(app_context.settings.redis_url)
    link._is_down_logged = True
    assert await link.is_available()
    assert not link._is_down_logged
    await link.aclose()


async def health(app_context: AppContext) -> httpx.Response:
    transport = httpx.ASGITransport(app=create_app(app_context))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", verify=False) as client:
        return await client.get("/healthz")


async def test_the_house_is_healthy_without_redis_and_says_that_it_is_away(
    app_context: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await health(app_context)).json() == {"status": "ok", "redis": "ok"}
    monkeypatch.setattr(app_context, "redis", open_redis(f"unix://{tmp_path}/nobody.sock"))
    answer = await health(app_context)
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "redis": "away"}


async def test_without_the_database_the_answer_is_to_try_again(
    app_context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = type(app_context.database).connect("postgresql+psycopg://nobody@/nothing?host=/nowhere")
    monkeypatch.setattr(app_context, "database", gone)
    answer = await health(app_context)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.json()["code"] == "database_away"
    await gone.close()
