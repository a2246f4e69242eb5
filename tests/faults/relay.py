"""A small proxy of ours on every connection of the house, which can delay, black-hole, deafen and cut.

The relays towards PostgreSQL read along: they know which tables a transaction wrote when its COMMIT comes by, so that a
process can be killed exactly before or exactly after the commit of one kind of transaction.
"""

import asyncio
import random
import re
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

CHUNK = 1 << 16
Moment = Literal["before", "after"]
Address = Path | int
"""A Unix socket, or a TCP port on the loopback address."""

_WRITES = re.compile(rb"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(?:ONLY\s+)?\"?([a-z_]+)", re.IGNORECASE)
_DEFER = re.compile(rb"procrastinate_defer_\w+|door\.\w+", re.IGNORECASE)
_COMMITTED = b"COMMIT\x00"


class Reader:
    """Follows what one client of PostgreSQL says: the tables written since the last COMMIT or ROLLBACK."""

    def __init__(self) -> None:
        self._rest = b""
        self._greeted = False
        self._statements: dict[bytes, bytes] = {}
        self.written: set[str] = set()

    def hear(self, data: bytes) -> frozenset[str] | None:
        """The tables of the transaction that these bytes commit; None if they commit none that wrote."""
        self._rest += data
        committed: frozenset[str] | None = None
        while True:
            message = self._next()
            if message is None:
                return committed
            kind, body = message
            text = self._text(kind, body)
            if text is None:
                continue
            word = text.lstrip()[:8].upper()
            if word.startswith(b"COMMIT"):
                committed = frozenset(self.written) or committed
            if word.startswith((b"COMMIT", b"ROLLBACK", b"BEGIN")) and not word.startswith(b"ROLLBACK "):
                self.written = set()
            for found in (*_WRITES.findall(text), *_DEFER.findall(text)):
                self.written.add(found.decode().lower())
            self.written.discard("set")  # of ON CONFLICT DO UPDATE SET

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


@dataclass(slots=True)
class Trap:
    """Kill at the next commit of a kind of transaction that is not `spared`. `sprung` is set when that was done."""

    spared: Callable[[frozenset[str]], bool]
    moment: Moment
    kill: Callable[["Relay"], None]
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    caught: frozenset[str] = frozenset()


class Relay:
    """Listens on one address and passes on to another. `mode` and `delay` may change at any time."""

    def __init__(self, listen: Address, upstream: Address, *, reads_postgres: bool = False) -> None:
        self.listen, self.upstream = listen, upstream
        self.mode: Literal["pass", "hole", "deaf"] = "pass"
        self.delay = 0.0
        self.trap: Trap | None = None
        self.commits: set[frozenset[str]] = set()
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
            awaited: list[frozenset[str]] = []
            await self._both(self._asking(reader, up, awaited), self._answering(back, writer, awaited))
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
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, awaited: list[frozenset[str]]
    ) -> None:
        heard = Reader() if self._reads else None
        while data := await reader.read(CHUNK):
            await self._pause()
            if heard is not None:
                tables = heard.hear(data)
                if tables is not None:
                    self.commits.add(tables)
                    if self._springs("before", tables):
                        return
                    awaited.append(tables)
            writer.write(data)
            await writer.drain()

    async def _answering(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, awaited: list[frozenset[str]]
    ) -> None:
        while data := await reader.read(CHUNK):
            if awaited and _COMMITTED in data and self._springs("after", awaited.pop()):
                return
            await self._pause()
            if self.mode == "deaf":
                continue
            writer.write(data)
            await writer.drain()

    def _springs(self, moment: Moment, tables: frozenset[str]) -> bool:
        trap = self.trap
        if trap is None or trap.sprung.is_set() or trap.moment != moment or trap.spared(tables):
            return False
        trap.kill(self)
        trap.caught = tables
        trap.sprung.set()
        return True
