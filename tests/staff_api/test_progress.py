"""Progress over HTTP: figures that add up, and a stream that goes on with and without Redis."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.redis_client import RedisClient, open_redis
from backend.core.web.requests import Caller
from backend.roll_call.outcomes import Decided, write_outcome
from backend.roll_call.progress import stream as progress_stream
from backend.roll_call.progress.access import publish_changed
from backend.roll_call.progress.stream import ProgressStreams
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall
from backend.staff_api.roll_calls import progress
from backend.staff_api.roll_calls.progress import router
from tests.support.province import bureau_account, counselor_account
from tests.support.roll_call.scenario import Stage, staged
from tests.support.staff_client import ACCOUNT, StaffClient, same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture
async def stage(app_context: AppContext, owner: Database) -> Stage:
    return await staged(app_context, owner)


@pytest.fixture
async def api(stage: Stage) -> AsyncIterator[StaffClient]:
    client = staff_client(stage.app_context, router)
    yield client
    await client.http.aclose()


async def found_present(stage: Stage, roll_call: RollCall, number: int) -> None:
    """A student is present, by whatever way."""
    student_id = stage.school.students[number].id
    actor = stage.registrar
    async with stage.app_context.database.transaction(actor.scope) as session:
        obligation = await session.get_one(Obligation, (roll_call.id, student_id))
        decided = Decided(Outcome.PRESENT, "verified", "face")
        await write_outcome(session, roll_call, obligation, decided, stage.clock())


async def test_the_figures_of_a_unit_and_of_what_lies_below(api: StaffClient, stage: Stage) -> None:
    launched = await stage.launch()
    await found_present(stage, launched.roll_call, 0)
    path = f"/v1/roll-calls/{launched.roll_call.id}/progress"
    whole = (await api.get(stage.bureau, path)).json()
    assert (whole["kind"], whole["obligations"], whole["present"], whole["waiting"]) == ("city", 6, 1, 5)
    (school,) = whole["children"]
    assert school["unit_id"] == str(stage.school.id)
    below = (await api.get(stage.bureau, path, unit_id=str(stage.school.id))).json()
    assert sorted(child["present"] for child in below["children"]) == [0, 1]
    mine = stage.school.classes[1]
    own = (await api.get(counselor_account(stage.school, mine), path)).json()
    assert [child["unit_id"] for child in own["children"]] == [str(mine.id)]


async def test_what_has_not_changed_is_not_sent_again(api: StaffClient, stage: Stage) -> None:
    launched = await stage.launch()
    path = f"/v1/roll-calls/{launched.roll_call.id}/progress"
    actor = stage.bureau
    api.accounts[actor.account_id] = actor
    headers = {ACCOUNT: str(actor.account_id)}
    tag = (await api.http.get(path, headers=headers)).headers["ETag"]
    known = headers | {"If-None-Match": tag}
    assert (await api.http.get(path, headers=known)).status_code == 304
    await found_present(stage, launched.roll_call, 0)
    changed = await api.http.get(path, headers=known)
    assert (changed.status_code, changed.json()["present"]) == (200, 1)


@pytest.mark.clause("HN334-2.3")
async def test_units_and_roll_calls_of_others_answer_as_if_absent(api: StaffClient, stage: Stage) -> None:
    launched = await stage.launch()
    path = f"/v1/roll-calls/{launched.roll_call.id}/progress"
    foreign = await api.get(stage.registrar, path, unit_id=str(stage.world.sister.id))
    assert foreign.status_code == 404
    assert same_refusal(foreign, await api.get(stage.registrar, path, unit_id=str(new_id())))
    stranger = bureau_account(stage.world.other_city)
    for suffix in ("", "/stream"):
        foreign = await api.get(stranger, path + suffix)
        assert foreign.status_code == 404
        absent = f"/v1/roll-calls/{new_id()}/progress{suffix}"
        assert same_refusal(foreign, await api.get(stranger, absent))


# --- the stream ---


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the pauses of a real dashboard."""
    monkeypatch.setattr(progress_stream, "LEAST_SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(progress_stream, "LOOK_AGAIN_SECONDS", 0.05)


@asynccontextmanager
async def streaming(stage: Stage, roll_call: RollCall, actor: Actor) -> AsyncIterator[Any]:
    """The events that an open dashboard gets, as plain data."""
    caller = Caller(stage.app_context, actor)
    view, first = await progress._progress(caller, roll_call.id, None)

    async def events() -> AsyncIterator[dict[str, Any]]:
        async with aclosing(progress._events(caller, view, first)) as stream:  # type: ignore[type-var]  # it is an async generator
            async for event in stream:
                name, data = event.decode().removesuffix("\r\n\r\n").split("\r\n")
                assert name == "event: progress"
                yield json.loads(data.removeprefix("data: "))

    async with aclosing(events()) as plain:  # type: ignore[type-var]  # it is an async generator
        yield plain


async def test_a_stream_begins_at_once_and_goes_on_after_a_poke(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_stream, "LEAST_SECONDS_BETWEEN", 0.0)
    launched = await stage.launch()
    async with streaming(stage, launched.roll_call, stage.bureau) as stream:
        assert (await anext(stream))["present"] == 0
        following = asyncio.create_task(anext(stream))
        await _watched(stage.app_context.redis)
        await found_present(stage, launched.roll_call, 0)
        await publish_changed(stage.app_context.redis, launched.roll_call.id)
        assert (await following)["present"] == 1


async def _watched(redis: RedisClient) -> None:
    """Until this process listens to the nudges."""
    while not await redis.pubsub_numpat():
        pass


async def test_many_who_watch_one_unit_have_one_board_that_goes_with_the_last(stage: Stage) -> None:
    launched = await stage.launch()
    shared = stage.app_context.service(ProgressStreams)
    counselor = counselor_account(stage.school, stage.school.classes[0])
    async with AsyncExitStack() as watching:
        for actor in (stage.bureau, stage.bureau, stage.registrar, counselor):
            stream = await watching.enter_async_context(streaming(stage, launched.roll_call, actor))
            await anext(stream)
        assert len(shared) == 3
    assert len(shared) == 0


@pytest.mark.usefixtures("impatient")
async def test_a_board_that_cannot_be_read_once_is_read_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = await stage.launch()
    async with streaming(stage, launched.roll_call, stage.bureau) as stream:
        await anext(stream)
        failed = asyncio.Event()

        async def fail(*asked: Any, **more: Any) -> Any:
            failed.set()
            raise OSError

        with monkeypatch.context() as away:
            away.setattr(Database, "ask", fail)
            await failed.wait()
        await found_present(stage, launched.roll_call, 0)
        assert (await anext(stream))["present"] == 1


@pytest.mark.usefixtures("impatient")
async def test_without_redis_a_stream_goes_on_more_slowly(stage: Stage) -> None:
    stage.app_context = replace(stage.app_context, redis=open_redis("unix:///nonexistent/redis.sock"))
    launched = await stage.launch()
    async with streaming(stage, launched.roll_call, stage.bureau) as stream:
        assert (await anext(stream))["present"] == 0
        for number in range(2):
            await found_present(stage, launched.roll_call, number)
            assert (await anext(stream))["present"] == number + 1
    await stage.app_context.redis.aclose()


@pytest.mark.usefixtures("impatient")
async def test_a_stream_ends_with_the_life_of_a_token(stage: Stage) -> None:
    launched = await stage.launch()
    async with streaming(stage, launched.roll_call, stage.bureau) as stream:
        await anext(stream)
        stage.clock.at += timedelta(seconds=601)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_the_stream_is_server_sent_events_on_the_wire(api: StaffClient, stage: Stage) -> None:
    launched = await stage.launch()
    actor = stage.registrar
    api.accounts[actor.account_id] = actor
    transport = api.http._transport
    assert isinstance(transport, ASGITransport)
    assert isinstance(transport.app, FastAPI)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(transport.app, log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    url = (
        f"http://127.0.0.1:{listener.getsockname()[1]}/v1/roll-calls/{launched.roll_call.id}/progress/stream"
    )
    async with (
        httpx.AsyncClient() as http,
        http.stream("GET", url, headers={ACCOUNT: str(actor.account_id)}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == "event: progress"
        data = (await anext(lines)).removeprefix("data: ")
    assert json.loads(data)["obligations"] == 6
    server.should_exit = True
    await serving
    listener.close()
