"""The house comes up in order, heals its workers, and leaves nothing behind."""

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
from backend.devstack.paths import find_place
from backend.devstack.postgres import postmaster_of, wait_until
from backend.devstack.processes import (
    FIRST_DELAY,
    LONGEST_DELAY,
    STEADY_SECONDS,
    Program,
    end,
    exited,
    next_delay,
    run_once,
    spawn,
)
from backend.devstack.supervisor import choose_ports, is_free, next_free

ROOT = Path(__file__).resolve().parents[2]
FAKE = """#!{python}
# Stands in for the console script: the same sub-commands, with nothing behind them.
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
    child = subprocess.Popen(["sleep", "600"])  # a grandchild, as a pool of processes would be
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


class House:
    """A supervisor in a process of its own, over the fake console script."""

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
        self.said: list[str] = []
        self.hangs_up = "HANG_UP" in environment
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(line)
                if self.hangs_up and "sign-ins" in line:
                    return

    def wait_to_say(self, words: str) -> None:
        assert wait_until(lambda: any(words in line for line in self.said), 60), "".join(self.said)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(60)
        self.reader.join()
        return status

    def pids(self, word: str = "") -> list[int]:
        found = re.findall(rf"^{word}.* pid=(\d+)$", self.notes.read_text(), re.MULTILINE)
        return [int(pid) for pid in found]

    def is_gone(self) -> bool:
        return not any(is_alive(pid) for pid in self.pids())


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


StartHouse = Callable[..., House]


@pytest.fixture
def start_house(used_checkout: Path) -> Iterator[StartHouse]:
    started: list[House] = []

    def start(*command: str, **environment: str) -> House:
        started.append(House(used_checkout, *command, **environment))
        return started[-1]

    yield start
    for house in started:
        house.end(signal.SIGTERM)
        for pid in filter(is_alive, house.pids("grandchild")):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server((supervisor.HOST, 0)) as server:
        yield int(server.getsockname()[1])


def test_a_busy_port_that_was_asked_for_is_refused_with_one_that_works(busy_port: int) -> None:
    with pytest.raises(PortBusy) as refused:
        choose_ports(str(busy_port))
    suggested = int(refused.value.params["free"])
    assert is_free(suggested)
    assert f"PORT={suggested} make run" in refused.value.sentence("en")
    assert f"PORT={suggested} make run" in refused.value.sentence("zh")


def test_without_a_wish_the_next_free_port_is_taken_and_said(
    busy_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "API_PORT", busy_port)
    ports = choose_ports(None)
    assert ports.api > busy_port
    assert f"taking {ports.api}" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1", "８０００", "80 00"])
def test_a_port_that_is_no_port_is_refused(value: str) -> None:
    with pytest.raises(BadPort):
        choose_ports(value)


def test_the_gateway_never_takes_the_port_of_the_api() -> None:
    api = next_free(supervisor.GATEWAY_PORT)
    assert choose_ports(str(api)).gateway != api


@given(st.lists(st.floats(0, STEADY_SECONDS, exclude_max=True), min_size=1, max_size=20))
def test_pauses_grow_to_a_limit_while_a_program_keeps_dying_young(lives: list[float]) -> None:
    delay, pauses = 0.0, []
    for lived in lives:
        delay = next_delay(delay, lived)
        pauses.append(delay)
    assert pauses[0] == FIRST_DELAY
    assert pauses == sorted(pauses)
    assert pauses[-1] <= LONGEST_DELAY


def test_a_steady_life_forgives_earlier_deaths() -> None:
    assert next_delay(LONGEST_DELAY, STEADY_SECONDS) == FIRST_DELAY


def test_copies_of_a_program_have_names_of_their_own() -> None:
    assert Program("worker", ("worker",), copies=2).instances() == ("worker-1", "worker-2")
    assert Program("api", ("serve",)).instances() == ("api",)


def test_a_line_beyond_the_limit_does_not_end_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    code = "print('x' * 3_000_000); print('after')"
    assert asyncio.run(run_once("long", [sys.executable, "-c", code], os.environ)) == 0
    assert "after" in capsys.readouterr().out


@pytest.mark.parametrize("steps", range(8))
def test_being_told_to_end_while_a_program_ends_is_never_lost(steps: int) -> None:
    async def told_after_steps() -> bool:
        process = await spawn(["true"], os.environ)
        await exited(process)
        ending = asyncio.create_task(end(process))
        for _ in range(steps):
            await asyncio.sleep(0)
        late = ending.done()
        ending.cancel()
        await asyncio.wait([ending])
        await end(process)
        return late or ending.cancelled()

    assert asyncio.run(told_after_steps())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_told_to_end_ends_everything_that_was_started(
    checkout: Path, start_house: StartHouse, number: signal.Signals
) -> None:
    house = start_house()
    house.wait_to_say("sign-ins")
    assert [note.split(" pid")[0].split()[0] for note in house.notes.read_text().splitlines()][:2] == [
        "migrate",
        "seed",
    ]
    assert house.end(number) == 0
    assert wait_until(house.is_gone, 10)
    assert postmaster_of(find_place(checkout, "run").data / "postgres") is None


def test_a_terminal_that_went_away_does_not_keep_the_house_from_ending(start_house: StartHouse) -> None:
    house = start_house(HANG_UP="after the sign-ins")
    house.wait_to_say("sign-ins")
    house.reader.join()
    house.end(signal.SIGHUP)
    assert wait_until(house.is_gone, 10)


def test_a_dead_worker_is_started_again(checkout: Path, start_house: StartHouse) -> None:
    house = start_house()
    house.wait_to_say("sign-ins")
    assert wait_until(lambda: len(house.pids("worker")) == 2, 10)
    os.kill(house.pids("worker")[0], signal.SIGKILL)
    assert wait_until(lambda: len(house.pids("worker")) == 3, 20)
    assert house.end(signal.SIGINT) == 0
    assert wait_until(house.is_gone, 10)


def test_a_killed_supervisor_takes_its_programs_with_it(checkout: Path, start_house: StartHouse) -> None:
    house = start_house()
    house.wait_to_say("sign-ins")
    house.end(signal.SIGKILL)
    assert wait_until(lambda: not any(is_alive(p) for p in house.pids("(?:serve|worker|gateway-fake)")), 20)
    again = start_house()
    again.wait_to_say("sign-ins")
    assert again.end(signal.SIGINT) == 0


def test_a_failed_step_names_itself_and_ends_the_start(checkout: Path, start_house: StartHouse) -> None:
    house = start_house(FAKE_FAILS="migrate")
    assert house.wait() == 1
    assert "dianming migrate" in "".join(house.said)
    assert house.pids("serve") == []
    assert postmaster_of(find_place(checkout, "run").data / "postgres") is None


def test_a_command_runs_once_the_house_is_ready_and_its_exit_code_is_ours(
    checkout: Path, start_house: StartHouse
) -> None:
    house = start_house("sh", "-c", "echo at $DIANMING_PUBLIC_URL; exit 7")
    assert house.wait() == 7
    assert any("at http://127.0.0.1:" in line for line in house.said)
    assert wait_until(house.is_gone, 10)
