"""Live progress while a rush comes in: how long a drill-down takes, and how late 2,000 open dashboards are told.

One server process, its database and the load share the machine. The roll call has 25,000 classes in 500 schools; the
dashboards look at the province, at its cities and at schools in turn. The floor of a drill-down is the sign-in's own
read of the same server (`GET /v1/me`).
"""

import argparse
import asyncio
import math
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import uvloop
from redis.asyncio import Redis

from backend.app import STAFF_PREFIX
from backend.core.clock import now
from backend.identity.access_tokens import issue_staff_token
from backend.local.services import Stack
from bench.intake import ENVELOPES, Bench, benched
from bench.intake_load import open_loop
from bench.intake_school import ROLL_CALL
from bench.report import publish

SCHOOLS, CLASSES = 500, 50
PROVINCE, CITY = UUID("018f0001-0000-7000-8000-000000000000"), UUID("018f0001-0000-7000-8000-000000000001")
LIFE = timedelta(minutes=30)
ROUNDS = 12
_PROGRESS = f"{STAFF_PREFIX}/v1/roll-calls/{ROLL_CALL}/progress"


def _school(n: int) -> UUID:
    return UUID(f"018f0001-0000-7000-8000-{0xA0000 + n:012x}")


def plant(bench: Bench) -> str:
    """500 schools with 25,000 classes in the audience, and a signed-in account of the province; its token."""
    account, session = uuid.uuid4(), uuid.uuid4()
    with psycopg.connect(bench.dsn, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")
        server.execute(
            "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
            " SELECT CAST('018f0001-0000-7000-8000-' || lpad(to_hex(655360 + n), 12, '0') AS uuid), 'school',"
            " '42' || lpad(CAST(n AS text), 8, '0'), '学校', %s,"
            " CAST('p410000.c410100.s42' || lpad(CAST(n AS text), 8, '0') AS ltree), now()"
            " FROM generate_series(0, %s) n",
            [CITY, SCHOOLS - 1],
        )
        server.execute(
            "INSERT INTO roll_call_class (term_code, roll_call_id, class_id, school_id, owed, excused, exempt)"
            " SELECT r.term_code, r.id, gen_random_uuid(), u.id, 46, 1, 1"
            " FROM roll_call r, org_unit u, generate_series(1, %s) WHERE r.id = %s AND u.code LIKE '42%%'",
            [CLASSES, ROLL_CALL],
        )
        server.execute(
            "INSERT INTO outcome_count (roll_call_id, class_id, school_id, present, missed, excused, undetermined)"
            " SELECT roll_call_id, class_id, school_id, 20, 0, 0, 0 FROM roll_call_class WHERE owed = 46"
        )
        server.execute(
            "INSERT INTO account (id, kind, org_id, org_path, display_name, login, status, failed_attempts, created_at,"
            " password_hash, totp_sealed) VALUES (%s, 'province', %s, 'p410000', '省', 'bench.province', 'active', 0,"
            " now(), '-', '\\x00')",
            [account, PROVINCE],
        )
        server.execute(
            "INSERT INTO staff_session (id, account_id, refresh_hash, created_at, expires_at)"
            " VALUES (%s, %s, '\\x00', now(), now() + interval '1 day')",
            [session, account],
        )
        server.execute("ANALYZE")
    return issue_staff_token(bench.keys, account, session, now(), LIFE).value


def note_outcomes(dsn: str, schools: int) -> None:
    """What a batch of verdicts leaves: one student more in a class of some schools, by the statement's note."""
    with psycopg.connect(dsn) as server:
        server.execute(
            "INSERT INTO outcome_delta (roll_call_id, class_id, school_id, present, missed, excused, undetermined)"
            " SELECT DISTINCT ON (school_id) roll_call_id, class_id, school_id, 1, 0, 0, 0 FROM roll_call_class"
            " WHERE roll_call_id = %s AND owed = 46 ORDER BY school_id, random() LIMIT %s",
            [ROLL_CALL, schools],
        )


async def drilled(bench: Bench, token: str, path: str, units: Sequence[UUID | None]) -> list[float]:
    """Seconds that each look took, one after the other."""
    taken = []
    async with httpx.AsyncClient(base_url=bench.url, headers={"Authorization": f"Bearer {token}"}) as client:
        for unit in units:
            began = time.monotonic()
            answer = await client.get(path, params={"unit_id": str(unit)} if unit else {})
            answer.raise_for_status()
            taken.append(time.monotonic() - began)
    return taken


@dataclass(slots=True)
class Dashboard:
    """One open stream: when it was last told something."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    told_at: float = 0.0

    @classmethod
    async def opened(cls, bench: Bench, token: str, unit: UUID) -> "Dashboard":
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port, limit=2**20)
        writer.write(
            f"GET {_PROGRESS}/stream?unit_id={unit} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        board = cls(reader, writer)
        await board.next()
        return board

    async def next(self) -> None:
        """Until the next figures."""
        while not (await self.reader.readline()).startswith(b"data: {"):
            pass
        self.told_at = time.monotonic()


async def told(bench: Bench, token: str, count: int) -> list[float]:
    """Seconds from a change to each dashboard's new figures, over some rounds; all look at units that changed."""
    units = [PROVINCE, CITY, *(_school(n) for n in range(38))]
    boards: list[Dashboard] = []
    for begin in range(0, count, 50):
        batch = (units[n % len(units)] for n in range(begin, min(count, begin + 50)))
        boards += await asyncio.gather(*(Dashboard.opened(bench, token, unit) for unit in batch))
    redis, late = Redis.from_url(bench.settings.redis_url), []
    try:
        for _ in range(ROUNDS):
            await asyncio.sleep(2.5)  # the pause that a board keeps between two readings is over
            began = time.monotonic()
            await asyncio.to_thread(note_outcomes, bench.dsn, SCHOOLS)
            await redis.publish(f"dianming:progress:{ROLL_CALL}", b"1")
            await asyncio.gather(*(board.next() for board in boards))
            late += [board.told_at - began for board in boards]
    finally:
        await redis.aclose()
        for board in boards:
            board.writer.close()
    return late


def row(what: str, seconds: Sequence[float], **more: Any) -> dict[str, Any]:
    """Percentiles in milliseconds."""
    ranked = sorted(seconds)

    def at(share: float) -> float:
        return round(1000 * ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)], 1)

    return {
        "what": what,
        "looks": len(ranked),
        "p50 ms": at(0.5),
        "p95 ms": at(0.95),
        "p99 ms": at(0.99),
        **more,
    }


async def _measured(bench: Bench, asked: argparse.Namespace) -> list[dict[str, Any]]:
    token = await asyncio.to_thread(plant, bench)
    units = [None, CITY, *(_school(n) for n in range(0, SCHOOLS, 10))] * 4
    quiet = await drilled(bench, token, _PROGRESS, units)
    floor = await drilled(bench, token, f"{STAFF_PREFIX}/v1/me", [None] * len(units))
    requests = bench.signed(asked.envelopes, 0, ENVELOPES, bench.tokens(bench.handsets))
    load = asyncio.create_task(open_loop(bench.port, requests, asked.rate, 256))
    busy = []
    while not load.done():
        busy += await drilled(bench, token, _PROGRESS, units[: len(units) // 4])
    run = await load
    rows = [
        row("floor: GET /v1/me", floor, envelopes="-"),
        row("province, city, schools; quiet", quiet, envelopes="-"),
        row(
            "the same while envelopes come in",
            busy,
            envelopes=f"{run.rate:.0f}/s, p99 {run.percentile(0.99):.0f} ms",
        ),
    ]
    late = await told(bench, token, asked.dashboards)
    rows.append(row(f"{asked.dashboards} dashboards told of a change", late, envelopes="-"))
    return rows


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dashboards", type=int, default=2000)
    parser.add_argument("--envelopes", type=int, default=4000)
    parser.add_argument(
        "--rate", type=float, default=100.0, help="envelopes a second: half of what intake accepts"
    )
    asked = parser.parse_args()
    uvloop.install()
    with benched(Stack.from_environment(os.environ), asked.envelopes, attempts=1) as bench:
        rows = asyncio.run(_measured(bench, asked))
    publish("dashboards", "50 ms for a drill-down at the 95th percentile", rows)


if __name__ == "__main__":
    main()
