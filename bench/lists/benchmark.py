"""First pages of the console's lists in a synthetic province, as the province, a bureau and a school read them.

    python -m bench.lists [--sizes 12000 120000] [--full]

Each list runs the query that the API calls, under row-level security with the application's role, with and without the
total. A bureau and a school are different ones in each call. The baseline is the same page by plain SQL without
row-level security. Encrypted numbers of students are left out, because the synthetic students have none. `--full` goes up
to 1,200,000 students.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, cast

import psycopg
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.queries import SiteSearch, load_site_page
from backend.campus.schools import SchoolSearch, load_school_page
from backend.campus.unit_outlines import load_unit_outlines
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.keys import KeyRing
from backend.core.listing.pages import PageRequest
from backend.core.tenancy import Scope
from backend.devstack.services import Stack
from backend.org.tables import OrgUnit
from backend.people.queries import (
    ClassSearch,
    StudentSearch,
    load_class_page,
    load_student_page,
    matches_search,
)
from backend.roll_call.results.listing import ResultFilter, load_results_page
from backend.roll_call.results.missing import MissingSearch, load_missing_page
from backend.roll_call.staff_queries import RollCallSearch, load_roll_calls_page
from backend.roll_call.tables import RollCall
from backend.standing.prompts.queries import PromptSearch, load_prompts_page
from bench.province.data import (
    PROVINCE_PATH,
    SETTLED_AT,
    STAFF_ID,
    STUDENTS_PER_SCHOOL,
    Province,
    open_province,
)
from bench.report import publish, seed
from bench.standing.benchmark import create_app_context

SEED = seed(11)
SIZES, FULL = (12_000, 120_000), 1_200_000
CALLS, WARM_UP = 40, 3
ROWS = 50
Role = Literal["province", "bureau", "registrar"]
UNIT_KINDS: dict[Role, str] = {"province": "province", "bureau": "city", "registrar": "school"}
Read = Callable[[AsyncSession, Actor, PageRequest], Awaitable[object]]


class NoNumbers:
    """Stands in for the keys: the synthetic students have no encrypted numbers."""

    def decrypt(self, _purpose: str, _sealed: bytes, _context: bytes) -> bytes:
        return b"410101200801010000"


@dataclass(frozen=True, slots=True)
class List:
    """A list of the console with the query of its first page."""

    name: str
    read: Read
    sort: str | None = None
    has_total: bool = True
    floor: str = ""
    """The same page by plain SQL."""


_BY_NAME = 'SELECT * FROM student ORDER BY name COLLATE "zh-x-icu", id LIMIT 51'
_FOUND = "SELECT * FROM student WHERE name_key LIKE '%王伟%' ORDER BY name COLLATE \"zh-x-icu\", id LIMIT 51"


def _matching(actor: Actor, keys: KeyRing, text: str | None) -> ColumnElement[bool] | None:
    """The condition of a search for students, as the API makes it."""
    return None if text is None else matches_search(text, keys, spans_many=actor.school_id is None)


def lists_of(app_context: AppContext, roll_call: RollCall) -> Sequence[List]:
    """The lists to measure. `roll_call` is a settled one."""
    keys = app_context.keys

    async def students(
        session: AsyncSession, actor: Actor, page: PageRequest, text: str | None = None
    ) -> None:
        await load_student_page(session, actor, keys, StudentSearch(text=text), page)

    async def classes(session: AsyncSession, actor: Actor, page: PageRequest) -> None:
        await load_class_page(session, actor, ClassSearch(), page)

    async def schools(session: AsyncSession, actor: Actor, page: PageRequest) -> None:
        await load_school_page(session, actor, SchoolSearch(), SETTLED_AT, page)

    async def sites(session: AsyncSession, actor: Actor, page: PageRequest) -> None:
        await load_site_page(session, actor, SiteSearch(), SETTLED_AT, page)

    async def roll_calls(session: AsyncSession, actor: Actor, page: PageRequest) -> None:
        await load_roll_calls_page(session, actor, RollCallSearch(), SETTLED_AT, page)

    async def prompts(session: AsyncSession, actor: Actor, page: PageRequest) -> None:
        await load_prompts_page(session, actor, PromptSearch(), SETTLED_AT, page)

    async def missing(
        session: AsyncSession, actor: Actor, page: PageRequest, text: str | None = None
    ) -> None:
        await load_missing_page(
            session, actor, roll_call, MissingSearch(matching=_matching(actor, keys, text)), page
        )

    async def results(
        session: AsyncSession, actor: Actor, page: PageRequest, text: str | None = None
    ) -> None:
        await load_results_page(
            session, actor, roll_call, ResultFilter(matching=_matching(actor, keys, text)), page
        )

    async def outlines(session: AsyncSession, actor: Actor, _page: PageRequest) -> None:
        await load_unit_outlines(session, actor.org_path, None, SETTLED_AT)

    return (
        List("students by name", students, "name", floor=_BY_NAME),
        List(
            "students by name, last first",
            students,
            "-name",
            floor=_BY_NAME.replace(", id", " DESC, id DESC"),
        ),
        List("students found by name", partial(students, text="王伟"), "name", floor=_FOUND),
        List("classes", classes, floor="SELECT * FROM school_class ORDER BY id LIMIT 51"),
        List("schools by code", schools, "code"),
        List("schools by name", schools, "name"),
        List("sites", sites, floor="SELECT * FROM site ORDER BY id LIMIT 51"),
        List("roll calls", roll_calls),
        List("prompts", prompts),
        List("missing by class", missing, "class_name"),
        List("missing by name", missing, "name"),
        List("missing found by name", partial(missing, text="王伟"), "name"),
        List("results by name", results, "name"),
        List("results found by name", partial(results, text="王伟"), "name"),
        List("outlines of units", outlines, has_total=False),
    )


@dataclass(frozen=True, slots=True)
class Accounts:
    """Accounts that read the lists."""

    units: Sequence[OrgUnit]
    rng: random.Random

    def any(self, role: Role) -> Actor:
        """An account of a role, of a random unit."""
        kind = UNIT_KINDS[role]
        unit = self.rng.choice([each for each in self.units if each.kind == kind])
        actor = Actor(STAFF_ID, role, unit.id, unit.path)
        return replace(actor, school_id=unit.id) if role == "registrar" else actor


async def measure_list(
    app_context: AppContext, accounts: Accounts, role: Role, each: List, *, with_total: bool
) -> list[float]:
    """The milliseconds of each call."""
    request = PageRequest(ROWS, None, each.sort, with_total)
    milliseconds = []
    for number in range(WARM_UP + CALLS):
        actor = accounts.any(role)
        started = time.perf_counter()
        async with app_context.database.transaction(actor.scope) as session:
            await each.read(session, actor, request)
        if number >= WARM_UP:
            milliseconds.append((time.perf_counter() - started) * 1000)
    return milliseconds


def measure_floor(province: Province, statement: str) -> float:
    """The 95th percentile of the same page by plain SQL, in milliseconds."""
    milliseconds = []
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        for _ in range(CALLS):
            started = time.perf_counter()
            server.execute(cast("Any", statement)).fetchall()
            milliseconds.append((time.perf_counter() - started) * 1000)
    return _p95(milliseconds)


async def measure(province: Province) -> list[dict[str, Any]]:
    """A row for each list, role, and choice of the total."""
    opened = create_app_context(province.stack.app_url, SETTLED_AT)
    app_context = replace(opened, keys=cast("KeyRing", NoNumbers()))
    try:
        async with app_context.database.transaction(Scope.wide(PROVINCE_PATH)) as session:
            units = (await session.scalars(select(OrgUnit))).all()
            newest = select(RollCall).order_by(RollCall.opens_at.desc()).limit(1)
            roll_call = (await session.scalars(newest)).one()
        accounts = Accounts(units, random.Random(SEED))
        rows = []
        for each in lists_of(app_context, roll_call):
            floor = measure_floor(province, each.floor) if each.floor else ""
            for role in UNIT_KINDS:
                for with_total in (False, True) if each.has_total else (False,):
                    found = await measure_list(app_context, accounts, role, each, with_total=with_total)
                    rows.append(
                        {
                            "students": province.students,
                            "list": each.name,
                            "read by": role,
                            "total": "yes" if with_total else "",
                            "median ms": statistics.median(found),
                            "p95 ms": _p95(found),
                            "floor p95 ms": floor,
                        }
                    )
        return rows
    finally:
        await opened.close()


def _p95(milliseconds: Sequence[float]) -> float:
    return statistics.quantiles(milliseconds, n=20)[-1]


def main() -> None:
    """Measure the given sizes and publish the rows."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.lists",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    stack = Stack.from_environment(os.environ)
    rows = []
    for size in [*arguments.sizes, *([FULL] if arguments.full else [])]:
        province = open_province(
            stack, max(size, STUDENTS_PER_SCHOOL), lambda line: sys.stderr.write(line + "\n")
        )
        rows += asyncio.run(measure(province))
    publish("lists", "100 ms, and the same page by plain SQL", rows, SEED)


if __name__ == "__main__":
    main()
