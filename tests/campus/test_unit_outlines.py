"""Units on the map: simplified outlines from approved sites, for the own unit and those below."""

from datetime import timedelta
from typing import Any

import pytest
from shapely import MultiPolygon, Point, hausdorff_distance
from shapely.affinity import scale
from shapely.geometry import shape

from backend.campus.schemas import SiteKindName
from backend.campus.service import Filing, FilingDecision, NewSite, decide_filing, file_site
from backend.campus.unit_outlines import TOLERANCE_M, UnitOutline, load_unit_outlines
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.org.paths import is_below
from tests.support.campus import SIDE, SOUTH, WEST, parsed_outline, rectangle
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

METRES_NORTH, METRES_EAST = 110_900.0, 91_600.0
"""Metres of a degree near Zhengzhou."""


async def file_approved(
    database: Database,
    school: SampleSchool,
    decider: Actor,
    ring: list[tuple[float, float]],
    kind: SiteKindName = "main",
) -> None:
    registrar = registrar_account(school)
    site = NewSite(f"校区{new_id()}", kind, "郑州市某路1号")
    async with database.transaction(registrar.scope) as session:
        version = await file_site(session, registrar, site, Filing(parsed_outline(ring)), now())
    async with database.transaction(decider.scope) as session:
        await decide_filing(session, decider, version.id, FilingDecision("approved"), now())


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext, database: Database) -> SampleProvince:
    """The school has a main site with a jagged edge and an internship far away, its sister a site in the east."""
    world = await create_sample_province(owner, app_context.keys, classes=1, students=1)
    bureau = bureau_account(world.city)
    await file_approved(database, world.school, bureau, jagged())
    far = rectangle(WEST - 8, SOUTH - 11)
    await file_approved(database, world.school, bureau, far, "internship")
    await file_approved(database, world.sister, bureau, rectangle(WEST + 0.1))
    return world


def jagged() -> list[tuple[float, float]]:
    """A rectangle whose southern edge goes in and out by 3 m."""
    teeth = [(WEST + SIDE * step / 40, SOUTH + (step % 2) * 3 / METRES_NORTH) for step in range(40)]
    return [*teeth, (WEST + SIDE, SOUTH), (WEST + SIDE, SOUTH + SIDE), (WEST, SOUTH + SIDE), teeth[0]]


async def load(database: Database, actor: Actor, **options: Any) -> dict[str, UnitOutline]:
    at = options.get("at", now())
    async with database.transaction(actor.scope) as session:
        rows = await load_unit_outlines(session, actor.org_path, options.get("kind"), at)
    return {row.path: row for row in rows}


def ground(outline: UnitOutline) -> MultiPolygon:
    assert outline.outline is not None
    polygons = shape(outline.outline)
    assert isinstance(polygons, MultiPolygon)
    assert polygons.is_valid
    return polygons


def in_metres(polygons: Any) -> Any:
    return scale(polygons, METRES_EAST, METRES_NORTH, origin=(WEST, SOUTH))


async def test_outline_of_a_school_is_within_the_tolerance(database: Database, world: SampleProvince) -> None:
    found = (await load(database, registrar_account(world.school)))[world.school.path]
    filed = shape({"type": "Polygon", "coordinates": [jagged()]})
    simplified = ground(found)
    assert hausdorff_distance(in_metres(filed), in_metres(simplified), densify=0.02) <= TOLERANCE_M
    assert len(simplified.geoms[0].exterior.coords) < 12
    assert found.centroid is not None
    assert simplified.contains(Point(found.centroid))


async def test_outline_of_a_city_covers_its_schools_without_internships(
    database: Database, world: SampleProvince
) -> None:
    found = await load(database, bureau_account(world.city))
    hull = ground(found[world.city.path])
    assert hull.buffer(2e-5).covers(ground(found[world.school.path]))
    assert hull.buffer(2e-5).covers(ground(found[world.sister.path]))
    assert hull.bounds[0] == pytest.approx(WEST, abs=2e-5)
    assert found[world.city.path].centroid is not None


async def test_units_without_a_site_in_force_have_no_outline(
    database: Database, world: SampleProvince
) -> None:
    before = now() - timedelta(days=1)
    found = await load(database, bureau_account(world.city), at=before)
    assert found[world.school.path].outline is None
    assert found[world.school.path].centroid is None


async def test_school_sees_its_own_outline_only(database: Database, world: SampleProvince) -> None:
    for actor in (registrar_account(world.school), counselor_account(world.school, world.school.classes[0])):
        assert list(await load(database, actor)) == [world.school.path]


async def test_bureau_sees_its_own_units_only(database: Database, world: SampleProvince) -> None:
    city = await load(database, bureau_account(world.city))
    assert all(path == world.city.path or is_below(path, world.city.path) for path in city)
    province = await load(database, province_account(world.province), kind="school")
    assert {world.school.path, world.sister.path, world.direct.path} <= set(province)
    assert {row.kind for row in province.values()} == {"school"}
