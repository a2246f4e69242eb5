"""The cost of the daily assessment of a province, and the baseline of reading the same rows without the engine.

    python -m bench.standing [--students 20000] [--processes 2] [--full]

The runs, each with the job's own code:

- `first day`: nothing is stored yet; all results are saved.
- `next day`: nothing has changed. This is the cost of an ordinary day.
- `baseline of next day`: the same rows, loaded by the same statements into the same facts, without the engine.
- `all students`: all students are loaded, assessed and compared, without leaving out any.
- `baseline of all students`: the same rows without the engine.

`--full` has 500,000 students in two terms: a million student-terms. It inserts the assessments that a first day would
have stored, in bulk, and measures the next day and its baseline. The other runs grow with the number of students and
are measured with smaller sizes.
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
    SingleSchool,
    assess_school,
    find_changed,
    select_students_to_assess,
)
from backend.standing.store.carry import load_facts
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import compute_assessments, digest_assessment
from backend.standing.store.tables import StudentStanding
from bench.report import publish
from bench.standing.data import Province, build_province, delete_derived_rows, refresh_statistics

FULL = 500_000
FIRST_DAY = datetime(2026, 6, 20, 0, 1, tzinfo=LEGAL_ZONE)
Work = Callable[[AppContext, SingleSchool], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """The work of one process: its seconds from the first school to the last, of which `sql` in statements."""

    changed: int
    seconds: float
    sql: float
    cpu: float
    peak_mb: int


async def run_daily_job(app_context: AppContext, school: SingleSchool) -> int:
    """Run the daily job."""
    result = await assess_school(app_context, school.school_id, school.path, app_context.clock())
    return result.changed


async def assess_all_students(app_context: AppContext, school: SingleSchool) -> int:
    """Assess and compare all students of the school; saves nothing."""
    ids, changed = await _load_all_ids(app_context, school), 0
    for batch in _batches(ids):
        changed += len(await find_changed(app_context, school, batch, app_context.clock()))
    return changed


async def insert_assessments(app_context: AppContext, school: SingleSchool) -> int:
    """Insert the assessments that a first day would have stored, in bulk and without consequences."""
    at, inserted = app_context.clock(), 0
    async with app_context.database.transaction(school.scope) as session:
        ids = (await session.scalars(select_students_to_assess(school, at))).all()
    for batch in _batches(ids):
        async with app_context.database.transaction(school.scope) as session:
            students = await load_student_refs(session, batch)
            assessments = await compute_assessments(session, list(students.values()), at)
            rows = [
                {
                    "student_id": student_id,
                    "school_id": school.school_id,
                    "as_of": at,
                    "policy_version": assessment.policy_version,
                    "digest": digest_assessment(assessment),
                    "assessment": {},
                }
                for student_id, assessment in assessments.items()
                if not assessment.is_empty
            ]
            if rows:
                await session.execute(insert(StudentStanding), rows)
            inserted += len(rows)
    return inserted


async def load_next_day(app_context: AppContext, school: SingleSchool) -> int:
    """Load what the daily job loads, without the engine."""
    async with app_context.database.transaction(school.scope) as session:
        ids = (await session.scalars(select_students_to_assess(school, app_context.clock()))).all()
    return await _load(app_context, school, ids)


async def load_all_students(app_context: AppContext, school: SingleSchool) -> int:
    """Load all students, without the engine."""
    return await _load(app_context, school, await _load_all_ids(app_context, school))


async def _load(app_context: AppContext, school: SingleSchool, ids: Sequence[UUID]) -> int:
    for batch in _batches(ids):
        async with app_context.database.transaction(school.scope) as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            students = await load_student_refs(session, batch)
            await load_facts(session, list(students.values()))
    return 0


async def _load_all_ids(app_context: AppContext, school: SingleSchool) -> Sequence[UUID]:
    async with app_context.database.transaction(school.scope) as session:
        students = select(Student.id).where(Student.school_id == school.school_id).order_by(Student.id)
        return (await session.scalars(students)).all()


def _batches(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    return [ids[first : first + BATCH] for first in range(0, len(ids), BATCH)]


RUNS: dict[str, tuple[Work, int]] = {
    "first day": (run_daily_job, 0),
    "insert assessments": (insert_assessments, 0),
    "next day": (run_daily_job, 1),
    "baseline of next day": (load_next_day, 1),
    "all students": (assess_all_students, 1),
    "baseline of all students": (load_all_students, 1),
}
"""The work of each run, and its day."""

SMALL_RUNS = ("first day", "next day", "baseline of next day", "all students", "baseline of all students")
FULL_RUNS = ("insert assessments", "next day", "baseline of next day")


# --- processes ---


def create_app_context(url: str, at: datetime) -> AppContext:
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


def _measure_statements(engine: AsyncEngine) -> list[float]:
    """The seconds of each statement, as measured in this process."""
    started: list[float] = []
    seconds: list[float] = []

    def before(*_: Any) -> None:
        started.append(time.perf_counter())

    def after(*_: Any) -> None:
        seconds.append(time.perf_counter() - started.pop())

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    return seconds


async def _run_schools(url: str, run: str, part: tuple[int, int]) -> ProcessResult:
    work, day = RUNS[run]
    app_context = create_app_context(url, FIRST_DAY + timedelta(days=day))
    try:
        async with app_context.database.transaction(Scope.none()) as session:
            schools = (
                await session.execute(
                    select(OrgUnit.id, OrgUnit.path).where(OrgUnit.kind == "school").order_by(OrgUnit.id)
                )
            ).all()
        own = [SingleSchool(school_id, path) for school_id, path in schools[part[0] :: part[1]]]
        await _warm_up(app_context, own[0])
        statements, changed = _measure_statements(app_context.database.engine), 0
        start, cpu_start = time.perf_counter(), time.process_time()
        for school in own:
            changed += await work(app_context, school)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return ProcessResult(changed, seconds, sum(statements), cpu, peak_mb)
    finally:
        await app_context.close()


async def _warm_up(app_context: AppContext, school: SingleSchool) -> None:
    """A worker has cached the policies and prepared its statements long before midnight."""
    await find_changed(
        app_context, school, (await _load_all_ids(app_context, school))[:50], app_context.clock()
    )


def _process(url: str, run: str, part: tuple[int, int]) -> ProcessResult:
    return asyncio.run(_run_schools(url, run, part))


def measure(province: Province, run: str, processes: int) -> dict[str, Any]:
    """One run, with the schools shared among the processes, each with its own connection."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        parts = [(number, processes) for number in range(processes)]
        work = [pool.submit(_process, province.stack.app_url, run, part) for part in parts]
        results = [each.result() for each in work]
    seconds = max(result.seconds for result in results)
    sql = sum(result.sql for result in results)
    return {
        "run": run,
        "students": province.students,
        "student-terms": province.student_terms,
        "processes": processes,
        "changed": sum(result.changed for result in results),
        "seconds": seconds,
        "µs per student-term": seconds / province.student_terms * 1e6,
        "in SQL": sql / sum(result.seconds for result in results),
        "cpu s": sum(result.cpu for result in results),
        "cpu µs per student-term": sum(result.cpu for result in results) / province.student_terms * 1e6,
        "peak MB": max(result.peak_mb for result in results),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.standing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--students", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    stack = Stack.from_environment(os.environ)
    province = build_province(
        stack, FULL if args.full else args.students, lambda line: sys.stderr.write(line + "\n")
    )
    delete_derived_rows(province)
    rows = []
    for run in FULL_RUNS if args.full else SMALL_RUNS:
        rows.append(measure(province, run, args.processes))
        sys.stderr.write(f"  {run}: {rows[-1]['seconds']:.0f} s\n")
        if run in {"first day", "insert assessments"}:
            refresh_statistics(province)
    name = "standing-million" if args.full else "standing"
    publish(name, "the same rows, loaded by the same statements, without the engine", rows)
