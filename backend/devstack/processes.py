"""Runs the programs of the stack as child processes and restarts those that exit. Standard library only."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

INITIAL_DELAY, MAX_DELAY, STABLE_SECONDS = 1.0, 30.0, 60.0
"""Seconds: first and longest delay before a restart, and the uptime after which a program counts as stable."""
TERMINATE_SECONDS = 15.0
_COLOURS = (36, 33, 35, 32, 34, 31)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Program:
    """A long-running sub-command of `dianming`, or of another command of the environment.

    Braces in `arguments` are filled from the supervisor's ports.
    """

    name: str
    arguments: tuple[str, ...]
    copies: int = 1
    command: str = "dianming"

    def instances(self) -> tuple[str, ...]:
        """Return a name for each copy: `api`, or `worker-1`, `worker-2`."""
        if self.copies == 1:
            return (self.name,)
        return tuple(f"{self.name}-{n}" for n in range(1, self.copies + 1))


def next_restart_delay(previous: float, uptime: float) -> float:
    """Return the seconds to wait before a restart: twice the previous delay, or the initial delay after a stable run."""
    return INITIAL_DELAY if previous == 0 or uptime >= STABLE_SECONDS else min(previous * 2, MAX_DELAY)


def _exit_with_parent() -> None:
    """In the child: ask the kernel for SIGTERM when the supervisor exits, even if it is killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def spawn(command: list[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start a command in a process group of its own, so that it and its children can be stopped together."""
    return await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
        start_new_session=True,
        preexec_fn=_exit_with_parent,
    )


def print_line(line: str) -> None:
    """Print a line. Ignores a closed terminal, so that shutdown can still complete."""
    with suppress(OSError):
        print(line, flush=True)


def _prefix(name: str, position: int) -> str:
    plain = f"{name:<9}│ "
    return f"\x1b[{_COLOURS[position % len(_COLOURS)]}m{plain}\x1b[0m" if sys.stdout.isatty() else plain


async def wait_for_exit(process: asyncio.subprocess.Process) -> None:
    """Wait until the process itself exits, even if a child of it still has its output open."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


async def _copy_lines(source: asyncio.StreamReader, prefix: str) -> None:
    while True:
        try:
            line = await source.readline()
        except ValueError:  # drop a line that exceeds the limit
            continue
        if not line:
            return
        print_line(prefix + line.decode(errors="replace").rstrip("\n"))


async def copy_output(process: asyncio.subprocess.Process, prefix: str) -> int:
    """Copy the program's output until it exits, then kill its remaining children. Return its exit code."""
    assert process.stdout is not None
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_copy_lines(process.stdout, prefix))
        await wait_for_exit(process)
        signal_process_group(process, signal.SIGKILL)
    return await process.wait()


def signal_process_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to the program and all its children, if they still run."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def terminate(process: asyncio.subprocess.Process) -> None:
    """Send SIGTERM, wait, then kill the whole process group. The program can let its children finish first."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(TERMINATE_SECONDS):  # wait_for can lose a cancellation in Python 3.11
                await wait_for_exit(process)
    finally:
        signal_process_group(process, signal.SIGKILL)
    await _wait_reaped(process)


async def _wait_reaped(process: asyncio.subprocess.Process) -> None:
    """Wait until a killed process is reaped.

    asyncio reports the exit only after the output was read completely. A task that was cancelled during heavy output
    has stopped reading, so the rest is read and discarded here.
    """
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(TERMINATE_SECONDS):
            while await process.stdout.read(1 << 16):
                pass
            await process.wait()


async def run_once(name: str, command: list[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end, show its output and return its exit code. Cancellation stops the command."""
    process = await spawn(command, environment)
    try:
        return await copy_output(process, _prefix(name, 0))
    finally:
        await terminate(process)


async def keep_running(
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    position: int,
    log: Callable[[str], None],
) -> None:
    """Run a program and restart it with a growing delay whenever it exits. Cancellation stops it."""
    delay = 0.0
    while True:
        started_at = monotonic()
        process = await spawn(command, environment)
        try:
            status = await copy_output(process, _prefix(name, position))
        finally:
            await terminate(process)
        delay = next_restart_delay(delay, monotonic() - started_at)
        log(
            f"{name} 已退出（{status}），{delay:.0f} 秒后重启 · exited ({status}), restarting in {delay:.0f} s"
        )
        await asyncio.sleep(delay)
