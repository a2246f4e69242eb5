"""Progress over HTTP: totals of units, conditional requests, and a stream with and without Redis."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

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
from backend.identity.sign_in.session_watch import SessionWatch
from backend.identity.sign_in.tables import StaffSession
from backend.identity.tables import Account
from backend.roll_call.outcomes import OutcomeDecision, write_outcome
from backend.roll_call.progress import stream as progress_stream
from backend.roll_call.progress.access import authorize_progress
from backend.roll_call.progress.changes import publish_changed
from backend.roll_call.progress.stream import ProgressStreams
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall
from backend.staff_api.roll_calls import progress
from backend.staff_api.roll_calls.progress import router
from tests.support.province import bureau_account, counselor_account
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.staff_client import ACCOUNT_HEADER, StaffClient, is_same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def mark_present(scenario: RollCallScenario, roll_call: RollCall, number: int) -> None:
    """Write the outcome present for a student."""
    student_id = scenario.school.students[number].id
    actor = scenario.registrar
    async with scenario.app_context.database.transaction(actor.scope) as session:
        obligation = await session.get_one(Obligation, (roll_call.id, student_id))
        decision = OutcomeDecision(Outcome.PRESENT, "verified", "face")
        await write_outcome(session, roll_call, obligation, decision, scenario.clock())


async def test_totals_of_a_unit_and_its_children(api: StaffClient, scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    await mark_present(scenario, launched.roll_call, 0)
    path = f"/v1/roll-calls/{launched.roll_call.id}/progress"
    unit = (await api.get(scenario.bureau, path)).json()
    assert (unit["kind"], unit["obligations"], unit["present"], unit["waiting"]) == ("city", 6, 1, 5)
    (school,) = unit["children"]
    assert school["unit_id"] == str(scenario.school.id)
    below = (await api.get(scenario.bureau, path, unit_id=str(scenario.school.id))).json()
    assert sorted(child["present"] for child in below["children"]) == [0, 1]
    mine = scenario.school.classes[1]
    own = (await api.get(counselor_account(scenario.school, mine), path)).json()
    assert [child["unit_id"] for child in own["children"]] == [str(mine.id)]


async def test_unchanged_totals_answer_304(api: StaffClient, scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    path = f"/v1/roll-calls/{launched.roll_call.id}/progress"
    actor = scenario.bureau
    api.accounts[actor.account_id] = actor
    headers = {ACCOUNT_HEADER: str(actor.account_id)}
    tag = (await api.http.get(path, headers=headers)).headers["ETag"]
    known = headers | {"If-None-Match": tag}
    assert (await api.http.get(path, headers=known)).status_code == 304
    await mark_present(scenario, launched.roll_call, 0)
    changed = await api.http.get(path, headers=known)
    assert (changed.status_code, changed.json()["present"]) == (200, 1)


@pytest.mark.clause("HN334-2.3")
async def test_units_and_roll_calls_of_others_answer_404(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    launched = await scenario.launch()
    path = f"/v1/roll-calls/{launched.roll_call.id}/progress"
    foreign = await api.get(scenario.registrar, path, unit_id=str(scenario.world.sister.id))
    assert foreign.status_code == 404
    assert is_same_refusal(foreign, await api.get(scenario.registrar, path, unit_id=str(new_id())))
    stranger = bureau_account(scenario.world.other_city)
    for suffix in ("", "/stream"):
        foreign = await api.get(stranger, path + suffix)
        assert foreign.status_code == 404
        absent = f"/v1/roll-calls/{new_id()}/progress{suffix}"
        assert is_same_refusal(foreign, await api.get(stranger, absent))


# --- the stream ---


@pytest.fixture
def fast_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the intervals of the stream."""
    monkeypatch.setattr(progress_stream, "MIN_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(progress_stream, "POLL_SECONDS", 0.05)


@asynccontextmanager
async def open_stream(
    scenario: RollCallScenario,
    roll_call: RollCall,
    actor: Actor,
    session_id: UUID | None = None,
    wanted: str = "progress",
) -> AsyncIterator[Any]:
    """The events of a stream with one name, parsed; an event that repeats the one before is left out."""
    caller = Caller(scenario.app_context, actor, session_id=session_id or actor.account_id)
    access, first = await progress._load_snapshot(caller, roll_call.id, None)

    async def events() -> AsyncIterator[dict[str, Any]]:
        async with aclosing(progress._stream_events(caller, access, first)) as stream:  # type: ignore[type-var]  # it is an async generator
            last = ""
            async for chunk in stream:
                for event in chunk.decode().removesuffix("\r\n\r\n").split("\r\n\r\n"):
                    name, data = event.split("\r\n")
                    if name == f"event: {wanted}" and data != last:
                        last = data
                        yield json.loads(data.removeprefix("data: "))

    async with aclosing(events()) as plain:  # type: ignore[type-var]  # it is an async generator
        yield plain


async def test_stream_starts_immediately_and_continues_on_change(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_stream, "MIN_INTERVAL_SECONDS", 0.0)
    launched = await scenario.launch()
    async with open_stream(scenario, launched.roll_call, scenario.bureau) as stream:
        assert (await anext(stream))["present"] == 0
        following = asyncio.create_task(anext(stream))
        await wait_for_listener(scenario.app_context.redis)
        await mark_present(scenario, launched.roll_call, 0)
        await publish_changed(scenario.app_context.redis, launched.roll_call.id)
        assert (await following)["present"] == 1


@pytest.mark.usefixtures("fast_stream")
async def test_launching_side_also_gets_the_queue(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    async with open_stream(scenario, launched.roll_call, scenario.bureau, wanted="verification") as stream:
        assert (await anext(stream))["waiting"] == 0
    at = scenario.clock()
    async with scenario.app_context.database.transaction(scenario.registrar.scope) as session:
        of_school = await authorize_progress(session, scenario.registrar, launched.roll_call.id, None, at)
    assert not of_school.sees_queue


@pytest.mark.usefixtures("fast_stream")
async def test_queue_follows_the_submissions(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_stream, "QUEUE_SECONDS", 0.0)
    launched = await scenario.launch()
    student = await scenario.activate(scenario.school.students[0])
    async with open_stream(scenario, launched.roll_call, scenario.bureau, wanted="verification") as stream:
        assert (await anext(stream))["waiting"] == 0
        await scenario.check_in(student, launched.roll_call.id)
        assert (await anext(stream))["waiting"] == 1


async def wait_for_listener(redis: RedisClient) -> None:
    """Return once this process is subscribed to the Redis channel."""
    while not await redis.pubsub_numpat():
        pass


async def test_subscribers_of_one_unit_share_a_snapshot(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    streams = scenario.app_context.service(ProgressStreams)
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    async with AsyncExitStack() as stack:
        for actor in (scenario.bureau, scenario.bureau, scenario.registrar, counselor):
            stream = await stack.enter_async_context(open_stream(scenario, launched.roll_call, actor))
            await anext(stream)
        assert len(streams) == 3
    assert len(streams) == 0


@pytest.mark.usefixtures("fast_stream")
async def test_stream_continues_after_a_failed_read(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = await scenario.launch()
    async with open_stream(scenario, launched.roll_call, scenario.bureau) as stream:
        await anext(stream)
        failed = asyncio.Event()

        async def fail(*asked: Any, **more: Any) -> Any:
            failed.set()
            raise OSError

        with monkeypatch.context() as outage:
            outage.setattr(Database, "fetch_autocommit", fail)
            await failed.wait()
        await mark_present(scenario, launched.roll_call, 0)
        assert (await anext(stream))["present"] == 1


@pytest.mark.usefixtures("fast_stream")
async def test_stream_without_redis_continues_by_polling(scenario: RollCallScenario) -> None:
    scenario.app_context = replace(scenario.app_context, redis=open_redis("unix:///nonexistent/redis.sock"))
    launched = await scenario.launch()
    async with open_stream(scenario, launched.roll_call, scenario.bureau) as stream:
        assert (await anext(stream))["present"] == 0
        for number in range(2):
            await mark_present(scenario, launched.roll_call, number)
            assert (await anext(stream))["present"] == number + 1
    await scenario.app_context.redis.aclose()


@pytest.mark.usefixtures("fast_stream")
async def test_stream_ends_with_the_lifetime_of_a_token(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    async with open_stream(scenario, launched.roll_call, scenario.bureau) as stream:
        await anext(stream)
        scenario.clock.at += timedelta(seconds=601)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def create_session(scenario: RollCallScenario, actor: Actor) -> UUID:
    """Insert an account with a session that is valid for a day."""
    at, session_id = scenario.clock(), new_id()
    async with scenario.owner_transaction() as session:
        account = Account(
            id=actor.account_id,
            kind=actor.role,
            org_id=actor.org_id,
            org_path=actor.org_path,
            school_id=actor.school_id,
            login=f"t{actor.account_id.hex}",
            display_name="值班",
            status="active",
            password_hash="-",
            totp_sealed=b"-",
            created_at=at,
        )
        await session.merge(account)
        await session.flush()
        times = {"created_at": at, "used_at": at, "expires_at": at + timedelta(days=1)}
        session.add(
            StaffSession(id=session_id, account_id=actor.account_id, refresh_hash=session_id.bytes, **times)
        )
    return session_id


@pytest.mark.parametrize("ending", ["session", "account"])
async def test_stream_ends_with_its_session_or_account(scenario: RollCallScenario, ending: str) -> None:
    launched, actor = await scenario.launch(), scenario.bureau
    session_id = await create_session(scenario, actor)
    watch = scenario.app_context.service(SessionWatch)
    async with open_stream(scenario, launched.roll_call, actor, session_id) as stream:
        await anext(stream)
        following = asyncio.create_task(anext(stream))
        await watch.check()
        assert not following.done()
        async with scenario.owner_transaction() as session:
            if ending == "session":
                (await session.get_one(StaffSession, session_id)).revoked_at = scenario.clock()
            else:
                (await session.get_one(Account, actor.account_id)).status = "disabled"
        await watch.check()
        with pytest.raises(StopAsyncIteration):
            await following


async def test_stream_over_http_is_server_sent_events(api: StaffClient, scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    actor = scenario.registrar
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
        http.stream("GET", url, headers={ACCOUNT_HEADER: str(actor.account_id)}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == "event: progress"
        data = (await anext(lines)).removeprefix("data: ")
    assert json.loads(data)["obligations"] == 6
    server.should_exit = True
    await serving
    listener.close()
