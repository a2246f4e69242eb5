"""The programs that make a running house, and how one of them is kept running. Standard library only."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

FIRST_DELAY, LONGEST_DELAY, STEADY_SECONDS = 1.0, 30.0, 60.0
"""Seconds: the first pause before a restart, the longest, and how long a program must live to be called steady."""
END_SECONDS = 15.0
_COLOURS = (36, 33, 35, 32, 34, 31)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Program:
    """A sub-command of `dianming` that stays up. Braces in `arguments` are filled from the supervisor's ports."""

    name: str
    arguments: tuple[str, ...]
    copies: int = 1

    def instances(self) -> tuple[str, ...]:
        """A name for each copy: `api`, or `worker-1`, `worker-2`."""
        if self.copies == 1:
            return (self.name,)
        return tuple(f"{self.name}-{n}" for n in range(1, self.copies + 1))


def next_delay(previous: float, lived: float) -> float:
    """Seconds to wait before a restart: twice the last pause, from the beginning after a steady life."""
    return FIRST_DELAY if previous == 0 or lived >= STEADY_SECONDS else min(previous * 2, LONGEST_DELAY)


def _end_with_parent() -> None:
    """In the child: the kernel ends it with its supervisor, even one that was killed outright."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def spawn(command: list[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start in a process group of its own, so that it and its children are ended together and by us alone."""
    return await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
        start_new_session=True,
        preexec_fn=_end_with_parent,
    )


def show(line: str) -> None:
    """Print a line; a terminal that went away must not keep us from ending what we started."""
    with suppress(OSError):
        print(line, flush=True)


def _prefix(name: str, position: int) -> str:
    plain = f"{name:<9}│ "
    return f"\x1b[{_COLOURS[position % len(_COLOURS)]}m{plain}\x1b[0m" if sys.stdout.isatty() else plain


async def exited(process: asyncio.subprocess.Process) -> None:
    """Return when the process itself ended, even while a child of it still holds its output open."""
    try:
        watched = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(watched, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


async def _copy_lines(source: asyncio.StreamReader, prefix: str) -> None:
    while True:
        try:
            line = await source.readline()
        except ValueError:  # a line longer than the limit is dropped, not the program
            continue
        if not line:
            return
        show(prefix + line.decode(errors="replace").rstrip("\n"))


async def relay(process: asyncio.subprocess.Process, prefix: str) -> int:
    """Copy the program's lines to our output until it ends, and end what it left behind; its exit code."""
    assert process.stdout is not None
    async with asyncio.TaskGroup() as together:
        together.create_task(_copy_lines(process.stdout, prefix))
        await exited(process)
        signal_group(process, signal.SIGKILL)
    return await process.wait()


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To the program and all its children; those who are gone need no telling."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask the program to end, which may let its own children finish; then nothing of its group is left."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):  # wait_for of Python 3.11 may lose a cancelling
                await exited(process)
    finally:
        signal_group(process, signal.SIGKILL)
    await _gone(process)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Return when a killed process is reaped.

    asyncio tells of the end only when the output was read to its end, and nobody reads any more when a keeper
    was cancelled under a flood of lines: what is left is read and dropped here.
    """
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            while await process.stdout.read(1 << 16):
                pass
            await process.wait()


async def run_once(name: str, command: list[str], environment: Mapping[str, str]) -> int:
    """One step to its end, its lines shown; ended with us when we are cancelled."""
    process = await spawn(command, environment)
    try:
        return await relay(process, _prefix(name, 0))
    finally:
        await end(process)


async def keep_running(
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    position: int,
    tell: Callable[[str], None],
) -> None:
    """Start again whenever it ends, after a growing pause, until cancelled; then end it."""
    delay = 0.0
    while True:
        started = monotonic()
        process = await spawn(command, environment)
        try:
            status = await relay(process, _prefix(name, position))
        finally:
            await end(process)
        delay = next_delay(delay, monotonic() - started)
        tell(
            f"{name} 已退出（{status}），{delay:.0f} 秒后重启 · ended ({status}), starting again in {delay:.0f} s"
        )
        await asyncio.sleep(delay)
