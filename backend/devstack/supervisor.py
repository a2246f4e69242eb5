"""`make run`: everything up with one command, everything down with Ctrl-C.

python -m backend.devstack.supervisor                        stays up until it is told to end
python -m backend.devstack.supervisor --purpose demo -- CMD  runs CMD once all is ready, ends with its exit code
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn, get_args
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from backend.devstack.errors import ApiNotReady, BadPort, LocalRefusal, PortBusy, StepFailed
from backend.devstack.paths import Purpose
from backend.devstack.processes import Program, keep_running, run_once, show
from backend.devstack.services import Stack, running_stack

HOST = "127.0.0.1"
API_PORT, GATEWAY_PORT = 8000, 8009
HIGHEST_PORT = 65535
READY_SECONDS = 90

STEPS = (("migrate", ("migrate",)), ("seed", ("seed",)))
"""Sub-commands run to their end, in this order, before anything stays up. Each is idempotent."""

PROGRAMS = (
    Program("gateway", ("gateway", "--port", "{gateway}", "--reports-to", "http://127.0.0.1:{api}/staff")),
    Program("api", ("serve", "--host", HOST, "--port", "{api}")),
    Program("worker", ("worker",), copies=2),
)
BARE_STEPS = (("migrate", ("migrate",)), ("seed", ("seed", "--bare")))
"""What runs with a command of its own sets up everything itself, but for the province's first account."""
SIGN_INS = ("seed", "--show")
_DEMO_ONLY = {
    "DIANMING_TEST_ENGINE": "1",
    "DIANMING_POLICIES": str(Path(__file__).resolve().parents[1] / "demo" / "policies"),
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of this start, on the loopback address only."""

    api: int
    gateway: int


def is_free(port: int) -> bool:
    """Whether a server could listen there now; a port in TIME_WAIT is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def next_free(port: int, taken: frozenset[int] = frozenset()) -> int:
    """The first free port from `port` on."""
    return next(p for p in range(port, HIGHEST_PORT + 1) if p not in taken and is_free(p))


def choose_ports(asked: str | None) -> Ports:
    """The API's port: the one asked for or a refusal; without a wish the first free one from 8000, and said."""
    if asked:
        if not (asked.isascii() and asked.isdigit() and 1 <= int(asked) <= HIGHEST_PORT):
            raise BadPort(value=asked)
        api = int(asked)
        if not is_free(api):
            raise PortBusy(port=api, free=next_free(min(api + 1, HIGHEST_PORT - 100)))
    else:
        api = next_free(API_PORT)
        if api != API_PORT:
            tell(f"端口 {API_PORT} 已被占用，改用 {api} · Port {API_PORT} is in use, taking {api}")
    return Ports(api=api, gateway=next_free(GATEWAY_PORT, frozenset({api})))


def tell(line: str) -> None:
    """A line of the supervisor itself."""
    show(f"── {line}")


@contextmanager
def state_directory(root: Path, purpose: Purpose) -> Iterator[Path]:
    """Where keys and evidence lie: `.local`, or for a purpose that begins empty a directory that goes with it."""
    if purpose == "run":
        yield root / ".local"
        return
    with TemporaryDirectory(prefix=f"dianming-{purpose}-") as directory:
        yield Path(directory)


def program_environment(stack: Stack, ports: Ports, state: Path, purpose: Purpose) -> dict[str, str]:
    """What every program of the house is told; the settings that a developer exported are kept beside it.

    The key file is made by `dianming migrate` where it is missing.
    """
    evidence = state / "evidence"
    evidence.mkdir(exist_ok=True, mode=0o700)
    return {
        **os.environ,
        "DIANMING_ENV": "development",
        "DIANMING_DATABASE_URL": stack.app_url,
        "DIANMING_OWNER_DATABASE_URL": stack.owner_url,
        "DIANMING_REDIS_URL": stack.redis_url,
        "DIANMING_EVIDENCE_DIR": str(evidence),
        "DIANMING_KEYS_FILE": str(state / "keys.json"),
        "DIANMING_PUBLIC_URL": f"http://{HOST}:{ports.api}",
        "DIANMING_GATEWAY_URL": f"http://{HOST}:{ports.gateway}",
        "PYTHONUNBUFFERED": "1",
        **(_DEMO_ONLY if purpose == "demo" else {}),
        **({"DIANMING_CLOCK_FILE": str(state / "clock")} if purpose == "demo" else {}),
    }


def answers(url: str) -> bool:
    """Whether a GET is answered with 200, on the loopback address and past any proxy."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=5) as response:
            return bool(response.status == 200)  # noqa: PLR2004 — HTTP's own number
    except (URLError, OSError):
        return False


async def wait_ready(url: str, running: list[asyncio.Task[None]]) -> None:
    """Ask every quarter of a second; ends with a refusal when the time is over or a keeper itself broke."""
    async with asyncio.timeout(READY_SECONDS):
        while not await asyncio.to_thread(answers, url):
            for task in running:
                if task.done():
                    task.result()
            await asyncio.sleep(0.25)


def greeting(ports: Ports) -> str:
    """Where to go, in a box that is easy to find among log lines."""
    api = f"http://{HOST}:{ports.api}"
    return "\n".join(
        (
            "─" * 72,
            f"  点名已就绪 · Dianming is up       {api}",
            f"  接口文档 · API documents           {api}/staff/docs  {api}/mobile/docs",
            f"  短信网关（模拟）· fake SMS gateway  http://{HOST}:{ports.gateway}",
            "  停止 · stop                        Ctrl-C",
            "─" * 72,
        )
    )


async def run_house(command: list[str], dianming: str, environment: dict[str, str], ports: Ports) -> int:
    """Steps, then programs, then stay (or run `command`). Whatever happens, no program is left behind."""
    for name, arguments in BARE_STEPS if command else STEPS:
        if status := await run_once(name, [dianming, *arguments], environment):
            raise StepFailed(step=f"dianming {' '.join(arguments)}", status_code=status)
    wanted = [(name, program) for program in PROGRAMS for name in program.instances()]
    tasks = []
    for position, (name, program) in enumerate(wanted):
        filled = [word.format(api=ports.api, gateway=ports.gateway) for word in program.arguments]
        keeper = keep_running(name, [dianming, *filled], environment, position, tell)
        tasks.append(asyncio.create_task(keeper))
    try:
        url = f"http://{HOST}:{ports.api}/healthz"
        try:
            await wait_ready(url, tasks)
        except TimeoutError:
            raise ApiNotReady(url=url) from None
        if command:
            return await run_once(Path(command[0]).name, command, environment)
        show(greeting(ports))
        await run_once("sign-ins", [dianming, *SIGN_INS], environment)
        # Unlike gather, wait leaves the cancelling to the one place below; a second cancel would cut an ending short.
        broken, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in broken:
            task.result()
        return 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until_told(command: list[str], dianming: str, environment: dict[str, str], ports: Ports) -> int:
    """`run_house`, ended in order by SIGINT, SIGTERM or SIGHUP; 0 then, for being told to end is no failure."""
    house = asyncio.create_task(run_house(command, dianming, environment, ports))
    loop = asyncio.get_running_loop()
    told = False

    def end_now() -> None:
        nonlocal told
        if not told:
            told = True
            house.cancel()
            tell("正在停止 · Stopping")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end_now)
    try:
        return await house
    except asyncio.CancelledError:
        return 130 if command else 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def arguments_of(words: list[str]) -> argparse.Namespace:
    """`--purpose`, and after `--` the command to run."""
    parser = argparse.ArgumentParser(prog="supervise", description="点名本地运行 · Run Dianming locally")
    parser.add_argument("--purpose", choices=get_args(Purpose), default="run")
    parser.add_argument("command", nargs="*")
    return parser.parse_args(words)


def supervise(root: Path, dianming: str, purpose: Purpose, command: list[str]) -> int:
    """Services up, house up, house down, services down; the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        ports = choose_ports(os.environ.get("PORT"))
        with running_stack(root, purpose) as stack, state_directory(root, purpose) as state:
            environment = program_environment(stack, ports, state, purpose)
            return asyncio.run(until_told(command, dianming, environment, ports))
    except LocalRefusal as refusal:
        print(refusal.lines(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def main(words: list[str]) -> int:
    """The house of the checkout that this file lies in."""
    asked = arguments_of(words)
    dianming = str(Path(sys.executable).parent / "dianming")
    return supervise(Path(__file__).resolve().parents[2], dianming, asked.purpose, asked.command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
