"""A proxy on each connection of the deployment that can delay, pause, drop and abort traffic.

The relays to PostgreSQL also parse the protocol. They know which tables a transaction wrote when its COMMIT is sent, so a
process can be killed exactly before or exactly after the commit of one kind of transaction.
"""

import asyncio
import random
import re
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

CHUNK = 1 << 16
Moment = Literal["before", "after"]
Address = Path | int
"""A Unix socket, or a TCP port on the loopback address."""

_WRITES = re.compile(rb"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(?:ONLY\s+)?\"?([a-z_]+)", re.IGNORECASE)
_CALLS = re.compile(rb"procrastinate_(?:defer|fetch|finish|retry)_\w+|definer\.\w+", re.IGNORECASE)
_NAMED_BY = re.compile(rb"audit_entry|outbox_event|outbox_delivery", re.IGNORECASE)
"""Statements whose parameters contain the name of an audit action, an event or a consumer."""
_NAME = re.compile(rb"[A-Za-z]\w*(?:\.[a-z_]+)?")
_NAME_IN_ROWS = re.compile(rb'"(?:name|action|consumer)": ?"([A-Za-z]\w*(?:\.[a-z_]+)?)"')
"""Names in rows that are sent as one JSON document."""
_COMMITTED = b"COMMIT\x00"
_STATEMENT_DONE = re.compile(rb"C....(?:SELECT|INSERT|UPDATE|DELETE).*Z\0\0\0\x05I", re.DOTALL)
"""The response to a statement outside of a transaction block."""


_ROW_COUNT = re.compile(rb"C....SELECT (\d+)\0", re.DOTALL)
_NULL_ROW = re.compile(rb"D....\0.\xff\xff\xff\xff", re.DOTALL)
"""A row whose first column is null: a function that fetches a job found none."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A writing transaction: its tables and functions, and the names in its parameters. `alone`: a single statement."""

    tables: frozenset[str]
    names: frozenset[str] = frozenset()
    alone: bool = False
    idle: bool = False
    """Whether it looked for work and found none."""

    def is_done(self, answer: bytes) -> bool:
        """Return whether this response of PostgreSQL confirms the commit."""
        return bool(_STATEMENT_DONE.search(answer)) if self.alone else _COMMITTED in answer


@dataclass(slots=True)
class ConnectionState:
    """State of one connection: the commit in progress, and whether the last query returned nothing."""

    awaited: Commit | None = None
    idle: bool = False

    def observe(self, answer: bytes) -> None:
        """Read a response of PostgreSQL."""
        counts = _ROW_COUNT.findall(answer)
        if counts:
            self.idle = counts[-1] == b"0" or bool(_NULL_ROW.search(answer))


class StatementReader:
    """Parses the protocol messages of one PostgreSQL client and tracks what its transaction has written."""

    def __init__(self) -> None:
        self._buffer = b""
        self._started = False
        self._statements: dict[bytes, bytes] = {}
        self._inside = False
        self.written: set[str] = set()
        self.names: set[str] = set()

    def feed(self, data: bytes) -> Commit | None:
        """Parse bytes from the client. Return the writing transaction that they commit, or None."""
        self._buffer += data
        committed: Commit | None = None
        while True:
            message = self._next()
            if message is None:
                return committed
            text = self._text(*message)
            if text is not None:
                committed = self._track(text, message[1]) or committed

    def _track(self, text: bytes, body: bytes) -> Commit | None:
        word = text.lstrip()[:8].upper()
        found = None
        if word.startswith(b"COMMIT") and self.written:
            found = Commit(frozenset(self.written), frozenset(self.names))
        if word.startswith((b"COMMIT", b"ROLLBACK", b"BEGIN")) and not word.startswith(b"ROLLBACK "):
            self._inside = word.startswith(b"BEGIN")
            self._reset()
        written = {each.decode().lower() for each in (*_WRITES.findall(text), *_CALLS.findall(text))}
        self.written |= written - {"set"}  # from ON CONFLICT DO UPDATE SET
        if _NAMED_BY.search(text):
            self.names |= set(_names(body))
        if not self._inside and self.written:
            found = Commit(frozenset(self.written), frozenset(self.names), alone=True)
            self._reset()
        return found

    def _reset(self) -> None:
        self.written, self.names = set(), set()

    def _next(self) -> tuple[bytes, bytes] | None:
        offset = 1 if self._started else 0
        if len(self._buffer) < offset + 4:
            return None
        (length,) = struct.unpack_from("!I", self._buffer, offset)
        if len(self._buffer) < offset + length:
            return None
        kind, body = self._buffer[:offset], self._buffer[offset + 4 : offset + length]
        self._buffer = self._buffer[offset + length :]
        if not self._started:
            # SSL and GSS requests precede the startup message and are eight bytes long.
            self._started = length != 8
        return kind, body

    def _text(self, kind: bytes, body: bytes) -> bytes | None:
        if kind == b"Q":
            return body.rstrip(b"\0")
        if kind == b"P":
            name, text, *_ = body.split(b"\0", 2)
            self._statements[name] = text
            return None
        if kind == b"B":
            _, name, *_ = body.split(b"\0", 2)
            return self._statements.get(name)
        return None


def _names(body: bytes) -> Iterator[str]:
    """Yield the parameters of a Bind message that are names, and the names in JSON parameters."""
    _, _, rest = body.split(b"\0", 2)
    (formats,) = struct.unpack_from("!H", rest)
    offset = 2 + 2 * formats
    (count,) = struct.unpack_from("!H", rest, offset)
    offset += 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", rest, offset)
        offset += 4
        value = rest[offset : offset + max(length, 0)]
        offset += max(length, 0)
        if _NAME.fullmatch(value):
            yield value.decode()
        elif value.startswith(b"[{"):
            yield from (name.decode() for name in _NAME_IN_ROWS.findall(value))


@dataclass(slots=True)
class Trap:
    """Kills the process at its next commit, unless `is_exempt`. Sets `triggered` afterwards."""

    is_exempt: Callable[[frozenset[str]], bool]
    moment: Moment
    kill: Callable[["Relay"], None]
    triggered: asyncio.Event = field(default_factory=asyncio.Event)
    tables: frozenset[str] = frozenset()

    def trigger(self, relay: "Relay", moment: Moment, commit: Commit) -> bool:
        """Kill the process if the commit matches. Return whether it was killed."""
        if self.triggered.is_set() or self.moment != moment or self.is_exempt(commit.tables):
            return False
        self.kill(relay)
        self.tables = commit.tables
        self.triggered.set()
        return True


class CommitTrap(Protocol):
    """Can kill the process behind a relay at a commit."""

    def trigger(self, relay: "Relay", moment: Moment, commit: Commit) -> bool:
        """Return whether the process was killed. Then the relay must forward nothing more."""


class Relay:
    """Forwards connections from one address to another. `mode` and `delay` can change at any time."""

    def __init__(self, listen: Address, upstream: Address, *, reads_postgres: bool = False) -> None:
        self.listen, self.upstream = listen, upstream
        self.mode: Literal["forward", "black_hole", "drop_responses"] = "forward"
        self.delay = 0.0
        self.trap: CommitTrap | None = None
        self._reads = reads_postgres
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._open_gate = asyncio.Event()
        self._open_gate.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if isinstance(self.listen, int):
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.listen)
        else:
            self.listen.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self.listen)
            self.listen.chmod(0o777)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.restore()
        self.abort_connections()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def abort_connections(self, share: float = 1.0) -> None:
        """Abort all connections immediately, or a random share of them."""
        for writer in list(self._open):
            if share >= 1.0 or random.random() < share:
                writer.transport.abort()

    def black_hole(self) -> None:
        """Forward nothing in either direction, without closing connections."""
        self.mode = "black_hole"
        self._open_gate.clear()

    def pause_traffic(self) -> None:
        """Forward nothing until `restore`, then continue without losing data."""
        self._open_gate.clear()

    def drop_responses(self) -> None:
        """Forward requests but drop all responses."""
        self.mode = "drop_responses"

    def restore(self) -> None:
        """Forward normally again. Aborts the connections that lost data."""
        if self.mode != "forward":
            self.abort_connections()
        self.mode, self.delay = "forward", 0.0
        self._open_gate.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        up: asyncio.StreamWriter | None = None
        try:
            await self._open_gate.wait()
            if isinstance(self.upstream, int):
                back, up = await asyncio.open_connection("127.0.0.1", self.upstream)
            else:
                back, up = await asyncio.open_unix_connection(self.upstream)
            self._open.add(up)
            state = ConnectionState()
            await self._run_both(
                self._forward_requests(reader, up, state), self._forward_responses(back, writer, state)
            )
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for each in (writer, up):
                if each is not None:
                    self._open.discard(each)
                    with suppress(Exception):
                        each.transport.abort()

    @staticmethod
    async def _run_both(*directions: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(each) for each in directions]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_and_delay(self) -> None:
        await self._open_gate.wait()
        if self.delay:
            await asyncio.sleep(self.delay)

    async def _forward_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: ConnectionState
    ) -> None:
        statements = StatementReader() if self._reads else None
        while data := await reader.read(CHUNK):
            await self._wait_and_delay()
            if statements is not None:
                commit = statements.feed(data)
                if commit is not None:
                    commit = replace(commit, idle=state.idle and not commit.alone)
                    if self._trigger("before", commit):
                        return
                    state.awaited = commit
            writer.write(data)
            await writer.drain()

    async def _forward_responses(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: ConnectionState
    ) -> None:
        while data := await reader.read(CHUNK):
            if self._reads:
                commit = state.awaited
                if commit is not None and commit.is_done(data):
                    state.awaited = None
                    if self._trigger("after", commit):
                        return
                state.observe(data)
            await self._wait_and_delay()
            if self.mode == "drop_responses":
                continue
            writer.write(data)
            await writer.drain()

    def _trigger(self, moment: Moment, commit: Commit) -> bool:
        return self.trap is not None and self.trap.trigger(self, moment, commit)
