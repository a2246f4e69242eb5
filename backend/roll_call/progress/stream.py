"""Progress streams (server-sent events). Each snapshot is rendered once and sent to all its subscribers.

A process reads the totals of a streamed roll call at most once a second, for all its units together, when a Redis
message signals a change; without Redis it polls. Subscribers are woken in small batches, so that thousands of open
dashboards do not delay a check-in. Those who act for the launcher also get the figures of the verification queue.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.roll_call.progress.access import ProgressAccess
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.changes import CHANNEL_PREFIX
from backend.roll_call.progress.totals import RollCallTotals
from backend.roll_call.verification.metrics import QueueMetrics, load_queue_metrics
from backend.roll_call.verification.schemas import VerificationOut

MIN_INTERVAL_SECONDS = 1.0
"""Totals of a roll call are read at most this often, however many outcomes arrive."""
POLL_SECONDS = 10.0
"""Totals are read this often if no message arrives."""
QUEUE_SECONDS = 5.0
"""The queue is read at most this often for a roll call, because it reads every waiting task of the deployment."""
WAKE_BATCH, WAKE_PAUSE_SECONDS = 16, 0.004
"""Subscribers woken at a time, and the pause after each batch."""

log = structlog.get_logger()


def as_event(json: str, name: str = "progress") -> bytes:
    """A JSON document as one server-sent event."""
    return f"event: {name}\r\ndata: {json}\r\n\r\n".encode()


@dataclass(eq=False, slots=True)
class _SharedSnapshot:
    """The latest snapshot for one access, shared by all its subscribers."""

    access: ProgressAccess
    event: bytes
    subscribers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, totals: RollCallTotals, queue_event: bytes) -> int:
        """Render again and wake the subscribers if it differs. Returns how many were woken."""
        event = as_event(self.access.render(totals)) + (queue_event if self.access.sees_queue else b"")
        if event == self.event:
            return 0
        self.event = event
        self.wake()
        return self.subscribers

    def wake(self) -> None:
        """Wake the subscribers."""
        self.changed.set()
        self.changed = asyncio.Event()  # for the next change


@dataclass(eq=False, slots=True)
class _RollCallFeed:
    """All snapshots of one roll call and the task that keeps them current."""

    snapshots: dict[ProgressAccess, _SharedSnapshot] = field(default_factory=dict)
    signalled: asyncio.Event = field(default_factory=asyncio.Event)
    reader: asyncio.Task[None] | None = None
    queue: QueueMetrics | None = None
    queue_event: bytes = b""
    queue_read_at: float = 0.0

    @property
    def needs_queue(self) -> bool:
        """Whether the figures of the queue are shown and due."""
        is_due = time.monotonic() - self.queue_read_at >= QUEUE_SECONDS
        return is_due and any(access.sees_queue for access in self.snapshots)


class ProgressStreams:
    """All progress streams of a process."""

    def __init__(self, app_context: AppContext) -> None:
        self._app_context = app_context
        self._redis = app_context.redis
        self._totals = app_context.service(TotalsCache)
        self._feeds: dict[UUID, _RollCallFeed] = {}
        self._listener: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Number of snapshots kept current."""
        return sum(len(feed.snapshots) for feed in self._feeds.values())

    async def subscribe_to_progress(
        self, access: ProgressAccess, first: str, is_over: Callable[[], bool]
    ) -> AsyncGenerator[bytes]:
        """Yield the snapshot for `access` now and after each change, as events, until `is_over()`.

        `first` is the snapshot that the caller has just read.
        """
        snapshot = self._attach(access, first)
        snapshot.subscribers += 1
        try:
            sent = snapshot.event
            yield sent
            while True:
                changed = snapshot.changed
                if snapshot.event is sent:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), POLL_SECONDS)
                if is_over():
                    return
                if snapshot.event is not sent:
                    sent = snapshot.event
                    yield sent
        finally:
            snapshot.subscribers -= 1
            if not snapshot.subscribers:
                await self._detach(snapshot)

    def wake(self, access: ProgressAccess) -> None:
        """Make the subscribers of this access check whether they are over."""
        feed = self._feeds.get(access.roll_call_id)
        snapshot = feed.snapshots.get(access) if feed else None
        if snapshot is not None:
            snapshot.wake()

    def _attach(self, access: ProgressAccess, first: str) -> _SharedSnapshot:
        feed = self._feeds.get(access.roll_call_id)
        if feed is None:
            feed = self._feeds[access.roll_call_id] = _RollCallFeed()
            feed.reader = asyncio.create_task(self._run_reader(feed, access))
        if self._listener is None:
            self._listener = asyncio.create_task(self._run_listener())
        snapshot = feed.snapshots.get(access)
        if snapshot is None:
            event = as_event(first) + (feed.queue_event if access.sees_queue else b"")
            snapshot = feed.snapshots[access] = _SharedSnapshot(access, event)
        return snapshot

    async def _detach(self, snapshot: _SharedSnapshot) -> None:
        roll_call_id = snapshot.access.roll_call_id
        feed = self._feeds[roll_call_id]
        del feed.snapshots[snapshot.access]
        stopped: list[asyncio.Task[None] | None] = []
        if not feed.snapshots:
            del self._feeds[roll_call_id]
            stopped.append(feed.reader)
        if not self._feeds:
            stopped.append(self._listener)
            self._listener = None
        for task in stopped:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _run_reader(self, feed: _RollCallFeed, access: ProgressAccess) -> None:
        """Read the totals after each signal, or by polling, and update the snapshots."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(feed.signalled.wait(), POLL_SECONDS)
            feed.signalled.clear()
            try:
                totals = await self._totals.load_current(access.roll_call_id, access.launcher_path)
                if feed.needs_queue:
                    await self._read_queue(feed, access.roll_call_id)
                await _update_snapshots(feed, totals)
            except Exception as error:  # noqa: BLE001 - for example the database is down; snapshots stay as they are
                log.warning("roll call totals could not be read", error=type(error).__name__)
            await asyncio.sleep(MIN_INTERVAL_SECONDS)

    async def _read_queue(self, feed: _RollCallFeed, roll_call_id: UUID) -> None:
        feed.queue_read_at, at = time.monotonic(), self._app_context.clock()
        async with self._app_context.database.transaction(Scope.none()) as session:
            metrics = await load_queue_metrics(session, roll_call_id, at)
        if metrics != feed.queue:  # the event names the time, so an equal queue would give another event
            feed.queue = metrics
            feed.queue_event = as_event(VerificationOut.of(metrics, at).model_dump_json(), "verification")

    async def _run_listener(self) -> None:
        """Receive the signals of all roll calls on one subscription; retry while Redis is down."""
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.psubscribe(CHANNEL_PREFIX + "*")
                    while True:
                        message = await subscription.get_message(
                            ignore_subscribe_messages=True, timeout=POLL_SECONDS
                        )
                        if message is not None:
                            self._signal(message["channel"])
            except (RedisError, OSError):
                await asyncio.sleep(MIN_INTERVAL_SECONDS)

    def _signal(self, channel: bytes | str) -> None:
        name = channel.decode() if isinstance(channel, bytes) else channel
        for roll_call_id, feed in self._feeds.items():
            if name == CHANNEL_PREFIX + str(roll_call_id):
                feed.signalled.set()


async def _update_snapshots(feed: _RollCallFeed, totals: RollCallTotals) -> None:
    """Update every snapshot, pausing after each batch of woken subscribers."""
    woken = 0
    for snapshot in list(feed.snapshots.values()):
        woken += snapshot.update(totals, feed.queue_event)
        if woken >= WAKE_BATCH:
            woken = 0
            await asyncio.sleep(WAKE_PAUSE_SECONDS)
