"""Watches the sessions of open streams, so that a stream ends soon after its session or account does."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from backend.core.app_context import AppContext
from backend.identity.sign_in.unscoped_queries import load_ended_sessions

POLL_SECONDS = 2.0
"""All watched sessions of a process are looked up together, this often."""

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class WatchedSession:
    """The session of one stream; `on_end` is called once when it has ended."""

    session_id: UUID
    on_end: Callable[[], None]
    ended: bool = False


class SessionWatch:
    """The watched sessions of a process."""

    def __init__(self, app_context: AppContext) -> None:
        self._database, self._clock = app_context.database, app_context.clock
        self._watched: set[WatchedSession] = set()
        self._poller: asyncio.Task[None] | None = None

    @contextmanager
    def watch(self, session_id: UUID, on_end: Callable[[], None]) -> Iterator[WatchedSession]:
        """Watch a session while the block runs."""
        watched = WatchedSession(session_id, on_end)
        self._watched.add(watched)
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            yield watched
        finally:
            self._watched.discard(watched)
            if not self._watched and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def check(self) -> None:
        """Look up all watched sessions and report those that have ended."""
        ids = list({each.session_id for each in self._watched})
        ended = await load_ended_sessions(self._database, ids, self._clock())
        for each in [each for each in self._watched if each.session_id in ended and not each.ended]:
            each.ended = True
            each.on_end()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - for example the database is down; streams end with their token's life
                log.warning("sessions could not be checked", error=type(error).__name__)
