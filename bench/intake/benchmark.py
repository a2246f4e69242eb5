"""Benchmark of the intake of envelopes: server processes, PostgreSQL and the load generator share the cores.

    python -m bench.intake [--envelopes 8000] [--rounds 10] [--connections 64] [--processes 1] [--cold]

There are as many phones as keys fit the server's cache: in a real check-in the key was parsed for the challenge.

The server is the product's own, under uvicorn. The benchmark adds a route that parses the same request with the same code
and answers at once. Students, keys and challenges are created beforehand; tokens, proofs and envelopes are signed before
each run. With `--cold`, every request has an access token that is new to the server. In a real check-in the token is known,
since the challenge was requested with it.

- `empty`: that route, closed loop. The baseline: no envelope can be accepted faster. It is the first route of the mobile
  API; `empty, last` is the same as the last route; `empty, usual` is first, but parsed by FastAPI like other routes.
- `accepted`: envelopes that are their own proof, closed loop. Each one is durable and has its receipt.
- `accepted, two signatures`: envelopes with a DPoP proof, as on a resend. Both forms take turns within a round, and each
  is first in every other round.
- `at 80 %`: envelopes that are their own proof at a constant 80 % of that rate. Latencies count from when each request was due.
"""

import argparse
import asyncio
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import uvloop
from alembic import command
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import JSONResponse
from starlette.routing import Mount

from backend.app import MOBILE_PREFIX, create_app
from backend.commands.deployment.migrate_command import alembic_config
from backend.core import jws
from backend.core.app_context import open_app_context
from backend.core.clock import now
from backend.core.keys import KeyRing, create_key_file
from backend.core.process.gc_tuning import freeze_startup_objects
from backend.core.process.open_files import raise_open_file_limit
from backend.core.web.api import Api
from backend.core.web.server import serve
from backend.devstack.services import Stack, create_database, drop_database
from backend.identity.sign_in.access_tokens import issue_phone_token
from backend.roll_call.check_in.intake import MAX_BATCH
from backend.roll_call.envelope import TYPE
from backend.roll_call.student_schemas import EnvelopeIn
from backend.settings import Settings
from bench.intake.data import ROLL_CALL, Handset, account_id, fill, nonce_of
from bench.intake.load import Run, closed_loop, open_loop
from bench.intake.steps import Signed, list_steps
from bench.report import Ratio, StolenTime, publish
from mobile_api.envelopes import ManualParsingRoute

DATABASE = "bench_intake"
ROUNDS = 10
"""Each round runs every route, so that other load of the machine affects all of them alike."""
FORMS = {"accepted": True, "accepted, two signatures": False}
"""Runs of accepted envelopes, and whether the envelope is its own proof."""
PROCESSES = max(1, (os.cpu_count() or 1) // 2)
"""Half of the processors serve; the database and the load generator use the others."""
FRAMES = [
    {"sha256": hashlib.sha256(bytes([n])).hexdigest(), "size": 40_000, "at_ms": 300 * n} for n in range(8)
]
FIXES = [
    {"lon": 113.6 + n * 1e-7, "lat": 34.7, "accuracy_m": 10.0, "datum": "wgs84", "age_s": 1.0}
    for n in range(8)
]
ENVELOPES = f"{MOBILE_PREFIX}/v1/roll-calls/{ROLL_CALL}/envelopes"
EMPTY = f"{MOBILE_PREFIX}/v1/bench/{ROLL_CALL}/envelopes"
EMPTY_LAST = f"{MOBILE_PREFIX}/v1/bench-last/{ROLL_CALL}/envelopes"
EMPTY_USUAL = f"{MOBILE_PREFIX}/v1/bench-usual/{ROLL_CALL}/envelopes"
BASELINES = {"empty": EMPTY, "empty, last": EMPTY_LAST, "empty, usual": EMPTY_USUAL}

_first, _last = (APIRouter(prefix="/v1", route_class=ManualParsingRoute) for _ in range(2))
_usual = APIRouter(prefix="/v1")


@_usual.post("/bench-usual/{roll_call_id}/envelopes", status_code=201)
async def post_usual_nothing(roll_call_id: UUID, body: EnvelopeIn) -> dict[str, object]:
    """The cost of parsing and answering by FastAPI itself."""
    return {"roll_call": str(roll_call_id), "bytes": len(body.envelope)}


@_first.post("/bench/{roll_call_id}/envelopes", status_code=201)
@_last.post("/bench-last/{roll_call_id}/envelopes", status_code=201)
async def post_nothing(_: Request, roll_call_id: UUID, body: EnvelopeIn) -> Response:
    """The cost of parsing and answering the request."""
    return JSONResponse({"roll_call": str(roll_call_id), "bytes": len(body.envelope)}, 201)


def application() -> FastAPI:
    """The product's application with the routes of the benchmark."""
    raise_open_file_limit()
    app = create_app(open_app_context(Settings()))
    mobile = next(
        route.app for route in app.routes if isinstance(route, Mount) and route.path == MOBILE_PREFIX
    )
    assert isinstance(mobile, Api)
    for router in (_first, _usual):
        mobile.include_router(router)
        mobile.router.routes.insert(0, mobile.router.routes.pop())
    mobile.include_router(_last)
    freeze_startup_objects()
    return app


@dataclass(frozen=True, slots=True)
class Bench:
    """A running server, with the keys and phones to sign for it."""

    port: int
    url: str
    process: subprocess.Popen[bytes]
    keys: KeyRing
    handsets: Sequence[Handset]
    dsn: str
    settings: Settings

    def parts(self, handset: Handset, attempt: int, path: str, token: str, *, is_own_proof: bool) -> Signed:
        """What a phone signs for one envelope."""
        content: dict[str, Any] = {
            "roll_call": str(ROLL_CALL),
            "nonce": nonce_of(handset.n, attempt),
            "fixes": FIXES,
            "frames": FRAMES,
            "claims": {},
        }
        claims = {
            "jti": str(uuid.uuid4()),
            "htm": "POST",
            "htu": self.url + path,
            "iat": int(time.time()),
            "ath": jws.encode_base64url(hashlib.sha256(token.encode()).digest()).decode(),
        }
        if is_own_proof:
            header = {"typ": TYPE, "jwk": handset.jwk}
            return Signed(token, None, jws.sign(header, claims | content, handset.key), path)
        proof = jws.sign({"typ": "dpop+jwt", "jwk": handset.jwk}, claims, handset.key)
        envelope = jws.sign({"typ": TYPE, "kid": handset.thumbprint}, content, handset.key)
        return Signed(token, proof, envelope, path)

    def request(self, handset: Handset, attempt: int, path: str, token: str, *, is_own_proof: bool) -> bytes:
        """A complete HTTP request with an envelope, as bytes."""
        signed = self.parts(handset, attempt, path, token, is_own_proof=is_own_proof)
        body = json.dumps({"envelope": signed.envelope})
        proof = "" if signed.proof is None else f"DPoP: {signed.proof}\r\n"
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Accept-Language: zh-CN\r\nAuthorization: DPoP {token}\r\n{proof}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def tokens(self, handsets: Sequence[Handset]) -> list[str]:
        """A new access token for each phone."""
        life = timedelta(minutes=10)
        return [
            issue_phone_token(self.keys, account_id(each.n), each.thumbprint, now(), life).value
            for each in handsets
        ]

    def cpu(self) -> float:
        """CPU seconds of the server so far."""
        return _cpu_of(self.process.pid) + sum(map(_cpu_of, _children(self.process.pid)))

    def database_cpu(self) -> float:
        """CPU seconds of all database processes so far."""
        with psycopg.connect(self.dsn) as server:
            found = server.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s", [DATABASE]
            ).fetchall()
        return sum(_cpu_of(pid) for (pid,) in found)


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # the process has just ended
            continue
        if parent == pid:
            found.append(int(stat.parent.name))
    return found


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # the process has just ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def open_bench(stack: Stack, students: int, attempts: int, processes: int) -> Iterator[Bench]:
    """Open a filled database with a running server."""
    drop_database(stack, DATABASE)
    own = create_database(stack, DATABASE)
    command.upgrade(alembic_config(own.owner_url), "heads")
    handsets = [Handset.new(n) for n in range(students)]
    fill(own.superuser_dsn, handsets, attempts)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        create_key_file(keys)
        url = f"http://127.0.0.1:{port}"
        settings = Settings(
            database_url=own.app_url,
            redis_url=own.redis_url,
            evidence_dir=Path(folder),
            keys_file=keys,
            public_url=url,
        )
        given = settings.model_dump(mode="json", exclude_unset=True)
        environment = {f"DIANMING_{name.upper()}": value for name, value in given.items()}
        served = [sys.executable, "-m", "bench.intake", "--serve", str(port), "--processes", str(processes)]
        process = subprocess.Popen(served, env={**os.environ, **environment})
        try:
            _wait_for(port, process)
            yield Bench(port, url, process, KeyRing.load(keys), handsets, own.superuser_dsn, settings)
        finally:
            process.terminate()
            process.wait()
    drop_database(stack, DATABASE)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    msg = "the server ended before it listened"
    raise RuntimeError(msg)


@dataclass(slots=True)
class Spent:
    """The runs of one name, and the CPU time of server and database in them."""

    run: Run = field(default_factory=Run)
    server: float = 0.0
    database: float = 0.0
    stolen: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    """Of each round: CPU seconds of the server per request."""

    def row(self, name: str) -> dict[str, Any]:
        """Rate, latencies, and CPU time per request of server, database and generator."""
        run, count = self.run, len(self.run.latencies)
        return {
            "run": name,
            "requests": count,
            "statuses": ", ".join(f"{status}: {n}" for status, n in sorted(run.statuses.items())),
            "per second": round(run.rate),
            "p50 ms": round(run.percentile(0.5), 1),
            "p95 ms": round(run.percentile(0.95), 1),
            "p99 ms": round(run.percentile(0.99), 1),
            "server µs": round(1e6 * self.server / count),
            "database µs": round(1e6 * self.database / count),
            "generator µs": round(1e6 * run.cpu / count),
            "stolen": round(statistics.fmean(self.stolen), 3),
        }


@dataclass(slots=True)
class Runs:
    """All runs against one server, by name, in order."""

    bench: Bench
    connections: int
    cold: bool
    spent: dict[str, Spent] = field(default_factory=dict)
    _tokens: list[str] = field(default_factory=list)

    def run(
        self,
        name: str,
        path: str,
        attempt: int,
        part: slice,
        rate: float | None = None,
        *,
        is_own_proof: bool = True,
    ) -> None:
        """Send the envelopes of some students: as fast as they are answered, or at a rate."""
        bench = self.bench
        if self.cold or not self._tokens:
            self._tokens = bench.tokens(bench.handsets)
        requests = [
            bench.request(handset, attempt, path, token, is_own_proof=is_own_proof)
            for handset, token in zip(bench.handsets[part], self._tokens[part], strict=True)
        ]
        server, database, stolen = bench.cpu(), bench.database_cpu(), StolenTime()
        done = asyncio.run(
            closed_loop(bench.port, requests, self.connections)
            if rate is None
            else open_loop(bench.port, requests, rate, 8 * self.connections)
        )
        spent = self.spent.setdefault(name, Spent())
        used = bench.cpu() - server
        spent.run.add(done)
        spent.server += used
        spent.costs.append(used / len(done.latencies))
        spent.database += bench.database_cpu() - database
        spent.stolen.append(stolen.share())
        spent.rates.append(done.rate)

    def ratio(self, name: str, baseline: str) -> Ratio:
        """The ratio of both rates over the rounds; within a round the machine has the same other load."""
        rates = zip(self.spent[name].rates, self.spent[baseline].rates, strict=True)
        return Ratio(sorted(one / other for one, other in rates))

    def cpu_ratio(self, name: str, baseline: str) -> Ratio:
        """The same ratio by the CPU time of the server, which other load of the machine changes less."""
        costs = zip(self.spent[name].costs, self.spent[baseline].costs, strict=True)
        return Ratio(sorted(other / one for one, other in costs))


async def step_by_step(bench: Bench, count: int = 20 * MAX_BATCH) -> list[dict[str, Any]]:
    """The cost of each step, measured in this process with the product's code."""
    handsets = bench.handsets[:count]
    tokens = bench.tokens(handsets)
    ordinary, own_proof = (
        [
            bench.parts(each, 4, ENVELOPES, token, is_own_proof=is_own_proof)
            for each, token in zip(handsets, tokens, strict=True)
        ]
        for is_own_proof in (False, True)
    )
    app_context = open_app_context(bench.settings)
    freeze_startup_objects()
    try:
        return await list_steps(app_context, ordinary, own_proof)
    finally:
        await app_context.close()


def run_round(runs: Runs, number: int, part: slice) -> None:
    """Run every route once; the form of envelope that is first changes with each round."""
    for name, path in BASELINES.items():
        runs.run(name, path, 1, part)
    forms = list(enumerate(FORMS.items(), start=1))
    for attempt, (name, is_own_proof) in forms if number % 2 == 0 else reversed(forms):
        runs.run(name, ENVELOPES, attempt, part, is_own_proof=is_own_proof)


def describe_ratios(runs: Runs, processes: int) -> str:
    """The ratio of each form of envelope to each baseline, with the interval of its median."""
    lines = [
        f"{name}: "
        + "; ".join(
            f"{baseline} {runs.ratio(name, baseline)}, by CPU {runs.cpu_ratio(name, baseline)}"
            for baseline in BASELINES
        )
        for name in FORMS
    ]
    one, two = FORMS
    return (
        f"median of the rounds (95 % interval), {processes} processes. "
        + ". ".join(lines)
        + f". One signature to two: {runs.ratio(one, two)}, by CPU {runs.cpu_ratio(one, two)}"
    )


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="python -m bench.intake")
    parser.add_argument("--envelopes", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--serve", type=int)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(
            "bench.intake.benchmark:application",
            "127.0.0.1",
            arguments.serve,
            arguments.processes,
            keep_alive=300,
        )
        return
    count, rounds = arguments.envelopes, arguments.rounds
    uvloop.install()
    with open_bench(Stack.from_environment(os.environ), count, 5, arguments.processes) as bench:
        runs = Runs(bench, arguments.connections, arguments.cold)
        runs.run("warming up", ENVELOPES, 0, slice(count))
        for number in range(rounds):
            run_round(runs, number, slice(number * count // rounds, (number + 1) * count // rounds))
        runs.run("at 80 %", ENVELOPES, 3, slice(count), 0.8 * runs.spent["accepted"].run.rate)
        costs = asyncio.run(step_by_step(bench))
    baseline = describe_ratios(runs, arguments.processes)
    rows = [spent.row(name) for name, spent in runs.spent.items() if name != "warming up"]
    publish("intake-cold" if arguments.cold else "intake", baseline, rows)
    publish("intake-steps", "the sum of the parts; no step waits for another member of its batch", costs)
