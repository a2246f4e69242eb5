"""The background process: jobs of every room, with face engines in processes of their own."""

import asyncio
import importlib
import os
import signal
from contextlib import suppress
from functools import partial

import procrastinate
import structlog
from procrastinate import JobContext
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status
from psycopg_pool import PoolTimeout

from backend.core import audit, outbox
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.jobs import DEFAULT, QUEUES, Priority, conninfo, job_app
from backend.core.tenancy import Scope
from backend.events import CONSUMED, deliver
from backend.identity.face import policy as face_policy
from backend.identity.face.pool import face_pool
from backend.org.paths import path_of
from backend.policy import AbsentLaw
from backend.policy.installed import policy_at
from backend.roll_call.policy import face_rules, reuse_rules
from backend.roll_call.verification.queue import QueueConfig
from backend.roll_call.verification.worker import VerificationWorker
from biometrics.engines import registry as admitted
from biometrics.engines.base import EngineInfo
from biometrics.matching.decision import Method, ThresholdsInvalid
from biometrics.pool import FacePool, PoolLimits

JOB_MODULES = (
    "backend.core.outbox",
    "backend.org.tasks",
    "backend.people.tasks",
    "backend.identity.face.tasks",
    "backend.identity.devices.tasks",
    "backend.notice.tasks",
    "backend.roll_call.settlement.tasks",
    "backend.appeal.tasks",
    "backend.standing.tasks",
    "backend.standing.store.replay_tasks",
    "backend.retention.tasks",
)
HEARTBEAT_SECONDS = 2.0
GRACE_SECONDS = 20
"""How long a worker that was told to stop may finish what it has in hand."""
DEAD_AFTER_SECONDS = 10.0
AGAIN_SECONDS = 1.0
"""Before jobs begin anew when the database went away."""

log = structlog.get_logger()


def load_jobs() -> None:
    """Register the tasks of every room."""
    for module in JOB_MODULES:
        importlib.import_module(module)


def open_face_pool(app_context: AppContext) -> FacePool:
    """Face processes as the settings say; the test engine never in production."""
    settings = app_context.settings
    if settings.test_engine:
        if settings.env == "production":
            msg = "DIANMING_TEST_ENGINE admits drawn patterns as faces; unset it in production"
            raise RuntimeError(msg)
        log.warning("TEST ENGINE ADMITTED: drawn patterns count as faces here")
    factory = partial(
        admitted.face_engines,
        test_engine=settings.test_engine,
        own=settings.face_engine,
        contours=settings.face_contours,
    )
    pool = FacePool(factory, PoolLimits(workers=settings.face_processes))
    pool.start()
    try:
        _require_figures(app_context, pool.enrolling())
    except (AbsentLaw, ThresholdsInvalid):
        pool.close()
        raise
    return pool


def _require_figures(app_context: AppContext, enrolling: EngineInfo) -> None:
    """An engine without figures in the law could judge nobody: raises AbsentLaw, or ThresholdsInvalid where they
    belong to another version, before anybody waits for it.
    """
    law = policy_at(legal_day(app_context.clock()), app_context.settings.province_code)
    face_rules(law, enrolling.key.id)
    reuse_rules(law, enrolling.key.id)
    for method in {Method.NEUTRAL, face_policy.intended_method(law, enrolling.key)}:
        face_policy.thresholds(law, enrolling.key, method)


@job_app.periodic(cron="* * * * * */5", periodic_id="rescue")
@job_app.task(
    queue=DEFAULT,
    name="rescue_stalled_jobs",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="rescue_stalled_jobs",
)
async def rescue_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Give jobs of workers that died to living ones: a kill loses nothing (invariant 15)."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_SECONDS):
        log.warning("rescuing a job of a dead worker", job=job.id, task=job.task_name)
        try:
            await manager.retry_job(job)
        except UniqueViolation:
            # One like it waits already and does its work; the other jobs of the dead worker must not wait for that.
            await manager.finish_job(job, Status.ABORTED, delete_job=True)


@job_app.periodic(cron="* * * * *", periodic_id="seal")
@job_app.task(
    queue=DEFAULT, name="seal_audit", pass_context=True, priority=Priority.HIGH, queueing_lock="seal_audit"
)
async def seal_audit(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Chain what is not chained yet, every minute, in as many transactions as a rush of acts needs."""
    app_context: AppContext = context.additional_context["app_context"]
    province = path_of("province", app_context.settings.province_code, None)
    sealed = audit.SEAL_BATCH
    while sealed == audit.SEAL_BATCH:
        async with app_context.database.transaction(Scope.wide(province)) as session:
            sealed = await audit.seal(session, app_context.clock())


async def run_worker(app_context: AppContext, *, concurrency: int, stop: asyncio.Event | None = None) -> None:
    """Run jobs until told to stop (SIGTERM, SIGINT or `stop`)."""
    load_jobs()
    outbox.consume_only(CONSUMED)
    pool = open_face_pool(app_context)
    app_context.services[face_pool] = pool
    stopping = stop or _told_by_signals()
    verifier = VerificationWorker(app_context, QueueConfig.of(app_context.settings))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_run_jobs(app_context, concurrency, stopping))
            group.create_task(_judge(verifier, stopping))
    finally:
        pool.close()


def _told_by_signals() -> asyncio.Event:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def _judge(verifier: VerificationWorker, stop: asyncio.Event) -> None:
    """Verification has a loop of its own: however many wait for it, jobs are run meanwhile."""
    judging = asyncio.create_task(verifier.run(stop))
    await asyncio.wait([judging, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    _, unfinished = await asyncio.wait([judging], timeout=GRACE_SECONDS)
    if unfinished:
        judging.cancel()
    with suppress(asyncio.CancelledError):
        await judging


async def _run_jobs(app_context: AppContext, concurrency: int, stop: asyncio.Event) -> None:
    """Until told to stop. Whoever loses the database gives up: here it begins anew, with the faces still loaded."""
    while not stop.is_set():
        try:
            await _run_jobs_once(app_context, concurrency, stop)
        except (procrastinate.exceptions.ConnectorException, PoolTimeout) as error:
            log.warning("jobs interrupted", error=type(error).__name__)
        if not stop.is_set():
            log.warning("jobs begin anew: the database was away")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), AGAIN_SECONDS)


async def _run_jobs_once(app_context: AppContext, concurrency: int, stop: asyncio.Event) -> None:
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo(app_context.settings.database_url), min_size=1, max_size=max(4, concurrency)
    )
    with job_app.replace_connector(connector) as app:
        async with app.open_async():
            work = asyncio.create_task(
                app.run_worker_async(
                    queues=QUEUES,
                    concurrency=concurrency,
                    name=f"worker-{os.getpid()}",
                    fetch_job_polling_interval=1.0,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=DEAD_AFTER_SECONDS,
                    shutdown_graceful_timeout=GRACE_SECONDS,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                    additional_context={"app_context": app_context, "deliver": partial(deliver, app_context)},
                )
            )
            told = asyncio.create_task(stop.wait())
            await asyncio.wait([work, told], return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
            else:
                told.cancel()
                await work
