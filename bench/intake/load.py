"""A load generator with little overhead: requests are prepared bytes, and of the answers only the status is parsed.

Latencies of the open loop count from when a request was due, not from when a connection was free: a server that stalls
does not slow down the arrivals.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, process_time
from typing import cast

TICK = 0.004
"""Seconds between wake-ups at a constant rate. Waking up for each request took a tenth of a core."""

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Wire(asyncio.Protocol):
    """One connection: sends a request and returns the status of its answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[int] | None = None
        self._read = b""
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class has the same methods

    def send(self, request: bytes) -> asyncio.Future[int]:
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return answer

    def data_received(self, data: bytes) -> None:
        self._read += data
        head = self._read.find(_HEAD_END)
        if head < 0:
            return
        at = self._read.lower().find(_LENGTH, 0, head) + len(_LENGTH)
        length = int(self._read[at : self._read.find(b"\r\n", at)])
        if len(self._read) >= head + len(_HEAD_END) + length:
            status, self._read = int(self._read[9:12]), b""
            assert self._answer is not None
            self._answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    def close(self) -> None:
        self._transport.close()


@dataclass(slots=True)
class Run:
    """The result of a run. Latencies and the CPU time of this process are in seconds."""

    seconds: float = 0.0
    cpu: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def add(self, other: "Run") -> None:
        """Add the result of another run."""
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.statuses.update(other.statuses)
        self.latencies += other.latencies

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the requests was answered."""
        ranked = sorted(self.latencies)
        return 1000 * ranked[min(len(ranked) - 1, int(share * len(ranked)))]


async def connect(port: int, count: int) -> list[Wire]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Wire, "127.0.0.1", port) for _ in range(count)]
    return [wire for _, wire in made]


async def closed_loop(port: int, requests: Sequence[bytes], connections: int) -> Run:
    """Send requests as fast as the server answers, over a number of connections."""
    run, waiting, wires = Run(), deque(requests), await connect(port, connections)

    async def work(wire: Wire) -> None:
        while waiting:
            request, began = waiting.popleft(), monotonic()
            run.statuses[await wire.send(request)] += 1
            run.latencies.append(monotonic() - began)

    began, cpu = monotonic(), process_time()
    await asyncio.gather(*(work(wire) for wire in wires))
    run.seconds, run.cpu = monotonic() - began, process_time() - cpu
    for wire in wires:
        wire.close()
    return run


async def open_loop(port: int, requests: Sequence[bytes], rate: float, connections: int) -> Run:
    """Send requests at a constant rate, whether the server keeps up or not, in bursts every few milliseconds."""
    run, free, freed = Run(), deque(await connect(port, connections)), asyncio.Event()

    def count_response(wire: Wire, due: float, answer: asyncio.Future[int]) -> None:
        run.latencies.append(monotonic() - due)
        if answer.exception() is None:
            run.statuses[answer.result()] += 1
        free.append(wire)
        freed.set()

    began, cpu, answers = monotonic(), process_time(), []
    for number, request in enumerate(requests):
        due = began + number / rate
        if due > monotonic():
            await asyncio.sleep(due - monotonic() + TICK)
        while not free:
            freed.clear()
            await freed.wait()
        wire = free.popleft()
        if wire.closed:  # the server closed it because it was idle
            (wire,) = await connect(port, 1)
        answers.append(wire.send(request))
        answers[-1].add_done_callback(partial(count_response, wire, due))
    await asyncio.gather(*answers)
    run.seconds, run.cpu = monotonic() - began, process_time() - cpu
    for wire in free:
        wire.close()
    return run
