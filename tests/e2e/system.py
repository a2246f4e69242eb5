"""A whole system for the browser tests: gateway, API and worker as processes, with a small organisation in the database."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from backend.core.app_context import settings_clock
from backend.core.availability import record_heartbeats
from backend.core.clock import advance_shifted_clock
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.demo.clients import Clients
from backend.demo.fixtures import Organisation, OrganisationBuilder
from backend.devstack.supervisor import wait_until_ready
from backend.settings import Settings
from tests.e2e.face_thresholds import install_thresholds
from tests.support.environment import settings_environment

ROOT = Path(__file__).resolve().parents[2]
DIANMING = Path(sys.executable).parent / "dianming"
DEMO_POLICIES = ROOT / "backend" / "demo" / "policies"
STUDENTS = 60
"""On the rosters of the three schools together."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class System:
    """The running system: its addresses, its staff with their clients, and its movable clock."""

    url: str
    settings: Settings
    clients: Clients
    organisation: Organisation
    database: Database
    """As the application's role, for what a test has to see in the tables."""
    logs: Path

    def advance_clock(self, seconds: float) -> None:
        """Move the clock of the system forward, as `dianming clock advance` does in a process of its own."""
        clock_file = self.settings.clock_file
        assert clock_file is not None
        advance_shifted_clock(clock_file, seconds)

    async def pass_time(self, seconds: float) -> None:
        """As `advance_clock`, with the service's heartbeats of the skipped minutes: otherwise they are an outage."""
        at = datetime.fromtimestamp(self.clients.clock(), UTC)
        async with self.database.transaction(Scope.none()) as session:
            await record_heartbeats(session, at, seconds)
        self.advance_clock(seconds)

    def full_time_students(self, school: int) -> list[dict[str, str]]:
        """The roster rows of a school's students who take part in roll calls."""
        return [each for each in self.organisation.schools[school].roster if each["学习形式"] == "全日制"]

    async def sms_code(self, phone_number: str) -> str | None:
        """The last one-time code that the fake gateway got for a number."""
        inbox = (await self.clients.gateway.get(f"/inbox/{phone_number}")).json()
        codes = (each["params"].get("code") for each in inbox["messages"])
        return next((code for code in codes if code is not None), None)


PUSH_KEY = base64.urlsafe_b64encode(bytes(31) + b"\x07").decode().rstrip("=")
"""A key with which phones are offered notifications. No push service knows it."""


def system_settings(database: str, owner: str, redis_url: str, folder: Path) -> Settings:
    """Settings of a development system whose state is in `folder`, on free ports."""
    evidence = folder / "evidence"
    evidence.mkdir(mode=0o700)
    return Settings(
        env="development",
        database_url=database,
        owner_database_url=owner,
        redis_url=redis_url,
        evidence_dir=evidence,
        keys_file=folder / "keys.json",
        public_url=f"http://127.0.0.1:{free_port()}",
        gateway_url=f"http://127.0.0.1:{free_port()}",
        clock_file=folder / "clock",
        test_engine=True,
        face_demonstration=True,
    )


@contextmanager
def running_programs(settings: Settings, folder: Path) -> Iterator[None]:
    """Seed the province, then keep gateway, API and worker running. Their output is in `folder`/NAME.log."""
    environment = {
        **os.environ,
        **settings_environment(settings),
        "DIANMING_POLICIES": str(DEMO_POLICIES),
        "DIANMING_PUSH_PRIVATE_KEY": PUSH_KEY,
        "PYTHONUNBUFFERED": "1",
    }
    for step in (("keys", "init"), ("seed", "--bare")):
        _run_step(step, environment)
    api_port, gateway_port = (each.rpartition(":")[2] for each in (settings.public_url, settings.gateway_url))
    programs = {
        "gateway": ("gateway", "--port", gateway_port, "--reports-to", f"{settings.public_url}/staff"),
        "api": ("serve", "--port", api_port),
        "worker": ("worker",),
    }
    running = [_start(name, arguments, environment, folder) for name, arguments in programs.items()]
    try:
        yield
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            process.wait(30)


def _run_step(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [DIANMING, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _start(
    name: str, arguments: tuple[str, ...], environment: dict[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [DIANMING, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@asynccontextmanager
async def running_system(settings: Settings, folder: Path) -> AsyncIterator[System]:
    """The programs, clients, and the organisation of the demonstration with few students."""

    def clock() -> float:
        return settings_clock(settings)().timestamp()

    url = settings.public_url
    with running_programs(settings, folder):
        await wait_until_ready(f"{url}/healthz", [])
        async with (
            httpx.AsyncClient(base_url=f"{url}/staff", timeout=60, trust_env=False) as staff,
            httpx.AsyncClient(base_url=f"{url}/mobile", timeout=60, trust_env=False) as mobile,
            httpx.AsyncClient(base_url=settings.gateway_url, timeout=60, trust_env=False) as gateway,
        ):
            first = json.loads((settings.keys_file.parent / "sign-ins.json").read_text())["first_invitation"]
            builder = OrganisationBuilder(staff, clock, folder, lambda _: None)
            organisation = await builder.build(first, STUDENTS, activate_counselors=False)
            await install_thresholds(settings, organisation, ROOT)
            database = Database.connect(settings.database_url, 2)
            yield System(
                url, settings, Clients(staff, mobile, gateway, clock), organisation, database, folder
            )
            await database.close()
