"""The daily assessment of a province: what it costs, and what reading the same rows costs without the rules.

    python -m bench.standing [--students 20000] [--processes 2] [--full]

The runs, each by the job's own code:

- `first day`: nothing is stored yet; everything that follows is kept, a transaction for each student concerned.
- `next day`: nothing has changed. This is what a province costs on an ordinary day.
- `floor of next day`: the rows that it reads, read by the same statements into the same facts, without the rules.
- `everyone`: as if nobody could be left out: all are read, judged and compared.
- `floor of everyone`: likewise.

`--full` is 500,000 students in two terms: a million student-terms. It plants the pictures that a first day would have
kept, in bulk, and measures the next day and its floor; the others grow with the number of students and are told by the
smaller sizes.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import event, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE
from backend.core.database import Database
from backend.core.evidence import EvidenceStore
from backend.core.keys import KeyRing, create_key_file
from backend.core.redis_client import open_redis
from backend.core.tenancy import Scope
from backend.devstack.services import Stack
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.settings import Settings
from backend.standing.batch_assessment import (
    BATCH,
    SchoolOf,
    assess_school,
    find_changed,
    students_to_assess,
)
from backend.standing.store.load import load_facts, load_student_refs
from backend.standing.store.lock import assess_now, digest
from backend.standing.store.tables import StudentStanding
from bench.report import publish
from bench.standing_data import Province, begin_anew, province_of, refresh_statistics

FULL = 500_000
FIRST_DAY = datetime(2026, 6, 20, 0, 1, tzinfo=LEGAL_ZONE)
Work = Callable[[AppContext, SchoolOf], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Share:
    """What one process did, and its seconds from the first school to the last; `sql` of them were statements."""

    changed: int
    seconds: float
    sql: float
    cpu: float
    peak_mb: int


async def daily(app_context: AppContext, school: SchoolOf) -> int:
    """The job itself."""
    done = await assess_school(app_context, school.school_id, school.path, app_context.clock())
    return done.changed


async def everyone(app_context: AppContext, school: SchoolOf) -> int:
    """The job's judgement of every student, nobody left out; keeps nothing."""
    ids, changed = await _all_of(app_context, school), 0
    for batch in _batches(ids):
        changed += len(await find_changed(app_context, school, batch, app_context.clock()))
    return changed


async def planted(app_context: AppContext, school: SchoolOf) -> int:
    """What a first day would have stored for the next one to compare with, in bulk and without consequences."""
    at, kept = app_context.clock(), 0
    async with app_context.database.transaction(school.scope) as session:
        ids = (await session.scalars(students_to_assess(school, at))).all()
    for batch in _batches(ids):
        async with app_context.database.transaction(school.scope) as session:
            found = await load_student_refs(session, batch)
            judged = await assess_now(session, list(found.values()), at)
            rows = [
                {
                    "student_id": student_id,
                    "school_id": school.school_id,
                    "as_of": at,
                    "policy_version": assessment.policy_version,
                    "digest": digest(assessment),
                    "assessment": {},
                }
                for student_id, assessment in judged.items()
                if not assessment.is_empty
            ]
            if rows:
                await session.execute(insert(StudentStanding), rows)
            kept += len(rows)
    return kept


async def reading_of_day(app_context: AppContext, school: SchoolOf) -> int:
    """What the daily job reads, without the rules."""
    async with app_context.database.transaction(school.scope) as session:
        ids = (await session.scalars(students_to_assess(school, app_context.clock()))).all()
    return await _read(app_context, school, ids)


async def reading_of_everyone(app_context: AppContext, school: SchoolOf) -> int:
    """What judging everyone reads, without the rules."""
    return await _read(app_context, school, await _all_of(app_context, school))


async def _read(app_context: AppContext, school: SchoolOf, ids: Sequence[UUID]) -> int:
    for batch in _batches(ids):
        async with app_context.database.transaction(school.scope) as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            found = await load_student_refs(session, batch)
            await load_facts(session, list(found.values()))
    return 0


async def _all_of(app_context: AppContext, school: SchoolOf) -> Sequence[UUID]:
    async with app_context.database.transaction(school.scope) as session:
        asked = select(Student.id).where(Student.school_id == school.school_id).order_by(Student.id)
        return (await session.scalars(asked)).all()


def _batches(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    return [ids[first : first + BATCH] for first in range(0, len(ids), BATCH)]


RUNS: dict[str, tuple[Work, int]] = {
    "first day": (daily, 0),
    "planted": (planted, 0),
    "next day": (daily, 1),
    "floor of next day": (reading_of_day, 1),
    "everyone": (everyone, 1),
    "floor of everyone": (reading_of_everyone, 1),
}
"""The work of each run, and on which day."""

ORDINARY = ("first day", "next day", "floor of next day", "everyone", "floor of everyone")
OF_A_MILLION = ("planted", "next day", "floor of next day")


# --- processes ---


def runtime_at(url: str, at: datetime) -> AppContext:
    folder = Path(tempfile.mkdtemp())
    create_key_file(folder / "keys.json")
    settings = Settings(
        env="test",
        database_url=url,
        redis_url="redis://127.0.0.1:1",
        evidence_dir=folder,
        keys_file=folder / "keys.json",
    )
    return AppContext(
        settings=settings,
        database=Database.connect(url, pool_size=1),
        redis=open_redis(settings.redis_url),
        keys=KeyRing.load(settings.keys_file),
        evidence=EvidenceStore.local(folder),
        clock=lambda: at,
    )


def _timed(engine: AsyncEngine) -> list[float]:
    """Seconds that each statement took, as the process saw it."""
    begun: list[float] = []
    taken: list[float] = []

    def before(*_: Any) -> None:
        begun.append(time.perf_counter())

    def after(*_: Any) -> None:
        taken.append(time.perf_counter() - begun.pop())

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    return taken


async def _share(url: str, run: str, part: tuple[int, int]) -> Share:
    work, day = RUNS[run]
    app_context = runtime_at(url, FIRST_DAY + timedelta(days=day))
    try:
        async with app_context.database.transaction(Scope.none()) as session:
            schools = (
                await session.execute(
                    select(OrgUnit.id, OrgUnit.path).where(OrgUnit.kind == "school").order_by(OrgUnit.id)
                )
            ).all()
        own = [SchoolOf(school_id, path) for school_id, path in schools[part[0] :: part[1]]]
        await _warm_up(app_context, own[0])
        statements, began, cpu, changed = (
            _timed(app_context.database.engine),
            time.perf_counter(),
            time.process_time(),
            0,
        )
        for school in own:
            changed += await work(app_context, school)
        seconds, peak = (
            time.perf_counter() - began,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        )
        return Share(changed, seconds, sum(statements), time.process_time() - cpu, peak)
    finally:
        await app_context.close()


async def _warm_up(app_context: AppContext, school: SchoolOf) -> None:
    """A worker has read the law and prepared its statements long before midnight."""
    await find_changed(app_context, school, (await _all_of(app_context, school))[:50], app_context.clock())


def _process(url: str, run: str, part: tuple[int, int]) -> Share:
    return asyncio.run(_share(url, run, part))


def measure(province: Province, run: str, processes: int) -> dict[str, Any]:
    """One run by so many processes, each with a connection of its own and every so many-th school."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        parts = [(number, processes) for number in range(processes)]
        work = [pool.submit(_process, province.stack.app_url, run, part) for part in parts]
        shares = [each.result() for each in work]
    seconds = max(share.seconds for share in shares)
    sql = sum(share.sql for share in shares)
    return {
        "run": run,
        "students": province.students,
        "student-terms": province.student_terms,
        "processes": processes,
        "changed": sum(share.changed for share in shares),
        "seconds": seconds,
        "µs per student-term": seconds / province.student_terms * 1e6,
        "in SQL": sql / sum(share.seconds for share in shares),
        "cpu s": sum(share.cpu for share in shares),
        "cpu µs per student-term": sum(share.cpu for share in shares) / province.student_terms * 1e6,
        "peak MB": max(share.peak_mb for share in shares),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--students", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    asked = parser.parse_args()
    stack = Stack.from_environment(os.environ)
    province = province_of(
        stack, FULL if asked.full else asked.students, lambda line: sys.stderr.write(line + "\n")
    )
    begin_anew(province)
    rows = []
    for run in OF_A_MILLION if asked.full else ORDINARY:
        rows.append(measure(province, run, asked.processes))
        sys.stderr.write(f"  {run}: {rows[-1]['seconds']:.0f} s\n")
        if run in {"first day", "planted"}:
            refresh_statistics(province)
    name = "standing-million" if asked.full else "standing"
    publish(name, "the same rows read by the same statements, without the rules", rows)


if __name__ == "__main__":
    main()
