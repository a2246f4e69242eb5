"""`make run`: starts the services and all programs; Ctrl-C stops them.

python -m backend.devstack.supervisor                        runs until interrupted
python -m backend.devstack.supervisor --dev                  the same; every program restarts when its sources change
python -m backend.devstack.supervisor --purpose demo -- CMD  runs CMD when the API is ready and exits with its status
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn, get_args
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from backend.devstack.errors import ApiNotReady, BadPort, DevstackError, PortBusy, StepFailed
from backend.devstack.lan import choose_lan_address, ensure_certificates, lan_banner
from backend.devstack.paths import Purpose
from backend.devstack.processes import Program, keep_running, print_line, run_once
from backend.devstack.services import Stack, running_stack

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
API_PORT, GATEWAY_PORT, VITE_PORT, LAN_PORT = 8000, 8009, 5173, 8443
HIGHEST_PORT = 65535
READY_SECONDS = 90

STEPS = (("migrate", ("migrate",)), ("seed", ("seed",)))
"""Sub-commands that run to completion, in this order, before the programs start. Each is idempotent."""

PROGRAMS = (
    Program("gateway", ("gateway", "--port", "{gateway}", "--reports-to", "http://127.0.0.1:{api}/staff")),
    Program("api", ("serve", "--host", HOST, "--port", "{api}")),
    Program("worker", ("worker",), copies=2),
)
SOURCES = ("backend", "mobile_api", "geo", "biometrics", "policies")
_NPM = ("-m", "backend.devstack.web", "npm", "--silent", "run", "dev", "--workspace")
DEV_PROGRAMS = (
    PROGRAMS[0],
    Program(
        "api",
        (
            *("--factory", "backend.commands.deployment.serve_command:application", "--log-level", "warning"),
            *("--host", HOST, "--port", "{api}", "--reload"),
            *(option for source in SOURCES for option in ("--reload-dir", source)),
        ),
        command="uvicorn",
    ),
    Program("worker", ("--filter", "python", "{bin}/dianming worker", *SOURCES), command="watchfiles"),
    Program("student", (*_NPM, "apps/student"), command="python"),
    Program("counselor", (*_NPM, "apps/counselor"), command="python"),
    Program("console", (*_NPM, "apps/console"), command="python"),
)
"""The programs of `make dev`. Vite serves the web apps and passes requests of the APIs on."""
LAN_PROGRAMS = (
    Program(
        "lan",
        (
            *("serve", "--host", "0.0.0.0", "--port", "{https}", "--processes", "1"),  # noqa: S104 - LAN=1 asks for it
            *("--tls-certificate", "{certificate}", "--tls-key", "{key}"),
        ),
    ),
    Program("lan-cert", ("-m", "backend.devstack.lan", "{authority}", "{authority_port}"), command="python"),
)
"""Further programs of `make run LAN=1`: the same application over HTTPS, and the certificate to trust."""
COMMAND_STEPS = (("migrate", ("migrate",)), ("seed", ("seed", "--bare")))
"""The steps before a given command, which creates its own data except for the first account of the province."""
SHOW_SIGN_INS = ("seed", "--show")
_DEMO_ENVIRONMENT = {
    "DIANMING_TEST_ENGINE": "1",
    "DIANMING_FACE_DEMONSTRATION": "1",
    "DIANMING_POLICIES": str(Path(__file__).resolve().parents[1] / "demo" / "policies"),
}


@dataclass(frozen=True, slots=True)
class LanPorts:
    """This machine's address on the local network, and the ports of HTTPS and of the authority's certificate there."""

    address: str
    https: int
    authority: int

    @property
    def authority_url(self) -> str:
        """Where a phone gets the certificate to trust."""
        return f"http://{self.address}:{self.authority}/"


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of this run, on the loopback address. `vite` are those of the three web apps."""

    api: int
    gateway: int
    vite: tuple[int, int, int] | None = None
    lan: "LanPorts | None" = None

    @property
    def public_url(self) -> str:
        """The address that browsers use, and that proofs contain."""
        if self.lan is not None:
            return f"https://{self.lan.address}:{self.lan.https}"
        return f"http://{HOST}:{self.api if self.vite is None else self.vite[0]}"


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` now. A port in TIME_WAIT counts as free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def next_free(port: int, taken: frozenset[int] = frozenset()) -> int:
    """Return the first free port, starting at `port`."""
    return next(p for p in range(port, HIGHEST_PORT + 1) if p not in taken and is_free(p))


def choose_ports(requested: str | None, *, dev: bool = False, lan: str | None = None) -> Ports:
    """Choose the API's port: the requested one, or by default the first free one from 8000. A requested port that
    is busy or invalid raises an error. With `dev`, choose ports for Vite as well; with the address `lan`, those of the
    local network.
    """
    if requested:
        if not (requested.isascii() and requested.isdigit() and 1 <= int(requested) <= HIGHEST_PORT):
            raise BadPort(value=requested)
        api = int(requested)
        if not is_free(api):
            raise PortBusy(port=api, free=next_free(min(api + 1, HIGHEST_PORT - 100)))
    else:
        api = next_free(API_PORT)
        if api != API_PORT:
            log(f"端口 {API_PORT} 已被占用，改用 {api} · Port {API_PORT} is in use, using {api}")
    gateway = next_free(GATEWAY_PORT, frozenset({api}))
    if lan is not None:
        https = next_free(LAN_PORT, frozenset({api, gateway}))
        return Ports(api, gateway, lan=LanPorts(lan, https, next_free(https + 1, frozenset({api, gateway}))))
    if not dev:
        return Ports(api, gateway)
    student = next_free(VITE_PORT, frozenset({api, gateway}))
    counselor = next_free(student + 1, frozenset({api, gateway}))
    return Ports(api, gateway, (student, counselor, next_free(counselor + 1, frozenset({api, gateway}))))


def log(line: str) -> None:
    """Print a line of the supervisor itself."""
    print_line(f"── {line}")


@contextmanager
def state_directory(root: Path, purpose: Purpose) -> Iterator[Path]:
    """Provide the directory for keys and evidence: `.local`, or a temporary one for purposes that start empty."""
    if purpose == "run":
        yield root / ".local"
        return
    with TemporaryDirectory(prefix=f"dianming-{purpose}-") as directory:
        yield Path(directory)


def has_demo_clock(purpose: Purpose) -> bool:
    """Whether the clock can be moved: in `make demo`, and in `make run` with DEMO_CLOCK=1."""
    return purpose == "demo" or (purpose == "run" and os.environ.get("DEMO_CLOCK") == "1")


def program_environment(stack: Stack, ports: Ports, state: Path, purpose: Purpose) -> dict[str, str]:
    """Return the environment of all programs: the inherited one plus the addresses of the services.

    `dianming migrate` creates the key file if it is missing.
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
        "DIANMING_PUBLIC_URL": ports.public_url,
        "DIANMING_GATEWAY_URL": f"http://{HOST}:{ports.gateway}",
        "PYTHONUNBUFFERED": "1",
        **vite_environment(ports),
        **(_DEMO_ENVIRONMENT if purpose == "demo" else {}),
        **({"DIANMING_CLOCK_FILE": str(state / "clock")} if has_demo_clock(purpose) else {}),
        **({"DIANMING_CLOCK_BAR": "true"} if has_demo_clock(purpose) and purpose == "run" else {}),
    }


def lan_fields(ports: Ports) -> dict[str, object]:
    """Return what the programs of LAN=1 need; creates the certificates on first use."""
    if ports.lan is None:
        return {}
    files = ensure_certificates(ROOT / ".local" / "lan", ports.lan.address)
    return {
        "https": ports.lan.https,
        "certificate": files.certificate,
        "key": files.key,
        "authority": files.authority,
        "authority_port": ports.lan.authority,
    }


def vite_environment(ports: Ports) -> dict[str, str]:
    """Return what the Vite servers of `make dev` read (web/build/app.ts)."""
    if ports.vite is None:
        return {}
    student, counselor, console = ports.vite
    return {
        "DIANMING_DEV_API": f"http://{HOST}:{ports.api}",
        "DIANMING_DEV_PORT": str(student),
        "DIANMING_DEV_COUNSELOR": f"http://{HOST}:{counselor}",
        "DIANMING_DEV_COUNSELOR_PORT": str(counselor),
        "DIANMING_DEV_CONSOLE": f"http://{HOST}:{console}",
        "DIANMING_DEV_CONSOLE_PORT": str(console),
    }


@contextmanager
def settings_file(root: Path, environment: dict[str, str]) -> Iterator[None]:
    """Keep `.local/run.env`, which `dianming env` reads: this process id, then the settings. Readable by the user only."""
    path = root / ".local" / "run.env"
    lines = [f"{name}={value}" for name, value in environment.items() if name.startswith("DIANMING_")]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join((str(os.getpid()), *lines)) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def is_healthy(url: str) -> bool:
    """Return whether a GET to `url` returns 200. Ignores proxy settings."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=5) as response:
            return bool(response.status == 200)  # noqa: PLR2004 — the HTTP status
    except (URLError, OSError):
        return False


async def wait_until_ready(url: str, running: list[asyncio.Task[None]]) -> None:
    """Poll `url` until it is healthy. Raises TimeoutError, or the exception of a supervising task that failed."""
    async with asyncio.timeout(READY_SECONDS):
        while not await asyncio.to_thread(is_healthy, url):
            for task in running:
                if task.done():
                    task.result()
            await asyncio.sleep(0.25)


def ready_banner(ports: Ports) -> str:
    """Return the addresses of the running system, framed to stand out between log lines."""
    api, web = f"http://{HOST}:{ports.api}", ports.public_url
    return "\n".join(
        (
            "─" * 72,
            f"  点名已就绪 · Dianming is running  {api}",
            f"  学生端 · student app               {web}/m/",
            f"  辅导员端 · counselor page          {web}/c/",
            f"  管理台 · console                   {web}/console/",
            f"  接口文档 · API documents           {api}/staff/docs  {api}/mobile/docs",
            f"  短信网关（模拟）· fake SMS gateway  http://{HOST}:{ports.gateway}",
            "  停止 · stop                        Ctrl-C",
            "─" * 72,
        )
    )


async def run_programs(command: list[str], dianming: str, environment: dict[str, str], ports: Ports) -> int:
    """Run the steps, start the programs, then wait, or run `command`. Stops all programs in any case."""
    for name, arguments in COMMAND_STEPS if command else STEPS:
        if status := await run_once(name, [dianming, *arguments], environment):
            raise StepFailed(step=f"dianming {' '.join(arguments)}", status_code=status)
    usual: tuple[Program, ...] = PROGRAMS if ports.vite is None else DEV_PROGRAMS
    programs = usual if ports.lan is None else (*usual, *LAN_PROGRAMS)
    instances = [(name, program) for program in programs for name in program.instances()]
    tasks = []
    folder = Path(dianming).parent
    for position, (name, program) in enumerate(instances):
        fields = {"api": ports.api, "gateway": ports.gateway, "bin": folder, **lan_fields(ports)}
        options = [option.format(**fields) for option in program.arguments]
        line = [str(folder / program.command), *options]
        supervision = keep_running(name, line, environment, position, log)
        tasks.append(asyncio.create_task(supervision))
    try:
        url = f"http://{HOST}:{ports.api}/healthz"
        try:
            await wait_until_ready(url, tasks)
        except TimeoutError:
            raise ApiNotReady(url=url) from None
        if command:
            return await run_once(Path(command[0]).name, command, environment)
        print_line(ready_banner(ports))
        await run_once("sign-ins", [dianming, *SHOW_SIGN_INS], environment)
        if ports.lan is not None:
            print_line(lan_banner(f"{ports.public_url}/m/", ports.lan.authority_url))
        # Unlike gather, wait does not cancel the tasks: a second cancellation would interrupt their shutdown.
        failed, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in failed:
            task.result()
        return 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_until_signal(
    command: list[str], dianming: str, environment: dict[str, str], ports: Ports
) -> int:
    """Run `run_programs` until SIGINT, SIGTERM or SIGHUP, then shut down in order. Return 0 in that case."""
    programs = asyncio.create_task(run_programs(command, dianming, environment, ports))
    loop = asyncio.get_running_loop()
    signal_received = False

    def shut_down() -> None:
        nonlocal signal_received
        if not signal_received:
            signal_received = True
            programs.cancel()
            log("正在停止 · Stopping")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, shut_down)
    try:
        return await programs
    except asyncio.CancelledError:
        return 130 if command else 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the options and the command after `--`."""
    parser = argparse.ArgumentParser(prog="supervise", description="点名本地运行 · Run Dianming locally")
    parser.add_argument("--purpose", choices=get_args(Purpose), default="run")
    parser.add_argument("--dev", action="store_true", help="restart every program when its sources change")
    parser.add_argument("command", nargs="*")
    return parser.parse_args(argv)


def supervise(root: Path, dianming: str, purpose: Purpose, command: list[str], *, dev: bool = False) -> int:
    """Start the services, run the programs, stop both. Return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        lan = None if command else choose_lan_address(os.environ.get("LAN", ""))
        ports = choose_ports(os.environ.get("PORT"), dev=dev, lan=lan)
        with running_stack(root, purpose) as stack, state_directory(root, purpose) as state:
            environment = program_environment(stack, ports, state, purpose)
            with settings_file(root, environment) if purpose == "run" else nullcontext():
                return asyncio.run(run_until_signal(command, dianming, environment, ports))
    except DevstackError as error:
        print(error.terminal_text(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def main(argv: list[str]) -> int:
    """Run the supervisor for the checkout that contains this file."""
    arguments = parse_arguments(argv)
    dianming = str(Path(sys.executable).parent / "dianming")
    return supervise(ROOT, dianming, arguments.purpose, arguments.command, dev=arguments.dev)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
