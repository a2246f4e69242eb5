"""Thousands of open dashboards in one process, over real sockets. Only the number of present students is parsed.

    python -m bench.dashboards.clients PORT < dashboards.json > events.jsonl

The first line on stdout reports the opening; the received events follow when stdin is closed. Times are those of the
monotonic clock, which all processes of a machine share.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import Any, cast

import uvloop

from backend.core.process.open_files import raise_open_file_limit

_END = b"\r\n\r\n"
_EVENT, _PRESENT = b"event: progress", b'"present":'
_CONCURRENT_OPENINGS = 64
_TIMEOUT_SECONDS = 300.0


@dataclass(slots=True)
class Opened:
    """Result of the opening, in seconds; `refused` counts by status."""

    seconds: float
    first_boards: list[float]
    refused: dict[str, int]


class Dashboard(asyncio.Protocol):
    """One open stream with the received numbers and their times."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport
        self._read = b""
        self.status = 0
        self.events: list[tuple[float, int]] = []
        self.bytes = 0
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # the type in uvloop
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        at = monotonic()
        self.bytes += len(data)
        *whole, self._read = (self._read + data).split(_END)
        for part in whole:
            if not self.status:
                self.status = int(part[9:12])
            if _EVENT in part:
                figure = part[part.index(_PRESENT) + len(_PRESENT) :]
                self.events.append((at, int(figure[: figure.index(b",")])))
        if not self.first.done() and (self.events or self.status != 200):
            self.first.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - signature of the protocol
        self.closed = True
        if not self.first.done():
            self.first.set_result(None)


@dataclass(slots=True)
class _Dashboards:
    port: int
    opened: list[Dashboard] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)

    async def open(self, requests: Sequence[bytes]) -> Opened:
        started, limit = monotonic(), asyncio.Semaphore(_CONCURRENT_OPENINGS)

        async def one(request: bytes) -> Dashboard:
            async with limit:
                requested_at = monotonic()
                _, dashboard = await asyncio.get_running_loop().create_connection(
                    lambda: Dashboard(request), "127.0.0.1", self.port
                )
                await asyncio.wait_for(dashboard.first, _TIMEOUT_SECONDS)
                self.firsts.append(monotonic() - requested_at)
                return dashboard

        self.opened = await asyncio.gather(*(one(request) for request in requests))
        refused: dict[str, int] = {}
        for dashboard in self.opened:
            if not dashboard.events:
                name = str(dashboard.status or "closed")
                refused[name] = refused.get(name, 0) + 1
        return Opened(monotonic() - started, self.firsts, refused)


async def _watch(port: int, targets: Sequence[dict[str, Any]]) -> None:
    requests = [
        f"GET {each['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {each['token']}\r\n\r\n".encode()
        for each in targets
    ]
    dashboards = _Dashboards(port)
    opened = await dashboards.open(requests)
    print(
        json.dumps(
            {"seconds": opened.seconds, "first_boards": opened.first_boards, "refused": opened.refused}
        ),
        flush=True,
    )
    cpu = process_time()
    await asyncio.to_thread(sys.stdin.read)
    cpu = process_time() - cpu
    for dashboard in dashboards.opened:
        print(json.dumps({"closed": dashboard.closed, "bytes": dashboard.bytes, "events": dashboard.events}))
    print(json.dumps({"cpu": cpu}), flush=True)


def main() -> None:
    """Open all dashboards, wait, and print what they received."""
    raise_open_file_limit()
    uvloop.install()
    targets = json.loads(sys.stdin.readline())
    asyncio.run(_watch(int(sys.argv[1]), targets))


if __name__ == "__main__":
    main()
