"""The loop of a worker that takes submissions from the queue, judges them, and goes on until it is told to stop."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.roll_call.verification.queue import Lease, QueueConfig, claim, record_throughput, release, renew
from backend.roll_call.verification.service import verify_batch

BATCHES_AT_ONCE = 2
"""One is judged while the other is read or recorded; more would only hold leases for longer."""
LOOK_AGAIN_SECONDS = 0.25
"""After which an idle worker asks again. It is not notified: that would make every commit of a check-in wait for the
others' (ADR 13)."""
AFTER_FAILURE_SECONDS = 1.0

log = structlog.get_logger()


class VerificationWorker:
    """Any number of them, on any hosts, share the queue."""

    def __init__(self, app_context: AppContext, terms: QueueConfig) -> None:
        self._runtime = app_context
        self._terms = terms
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._in_hand = 0
        self._busy_since = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Judge until told to stop; what is in hand is finished first."""
        async with asyncio.TaskGroup() as group:
            for _ in range(BATCHES_AT_ONCE):
                group.create_task(self._serve(stop))

    async def _serve(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                pause = 0.0 if await self.take() else LOOK_AGAIN_SECONDS
            except Exception as error:
                log.warning("verification interrupted", exc_info=error)
                pause = AFTER_FAILURE_SECONDS
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    async def take(self) -> bool:
        """Judge one batch; False if nothing waits."""
        database, clock = self._runtime.database, self._runtime.clock
        async with database.transaction(Scope.none()) as session:
            leases = await claim(session, self._name, self._terms, clock())
        if not leases:
            return False
        if not self._in_hand:
            self._busy_since = time.perf_counter()
        self._in_hand += 1
        try:
            async with self._held(leases):
                judged = await verify_batch(self._runtime, leases, self._terms)
        finally:
            self._in_hand -= 1
        async with database.transaction(Scope.none()) as session:
            await record_throughput(session, self._name, judged, self._busy_seconds(), clock())
        return True

    def _busy_seconds(self) -> float:
        """Since a batch last said so; two at once take no more time than one."""
        before, self._busy_since = self._busy_since, time.perf_counter()
        return self._busy_since - before

    @asynccontextmanager
    async def _held(self, leases: Sequence[Lease]) -> AsyncIterator[None]:
        """Renew the leases for as long as they are worked on; give them back if the work is cancelled."""
        renewing = asyncio.create_task(self._renew(leases))
        try:
            yield
        except asyncio.CancelledError:
            async with self._school(leases) as session:
                await release(session, leases)
            raise
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, leases: Sequence[Lease]) -> None:
        while True:
            await asyncio.sleep(self._terms.lease.total_seconds() / 3)
            try:
                async with self._school(leases) as session:
                    await renew(session, leases, self._terms, self._runtime.clock())
            except Exception as error:
                log.warning("leases not renewed", exc_info=error)

    def _school(self, leases: Sequence[Lease]) -> AbstractAsyncContextManager[AsyncSession]:
        return self._runtime.database.transaction(Scope.school(leases[0].school_id))
