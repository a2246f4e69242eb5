"""Ways to the outside: both APIs, the gateway, the demonstration's clock, and a worker to kill."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from backend.demo.phone import Phone
from backend.demo.staff import Staff

CONCURRENT = 12
STRIDE = 240.0
"""The clock is moved no further at once while a window is open: the service marks each minute in which it was there."""
STRIDE_SECONDS = 1.3
"""Until the service has looked at its clock again."""


async def gather(work: Iterable[Awaitable[Any]], concurrent: int = CONCURRENT) -> list[Any]:
    """Await all, at most `concurrent` at a time."""
    gate = asyncio.Semaphore(concurrent)

    async def one(item: Awaitable[Any]) -> Any:
        async with gate:
            return await item

    return await asyncio.gather(*(one(item) for item in work))


@dataclass(slots=True)
class Clients:
    """Ways to the outside: both APIs, the gateway, and the demonstration's clock."""

    staff: httpx.AsyncClient
    mobile: httpx.AsyncClient
    gateway: httpx.AsyncClient
    clock: Callable[[], float]

    def phone(self) -> Phone:
        """A fresh phone."""
        return Phone(self.mobile, clock=self.clock)

    def advance(self, seconds: float) -> None:
        """Move the demonstration's clock, by the command that does it."""
        dianming = Path(sys.executable).parent / "dianming"
        subprocess.run([dianming, "clock", "advance", str(seconds)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603

    async def reach(self, then: float) -> None:
        """Move the clock to an instant inside of an open window, in strides that leave no gap in the service's marks.

        A longer one would be an hour in which the service was away, and the window would be lengthened by it (R8).
        """
        while (left := then - self.clock()) > 0:
            self.advance(min(STRIDE, left))
            await asyncio.sleep(STRIDE_SECONDS)


def kill_a_worker() -> int | None:
    """`kill -9` one `dianming worker` that the same supervisor started."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if (
            parent == os.getppid()
            and b"worker" in words
            and any(word.endswith(b"dianming") for word in words)
        ):
            os.kill(int(process.name), signal.SIGKILL)
            return int(process.name)
    return None


async def first_events(staff: Staff, roll_call_id: str) -> list[str]:
    """The data of the first server-sent event of the progress stream."""
    path = f"/v1/roll-calls/{roll_call_id}/progress/stream"
    async with staff.stream(path) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                return [line.removeprefix("data:").strip()]
    return []
