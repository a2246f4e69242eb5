"""HTTP clients of both APIs and of the gateway, the demo clock, and killing a worker."""

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
from backend.demo.staff import StaffClient

CONCURRENT = 12
MAX_CLOCK_STEP = 240.0
"""Seconds. Longest single clock step while a window is open, because the service records a heartbeat each minute."""
CLOCK_POLL_SECONDS = 1.3
"""Seconds until the service has read its clock file again."""


async def run_concurrently(work: Iterable[Awaitable[Any]], concurrent: int = CONCURRENT) -> list[Any]:
    """Await all items, at most `concurrent` at a time, and return their results in order."""
    semaphore = asyncio.Semaphore(concurrent)

    async def one(item: Awaitable[Any]) -> Any:
        async with semaphore:
            return await item

    return await asyncio.gather(*(one(item) for item in work))


@dataclass(slots=True)
class Clients:
    """HTTP clients of both APIs and of the gateway, and the demo clock (seconds since the epoch)."""

    staff: httpx.AsyncClient
    mobile: httpx.AsyncClient
    gateway: httpx.AsyncClient
    clock: Callable[[], float]

    def new_phone(self) -> Phone:
        """Return a new, unbound phone."""
        return Phone(self.mobile, clock=self.clock)

    def advance_clock(self, seconds: float) -> None:
        """Move the demo clock forward with `dianming clock advance`."""
        dianming = Path(sys.executable).parent / "dianming"
        subprocess.run([dianming, "clock", "advance", str(seconds)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603

    async def advance_clock_to(self, then: float) -> None:
        """Move the clock to a time within an open window, in steps that leave no gap in the service's heartbeats.

        A longer step would count as an outage, and the window would be extended by its length (R8).
        """
        while (left := then - self.clock()) > 0:
            self.advance_clock(min(MAX_CLOCK_STEP, left))
            await asyncio.sleep(CLOCK_POLL_SECONDS)


def kill_worker() -> int | None:
    """`kill -9` one `dianming worker` of the same supervisor. Return its process id, or None if there is none."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if (
            parent == os.getppid()
            and b"worker" in arguments
            and any(argument.endswith(b"dianming") for argument in arguments)
        ):
            os.kill(int(process.name), signal.SIGKILL)
            return int(process.name)
    return None


async def read_first_progress_event(staff: StaffClient, roll_call_id: str) -> list[str]:
    """Return the data of the first server-sent event of the progress stream, in a list that is empty if there is none."""
    path = f"/v1/roll-calls/{roll_call_id}/progress/stream"
    async with staff.stream(path) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                return [line.removeprefix("data:").strip()]
    return []
