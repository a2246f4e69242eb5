"""The supervisor starts programs in order, restarts them, and leaves no process behind."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devstack import supervisor
from backend.devstack.errors import BadPort, PortBusy
from backend.devstack.paths import prepare_location
from backend.devstack.postgres import find_postmaster, wait_until
from backend.devstack.processes import (
    INITIAL_DELAY,
    MAX_DELAY,
    STABLE_SECONDS,
    Program,
    next_restart_delay,
    run_once,
    spawn,
    terminate,
    wait_for_exit,
)
from backend.devstack.supervisor import choose_ports, is_free, next_free

ROOT = Path(__file__).resolve().parents[2]
FAKE = """#!{python}
# A fake console script with the same sub-commands.
import os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

notes = Path({notes!r})
word, rest = sys.argv[1], sys.argv[2:]
with notes.open("a") as file:
    file.write(f"{{' '.join(sys.argv[1:])}} pid={{os.getpid()}}\\n")
if word == os.environ.get("FAKE_FAILS"):
    sys.exit(3)
if word == "migrate" or word == "seed":
    print(word, os.environ["DIANMING_DATABASE_URL"], flush=True)
elif word == "serve":
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()
    HTTPServer(("127.0.0.1", int(rest[rest.index("--port") + 1])), Handler).serve_forever()
else:
    child = subprocess.Popen(["sleep", "600"])  # a grandchild, like a process pool
    with notes.open("a") as file:
        file.write(f"grandchild pid={{child.pid}}\\n")
    child.wait()
"""
START = """
import sys
from pathlib import Path
from backend.devstack.supervisor import supervise
sys.exit(supervise(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
"""


class SupervisorProcess:
    """A supervisor in a separate process that runs the fake console script."""

    def __init__(self, checkout: Path, *command: str, **environment: str) -> None:
        self.checkout = checkout
        self.notes = checkout / "notes"
        self.notes.touch()
        fake = checkout / "dianming"
        fake.write_text(FAKE.format(python=sys.executable, notes=str(self.notes)))
        fake.chmod(0o755)
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(checkout), str(fake), "run", *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self.hangs_up = "HANG_UP" in environment
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output.append(line)
                if self.hangs_up and "sign-ins" in line:
                    return

    def wait_for_output(self, text: str) -> None:
        assert wait_until(lambda: any(text in line for line in self.output), 60), "".join(self.output)

    def terminate(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(60)
        self.reader.join()
        return status

    def pids(self, word: str = "") -> list[int]:
        found = re.findall(rf"^{word}.* pid=(\d+)$", self.notes.read_text(), re.MULTILINE)
        return [int(pid) for pid in found]

    def is_stopped(self) -> bool:
        return not any(is_alive(pid) for pid in self.pids())


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


StartSupervisor = Callable[..., SupervisorProcess]


@pytest.fixture
def start_supervisor(used_checkout: Path) -> Iterator[StartSupervisor]:
    started: list[SupervisorProcess] = []

    def start(*command: str, **environment: str) -> SupervisorProcess:
        started.append(SupervisorProcess(used_checkout, *command, **environment))
        return started[-1]

    yield start
    for supervisor_process in started:
        supervisor_process.terminate(signal.SIGTERM)
        for pid in filter(is_alive, supervisor_process.pids("grandchild")):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server((supervisor.HOST, 0)) as server:
        yield int(server.getsockname()[1])


def test_dev_serves_all_apps_at_one_origin_that_proofs_contain() -> None:
    ports = choose_ports(None, dev=True)
    assert ports.vite is not None
    environment = supervisor.vite_environment(ports)
    assert ports.public_url == f"http://127.0.0.1:{ports.vite[0]}"
    assert environment["DIANMING_DEV_API"] == f"http://127.0.0.1:{ports.api}"
    assert environment["DIANMING_DEV_COUNSELOR"].endswith(f":{ports.vite[1]}")
    assert environment["DIANMING_DEV_CONSOLE"].endswith(f":{ports.vite[2]}")
    assert len({ports.api, ports.gateway, *ports.vite}) == 5


def test_programs_of_dev_reload_every_package_of_the_product() -> None:
    by_name = {program.name: program for program in supervisor.DEV_PROGRAMS}
    assert set(by_name) == {"gateway", "api", "worker", "student", "counselor", "console"}
    for name in ("api", "worker"):
        assert set(supervisor.SOURCES) <= set(by_name[name].arguments)
    assert all((ROOT / source).is_dir() for source in supervisor.SOURCES)


def test_busy_requested_port_is_rejected_with_a_free_one(busy_port: int) -> None:
    with pytest.raises(PortBusy) as error:
        choose_ports(str(busy_port))
    suggested = int(error.value.params["free"])
    assert is_free(suggested)
    assert f"PORT={suggested} make run" in error.value.sentence("en")
    assert f"PORT={suggested} make run" in error.value.sentence("zh")


def test_without_a_requested_port_the_next_free_one_is_used(
    busy_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "API_PORT", busy_port)
    ports = choose_ports(None)
    assert ports.api > busy_port
    assert f"using {ports.api}" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1", "８０００", "80 00"])
def test_invalid_port_is_rejected(value: str) -> None:
    with pytest.raises(BadPort):
        choose_ports(value)


def test_gateway_never_uses_the_port_of_the_api() -> None:
    api = next_free(supervisor.GATEWAY_PORT)
    assert choose_ports(str(api)).gateway != api


@given(st.lists(st.floats(0, STABLE_SECONDS, exclude_max=True), min_size=1, max_size=20))
def test_restart_delays_grow_to_a_limit(uptimes: list[float]) -> None:
    delay, delays = 0.0, []
    for uptime in uptimes:
        delay = next_restart_delay(delay, uptime)
        delays.append(delay)
    assert delays[0] == INITIAL_DELAY
    assert delays == sorted(delays)
    assert delays[-1] <= MAX_DELAY


def test_stable_run_resets_the_restart_delay() -> None:
    assert next_restart_delay(MAX_DELAY, STABLE_SECONDS) == INITIAL_DELAY


def test_copies_of_a_program_have_distinct_names() -> None:
    assert Program("worker", ("worker",), copies=2).instances() == ("worker-1", "worker-2")
    assert Program("api", ("serve",)).instances() == ("api",)


def test_overlong_line_does_not_end_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    code = "print('x' * 3_000_000); print('after')"
    assert asyncio.run(run_once("long", [sys.executable, "-c", code], os.environ)) == 0
    assert "after" in capsys.readouterr().out


@pytest.mark.parametrize("steps", range(8))
def test_cancellation_during_termination_is_never_lost(steps: int) -> None:
    async def cancel_after_steps() -> bool:
        process = await spawn(["true"], os.environ)
        await wait_for_exit(process)
        ending = asyncio.create_task(terminate(process))
        for _ in range(steps):
            await asyncio.sleep(0)
        late = ending.done()
        ending.cancel()
        await asyncio.wait([ending])
        await terminate(process)
        return late or ending.cancelled()

    assert asyncio.run(cancel_after_steps())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_everything_that_was_started(
    checkout: Path, start_supervisor: StartSupervisor, number: signal.Signals
) -> None:
    supervisor_process = start_supervisor()
    supervisor_process.wait_for_output("sign-ins")
    assert [note.split(" pid")[0].split()[0] for note in supervisor_process.notes.read_text().splitlines()][
        :2
    ] == [
        "migrate",
        "seed",
    ]
    assert supervisor_process.terminate(number) == 0
    assert wait_until(supervisor_process.is_stopped, 10)
    assert find_postmaster(prepare_location(checkout, "run").data / "postgres") is None


def test_closed_terminal_does_not_block_shutdown(
    start_supervisor: StartSupervisor,
) -> None:
    supervisor_process = start_supervisor(HANG_UP="after the sign-ins")
    supervisor_process.wait_for_output("sign-ins")
    supervisor_process.reader.join()
    supervisor_process.terminate(signal.SIGHUP)
    assert wait_until(supervisor_process.is_stopped, 10)


def test_dead_worker_is_restarted(checkout: Path, start_supervisor: StartSupervisor) -> None:
    supervisor_process = start_supervisor()
    supervisor_process.wait_for_output("sign-ins")
    assert wait_until(lambda: len(supervisor_process.pids("worker")) == 2, 10)
    os.kill(supervisor_process.pids("worker")[0], signal.SIGKILL)
    assert wait_until(lambda: len(supervisor_process.pids("worker")) == 3, 20)
    assert supervisor_process.terminate(signal.SIGINT) == 0
    assert wait_until(supervisor_process.is_stopped, 10)


def test_programs_of_a_killed_supervisor_end_too(checkout: Path, start_supervisor: StartSupervisor) -> None:
    supervisor_process = start_supervisor()
    supervisor_process.wait_for_output("sign-ins")
    supervisor_process.terminate(signal.SIGKILL)
    assert wait_until(
        lambda: not any(is_alive(p) for p in supervisor_process.pids("(?:serve|worker|gateway-fake)")), 20
    )
    restarted = start_supervisor()
    restarted.wait_for_output("sign-ins")
    assert restarted.terminate(signal.SIGINT) == 0


def test_failed_step_is_named_and_aborts_the_start(checkout: Path, start_supervisor: StartSupervisor) -> None:
    supervisor_process = start_supervisor(FAKE_FAILS="migrate")
    assert supervisor_process.wait() == 1
    assert "dianming migrate" in "".join(supervisor_process.output)
    assert supervisor_process.pids("serve") == []
    assert find_postmaster(prepare_location(checkout, "run").data / "postgres") is None


def test_command_runs_when_ready_and_its_exit_code_is_returned(
    checkout: Path, start_supervisor: StartSupervisor
) -> None:
    supervisor_process = start_supervisor("sh", "-c", "echo at $DIANMING_PUBLIC_URL; exit 7")
    assert supervisor_process.wait() == 7
    assert any("at http://127.0.0.1:" in line for line in supervisor_process.output)
    assert wait_until(supervisor_process.is_stopped, 10)
