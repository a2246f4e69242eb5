"""Terms: at most one on each day, with the uppermost unit's code and the nearest unit's dates."""

import asyncio
from datetime import date, timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day, now
from backend.core.database import Database
from backend.core.errors import NotFound, NotPermitted
from backend.core.tenancy import Scope
from backend.org.errors import (
    DaysInTwoTerms,
    TermContradictsSuperior,
    TermNotSet,
    TermOrder,
    TermOverlaps,
)
from backend.org.tables import Term
from backend.org.terms import (
    NewTerm,
    TermView,
    Vacation,
    declare_vacation,
    find_terms,
    get_term,
    get_terms,
    open_term,
    require_one_term,
)
from tests.support.province import (
    SampleProvince,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)

pytestmark = [pytest.mark.clause("HN334-4.1a"), pytest.mark.clause("R3")]

_years = count(2040)
"""Each test has its own year, far from the term of today that all tests share."""


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=0)


@pytest.fixture
def year() -> int:
    return next(_years)


def autumn(unit_id: UUID, year: int, *, start: int = 1, code: str | None = None) -> NewTerm:
    return NewTerm(unit_id, code or f"{year}-autumn", date(year, 9, start), date(year, 12, 31))


async def open_term_as(database: Database, actor: Actor, term: NewTerm) -> TermView:
    async with database.transaction(actor.scope) as session:
        return await open_term(session, actor, term, now())


async def test_school_has_the_term_of_the_nearest_unit_above_it(
    database: Database, world: SampleProvince, year: int
) -> None:
    day = date(year, 10, 8)
    nearest_is_own: list[object] = []
    accounts = [
        province_account(world.province),
        bureau_account(world.city),
        registrar_account(world.school),
    ]
    for start, actor in enumerate(accounts, start=1):
        term = await open_term_as(database, actor, autumn(actor.org_id, year, start=start))
        async with database.transaction(Scope.none()) as session:
            nearest_is_own.append((await get_term(session, world.school.id, day)).id == term.id)
            sister = await get_term(session, world.sister.id, day)
            direct = await get_term(session, world.direct.id, day)
    assert nearest_is_own == [True, True, True]
    assert sister.org_id == world.city.id
    assert direct.org_id == world.province.id


async def test_day_outside_every_term_raises_and_names_the_day(
    database: Database, world: SampleProvince, year: int
) -> None:
    async with database.transaction(Scope.none()) as session:
        with pytest.raises(TermNotSet, match=f"{year}-07-15"):
            await get_term(session, world.school.id, date(year, 7, 15))
        assert await get_terms(session, [world.school.id], date(year, 7, 15)) == {}


async def test_school_cannot_divide_a_term_of_its_superior(
    database: Database, world: SampleProvince, year: int
) -> None:
    await open_term_as(database, province_account(world.province), autumn(world.province.id, year))
    actor = registrar_account(world.school)
    own_term = NewTerm(world.school.id, "fresh-start", date(year, 11, 1), date(year, 12, 31))
    with pytest.raises(TermContradictsSuperior, match=f"{year}-autumn"):
        await open_term_as(database, actor, own_term)


async def test_later_term_of_a_superior_overrides_the_schools_own(
    database: Database, world: SampleProvince, year: int
) -> None:
    own_term = NewTerm(world.school.id, f"{year}-own", date(year, 11, 1), date(year, 12, 31))
    await open_term_as(database, registrar_account(world.school), own_term)
    await open_term_as(database, province_account(world.province), autumn(world.province.id, year))
    async with database.transaction(Scope.none()) as session:
        assert await require_one_term(session, world.school.id, date(year, 10, 8), date(year, 11, 8)) == (
            f"{year}-autumn"
        )


async def test_days_in_two_terms_are_rejected(database: Database, world: SampleProvince, year: int) -> None:
    actor = registrar_account(world.school)
    for code, start, end in (("a", 3, 5), ("b", 5, 8)):
        await open_term_as(
            database,
            actor,
            NewTerm(world.school.id, f"{year}-{code}", date(year, start, 2), date(year, end, 1)),
        )
    async with database.transaction(Scope.none()) as session:
        with pytest.raises(DaysInTwoTerms):
            await require_one_term(session, world.school.id, date(year, 5, 1), date(year, 5, 2))


async def test_only_one_of_concurrent_overlapping_terms_is_opened(
    database: Database, world: SampleProvince, year: int
) -> None:
    actor = registrar_account(world.school)

    async def attempt(number: int) -> str:
        try:
            await open_term_as(database, actor, autumn(world.school.id, year, code=f"{year}-{number}"))
        except TermOverlaps:
            return "overlaps"
        return "opened"

    results = await asyncio.gather(*(attempt(number) for number in range(4)))
    async with database.transaction(Scope.none()) as session:
        stored = await session.scalar(
            select(func.count()).where(Term.org_id == world.school.id, Term.starts_on == date(year, 9, 1))
        )
    assert sorted(results) == ["opened", "overlaps", "overlaps", "overlaps"]
    assert stored == 1


async def test_next_term_must_start_after_the_last_day(
    database: Database, world: SampleProvince, year: int
) -> None:
    actor = registrar_account(world.school)
    await open_term_as(
        database, actor, NewTerm(world.school.id, f"{year}-a", date(year, 3, 1), date(year, 5, 1))
    )
    with pytest.raises(TermOverlaps):
        await open_term_as(
            database, actor, NewTerm(world.school.id, f"{year}-b", date(year, 5, 1), date(year, 6, 1))
        )
    await open_term_as(
        database, actor, NewTerm(world.school.id, f"{year}-b", date(year, 5, 2), date(year, 6, 1))
    )


async def test_vacation_within_the_term_may_be_declared_later(
    database: Database, world: SampleProvince, year: int
) -> None:
    actor = bureau_account(world.city)
    national_day = Vacation("国庆", date(year, 10, 1), date(year, 10, 7))
    new = NewTerm(world.school.id, f"{year}-autumn", date(year, 9, 1), date(year, 12, 31), (national_day,))
    term = await open_term_as(database, actor, new)
    suspended = Vacation("防汛停课", date(year, 9, 20), date(year, 9, 21))
    async with database.transaction(actor.scope) as session:
        changed = await declare_vacation(session, actor, term.id, suspended, now())
    assert changed.vacations == (suspended, national_day)
    assert [changed.in_vacation(date(year, 9, day)) for day in (19, 20, 21, 22)] == [False, True, True, False]
    outside = Vacation("寒假", date(year, 12, 31), date(year, 12, 31) + timedelta(days=1))
    with pytest.raises(TermOrder):
        async with database.transaction(actor.scope) as session:
            await declare_vacation(session, actor, term.id, outside, now())


async def test_registrar_declares_vacations_of_the_own_school_only(
    database: Database, world: SampleProvince, year: int
) -> None:
    actor = registrar_account(world.school)
    others = await open_term_as(database, registrar_account(world.sister), autumn(world.sister.id, year))
    own = await open_term_as(database, actor, autumn(world.school.id, year))
    vacation = Vacation("校庆", date(year, 10, 9), date(year, 10, 9))
    async with database.transaction(actor.scope) as session:
        assert (await declare_vacation(session, actor, own.id, vacation, now())).vacations == (vacation,)
    for term_id in (others.id, uuid4()):
        with pytest.raises(NotFound):
            async with database.transaction(actor.scope) as session:
                await declare_vacation(session, actor, term_id, vacation, now())


async def test_terms_of_a_unit_outside_the_subtree_cannot_be_set(
    database: Database, world: SampleProvince, year: int
) -> None:
    attempts = [
        (registrar_account(world.school), world.sister.id),
        (registrar_account(world.school), world.city.id),
        (bureau_account(world.other_city), world.school.id),
        (bureau_account(world.city), world.province.id),
    ]
    for actor, unit_id in attempts:
        with pytest.raises(NotFound):
            await open_term_as(database, actor, autumn(unit_id, year))
    counselor = counselor_account(world.school, world.school.classes[0])
    with pytest.raises(NotPermitted):
        await open_term_as(database, counselor, autumn(world.school.id, year))


async def test_database_rejects_a_term_of_another_school(
    database: Database, world: SampleProvince, year: int
) -> None:
    actor = registrar_account(world.school)
    days = {"starts_on": date(year, 9, 1), "ends_on": date(year, 12, 31)}
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.transaction(actor.scope) as session:
            session.add(Term(id=uuid4(), org_id=world.sister.id, code="x", created_at=now(), **days))


async def test_term_that_ends_before_it_starts_is_rejected(
    database: Database, world: SampleProvince, year: int
) -> None:
    backwards = NewTerm(world.school.id, "x", date(year, 9, 1), date(year, 9, 1))
    with pytest.raises(TermOrder):
        await open_term_as(database, registrar_account(world.school), backwards)


async def test_today_is_in_the_shared_term_of_the_test_province(
    database: Database, world: SampleProvince
) -> None:
    schools = [world.school.id, world.direct.id]
    async with database.transaction(Scope.none()) as session:
        terms = await get_terms(session, schools, legal_day(now()))
    assert {school: term.code for school, term in terms.items()} == dict.fromkeys(schools, world.term_code)


async def test_school_lists_terms_of_superiors_and_its_own_only(
    database: Database, world: SampleProvince, year: int
) -> None:
    own = await open_term_as(database, registrar_account(world.school), autumn(world.school.id, year))
    other = await open_term_as(database, registrar_account(world.sister), autumn(world.sister.id, year))
    actor = registrar_account(world.school)
    async with database.transaction(actor.scope) as session:
        listed = await find_terms(session, actor, None, 200)
        next_page = await find_terms(session, actor, listed[0].term.id, 200)
    assert own in [each.term for each in listed]
    assert [each.may_change for each in listed if each.term == own] == [True]
    assert other not in [each.term for each in listed]
    above = [each for each in listed if each.term.org_id == world.province.id]
    assert world.term_code in {each.term.code for each in above}
    assert not any(each.may_change for each in above)
    assert [each.term.id for each in next_page] == [each.term.id for each in listed[1:]]
