"""The verification worker: claim submissions from the queue, verify them, record the verdicts.

One batch holds submissions of one school. Its inputs are read in one transaction, analysed with no transaction open, and
recorded in another one. If a step fails for a batch, it is repeated for each submission alone, so that one bad
submission does not affect the others. A failed submission is retried later and becomes a dead letter in the end. A
failing check inside the analysis makes the verdict undetermined, never present and never missed (THREATS 21). If the
database becomes unreachable, no attempt is counted.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.database import is_unreachable
from backend.core.tenancy import Scope
from backend.roll_call.progress.changes import publish_changed
from backend.roll_call.verification.analysis import analyse_submission
from backend.roll_call.verification.inputs import VerificationInput, load_inputs
from backend.roll_call.verification.queue import (
    JUDGING_FAILED,
    READING_FAILED,
    RECORDING_FAILED,
    Lease,
    QueueConfig,
    claim,
    complete,
    record_throughput,
    release,
    renew,
    retry_later,
)
from backend.roll_call.verification.record import Verified, record_verdicts
from biometrics.pool import FacePoolClosed

CONCURRENT_BATCHES = 2
"""One batch is analysed while the other is read or recorded; more would only hold leases for longer."""
IDLE_POLL_SECONDS = 0.25
"""How often an idle worker polls the queue. LISTEN/NOTIFY is not used, because NOTIFY serialises the commits of all
check-ins (ADR 13)."""
AFTER_FAILURE_SECONDS = 1.0
DATABASE_RETRY_SECONDS = 1.0
"""Pause before the next try while the database is unreachable."""

log = structlog.get_logger()


class VerificationWorker:
    """One worker process. Any number of workers on any hosts share the queue."""

    def __init__(self, app_context: AppContext, config: QueueConfig) -> None:
        self._app_context = app_context
        self._config = config
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._active_batches = 0
        self._busy_since = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Verify submissions until `stop` is set; batches in progress are finished first."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENT_BATCHES):
                group.create_task(self._poll(stop))

    async def _poll(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                pause = 0.0 if await self.run_batch() else IDLE_POLL_SECONDS
            except Exception as error:
                log.warning("verification interrupted", exc_info=error)
                pause = AFTER_FAILURE_SECONDS
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    async def run_batch(self) -> bool:
        """Claim and verify one batch. Returns False if the queue is empty."""
        database, clock = self._app_context.database, self._app_context.clock
        async with database.transaction(Scope.none()) as session:
            leases = await claim(session, self._name, self._config, clock())
        if not leases:
            return False
        if not self._active_batches:
            self._busy_since = time.perf_counter()
        self._active_batches += 1
        try:
            async with self._keep_claim(leases):
                verified = await verify_batch(self._app_context, leases, self._config)
        finally:
            self._active_batches -= 1
        async with database.transaction(Scope.none()) as session:
            await record_throughput(session, self._name, verified, self._take_busy_seconds(), clock())
        return True

    def _take_busy_seconds(self) -> float:
        """Return the busy time since the last call; two concurrent batches share the same seconds."""
        before, self._busy_since = self._busy_since, time.perf_counter()
        return self._busy_since - before

    @asynccontextmanager
    async def _keep_claim(self, leases: Sequence[Lease]) -> AsyncIterator[None]:
        """Renew the leases while the block runs; release them if it is cancelled."""
        renewal = asyncio.create_task(self._renew_forever(leases))
        try:
            yield
        except asyncio.CancelledError:
            async with self._school_transaction(leases) as session:
                await release(session, leases)
            raise
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError):
                await renewal

    async def _renew_forever(self, leases: Sequence[Lease]) -> None:
        while True:
            await asyncio.sleep(self._config.lease.total_seconds() / 3)
            try:
                async with self._school_transaction(leases) as session:
                    await renew(session, leases, self._config, self._app_context.clock())
            except Exception as error:
                log.warning("leases not renewed", exc_info=error)

    def _school_transaction(self, leases: Sequence[Lease]) -> AbstractAsyncContextManager[AsyncSession]:
        return self._app_context.database.transaction(Scope.school(leases[0].school_id))


async def verify_batch(app_context: AppContext, leases: Sequence[Lease], config: QueueConfig) -> int:
    """Verify submissions of one school and return how many verdicts were written.

    Safe to run again or concurrently: a verdict is written once, and only under a current lease.
    """
    batch = _Batch(app_context, leases)
    inputs = await batch.run_isolated(batch.read, leases, READING_FAILED)
    analysed = await batch.analyse_all(inputs)
    written = await batch.run_isolated(batch.write, analysed, RECORDING_FAILED) if analysed else []
    await batch.return_to_queue({each.submission_id for each in analysed}, config)
    for roll_call_id in {each.input.roll_call.id for each in written}:
        await publish_changed(app_context.redis, roll_call_id)
    return len(written)


class _HasSubmissionId(Protocol):
    @property
    def submission_id(self) -> UUID: ...


Item = TypeVar("Item", bound=_HasSubmissionId)
Result = TypeVar("Result")


class _Batch:
    """The steps of one batch, and which submissions failed or were interrupted."""

    def __init__(self, app_context: AppContext, leases: Sequence[Lease]) -> None:
        self._app_context = app_context
        self._leases = {lease.submission_id: lease for lease in leases}
        self._school_id = leases[0].school_id
        self._failed: dict[UUID, str] = {}
        self._interrupted: set[UUID] = set()

    async def run_isolated(
        self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], items: Sequence[Item], code: str
    ) -> list[Result]:
        """Run `work` for all items at once; if that fails, run it for each item alone and mark the failed ones."""
        try:
            return list(await work(items))
        except Exception as error:  # noqa: BLE001 - any failure is recorded with its code or repeated alone
            if is_unreachable(error):
                log.warning("verification interrupted: the database is unreachable", code=code)
                self._interrupted.update(item.submission_id for item in items)
                return []
            if len(items) == 1:
                self._mark_failed(items[0].submission_id, code, error)
                return []
        return [result for item in items for result in await self.run_isolated(work, [item], code)]

    def _mark_failed(self, submission_id: UUID, code: str, error: BaseException) -> None:
        log.warning("verification failed", submission=str(submission_id), code=code, exc_info=error)
        self._failed[submission_id] = code

    async def read(self, leases: Sequence[Lease]) -> list[VerificationInput]:
        async with self._app_context.database.transaction(Scope.school(self._school_id)) as session:
            submission_ids = [lease.submission_id for lease in leases]
            return await load_inputs(session, self._app_context, self._school_id, submission_ids)

    async def analyse_all(self, inputs: Sequence[VerificationInput]) -> list[Verified]:
        """Analyse all submissions concurrently; the pool of face processes bounds the parallelism."""
        results = await asyncio.gather(
            *(analyse_submission(self._app_context, each) for each in inputs), return_exceptions=True
        )
        analysed = []
        for each, result in zip(inputs, results, strict=True):
            submission_id = each.submission.id
            if isinstance(result, FacePoolClosed | asyncio.CancelledError):  # this worker is stopping
                self._interrupted.add(submission_id)
            elif isinstance(result, BaseException):
                self._mark_failed(submission_id, JUDGING_FAILED, result)
            else:
                analysed.append(Verified(self._leases[submission_id], each, result))
        return analysed

    async def write(self, analysed: Sequence[Verified]) -> list[Verified]:
        async with self._app_context.database.transaction(Scope.school(self._school_id)) as session:
            return await record_verdicts(session, self._app_context, analysed, self._app_context.clock())

    async def return_to_queue(self, analysed: set[UUID], config: QueueConfig) -> None:
        """Reschedule failed tasks, release interrupted ones, and remove tasks that already had a verdict.

        While the database is unreachable, this is retried for as long as a lease lasts, because a task that is not
        released counts as a failed attempt.
        """
        give_up_at = time.monotonic() + config.lease.total_seconds()
        while True:
            try:
                return await self._return_to_queue(analysed, config)
            except OperationalError as error:
                if not is_unreachable(error) or time.monotonic() > give_up_at:
                    raise
            await asyncio.sleep(DATABASE_RETRY_SECONDS)

    async def _return_to_queue(self, analysed: set[UUID], config: QueueConfig) -> None:
        had_verdict = self._leases.keys() - analysed - self._failed.keys() - self._interrupted
        if not had_verdict and not self._failed and not self._interrupted:
            return
        async with self._app_context.database.transaction(Scope.school(self._school_id)) as session:
            await complete(session, [self._leases[each] for each in had_verdict])
            await release(session, [self._leases[each] for each in self._interrupted])
            for submission_id, code in self._failed.items():
                lease = self._leases[submission_id]
                if await retry_later(session, lease, code, config, self._app_context.clock()):
                    log.error("verification given up", submission=str(submission_id), code=code)
