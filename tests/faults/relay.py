"""A small proxy of ours on every connection of the house, which can delay, black-hole, deafen and cut.

The relays towards PostgreSQL read along: they know which tables a transaction wrote when its COMMIT comes by, so that a
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
"""Statements whose parameters say what is done: an act, an event, a consumer."""
_NAME = re.compile(rb"[A-Za-z]\w*(?:\.[a-z_]+)?")
_NAME_IN_ROWS = re.compile(rb'"(?:name|action|consumer)": ?"([A-Za-z]\w*(?:\.[a-z_]+)?)"')
"""Of rows that travel as one document."""
_COMMITTED = b"COMMIT\x00"
_DONE = re.compile(rb"C....(?:SELECT|INSERT|UPDATE|DELETE).*Z\0\0\0\x05I", re.DOTALL)
"""The answer to a statement that is a transaction by itself."""


_COUNTED = re.compile(rb"C....SELECT (\d+)\0", re.DOTALL)
_NOTHING = re.compile(rb"D....\0.\xff\xff\xff\xff", re.DOTALL)
"""A row whose first column is null: what a function answers that was to give out a job, and has none."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction that wrote: its tables and functions, and what its parameters call it by. `alone`: one statement."""

    tables: frozenset[str]
    names: frozenset[str] = frozenset()
    alone: bool = False
    idle: bool = False
    """It looked for work and found none."""

    def is_done(self, answer: bytes) -> bool:
        """Whether this answer of PostgreSQL says that it is committed."""
        return bool(_DONE.search(answer)) if self.alone else _COMMITTED in answer


@dataclass(slots=True)
class Passing:
    """One connection: the commit whose answer is awaited, and whether the last question found nothing."""

    awaited: Commit | None = None
    idle: bool = False

    def see(self, answer: bytes) -> None:
        """What PostgreSQL says to a question."""
        counted = _COUNTED.findall(answer)
        if counted:
            self.idle = counted[-1] == b"0" or bool(_NOTHING.search(answer))


class Reader:
    """Follows what one client of PostgreSQL says: what was written since the last COMMIT or ROLLBACK."""

    def __init__(self) -> None:
        self._rest = b""
        self._greeted = False
        self._statements: dict[bytes, bytes] = {}
        self._inside = False
        self.written: set[str] = set()
        self.names: set[str] = set()

    def hear(self, data: bytes) -> Commit | None:
        """The transaction that these bytes commit; None if they commit none that wrote."""
        self._rest += data
        committed: Commit | None = None
        while True:
            message = self._next()
            if message is None:
                return committed
            text = self._text(*message)
            if text is not None:
                committed = self._follow(text, message[1]) or committed

    def _follow(self, text: bytes, body: bytes) -> Commit | None:
        word = text.lstrip()[:8].upper()
        found = None
        if word.startswith(b"COMMIT") and self.written:
            found = Commit(frozenset(self.written), frozenset(self.names))
        if word.startswith((b"COMMIT", b"ROLLBACK", b"BEGIN")) and not word.startswith(b"ROLLBACK "):
            self._inside = word.startswith(b"BEGIN")
            self._forget()
        written = {each.decode().lower() for each in (*_WRITES.findall(text), *_CALLS.findall(text))}
        self.written |= written - {"set"}  # of ON CONFLICT DO UPDATE SET
        if _NAMED_BY.search(text):
            self.names |= set(_names(body))
        if not self._inside and self.written:
            found = Commit(frozenset(self.written), frozenset(self.names), alone=True)
            self._forget()
        return found

    def _forget(self) -> None:
        self.written, self.names = set(), set()

    def _next(self) -> tuple[bytes, bytes] | None:
        offset = 1 if self._greeted else 0
        if len(self._rest) < offset + 4:
            return None
        (length,) = struct.unpack_from("!I", self._rest, offset)
        if len(self._rest) < offset + length:
            return None
        kind, body = self._rest[:offset], self._rest[offset + 4 : offset + length]
        self._rest = self._rest[offset + length :]
        if not self._greeted:
            # SSL and GSS requests come before the real greeting and are eight bytes long.
            self._greeted = length != 8
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
    """Those parameters of a Bind message that are names, and the names in rows that are one parameter."""
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
    """Kill at the next commit of a kind of transaction that is not `spared`. `sprung` is set when that was done."""

    spared: Callable[[frozenset[str]], bool]
    moment: Moment
    kill: Callable[["Relay"], None]
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    caught: frozenset[str] = frozenset()

    def springs(self, relay: "Relay", moment: Moment, commit: Commit) -> bool:
        """True if the process behind the relay was killed just now."""
        if self.sprung.is_set() or self.moment != moment or self.spared(commit.tables):
            return False
        self.kill(relay)
        self.caught = commit.tables
        self.sprung.set()
        return True


class Springs(Protocol):
    """What may kill the process behind a relay as a commit passes by."""

    def springs(self, relay: "Relay", moment: Moment, commit: Commit) -> bool:
        """True if it did: then nothing more may pass."""


class Relay:
    """Listens on one address and passes on to another. `mode` and `delay` may change at any time."""

    def __init__(self, listen: Address, upstream: Address, *, reads_postgres: bool = False) -> None:
        self.listen, self.upstream = listen, upstream
        self.mode: Literal["pass", "hole", "deaf"] = "pass"
        self.delay = 0.0
        self.trap: Springs | None = None
        self._reads = reads_postgres
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
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
        self.heal()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, share: float = 1.0) -> None:
        """Connections end at once, in the middle of whatever they say: all of them, or a share."""
        for writer in list(self._open):
            if share >= 1.0 or random.random() < share:
                writer.transport.abort()

    def hole(self) -> None:
        """Nothing passes either way, and nothing is refused."""
        self.mode = "hole"
        self._flowing.clear()

    def hold(self) -> None:
        """Nothing passes until `heal`, which lets everything go on as if the way had been long."""
        self._flowing.clear()

    def deafen(self) -> None:
        """What is asked arrives; no answer comes back."""
        self.mode = "deaf"

    def heal(self) -> None:
        """As before; whoever was kept waiting or lost an answer has lost the connection."""
        if self.mode != "pass":
            self.cut()
        self.mode, self.delay = "pass", 0.0
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        up: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            if isinstance(self.upstream, int):
                back, up = await asyncio.open_connection("127.0.0.1", self.upstream)
            else:
                back, up = await asyncio.open_unix_connection(self.upstream)
            self._open.add(up)
            passing = Passing()
            await self._both(self._asking(reader, up, passing), self._answering(back, writer, passing))
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
    async def _both(*directions: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(each) for each in directions]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self) -> None:
        await self._flowing.wait()
        if self.delay:
            await asyncio.sleep(self.delay)

    async def _asking(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: Passing
    ) -> None:
        heard = Reader() if self._reads else None
        while data := await reader.read(CHUNK):
            await self._pause()
            if heard is not None:
                commit = heard.hear(data)
                if commit is not None:
                    commit = replace(commit, idle=passing.idle and not commit.alone)
                    if self._springs("before", commit):
                        return
                    passing.awaited = commit
            writer.write(data)
            await writer.drain()

    async def _answering(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: Passing
    ) -> None:
        while data := await reader.read(CHUNK):
            if self._reads:
                commit = passing.awaited
                if commit is not None and commit.is_done(data):
                    passing.awaited = None
                    if self._springs("after", commit):
                        return
                passing.see(data)
            await self._pause()
            if self.mode == "deaf":
                continue
            writer.write(data)
            await writer.drain()

    def _springs(self, moment: Moment, commit: Commit) -> bool:
        return self.trap is not None and self.trap.springs(self, moment, commit)
