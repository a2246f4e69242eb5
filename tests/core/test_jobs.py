"""Jobs are committed with their cause, and jobs of a dead worker are requeued."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import procrastinate
import pytest
from procrastinate import JobContext
from sqlalchemy import select, text

from backend import events, worker
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.jobs import conninfo, enqueue_all_unless_waiting, enqueue_unless_waiting, job_app
from backend.core.outbox import MAX_EVENTS_PER_JOB, deliver_event, deliver_events, emit, emit_all
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.events import SUBSCRIPTIONS, deliver
from backend.roll_call.events import RollCallLaunched, RollCallSettled
from backend.settings import Settings
from backend.worker import load_tasks, rescue_stalled_jobs

SCOPE = Scope.none()


async def count_jobs(database: Database, event_id: str) -> int:
    async with database.transaction(SCOPE) as session:
        found = await session.scalar(
            text("SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'event_id' = :id"), {"id": event_id}
        )
        return int(found or 0)


async def newest_event(database: Database, marker: str) -> str | None:
    async with database.transaction(SCOPE) as session:
        found = await session.scalar(
            text("SELECT id FROM outbox_event WHERE payload ->> 'path' = :marker"), {"marker": marker}
        )
        return None if found is None else str(found)


async def test_event_and_its_job_are_committed_together(database: Database) -> None:
    marker = str(new_id())
    async with database.transaction(SCOPE) as session:
        await emit(session, RollCallLaunched(roll_call_id=new_id(), path=marker), now())
    event_id = await newest_event(database, marker)
    assert event_id is not None
    assert await count_jobs(database, event_id) == 1


async def test_rolled_back_transaction_emits_no_event(database: Database) -> None:
    marker = str(new_id())
    with pytest.raises(RuntimeError):
        async with database.transaction(SCOPE) as session:
            await emit(session, RollCallLaunched(roll_call_id=new_id(), path=marker), now())
            raise RuntimeError
    assert await newest_event(database, marker) is None


async def test_repeated_delivery_runs_a_consumer_once(
    app_context: AppContext, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[Any] = []

    async def handle(_session: Any, event: RollCallSettled, _at: Any) -> None:
        handled.append(event.path)

    consumer = SimpleNamespace(name="counted", scope=lambda _: SCOPE, handle=handle)
    subscriptions = {**SUBSCRIPTIONS, RollCallSettled: (consumer,)}
    monkeypatch.setattr(events, "SUBSCRIPTIONS", subscriptions)
    marker = str(new_id())
    async with database.transaction(SCOPE) as session:
        await emit(session, RollCallSettled(roll_call_id=new_id(), path=marker), now())
    event_id = await newest_event(database, marker)
    assert event_id is not None
    await deliver(app_context, event_id)
    await deliver(app_context, event_id)
    assert handled == [marker]


async def test_taken_key_enqueues_nothing_and_keeps_the_transaction_usable(database: Database) -> None:
    key, event_id = str(new_id()), str(new_id())
    async with database.transaction(SCOPE) as session:
        assert await enqueue_unless_waiting(session, deliver_event, key, event_id=event_id)
        assert not await enqueue_unless_waiting(session, deliver_event, key, event_id=event_id)
        assert await session.scalar(text("SELECT 1")) == 1
    assert await count_jobs(database, event_id) == 1


async def test_only_jobs_with_free_keys_are_enqueued(database: Database) -> None:
    taken, free, first, second = (str(new_id()) for _ in range(4))
    async with database.transaction(SCOPE) as session:
        await enqueue_unless_waiting(session, deliver_event, taken, event_id=first)
        requests = [(deliver_event, key, {"event_id": second}) for key in (taken, free)]
        await enqueue_all_unless_waiting(session, requests)
        await enqueue_all_unless_waiting(session, [])
    assert await count_jobs(database, first) == 1
    assert await count_jobs(database, second) == 1


async def test_job_of_a_dead_worker_is_requeued(settings: Settings, database: Database) -> None:
    event_id = str(new_id())
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo(settings.database_url), min_size=1, max_size=2
    )
    with job_app.replace_connector(connector) as app:
        async with app.open_async():
            await deliver_event.configure().defer_async(event_id=event_id)
            async with database.transaction(SCOPE) as session:
                await session.execute(
                    text(
                        "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                        " VALUES (now() - interval '1 hour') RETURNING id)"
                        " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)"
                        " WHERE args ->> 'event_id' = :id"
                    ),
                    {"id": event_id},
                )
            await rescue_stalled_jobs(cast("JobContext", SimpleNamespace(app=app)), 0)
    async with database.transaction(SCOPE) as session:
        status = await session.scalar(
            text("SELECT status FROM procrastinate_jobs WHERE args ->> 'event_id' = :id"), {"id": event_id}
        )
    assert status == "todo"


async def test_job_with_a_waiting_duplicate_does_not_block_the_rescue(
    settings: Settings, database: Database
) -> None:
    key, first, second = str(new_id()), str(new_id()), str(new_id())
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo(settings.database_url), min_size=1, max_size=2
    )
    with job_app.replace_connector(connector) as app:
        async with app.open_async():
            await deliver_event.configure(queueing_lock=key).defer_async(event_id=first)
            await deliver_event.configure().defer_async(event_id=second)
            async with database.transaction(SCOPE) as session:
                await session.execute(
                    text(
                        "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                        " VALUES (now() - interval '1 hour') RETURNING id)"
                        " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)"
                        " WHERE args ->> 'event_id' IN (:first, :second)"
                    ),
                    {"first": first, "second": second},
                )
            await deliver_event.configure(queueing_lock=key).defer_async(event_id=first)
            await rescue_stalled_jobs(cast("JobContext", SimpleNamespace(app=app)), 0)
    async with database.transaction(SCOPE) as session:
        found = await session.execute(
            text(
                "SELECT args ->> 'event_id', status::text FROM procrastinate_jobs"
                " WHERE args ->> 'event_id' IN (:first, :second)"
            ),
            {"first": first, "second": second},
        )
        assert sorted(map(tuple, found)) == sorted([(first, "todo"), (second, "todo")])


def test_worker_loads_every_module_with_tasks() -> None:
    backend = Path(worker.__file__).parent
    decorated = {
        ".".join(("backend", *path.relative_to(backend).with_suffix("").parts))
        for path in backend.rglob("*.py")
        if re.search(r"^@job_app\.(task|periodic)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert decorated - {worker.__name__} == set(worker.TASK_MODULES)


async def test_scheduled_jobs_and_events_run_before_enrolments(settings: Settings) -> None:
    load_tasks()
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo(settings.database_url), min_size=1, max_size=2
    )
    queue = str(new_id())
    names = (
        "enrol_face",
        "deliver_event",
        "resettle_submission",
        "rescue_stalled_jobs",
        "roll_calls_due",
    )
    with job_app.replace_connector(connector) as app:
        async with app.open_async():
            for name in names:
                await job_app.tasks[name].configure(queue=queue, queueing_lock=queue + name).defer_async()
            worker = await app.job_manager.register_worker()
            fetched = [await app.job_manager.fetch_job(queues=[queue], worker_id=worker) for _ in names]
    first = [job.task_name for job in fetched if job is not None]
    assert set(first[:2]) == {"rescue_stalled_jobs", "roll_calls_due"}
    assert first[4] == "enrol_face"


async def test_events_of_one_transaction_share_jobs(database: Database) -> None:
    marker, many = str(new_id()), MAX_EVENTS_PER_JOB * 2 + 1
    async with database.transaction(SCOPE) as session:
        await emit_all(
            session, [(RollCallLaunched(roll_call_id=new_id(), path=marker), now()) for _ in range(many)]
        )
        rows = await session.scalars(text("SELECT args FROM procrastinate_jobs WHERE args ? 'event_ids'"))
        jobs = [args["event_ids"] for args in rows]
        found = select(OutboxEvent.id).where(OutboxEvent.payload["path"].astext == marker)
        events = {str(event_id) for event_id in await session.scalars(found)}
    ours = [job for job in jobs if events & set(job)]
    assert sorted(map(len, ours)) == [1, MAX_EVENTS_PER_JOB, MAX_EVENTS_PER_JOB]
    assert {event_id for job in ours for event_id in job} == events


async def test_failed_event_does_not_stop_others_of_its_job() -> None:
    delivered: list[str] = []

    async def deliver_or_fail(event_id: str) -> None:
        if event_id == "bad":
            raise RuntimeError
        delivered.append(event_id)

    context = cast("JobContext", SimpleNamespace(additional_context={"deliver": deliver_or_fail}))
    with pytest.raises(ExceptionGroup, match="1 of 3"):
        await deliver_events(context, event_ids=["first", "bad", "last"])
    assert delivered == ["first", "last"]


def test_failed_delivery_is_retried_with_growing_delays() -> None:
    waits = []
    for attempts in range(4):
        job = cast("Any", SimpleNamespace(attempts=attempts))
        strategy = deliver_event.retry_strategy
        assert strategy is not None
        decision = strategy.get_retry_decision(exception=RuntimeError(), job=job)
        assert decision is not None
        assert decision.retry_at is not None
        waits.append((decision.retry_at - now()).total_seconds())
    assert waits == sorted(waits)
    assert waits[0] > 1
    assert waits[3] > 60


async def test_worker_restarts_jobs_after_losing_the_database(
    app_context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RESTART_DELAY_SECONDS", 0.0)
    stop, runs = asyncio.Event(), 0

    async def run_once(_context: AppContext, _concurrency: int, _stop: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            raise procrastinate.exceptions.ConnectorException
        if runs == 3:
            stop.set()

    monkeypatch.setattr(worker, "_run_jobs_once", run_once)
    await worker._run_jobs(app_context, 1, stop)
    assert runs == 3
