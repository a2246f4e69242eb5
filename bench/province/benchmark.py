"""A roll call of a whole province: launch, settlement with 4 % absent, prompts, and reads.

    python -m bench.province [--sizes 12000 120000] [--full]

Every step runs the product's own code under row-level security with the application's role. Its cost is compared with
plain SQL that writes the same rows into tables without foreign keys:

- `launch`: `launch_roll_call`; its baseline is an INSERT … SELECT of the obligations into a table with the same indexes.
- `settle`: `settle_roll_call`; its baseline is an UPDATE of the absent students' rows in a table with a result for each.
- `prompts`: the jobs that follow for students who missed an earlier roll call too. The baseline is plain INSERTs of all
  rows recorded for the prompts (locks, prompts, steps, assessments, audit, events) by a client that has the rows. A
  second baseline copies the rows inside the database. `settle and prompts` is the sum of both steps.
- reads: the 95th percentile of a hundred latencies, through the queries that the API calls.

CPU seconds are those of this process and of the whole PostgreSQL cluster, so that they are meaningful on a shared
machine. `--full` goes up to 1,200,000 students; the databases are built once and cached.
"""

import argparse
import asyncio
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.listing.pages import PageRequest
from backend.core.process.gc_tuning import freeze_startup_objects
from backend.core.tenancy import Scope
from backend.devstack.services import Stack
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call.events import RollCallSettled
from backend.roll_call.launch.audience import Audience
from backend.roll_call.launch.checks import LaunchRollCall
from backend.roll_call.launch.service import launch_roll_call
from backend.roll_call.progress import counters
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.totals import Unit
from backend.roll_call.results.missing import MissingSearch, load_missing_page
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.student_queries import load_student_roll_calls
from backend.roll_call.tables import RollCall
from backend.standing import tasks as standing_jobs
from backend.standing.batch_assessment import (
    SchoolGroup,
    SingleSchool,
    batches,
    recompute_each,
    select_absentees,
)
from backend.standing.prompts.queries import PromptSearch, load_prompts_page
from backend.standing.store.tables import PromptRecord
from bench.province.baselines import (
    Cost,
    cluster_directory,
    launch_baseline,
    measure_cost,
    prompts_baseline,
    prompts_copy_baseline,
    settlement_baseline,
)
from bench.province.data import (
    CLOSES_AT,
    OPENS_AT,
    PROVINCE_PATH,
    SETTLED_AT,
    STAFF_ID,
    STUDENTS_PER_SCHOOL,
    Province,
    open_province,
    refresh_statistics,
    reset_province,
    simulate_window,
)
from bench.report import StolenTime, publish, seed
from bench.standing.benchmark import create_app_context

SEED = seed(5)

SIZES, FULL = (12_000, 120_000), 1_200_000
PAGES = 100


# --- the product ---


@dataclass(frozen=True, slots=True)
class Measured:
    """A step of the product with its cost, its baseline, and the number of rows."""

    step: str
    rows: int
    cost: Cost
    baseline: Cost | None
    copy_baseline: Cost | None = None
    """The baseline if the rows are copied inside the database."""


def add_steps(step: str, *parts: Measured) -> Measured:
    """The sum of several steps."""
    costs = [each.cost for each in parts]
    baselines = [each.baseline for each in parts if each.baseline]
    copies = [each.copy_baseline or each.baseline for each in parts]
    return Measured(step, parts[0].rows, _sum(costs), _sum(baselines), _sum(each for each in copies if each))


def _sum(costs: Iterable[Cost]) -> Cost:
    total = Cost()
    for each in costs:
        total.add(each)
    return total


async def launch(app_context: AppContext, cluster: Path) -> tuple[RollCall, Cost]:
    """Launch over the whole province, half an hour before the window opens."""
    at = OPENS_AT - timedelta(minutes=30)
    async with app_context.database.transaction(Scope.none()) as session:
        province = await session.scalar(select(OrgUnit.id).where(OrgUnit.kind == "province"))
    assert province is not None
    actor = Actor(STAFF_ID, "province", province, PROVINCE_PATH)
    command = LaunchRollCall("spot_check", "学籍核验", OPENS_AT, CLOSES_AT, Audience(), confirmed=True)
    with measure_cost(cluster) as cost:
        async with app_context.database.transaction(actor.scope) as session:
            launched = await launch_roll_call(session, actor, command, at)
    return launched.roll_call, cost


async def settle(app_context: AppContext, cluster: Path, roll_call_id: UUID) -> tuple[int, Cost]:
    """Settle; returns the number of misses and the cost."""
    with measure_cost(cluster) as cost:
        async with app_context.database.transaction(Scope.wide(PROVINCE_PATH)) as session:
            settlement = await settle_roll_call(session, roll_call_id, SETTLED_AT)
            settled = RollCallSettled(roll_call_id=roll_call_id, path=PROVINCE_PATH)
            await standing_jobs.enqueue_audience(session, settled)
    return settlement.figures["missed"], cost


async def load_schools(app_context: AppContext) -> list[SingleSchool]:
    async with app_context.database.transaction(Scope.none()) as session:
        units = select(OrgUnit.id, OrgUnit.path).where(OrgUnit.kind == "school").order_by(OrgUnit.path)
        return [SingleSchool(school_id, path) for school_id, path in await session.execute(units)]


MissedBySchools = list[tuple[SchoolGroup, list[UUID], list[UUID]]]
"""For the schools of each job: students with more than one miss in the term, and students with their first miss."""


async def load_missed(app_context: AppContext, roll_call_id: UUID) -> MissedBySchools:
    """Load the students to assess in the same way as the jobs."""
    missed_by_schools: MissedBySchools = []
    for some in batches(await load_schools(app_context), standing_jobs.SCHOOLS_PER_JOB):
        schools = SchoolGroup(PROVINCE_PATH, tuple(school.school_id for school in some))
        async with app_context.database.transaction(schools.scope) as session:
            missed = (await session.execute(select_absentees(schools, roll_call_id))).all()
        repeated = [student_id for student_id, misses in missed if misses > 1]
        first = [student_id for student_id, misses in missed if misses == 1]
        missed_by_schools.append((schools, repeated, first))
    return missed_by_schools


async def raise_prompts(
    app_context: AppContext, cluster: Path, roll_call_id: UUID
) -> tuple[int, Cost, MissedBySchools]:
    """Assess the students with more than one miss, as the jobs do first. Returns the prompts raised and the cost."""
    with measure_cost(cluster) as cost:
        missed = await load_missed(app_context, roll_call_id)
        for schools, repeated, _ in missed:
            await recompute_each(app_context, schools, repeated, SETTLED_AT)
    async with app_context.database.transaction(Scope.wide(PROVINCE_PATH)) as session:
        prompts = await session.scalar(select(func.count()).select_from(PromptRecord))
    return int(prompts or 0), cost, missed


async def raise_warnings(app_context: AppContext, cluster: Path, missed: MissedBySchools) -> tuple[int, Cost]:
    """Assess the students with their first miss, as the jobs do next."""
    with measure_cost(cluster) as cost:
        for schools, _, first in missed:
            await recompute_each(app_context, schools, first, SETTLED_AT)
    return sum(len(first) for _, _, first in missed), cost


# --- reads ---


Latencies = tuple[str, list[float], float]
"""Name of the list, milliseconds, and the CPU share that the host took meanwhile (`StolenTime`)."""


async def measure_latencies(name: str, read: Callable[[], Awaitable[object]]) -> Latencies:
    """Measure a read many times, after a few warm-up calls."""
    milliseconds, stolen = [], StolenTime()
    for number in range(PAGES + 5):
        started = time.perf_counter()
        await read()
        if number >= 5:
            milliseconds.append((time.perf_counter() - started) * 1000)
    return name, milliseconds, stolen.share()


async def measure_reads(app_context: AppContext, roll_call: RollCall) -> list[Latencies]:
    """Read each list as a different, random account every time."""
    rng = random.Random(SEED)
    schools = await load_schools(app_context)
    async with app_context.database.transaction(Scope.wide(PROVINCE_PATH)) as session:
        province = await session.scalar(select(OrgUnit).where(OrgUnit.kind == "province"))
        students_with_class = select(Student.id, Student.school_id, SchoolClass.id).join(
            SchoolClass, SchoolClass.id == Student.class_id
        )
        sample = (
            await session.execute(students_with_class.order_by(func.md5(Student.name)).limit(500))
        ).all()
    assert province is not None
    of_province = Actor(STAFF_ID, "province", province.id, PROVINCE_PATH)

    def registrar() -> Actor:
        school = rng.choice(schools)
        return Actor(STAFF_ID, "registrar", school.school_id, school.path, school_id=school.school_id)

    async def missing(actor: Actor, class_id: UUID | None) -> None:
        async with app_context.database.transaction(actor.scope) as session:
            await load_missing_page(session, actor, roll_call, MissingSearch(class_id), PageRequest(100))

    async def missing_of_class() -> None:
        _, school_id, class_id = rng.choice(sample)
        await missing(Actor(STAFF_ID, "registrar", school_id, "", school_id=school_id), class_id)

    async def history() -> None:
        student_id, school_id, _ = rng.choice(sample)
        async with app_context.database.transaction(Scope.student(school_id, student_id)) as session:
            await load_student_roll_calls(session, student_id, SETTLED_AT, None, 21)

    async def prompts(actor: Actor) -> None:
        async with app_context.database.transaction(actor.scope) as session:
            await load_prompts_page(session, actor, PromptSearch(open_only=True), SETTLED_AT, PageRequest(51))

    totals_cache = TotalsCache(app_context)

    async def progress_of_school() -> None:
        actor = registrar()
        async with app_context.database.transaction(actor.scope) as session:
            school = await session.get_one(OrgUnit, actor.org_id)
        totals = await totals_cache.load_current(roll_call.id, roll_call.launcher_path)
        totals.render(Unit(school.id, school.kind, school.name, school.path))

    return [
        await measure_latencies("missing, a class", missing_of_class),
        await measure_latencies("missing, a school", lambda: missing(registrar(), None)),
        await measure_latencies("missing, the province", lambda: missing(of_province, None)),
        await measure_latencies("own history", history),
        await measure_latencies("prompts, a registrar", lambda: prompts(registrar())),
        await measure_latencies("prompts, the province", lambda: prompts(of_province)),
        await measure_latencies("progress, a school", progress_of_school),
    ]


# --- one size ---


async def measure(province: Province) -> tuple[list[Measured], list[Latencies]]:
    """Measure launch, settlement, the jobs that follow, and the reads."""
    cluster, app_context = cluster_directory(province), create_app_context(province.stack.app_url, SETTLED_AT)
    try:
        async with app_context.database.transaction(Scope.none()) as session:
            await session.execute(text("SELECT 1"))
        baseline = launch_baseline(province, cluster)
        roll_call, cost = await launch(app_context, cluster)
        measured = [Measured("launch", province.students, cost, baseline)]
        simulate_window(province, roll_call.id)
        refresh_statistics(province)
        baseline = settlement_baseline(province, cluster, roll_call.id)
        missed, cost = await settle(app_context, cluster, roll_call.id)
        measured.append(Measured("settle", missed, cost, baseline))
        settled = measured[-1]
        with measure_cost(cluster) as cost:  # as the periodic task does
            async with app_context.database.transaction(Scope.none()) as session:
                classes = await counters.flush_counters(session)
        measured.append(Measured("counters folded", classes, cost, None))
        prompts, cost, missed_by_schools = await raise_prompts(app_context, cluster, roll_call.id)
        baseline, copy_baseline = (
            prompts_baseline(province, cluster),
            prompts_copy_baseline(province, cluster),
        )
        measured.append(Measured("prompts", prompts, cost, baseline, copy_baseline))
        measured.append(add_steps("settle and prompts", settled, measured[-1]))
        warnings, cost = await raise_warnings(app_context, cluster, missed_by_schools)
        measured.append(Measured("warnings", warnings, cost, None))
        refresh_statistics(province)
        return measured, await measure_reads(app_context, roll_call)
    finally:
        await app_context.close()


def _to_row(province: Province, each: Measured) -> dict[str, Any]:
    baseline, copy_baseline = each.baseline, each.copy_baseline
    return {
        "students": province.students,
        "step": each.step,
        "rows": each.rows,
        "seconds": each.cost.seconds,
        "cpu s": each.cost.cpu,
        "in Python": each.cost.python,
        "µs a row": each.cost.cpu / max(1, each.rows) * 1e6,
        "floor s": baseline.seconds if baseline else "",
        "floor cpu s": baseline.cpu if baseline else "",
        "times floor": each.cost.cpu / baseline.cpu if baseline and baseline.cpu else "",
        "times a copy": each.cost.cpu / copy_baseline.cpu if copy_baseline and copy_baseline.cpu else "",
    }


def main() -> None:
    """Measure the given sizes and publish the rows."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.province",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    stack = Stack.from_environment(os.environ)
    freeze_startup_objects()  # as a worker does
    rows, read_rows = [], []
    for size in [*arguments.sizes, *([FULL] if arguments.full else [])]:
        province = open_province(
            stack, max(size, STUDENTS_PER_SCHOOL), lambda line: sys.stderr.write(line + "\n")
        )
        reset_province(province)
        measured, latencies = asyncio.run(measure(province))
        rows += [_to_row(province, each) for each in measured]
        read_rows += [
            {
                "students": province.students,
                "list": name,
                "median ms": statistics.median(each),
                "p95 ms": statistics.quantiles(each, n=20)[-1],
                "stolen": stolen,
            }
            for name, each, stolen in latencies
        ]
        for row in rows[-len(measured) :]:
            sys.stderr.write(f"  {row['step']}: {row['seconds']:.1f} s, {row['cpu s']:.1f} s of processors\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    publish(
        "province", "the same rows by plain INSERT … SELECT, UPDATE and INSERT; at most 3 times", rows, SEED
    )
    publish("province-reads", "50 ms", read_rows, SEED)
    sys.stderr.write(f"peak memory of Python: {peak} MB\n")
