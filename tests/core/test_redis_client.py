"""Redis may be down or unresponsive: requests do not wait for it, and the log and /healthz report it."""

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
from backend.roll_call.progress.changes import publish_changed


class UnresponsiveRedis:
    """Accepts connections and never answers, as a stopped Redis does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.read()
        writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[UnresponsiveRedis]:
    with TemporaryDirectory() as folder:
        server_stub = UnresponsiveRedis(Path(folder) / "redis.sock")
        server = await asyncio.start_unix_server(server_stub.serve, server_stub.path)
        yield server_stub
        server.close()


async def test_unresponsive_redis_is_contacted_only_once(silent: UnresponsiveRedis) -> None:
    client = open_redis(f"unix://{silent.path}")
    for _ in range(20):
        await publish_changed(client, new_id())
    assert silent.connections == 1
    await client.aclose()


async def test_every_failure_is_a_redis_error(silent: UnresponsiveRedis) -> None:
    client = open_redis(f"unix://{silent.path}")
    for _ in range(2):
        with pytest.raises(RedisError):
            await client.execute_command("PING")
    await client.aclose()


async def test_recovered_redis_is_used_again(app_context: AppContext) -> None:
    client: RedisClient = open_redis(app_context.settings.redis_url)
    client._is_down_logged = True
    assert await client.is_available()
    assert not client._is_down_logged
    await client.aclose()


async def health(app_context: AppContext) -> httpx.Response:
    transport = httpx.ASGITransport(app=create_app(app_context))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", verify=False) as client:
        return await client.get("/healthz")


async def test_health_is_degraded_without_redis(
    app_context: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await health(app_context)).json() == {"status": "ok", "redis": "ok"}
    monkeypatch.setattr(app_context, "redis", open_redis(f"unix://{tmp_path}/missing.sock"))
    answer = await health(app_context)
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "redis": "away"}


async def test_health_is_503_with_retry_after_without_the_database(
    app_context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = type(app_context.database).connect("postgresql+psycopg://nobody@/nothing?host=/nowhere")
    monkeypatch.setattr(app_context, "database", unreachable)
    answer = await health(app_context)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.json()["code"] == "database_away"
    await unreachable.close()
