"""`dianming serve`: several processes behind one port."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

MAX_ATTEMPTS = 600
"""A tenth of a second apart: long enough for the start on a busy machine."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(port: int, processes: int) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["serve", "--port", str(port), "--processes", str(processes)]
    server = subprocess.Popen(
        [sys.executable, "-c", "from backend.cli import main; main()", *arguments], env=os.environ.copy()
    )
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) in {0, -signal.SIGTERM}


def wait_until_healthy(port: int, server: subprocess.Popen[bytes]) -> dict[str, str]:
    for _ in range(MAX_ATTEMPTS):
        assert server.poll() is None, "the server ended"
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                health: dict[str, str] = json.load(answer)
                return health
        except (URLError, ConnectionError):  # not started yet, or the process with this connection died
            time.sleep(0.1)
    pytest.fail("the server never became healthy")


def listening_processes(port: int) -> set[int]:
    """Processes that have a listening socket on the port."""
    inodes = {
        f"socket:[{line.split()[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
    }
    processes = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(entry.readlink()) in inodes:
                processes.add(int(entry.parts[2]))
        except OSError:  # the process has just ended, or belongs to another user
            continue
    return processes


def wait_for_two_processes(port: int) -> set[int]:
    """The two server processes, once both listen."""
    for _ in range(MAX_ATTEMPTS):
        children = listening_processes(port)
        if len(children) == 2:
            return children
        time.sleep(0.1)
    pytest.fail("two processes never listened")


@pytest.mark.usefixtures("environment")
def test_processes_share_a_port_and_a_dead_one_is_replaced() -> None:
    port = free_port()
    with running_server(port, 2) as server:
        assert wait_until_healthy(port, server)["status"] == "ok"
        children = wait_for_two_processes(port)
        assert server.pid not in children
        os.kill(min(children), signal.SIGKILL)
        assert wait_until_healthy(port, server)["status"] == "ok"
