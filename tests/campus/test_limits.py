"""The area limit by programme, exceptions of the superior, and warnings about outlines."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import ProgrammingError

from backend.campus.area_exceptions import (
    AreaException,
    grant_area_exception,
    load_area_exceptions,
    load_site_limits,
)
from backend.campus.divisions import load_division
from backend.campus.errors import AreaExceptionTooLarge, SiteRefused, ValidityOrder
from backend.campus.limits import SiteLimits, site_limits
from backend.campus.outline import Outline, OutlineWarning, parse_outline
from backend.campus.service import Filing, NewSite, file_site, file_version
from backend.campus.tables import SiteAreaException
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.people.categories import Programme
from backend.people.tables import Student
from geo.datum import Datum
from tests.support.campus import henan_policy, polygon, rectangle
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)

pytestmark = pytest.mark.clause("HN334-3.4")

USUAL, UNIVERSITY, HIGHEST = 3_000_000, 6_000_000, 20_000_000
LARGE_SIDE = 0.0177
"""Degrees of a square of 3.18 km², as a real university campus has."""


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=2)


def outline(*rings: list[tuple[float, float]]) -> Outline:
    return Outline("geojson", Datum.WGS84, json.dumps(polygon(*rings)))


async def limits_of(app_context: AppContext, actor: Actor) -> SiteLimits:
    async with app_context.database.transaction(actor.scope) as session:
        return await load_site_limits(session, actor, now())


async def grant(
    app_context: AppContext, actor: Actor, school: SampleSchool, exception: AreaException
) -> SiteAreaException:
    async with app_context.database.transaction(actor.scope) as session:
        return await grant_area_exception(session, actor, school.id, exception, now())


@pytest.mark.parametrize(
    ("programmes", "area"),
    [
        ([], USUAL),
        ([Programme.REGULAR, Programme.TECHNICIAN], USUAL),
        ([Programme.UNIVERSITY_DIVISION], UNIVERSITY),
        ([Programme.REGULAR, Programme.FIVE_YEAR], UNIVERSITY),
        (None, UNIVERSITY),
    ],
)
def test_area_limit_is_the_highest_of_the_programmes(programmes: list[str] | None, area: int) -> None:
    assert site_limits(henan_policy(), programmes=programmes).max_area_m2 == area


def test_exception_raises_the_limit_and_never_lowers_it() -> None:
    assert site_limits(henan_policy(), programmes=[], exception_m2=UNIVERSITY).max_area_m2 == UNIVERSITY
    assert site_limits(henan_policy(), programmes=[], exception_m2=1).max_area_m2 == USUAL


async def test_university_campus_can_be_filed_by_a_school_with_such_students(
    app_context: AppContext, owner: Database, world: SampleProvince
) -> None:
    registrar = registrar_account(world.school)
    campus = outline(rectangle(side=LARGE_SIDE))
    with pytest.raises(SiteRefused, match=f"above the cap of {USUAL} m²") as refused:
        parse_outline(campus, await limits_of(app_context, registrar))
    assert "面积例外" in refused.value.sentence("zh")
    pupil = world.school.students[0]
    async with owner.transaction(registrar.scope) as session:
        programme = {"programme": Programme.UNIVERSITY_DIVISION.value}
        await session.execute(update(Student).where(Student.id == pupil.id).values(programme))
    parsed = parse_outline(campus, await limits_of(app_context, registrar))
    assert 3.1e6 < parsed.site.area_m2 < 3.3e6


async def test_exception_of_the_superior_lets_the_school_file(
    app_context: AppContext, world: SampleProvince
) -> None:
    registrar, bureau = registrar_account(world.school), bureau_account(world.city)
    first = await grant(app_context, bureau, world.school, AreaException(3_500_000, "实测 3.18 平方公里"))
    assert (await limits_of(app_context, registrar)).max_area_m2 == 3_500_000
    assert (await limits_of(app_context, registrar_account(world.sister))).max_area_m2 == USUAL
    ends = now() + timedelta(days=30)
    second = await grant(
        app_context, province_account(world.province), world.school, AreaException(USUAL, "已拆分", ends)
    )
    assert (await limits_of(app_context, registrar)).max_area_m2 == USUAL
    async with app_context.database.transaction(registrar.scope) as session:
        rows = await load_area_exceptions(session, registrar, world.school.id)
    assert [row.id for row in rows] == [second.id, first.id]
    assert (rows[1].reason, rows[1].granted_by) == ("实测 3.18 平方公里", bureau.account_id)


async def test_exception_ends(app_context: AppContext, world: SampleProvince) -> None:
    registrar, bureau = registrar_account(world.school), bureau_account(world.city)
    ends = now() + timedelta(days=1)
    await grant(app_context, bureau, world.school, AreaException(UNIVERSITY, "在建", ends))
    async with app_context.database.transaction(registrar.scope) as session:
        before = await load_site_limits(session, registrar, ends - timedelta(microseconds=1))
        after = await load_site_limits(session, registrar, ends)
    assert (before.max_area_m2, after.max_area_m2) == (UNIVERSITY, USUAL)


async def test_exception_is_granted_by_a_superior_up_to_the_limit_of_policy(
    app_context: AppContext, world: SampleProvince
) -> None:
    usual = AreaException(UNIVERSITY, "实测")
    bureau = bureau_account(world.city)
    for actor in (registrar_account(world.school), counselor_account(world.school, world.school.classes[0])):
        with pytest.raises(NotPermitted):
            await grant(app_context, actor, world.school, usual)
    for actor in (registrar_account(world.sister), bureau_account(world.other_city)):
        with pytest.raises(NotFound):
            await grant(app_context, actor, world.school, usual)
    with pytest.raises(NotFound):
        async with app_context.database.transaction(bureau.scope) as session:
            await grant_area_exception(session, bureau, world.city.id, usual, now())
    with pytest.raises(AreaExceptionTooLarge, match=str(HIGHEST)):
        await grant(app_context, bureau, world.school, replace(usual, max_area_m2=HIGHEST + 1))
    with pytest.raises(ValidityOrder):
        await grant(app_context, bureau, world.school, replace(usual, valid_to=now() - timedelta(days=1)))
    await grant(app_context, bureau, world.school, replace(usual, max_area_m2=HIGHEST))


async def test_database_refuses_an_exception_by_the_school(
    app_context: AppContext, world: SampleProvince
) -> None:
    registrar = registrar_account(world.school)
    row = SiteAreaException(
        id=new_id(),
        school_id=world.school.id,
        max_area_m2=UNIVERSITY,
        reason="自批",
        valid_to=None,
        granted_by=registrar.account_id,
        granted_at=now(),
    )
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with app_context.database.transaction(registrar.scope) as session:
            session.add(row)


# --- Warnings ---


def warnings_of(text: Outline, division: str | None = None) -> list[OutlineWarning]:
    return list(parse_outline(text, site_limits(henan_policy(), division=division)).warnings)


def test_features_without_geometry_cause_a_warning() -> None:
    square = {"type": "Feature", "properties": {}, "geometry": polygon(rectangle())}
    empty = {"type": "Feature", "properties": {"name": "未画"}, "geometry": None}
    document = json.dumps({"type": "FeatureCollection", "features": [square, empty]})
    [warning] = warnings_of(Outline("geojson", Datum.WGS84, document))
    assert warning.code == "features_skipped"
    assert "features[1] “未画”" in warning.zh


def test_hole_drawn_as_its_own_polygon_causes_a_warning() -> None:
    inner = rectangle(west=113.621, south=34.751, side=0.001)
    [warning] = warnings_of(outline(rectangle(), inner))
    assert warning.code == "polygon_within_another"
    assert "polygons[1]" in warning.zh
    assert "polygons[0]" in warning.en


@pytest.mark.parametrize(
    ("division", "warned"),
    [
        ("410100", False),  # 郑州市, where the rectangle is
        ("410000", False),
        ("410102", False),  # 中原区
        ("410300", True),  # 洛阳市
        ("411329", True),  # 新野县
        ("370000", True),  # 山东省
        ("650000", False),  # no outline is known
    ],
)
def test_site_outside_the_division_of_the_school_causes_a_warning(division: str, warned: bool) -> None:
    warnings = warnings_of(outline(rectangle()), division=division)
    assert [warning.code for warning in warnings] == ["outside_division"] * warned
    known = load_division(division)
    assert all(known is not None and known.name in warning.zh for warning in warnings)


def test_every_division_of_a_province_has_a_valid_outline() -> None:
    province = load_division("410000")
    assert province is not None
    for code in ("410100", "410225", "410526", "411381", "411628", "419001"):
        division = load_division(code)
        assert division is not None, code
        assert division.polygons.is_valid
        assert division.polygons.intersection(province.polygons).area > 0.95 * division.polygons.area


async def test_warnings_are_stored_with_the_filing_but_not_for_internships(
    app_context: AppContext, world: SampleProvince
) -> None:
    registrar = registrar_account(world.school)
    far = rectangle(west=112.4, south=34.6)  # 洛阳
    parsed = parse_outline(outline(far), await limits_of(app_context, registrar))
    assert [warning.code for warning in parsed.warnings] == ["outside_division"]
    async with app_context.database.transaction(registrar.scope) as session:
        branch = NewSite(f"分校{new_id()}", "branch", "洛阳市")
        version = await file_site(session, registrar, branch, Filing(parsed), now())
        internship = NewSite(f"实习{new_id()}", "internship", "洛阳市")
        placed = await file_site(session, registrar, internship, Filing(parsed), now())
        later = await file_version(session, registrar, placed.site_id, Filing(parsed), now())
    assert [warning["code"] for warning in version.warnings] == ["outside_division"]
    assert (placed.warnings, later.warnings) == ([], [])
