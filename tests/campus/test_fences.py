"""Loading and evaluating fences."""

from uuid import UUID, uuid4

import pytest

from backend.campus.fences import decide_for_sites, load_sites
from backend.campus.service import Filing, NewSite, file_site
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from geo.datum import Datum
from geo.fence import Decision, FenceThresholds
from geo.location_fixes import Fix
from tests.support.campus import SIDE, SOUTH, WEST, henan_policy, parsed_outline, rectangle
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    bureau_account,
    create_sample_province,
    registrar_account,
)

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=0, students=0)


@pytest.fixture(scope="module")
def thresholds() -> FenceThresholds:
    figures = henan_policy()
    return FenceThresholds(
        inside_at=figures.ratio("verification.fence.inside_at"),
        outside_at=figures.ratio("verification.fence.outside_at"),
        max_accuracy_m=figures.number("verification.fence.max_accuracy"),
        max_age_s=figures.duration("verification.fence.max_age").total_seconds(),
    )


async def file_new_site(
    database: Database, school: SampleSchool, ring: list[tuple[float, float]], datum: Datum = Datum.WGS84
) -> UUID:
    actor = registrar_account(school)
    async with database.transaction(actor.scope) as session:
        new = NewSite(f"校区{new_id()}", "main", "某路")
        return (await file_site(session, actor, new, Filing(parsed_outline(ring, datum=datum)), now())).id


def fix(lon: float, lat: float) -> Fix:
    return Fix(lon=lon, lat=lat, accuracy_m=20.0, age_s=1.0)


INSIDE = fix(WEST + SIDE / 2, SOUTH + SIDE / 2)
OUTSIDE = fix(WEST - SIDE, SOUTH)


async def test_a_fence_filed_in_gcj02_equals_the_one_in_wgs84(
    database: Database, world: SampleProvince, thresholds: FenceThresholds
) -> None:
    scope = bureau_account(world.city).scope
    versions = [await file_new_site(database, world.school, rectangle(), datum) for datum in Datum]
    async with database.transaction(scope) as session:
        fences = [await load_sites(session, [version]) for version in versions]
    for position in (INSIDE, OUTSIDE, fix(WEST, SOUTH + SIDE / 2)):
        answers = [decide_for_sites([position], sites, thresholds) for sites in fences]
        assert len({answer.decision for answer in answers}) == 1
        assert (
            max(answer.distance_m for answer in answers) - min(answer.distance_m for answer in answers) < 1.0
        )
    assert decide_for_sites([INSIDE], fences[0], thresholds).decision is Decision.INSIDE
    assert decide_for_sites([OUTSIDE], fences[0], thresholds).decision is Decision.OUTSIDE


async def test_inside_any_site_of_the_school_is_inside(
    database: Database, world: SampleProvince, thresholds: FenceThresholds
) -> None:
    near = await file_new_site(database, world.school, rectangle())
    other_end_of_town = await file_new_site(database, world.school, rectangle(113.9, 34.7))
    shenzhen = await file_new_site(database, world.school, rectangle(114.05, 22.54))
    async with database.transaction(Scope.school(world.school.id)) as session:
        town = await load_sites(session, [near, other_end_of_town])
        everywhere = await load_sites(session, [near, other_end_of_town, shenzhen])
    assert (len(town), len(everywhere)) == (1, 3)
    intern = fix(114.05 + SIDE / 2, 22.54 + SIDE / 2)
    assert decide_for_sites([intern], town, thresholds).decision is Decision.OUTSIDE
    for position in (INSIDE, intern, fix(113.9 + SIDE / 2, 34.7 + SIDE / 2)):
        assert decide_for_sites([position], everywhere, thresholds).decision is Decision.INSIDE
    assert decide_for_sites([OUTSIDE], everywhere, thresholds).decision is Decision.OUTSIDE


async def test_a_cached_fence_is_not_visible_to_other_tenants(
    database: Database, world: SampleProvince
) -> None:
    version = await file_new_site(database, world.school, rectangle())
    async with database.transaction(Scope.school(world.school.id)) as session:
        first = await load_sites(session, [version])
        assert (await load_sites(session, [version]))[0] is first[0]
    for scope in (Scope.school(world.sister.id), bureau_account(world.other_city).scope, Scope.none()):
        async with database.transaction(scope) as session:
            with pytest.raises(NotFound):
                await load_sites(session, [version])


async def test_an_unknown_version_raises_not_found(database: Database, world: SampleProvince) -> None:
    version = await file_new_site(database, world.school, rectangle())
    async with database.transaction(Scope.school(world.school.id)) as session:
        for wanted in ([version, uuid4()], [uuid4()], []):
            with pytest.raises(NotFound):
                await load_sites(session, wanted)
