"""The worker process: background jobs of all packages, and verification with face engines in child processes."""

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
from backend.events import CONSUMED_EVENTS, deliver
from backend.identity.face import policy as face_policy
from backend.identity.face.calibration.policy import fixed_thresholds
from backend.identity.face.pool import face_pool
from backend.org.paths import build_unit_path
from backend.policy import AbsentLaw
from backend.policy.installed import policy_at
from backend.roll_call.policy import face_rules, reuse_rules
from backend.roll_call.verification.queue import QueueConfig
from backend.roll_call.verification.worker import VerificationWorker
from biometrics.engines import registry as engine_registry
from biometrics.engines.base import EngineInfo
from biometrics.matching.decision import Method, ThresholdsInvalid
from biometrics.pool import FacePool, PoolLimits

TASK_MODULES = (
    "backend.core.outbox",
    "backend.org.tasks",
    "backend.people.tasks",
    "backend.identity.face.tasks",
    "backend.identity.face.calibration.tasks",
    "backend.identity.face.duplicates.tasks",
    "backend.identity.devices.tasks",
    "backend.identity.sign_in.tasks",
    "backend.notice.tasks",
    "backend.roll_call.progress.tasks",
    "backend.roll_call.settlement.resettlement",
    "backend.roll_call.settlement.tasks",
    "backend.roll_call.attestation.tasks",
    "backend.roll_call.looks.tasks",
    "backend.appeal.tasks",
    "backend.guardian.tasks",
    "backend.standing.tasks",
    "backend.standing.store.replay_tasks",
    "backend.retention.tasks",
)
HEARTBEAT_SECONDS = 2.0
SHUTDOWN_GRACE_SECONDS = 20
"""How long a stopping worker may finish its current jobs."""
DEAD_AFTER_SECONDS = 10.0
RESTART_DELAY_SECONDS = 1.0
"""Delay before jobs run again after the database was unreachable."""

log = structlog.get_logger()


def load_tasks() -> None:
    """Register the tasks of all packages."""
    for module in TASK_MODULES:
        importlib.import_module(module)


def open_face_pool(app_context: AppContext) -> FacePool:
    """Start the face processes that the settings describe. The test engine is never allowed in production."""
    settings = app_context.settings
    if settings.test_engine:
        if settings.env == "production":
            msg = "DIANMING_TEST_ENGINE accepts drawn patterns as faces; unset it in production"
            raise RuntimeError(msg)
        log.warning("TEST ENGINE ENABLED: drawn patterns count as faces")
    if settings.face_demonstration:
        log.warning(
            "DEMONSTRATION: face thresholds from few people claim no rate; signals of motion are advice"
        )
    factory = partial(
        engine_registry.load_face_engines,
        test_engine=settings.test_engine,
        own=settings.face_engine,
        landmark_model=settings.face_landmark_model,
    )
    pool = FacePool(factory, PoolLimits(workers=settings.face_processes))
    pool.start()
    try:
        _check_engine_policy(app_context, pool.enrolment_engine())
    except (AbsentLaw, ThresholdsInvalid):
        pool.close()
        raise
    return pool


def _check_engine_policy(app_context: AppContext, enrolment_engine: EngineInfo) -> None:
    """Raise AbsentLaw if the policy has no figures for the engine, or ThresholdsInvalid if they are for another version.

    Checked when the worker starts, since it could verify no submission without them.
    """
    law = policy_at(legal_day(app_context.clock()), app_context.settings.province_code)
    face_rules(law, enrolment_engine.key.id)
    reuse_rules(law, enrolment_engine.key.id)
    for method in {Method.NEUTRAL, face_policy.scoring_method(law, enrolment_engine.key)}:
        fixed_thresholds(law, enrolment_engine.key, method)


@job_app.periodic(cron="* * * * * */5", periodic_id="rescue")
@job_app.task(
    queue=DEFAULT,
    name="rescue_stalled_jobs",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="rescue_stalled_jobs",
)
async def rescue_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Requeue the jobs of workers that died, so that killing a worker loses nothing (invariant 15)."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_SECONDS):
        log.warning("requeuing a job of a dead worker", job=job.id, task=job.task_name)
        try:
            await manager.retry_job(job)
        except UniqueViolation:
            # An equal job waits already and replaces this one. An error here would keep the others from being rescued.
            await manager.finish_job(job, Status.ABORTED, delete_job=True)


@job_app.periodic(cron="* * * * *", periodic_id="seal")
@job_app.task(
    queue=DEFAULT, name="seal_audit", pass_context=True, priority=Priority.HIGH, queueing_lock="seal_audit"
)
async def seal_audit(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Seal new audit entries every minute, in one transaction per batch."""
    app_context: AppContext = context.additional_context["app_context"]
    province = build_unit_path("province", app_context.settings.province_code, None)
    sealed = audit.SEAL_BATCH
    while sealed == audit.SEAL_BATCH:
        async with app_context.database.transaction(Scope.wide(province)) as session:
            sealed = await audit.seal(session, app_context.clock())


async def run_worker(app_context: AppContext, *, concurrency: int, stop: asyncio.Event | None = None) -> None:
    """Run jobs and verification until SIGTERM, SIGINT or `stop`."""
    load_tasks()
    outbox.set_consumed_events(CONSUMED_EVENTS)
    pool = open_face_pool(app_context)
    app_context.provide(face_pool, pool)
    stopping = stop or _stop_on_signals()
    verification = VerificationWorker(app_context, QueueConfig.of(app_context.settings))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_run_jobs(app_context, concurrency, stopping))
            group.create_task(_run_verification(verification, stopping))
    finally:
        pool.close()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _run_verification(worker: VerificationWorker, stop: asyncio.Event) -> None:
    """Verify submissions concurrently with the jobs, so that a long queue of submissions does not delay jobs."""
    running = asyncio.create_task(worker.run(stop))
    await asyncio.wait([running, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    _, unfinished = await asyncio.wait([running], timeout=SHUTDOWN_GRACE_SECONDS)
    if unfinished:
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def _run_jobs(app_context: AppContext, concurrency: int, stop: asyncio.Event) -> None:
    """Run jobs until `stop`. procrastinate ends when it loses the database; restart it with the engines still loaded."""
    while not stop.is_set():
        try:
            await _run_jobs_once(app_context, concurrency, stop)
        except (procrastinate.exceptions.ConnectorException, PoolTimeout) as error:
            log.warning("jobs interrupted", error=type(error).__name__)
        if not stop.is_set():
            log.warning("restarting jobs: the database was unreachable")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RESTART_DELAY_SECONDS)


async def _run_jobs_once(app_context: AppContext, concurrency: int, stop: asyncio.Event) -> None:
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo(app_context.settings.database_url), min_size=1, max_size=max(4, concurrency)
    )
    with job_app.replace_connector(connector) as app:
        async with app.open_async():
            running = asyncio.create_task(
                app.run_worker_async(
                    queues=QUEUES,
                    concurrency=concurrency,
                    name=f"worker-{os.getpid()}",
                    fetch_job_polling_interval=1.0,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=DEAD_AFTER_SECONDS,
                    shutdown_graceful_timeout=SHUTDOWN_GRACE_SECONDS,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                    additional_context={"app_context": app_context, "deliver": partial(deliver, app_context)},
                )
            )
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
            else:
                stopped.cancel()
                await running
