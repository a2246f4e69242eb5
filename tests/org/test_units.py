"""The tree of units: what reports to what, and who may add units."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import BadInput, NotFound, NotPermitted
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.org.divisions import Divisions
from backend.org.errors import CodeTaken, CountyUnfit, ParentUnfit
from backend.org.paths import build_unit_path, division_of, is_below, superior_paths
from backend.org.queries import (
    UnitSearch,
    find_units,
    get_unit_by_code,
    list_subtree,
    list_superiors,
    schools_below,
)
from backend.org.service import NewCounty, NewSchool, add_county, add_school, create_province
from backend.org.tables import OrgUnit
from backend.policy import load_policies
from tests.support.province import (
    PROVINCE_CODE,
    PROVINCE_PATH,
    SampleProvince,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
    unique_school_code,
)

pytestmark = pytest.mark.clause("HN334-2.3")


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=1)


async def test_province_has_its_cities_and_direct_counties(database: Database, world: SampleProvince) -> None:
    async with database.transaction(Scope.none()) as session:
        units = [
            unit for unit in await list_subtree(session, PROVINCE_PATH) if unit.parent_id == world.province.id
        ]
    assert sum(unit.kind == "city" for unit in units) == 18
    assert sum(unit.kind == "county" for unit in units) == 10
    assert {unit.code for unit in units if unit.kind == "county"} >= {"410181", "411729"}


async def test_creating_the_province_again_changes_nothing(owner: Database, world: SampleProvince) -> None:
    divisions = Divisions.of(load_policies())
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        before = [(unit.id, unit.path) for unit in await list_subtree(session, PROVINCE_PATH)]
        again = await create_province(session, divisions, PROVINCE_CODE, now())
        after = [(unit.id, unit.path) for unit in await list_subtree(session, PROVINCE_PATH)]
    assert again.id == world.province.id
    assert before == after


async def test_bureau_adds_a_school_below_itself_with_an_audit_entry(
    database: Database, world: SampleProvince
) -> None:
    actor = bureau_account(world.city)
    new = NewSchool(unique_school_code(), "新建职业学校", world.city.id)
    async with database.transaction(actor.scope) as session:
        school = await add_school(session, actor, new, now())
    async with database.transaction(actor.scope) as session:
        above = await list_superiors(session, school.id)
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.subject_id == str(school.id)))
    assert school.path == f"{world.city.path}.s{new.code}"
    assert [unit.id for unit in above] == [world.city.id, world.province.id]
    assert entry is not None
    assert (entry.action, entry.acting_account) == ("school_added", actor.account_id)


async def test_school_directly_under_the_province_has_no_city_above(
    database: Database, world: SampleProvince
) -> None:
    async with database.transaction(Scope.none()) as session:
        above = await list_superiors(session, world.direct.id)
        of_city = set(await session.scalars(schools_below(world.city.path)))
    assert [unit.id for unit in above] == [world.province.id]
    assert world.school.id in of_city
    assert world.direct.id not in of_city


async def test_units_directly_below_one_are_found_without_their_own_units(
    database: Database, world: SampleProvince
) -> None:
    actor = province_account(world.province)
    async with database.transaction(actor.scope) as session:
        wanted = OrgUnit.id.in_([world.city.id, world.direct.id, world.school.id])
        found = {
            unit.id
            for code in await session.scalars(select(OrgUnit.code).where(wanted))
            for unit in await find_units(
                session, actor, UnitSearch(parent_id=world.province.id, text=code), None, 500
            )
        }
    assert {world.city.id, world.direct.id} <= found
    assert world.school.id not in found


async def test_bureau_gets_not_found_for_a_parent_of_another_bureau(
    database: Database, world: SampleProvince
) -> None:
    actor = bureau_account(world.other_city)
    for parent in (world.city.id, world.province.id, uuid4()):
        with pytest.raises(NotFound):
            async with database.transaction(actor.scope) as session:
                await add_school(session, actor, NewSchool(unique_school_code(), "越权", parent), now())


async def test_database_rejects_a_unit_outside_the_scope(database: Database, world: SampleProvince) -> None:
    actor = bureau_account(world.other_city)
    code = unique_school_code()
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.transaction(actor.scope) as session:
            session.add(
                OrgUnit(
                    id=uuid4(),
                    kind="school",
                    code=code,
                    name="越权",
                    parent_id=world.city.id,
                    path=f"{world.city.path}.s{code}",
                    created_at=now(),
                )
            )


async def test_school_staff_cannot_add_units(database: Database, world: SampleProvince) -> None:
    school = world.school
    for actor in (registrar_account(school), counselor_account(school, school.classes[0])):
        with pytest.raises(NotPermitted):
            async with database.transaction(actor.scope) as session:
                await add_school(session, actor, NewSchool(unique_school_code(), "校", school.id), now())


async def test_parent_must_be_an_authority_and_code_ten_unused_digits(
    database: Database, world: SampleProvince
) -> None:
    actor = province_account(world.province)
    refused = [
        (NewSchool(unique_school_code(), "校", world.school.id), ParentUnfit),
        (NewSchool(world.school.unit.code, "校", world.city.id), CodeTaken),
        (NewSchool("41410000０1", "校", world.city.id), BadInput),
        (NewSchool("414100001", "校", world.city.id), BadInput),
    ]
    for new, error in refused:
        with pytest.raises(error):
            async with database.transaction(actor.scope) as session:
                await add_school(session, actor, new, now())


async def test_only_one_of_concurrent_identical_schools_is_added(
    database: Database, world: SampleProvince
) -> None:
    actor = bureau_account(world.city)
    new = NewSchool(unique_school_code(), "同时建立", world.city.id)

    async def attempt() -> str:
        try:
            async with database.transaction(actor.scope) as session:
                await add_school(session, actor, new, now())
        except CodeTaken:
            return "taken"
        return "added"

    assert sorted(await asyncio.gather(*(attempt() for _ in range(4)))) == [
        "added",
        "taken",
        "taken",
        "taken",
    ]


async def test_county_is_added_under_the_city_of_its_digits(
    database: Database, world: SampleProvince
) -> None:
    actor, divisions = bureau_account(world.city), Divisions.of(load_policies())
    code = "410122"
    async with database.transaction(actor.scope) as session:
        try:
            county = await add_county(session, actor, NewCounty(code, "中牟县"), divisions, now())
        except CodeTaken:  # another test of this database created it first
            county = await get_unit_by_code(session, "county", code)
    assert county.path == f"{world.city.path}.x{code}"
    other_bureau = bureau_account(world.other_city)
    with pytest.raises(NotFound):
        async with database.transaction(other_bureau.scope) as session:
            await add_county(session, other_bureau, NewCounty("410123", "县"), divisions, now())


@pytest.mark.parametrize("code", ["410181", "410100", "410000", "320101"])
async def test_code_that_is_not_a_county_of_a_city_is_rejected(
    database: Database, world: SampleProvince, code: str
) -> None:
    actor = province_account(world.province)
    with pytest.raises(CountyUnfit):
        async with database.transaction(actor.scope) as session:
            await add_county(session, actor, NewCounty(code, "县"), Divisions.of(load_policies()), now())


_cities = st.from_regex(r"[0-9]{6}", fullmatch=True)
_schools = st.from_regex(r"[0-9]{10}", fullmatch=True)


@given(_cities, _cities, _schools)
def test_path_is_below_its_superiors_and_has_the_bureaus_division(
    province: str, city: str, school: str
) -> None:
    above = build_unit_path("city", city, build_unit_path("province", province, None))
    path = build_unit_path("school", school, above)
    assert len(superior_paths(path)) == 3
    assert all(is_below(path, each) for each in superior_paths(path))
    assert not is_below(above, path)
    assert not is_below(path + "9", path)
    assert division_of(path) == division_of(above) == city


async def test_is_below_agrees_with_the_database(database: Database, world: SampleProvince) -> None:
    paths = [world.province.path, world.city.path, world.school.path, world.direct.path, world.sister.path]
    async with database.transaction(Scope.none()) as session:
        for path in paths:
            for above in paths:
                in_database = await session.scalar(
                    text("SELECT CAST(:path AS ltree) <@ CAST(:above AS ltree)"),
                    {"path": path, "above": above},
                )
                assert in_database == is_below(path, above)
