"""A roll call of a whole province: launched, settled with 4 % absent, prompts raised, and read.

    python -m bench.province [--sizes 12000 120000] [--full]

Every step is the product's own, under row-level security as the application's role, beside what the same rows cost
plain SQL without constraints to other tables:

- `launch`: `launch_roll_call`; its floor is an INSERT … SELECT of the obligations into a table with the same indexes.
- `settle`: `settle_roll_call`; its floor is an UPDATE of the absent students' rows in a table with a result for each.
- `prompts`: the jobs that follow for those who missed before. Their floor are plain INSERTs of everything that is recorded
  of the prompts (turns, prompts, steps, pictures, audit, events) by a client that has the rows. What a copy of them inside
  the database costs, which knows of nothing outside it, stands beside. `settle and prompts` is the sum of both.
- reads: the 95th of a hundred latencies, through the queries that the API calls.

Processor seconds are those of this process and of the whole cluster: they tell the cost where others use the machine
too. `--full` goes up to 1,200,000 students; the databases are built once and kept.
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
from backend.core.process.gc_tuning import freeze_startup_objects
from backend.core.tenancy import Scope
from backend.devstack.services import Stack
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call.launch.audience import Audience
from backend.roll_call.launch.service import LaunchRollCall, launch_roll_call
from backend.roll_call.progress import counters
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.totals import Unit
from backend.roll_call.queries import own_roll_calls
from backend.roll_call.results import missing_page
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.tables import RollCall
from backend.standing import tasks as standing_jobs
from backend.standing.batch_assessment import SchoolOf, SchoolsBelow, batches, missed_by, recompute_each
from backend.standing.prompts.queries import PromptSearch, prompts_page
from backend.standing.store.tables import PromptRecord
from bench.province_baselines import (
    Cost,
    cluster_of,
    costing,
    launch_floor,
    prompts_copied,
    prompts_floor,
    settlement_floor,
)
from bench.province_data import (
    A_SCHOOL,
    BY,
    CLOSES,
    OPENS,
    PROVINCE,
    SETTLED,
    Province,
    begin_anew,
    province_of,
    refresh_statistics,
    rush,
)
from bench.report import Stolen, publish, seed
from bench.standing import runtime_at

SEED = seed(5)

SIZES, FULL = (12_000, 120_000), 1_200_000
PAGES = 100


# --- the product ---


@dataclass(frozen=True, slots=True)
class Measured:
    """A step of the product, its floor, and how many rows it was about."""

    step: str
    rows: int
    cost: Cost
    floor: Cost | None
    copied: Cost | None = None
    """The floor where the database has the rows already."""


def together(step: str, *parts: Measured) -> Measured:
    """Steps that the law sees as one."""
    costs = [each.cost for each in parts]
    floors = [each.floor for each in parts if each.floor]
    copied = [each.copied or each.floor for each in parts]
    return Measured(step, parts[0].rows, _sum(costs), _sum(floors), _sum(each for each in copied if each))


def _sum(costs: Iterable[Cost]) -> Cost:
    whole = Cost()
    for each in costs:
        whole.add(each)
    return whole


async def launch(app_context: AppContext, cluster: Path) -> tuple[RollCall, Cost]:
    """The whole province asked, half an hour before it opens."""
    at = OPENS - timedelta(minutes=30)
    async with app_context.database.transaction(Scope.none()) as session:
        province = await session.scalar(select(OrgUnit.id).where(OrgUnit.kind == "province"))
    assert province is not None
    actor = Actor(BY, "province", province, PROVINCE)
    command = LaunchRollCall("spot_check", "学籍核验", OPENS, CLOSES, Audience())
    with costing(cluster) as cost:
        async with app_context.database.transaction(actor.scope) as session:
            launched = await launch_roll_call(session, actor, command, at)
    return launched.roll_call, cost


async def settle(app_context: AppContext, cluster: Path, roll_call_id: UUID) -> tuple[int, Cost]:
    """The close; how many had no result by then."""
    with costing(cluster) as cost:
        async with app_context.database.transaction(Scope.wide(PROVINCE)) as session:
            settlement = await settle_roll_call(session, roll_call_id, SETTLED)
            await standing_jobs.enqueue_audience(session, roll_call_id)
    return settlement.figures["missed"], cost


async def schools_of(app_context: AppContext) -> list[SchoolOf]:
    async with app_context.database.transaction(Scope.none()) as session:
        units = select(OrgUnit.id, OrgUnit.path).where(OrgUnit.kind == "school").order_by(OrgUnit.path)
        return [SchoolOf(school_id, path) for school_id, path in await session.execute(units)]


Again = list[tuple[SchoolsBelow, list[UUID], list[UUID]]]
"""By the schools of a job: who missed more than once in the term, and who missed only now."""


async def who_missed(app_context: AppContext, roll_call_id: UUID) -> Again:
    """As the jobs ask."""
    found: Again = []
    for some in batches(await schools_of(app_context), standing_jobs.SCHOOLS_AT_ONCE):
        schools = SchoolsBelow(PROVINCE, tuple(school.school_id for school in some))
        async with app_context.database.transaction(schools.scope) as session:
            missed = (await session.execute(missed_by(schools, roll_call_id))).all()
        again = [student_id for student_id, misses in missed if misses > 1]
        found.append((schools, again, [student_id for student_id, misses in missed if misses == 1]))
    return found


async def raise_prompts(
    app_context: AppContext, cluster: Path, roll_call_id: UUID
) -> tuple[int, Cost, Again]:
    """What the jobs of the schools do first: those who missed more than once in the term. Prompts raised, their cost."""
    with costing(cluster) as cost:
        missed = await who_missed(app_context, roll_call_id)
        for schools, again, _ in missed:
            await recompute_each(app_context, schools, again, SETTLED)
    async with app_context.database.transaction(Scope.wide(PROVINCE)) as session:
        prompts = await session.scalar(select(func.count()).select_from(PromptRecord))
    return int(prompts or 0), cost, missed


async def warn(app_context: AppContext, cluster: Path, missed: Again) -> tuple[int, Cost]:
    """And then: everyone else who missed."""
    with costing(cluster) as cost:
        for schools, _, once in missed:
            await recompute_each(app_context, schools, once, SETTLED)
    return sum(len(once) for _, _, once in missed), cost


# --- reads ---


Latencies = tuple[str, list[float], float]
"""Of what, in milliseconds, and what the machine's host took meanwhile (`Stolen`)."""


async def latencies(name: str, read: Callable[[], Awaitable[object]]) -> Latencies:
    """Of each page, after a few that nobody counts."""
    taken, stolen = [], Stolen()
    for number in range(PAGES + 5):
        began = time.perf_counter()
        await read()
        if number >= 5:
            taken.append((time.perf_counter() - began) * 1000)
    return name, taken, stolen.share()


async def reads(app_context: AppContext, roll_call: RollCall) -> list[Latencies]:
    """Each list by somebody else every time."""
    chosen = random.Random(SEED)
    schools = await schools_of(app_context)
    async with app_context.database.transaction(Scope.wide(PROVINCE)) as session:
        province = await session.scalar(select(OrgUnit).where(OrgUnit.kind == "province"))
        pupils = select(Student.id, Student.school_id, SchoolClass.id).join(
            SchoolClass, SchoolClass.id == Student.class_id
        )
        some = (await session.execute(pupils.order_by(func.md5(Student.name)).limit(500))).all()
    assert province is not None
    of_province = Actor(BY, "province", province.id, PROVINCE)

    def registrar() -> Actor:
        school = chosen.choice(schools)
        return Actor(BY, "registrar", school.school_id, school.path, school_id=school.school_id)

    async def missing(actor: Actor, class_id: UUID | None) -> None:
        async with app_context.database.transaction(actor.scope) as session:
            await missing_page(session, actor, roll_call, class_id, None, 101)

    async def missing_of_class() -> None:
        _, school_id, class_id = chosen.choice(some)
        await missing(Actor(BY, "registrar", school_id, "", school_id=school_id), class_id)

    async def history() -> None:
        student_id, school_id, _ = chosen.choice(some)
        async with app_context.database.transaction(Scope.student(school_id, student_id)) as session:
            await own_roll_calls(session, student_id, SETTLED, None, 21)

    async def prompts(actor: Actor) -> None:
        async with app_context.database.transaction(actor.scope) as session:
            await prompts_page(session, actor, PromptSearch(open_only=True), SETTLED, None, 51)

    tallies = TotalsCache(app_context)

    async def progress_of_school() -> None:
        actor = registrar()
        async with app_context.database.transaction(actor.scope) as session:
            school = await session.get_one(OrgUnit, actor.org_id)
        tally = await tallies.fresh(roll_call.id, roll_call.launcher_path)
        tally.board(Unit(school.id, school.kind, school.name, school.path))

    return [
        await latencies("missing, a class", missing_of_class),
        await latencies("missing, a school", lambda: missing(registrar(), None)),
        await latencies("missing, the province", lambda: missing(of_province, None)),
        await latencies("own history", history),
        await latencies("prompts, a registrar", lambda: prompts(registrar())),
        await latencies("prompts, the province", lambda: prompts(of_province)),
        await latencies("progress, a school", progress_of_school),
    ]


# --- one size ---


async def measure(province: Province) -> tuple[list[Measured], list[Latencies]]:
    """Launch, the window, the settlement and what follows, and the reads before and after it."""
    cluster, app_context = cluster_of(province), runtime_at(province.stack.app_url, SETTLED)
    try:
        async with app_context.database.transaction(Scope.none()) as session:
            await session.execute(text("SELECT 1"))
        floor = launch_floor(province, cluster)
        roll_call, cost = await launch(app_context, cluster)
        measured = [Measured("launch", province.students, cost, floor)]
        rush(province, roll_call.id)
        refresh_statistics(province)
        floor = settlement_floor(province, cluster, roll_call.id)
        missed, cost = await settle(app_context, cluster, roll_call.id)
        measured.append(Measured("settle", missed, cost, floor))
        settled = measured[-1]
        with costing(cluster) as cost:  # what a job does every two seconds
            async with app_context.database.transaction(Scope.none()) as session:
                classes = await counters.flush_counters(session)
        measured.append(Measured("counters folded", classes, cost, None))
        prompts, cost, who = await raise_prompts(app_context, cluster, roll_call.id)
        floor, copied = prompts_floor(province, cluster), prompts_copied(province, cluster)
        measured.append(Measured("prompts", prompts, cost, floor, copied))
        measured.append(together("settle and prompts", settled, measured[-1]))
        others, later = await warn(app_context, cluster, who)
        measured.append(Measured("warnings", others, later, None))
        refresh_statistics(province)
        return measured, await reads(app_context, roll_call)
    finally:
        await app_context.close()


def _row(province: Province, each: Measured) -> dict[str, Any]:
    floor = each.floor
    return {
        "students": province.students,
        "step": each.step,
        "rows": each.rows,
        "seconds": each.cost.seconds,
        "cpu s": each.cost.cpu,
        "in Python": each.cost.python,
        "µs a row": each.cost.cpu / max(1, each.rows) * 1e6,
        "floor s": floor.seconds if floor else "",
        "floor cpu s": floor.cpu if floor else "",
        "times floor": each.cost.cpu / floor.cpu if floor and floor.cpu else "",
        "times a copy": each.cost.cpu / each.copied.cpu if each.copied and each.copied.cpu else "",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--full", action="store_true")
    asked = parser.parse_args()
    stack = Stack.from_environment(os.environ)
    freeze_startup_objects()  # as a worker does
    rows, pages = [], []
    for size in [*asked.sizes, *([FULL] if asked.full else [])]:
        province = province_of(stack, max(size, A_SCHOOL), lambda line: sys.stderr.write(line + "\n"))
        begin_anew(province)
        measured, taken = asyncio.run(measure(province))
        rows += [_row(province, each) for each in measured]
        pages += [
            {
                "students": province.students,
                "list": name,
                "median ms": statistics.median(each),
                "p95 ms": statistics.quantiles(each, n=20)[-1],
                "stolen": stolen,
            }
            for name, each, stolen in taken
        ]
        for row in rows[-len(measured) :]:
            sys.stderr.write(f"  {row['step']}: {row['seconds']:.1f} s, {row['cpu s']:.1f} s of processors\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    publish(
        "province", "the same rows by plain INSERT … SELECT, UPDATE and INSERT; at most 3 times", rows, SEED
    )
    publish("province-reads", "50 ms", pages, SEED)
    sys.stderr.write(f"peak memory of Python: {peak} MB\n")


if __name__ == "__main__":
    main()
