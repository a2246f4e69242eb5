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

PATIENCE = 600
"""Looks, a tenth of a second apart: as long as a busy machine may need to start."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(port: int, processes: int) -> Iterator[subprocess.Popen[bytes]]:
    words = ["serve", "--port", str(port), "--processes", str(processes)]
    server = subprocess.Popen(
        [sys.executable, "-c", "from backend.cli import main; main()", *words], env=os.environ.copy()
    )
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) in {0, -signal.SIGTERM}


def answered(port: int, server: subprocess.Popen[bytes]) -> dict[str, str]:
    for _ in range(PATIENCE):
        assert server.poll() is None, "the server ended"
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                found: dict[str, str] = json.load(answer)
                return found
        except (URLError, ConnectionError):  # not up yet, or it went down with the process that had it
            time.sleep(0.1)
    pytest.fail("the server never answered")


def listening(port: int) -> set[int]:
    """Processes that hold the listening socket of the port."""
    inodes = {
        f"socket:[{line.split()[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
    }
    found = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(entry.readlink()) in inodes:
                found.add(int(entry.parts[2]))
        except OSError:  # it has just ended, or is another user's
            continue
    return found


def both_listening(port: int) -> set[int]:
    """The two processes, once both are up."""
    for _ in range(PATIENCE):
        children = listening(port)
        if len(children) == 2:
            return children
        time.sleep(0.1)
    pytest.fail("there were never two")


@pytest.mark.usefixtures("environment")
def test_processes_share_a_port_and_a_dead_one_is_made_up_for() -> None:
    port = free_port()
    with serving(port, 2) as server:
        assert (answered(port, server))["status"] == "ok"
        children = both_listening(port)
        assert server.pid not in children
        os.kill(min(children), signal.SIGKILL)
        assert (answered(port, server))["status"] == "ok"
