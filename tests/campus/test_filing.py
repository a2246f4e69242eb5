"""Filing sites and deciding on filings: the school files, a superior decides, rows never change."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.campus.errors import AlreadyDecided, OpinionMissing, OwnFiling, SiteNameTaken, ValidityOrder
from backend.campus.queries import SiteSearch, effective_versions, load_site, load_site_page
from backend.campus.service import Filing, FilingDecision, NewSite, decide_filing, file_site, file_version
from backend.campus.tables import CampusSite, SiteDecision, SiteVersion
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.org.queries import schools_below
from geo.datum import Datum
from tests.support.campus import parsed_outline, rectangle
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
    student_account,
)

pytestmark = pytest.mark.clause("HN334-3.4")

APPROVED = FilingDecision("approved")


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=1)


def new_site() -> NewSite:
    return NewSite(f"校区{new_id()}", "main", "郑州市某路1号")


async def file_new_site(
    database: Database, school: SampleSchool, filing: Filing | None = None, at: datetime | None = None
) -> SiteVersion:
    actor = registrar_account(school)
    async with database.transaction(actor.scope) as session:
        return await file_site(session, actor, new_site(), filing or Filing(parsed_outline()), at or now())


async def file_new_version(
    database: Database, school: SampleSchool, site_id: UUID, filing: Filing
) -> SiteVersion:
    actor = registrar_account(school)
    async with database.transaction(actor.scope) as session:
        return await file_version(session, actor, site_id, filing, now())


async def decide(
    database: Database,
    actor: Actor,
    version: SiteVersion,
    decision: FilingDecision = APPROVED,
    at: datetime | None = None,
) -> SiteDecision:
    async with database.transaction(actor.scope) as session:
        return await decide_filing(session, actor, version.id, decision, at or now())


async def load_in_force(database: Database, school: SampleSchool, at: datetime) -> set[UUID]:
    async with database.transaction(school_scope(school)) as session:
        return {row.version_id for row in await session.execute(effective_versions(at, [school.id]))}


def school_scope(school: SampleSchool) -> Scope:
    return Scope.school(school.id, school.path)


async def test_a_filing_is_in_force_from_its_approval(database: Database, world: SampleProvince) -> None:
    version = await file_new_site(database, world.school)
    assert version.id not in await load_in_force(database, world.school, now())
    before = now()
    await decide(database, bureau_account(world.city), version)
    assert version.id in await load_in_force(database, world.school, now())
    assert version.id not in await load_in_force(database, world.school, before)


async def test_the_province_may_decide_and_alone_for_its_own_schools(
    database: Database, world: SampleProvince
) -> None:
    version = await file_new_site(database, world.direct)
    with pytest.raises(NotFound):
        await decide(database, bureau_account(world.city), version)
    decision = await decide(database, province_account(world.province), version)
    assert decision.outcome == "approved"
    await decide(database, province_account(world.province), await file_new_site(database, world.school))


async def test_another_bureau_does_not_find_the_filing(database: Database, world: SampleProvince) -> None:
    version = await file_new_site(database, world.school)
    with pytest.raises(NotFound):
        await decide(database, bureau_account(world.other_city), version)
    version.id = uuid4()
    with pytest.raises(NotFound):
        await decide(database, bureau_account(world.city), version)


async def test_school_accounts_cannot_decide_on_filings(database: Database, world: SampleProvince) -> None:
    version = await file_new_site(database, world.school)
    counselor = counselor_account(world.school, world.school.classes[0])
    for actor in (registrar_account(world.school), counselor):
        with pytest.raises(NotPermitted):
            await decide(database, actor, version)


async def test_an_account_cannot_decide_on_its_own_filing(database: Database, world: SampleProvince) -> None:
    version = await file_new_site(database, world.school)
    promoted = replace(bureau_account(world.city), account_id=version.filed_by)
    with pytest.raises(OwnFiling):
        await decide(database, promoted, version)


async def test_the_database_refuses_a_decision_on_the_own_filing(
    database: Database, owner: Database, world: SampleProvince
) -> None:
    version = await file_new_site(database, world.school)
    row = {
        "version_id": version.id,
        "school_id": version.school_id,
        "outcome": "approved",
        "opinion": None,
        "filed_by": version.filed_by,
        "decided_by": version.filed_by,
        "decided_at": now(),
    }
    with pytest.raises(IntegrityError, match="ck_site_decision_by_another_account"):
        async with owner.transaction(Scope.wide(world.province.path)) as session:
            await session.execute(insert(SiteDecision).values(row))
    with pytest.raises(IntegrityError, match="fk_site_decision"):  # nor can the filer be misstated
        async with owner.transaction(Scope.wide(world.province.path)) as session:
            await session.execute(insert(SiteDecision).values(row | {"filed_by": uuid4()}))
    registrar = Scope.school(world.school.id, world.school.path, uuid4())
    with pytest.raises(ProgrammingError, match="row-level security"):  # nor does a school decide at all
        async with database.transaction(registrar) as session:
            await session.execute(insert(SiteDecision).values(row | {"decided_by": registrar.account_id}))


async def test_the_database_refuses_a_filing_by_anyone_but_the_registrar(
    database: Database, world: SampleProvince
) -> None:
    row = {
        "id": new_id(),
        "school_id": world.school.id,
        "name": "冒名",
        "kind": "main",
        "address": "某路",
        "created_at": now(),
    }
    superior = bureau_account(world.city)
    registrar = registrar_account(world.school)
    for actor, name in ((superior, superior.account_id), (registrar, uuid4())):
        with pytest.raises(ProgrammingError, match="row-level security"):
            async with database.transaction(actor.scope) as session:
                await session.execute(insert(CampusSite).values(row | {"created_by": name}))


@pytest.mark.parametrize("table", ["site", "site_version", "site_decision"])
async def test_filings_and_decisions_cannot_be_changed_or_deleted(
    database: Database, world: SampleProvince, table: str
) -> None:
    for statement in (f"UPDATE {table} SET school_id = school_id", f"DELETE FROM {table}"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with database.transaction(province_account(world.province).scope) as session:
                await session.execute(text(statement))


async def test_only_one_of_several_parallel_decisions_succeeds(
    database: Database, world: SampleProvince
) -> None:
    version = await file_new_site(database, world.school)

    async def attempt(decision: FilingDecision) -> str:
        try:
            return (await decide(database, bureau_account(world.city), version, decision)).outcome
        except AlreadyDecided:
            return "late"

    answers = await asyncio.gather(
        *(attempt(FilingDecision(each, "意见")) for each in ("approved", "rejected") * 2)
    )
    assert answers.count("late") == 3


async def test_versions_filed_in_parallel_are_numbered_in_sequence(
    database: Database, world: SampleProvince
) -> None:
    first = await file_new_site(database, world.school)
    await asyncio.gather(
        *(file_new_version(database, world.school, first.site_id, Filing(parsed_outline())) for _ in range(5))
    )
    async with database.transaction(school_scope(world.school)) as session:
        numbers = await session.scalars(
            select(SiteVersion.version).where(SiteVersion.site_id == first.site_id)
        )
        assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


async def test_a_new_version_is_in_force_once_approved_and_started(
    database: Database, world: SampleProvince
) -> None:
    actor, start = bureau_account(world.city), now()
    first = await file_new_site(database, world.school)
    await decide(database, actor, first)
    later = start + timedelta(days=10)
    second = await file_new_version(
        database, world.school, first.site_id, Filing(parsed_outline(rectangle(side=0.006)), valid_from=later)
    )
    assert first.id in await load_in_force(database, world.school, later)
    await decide(database, actor, second)
    before = await load_in_force(database, world.school, later - timedelta(seconds=1))
    after = await load_in_force(database, world.school, later)
    assert first.id in before
    assert second.id not in before
    assert second.id in after
    assert first.id not in after


async def test_a_rejected_version_changes_nothing(database: Database, world: SampleProvince) -> None:
    actor = bureau_account(world.city)
    first = await file_new_site(database, world.school)
    await decide(database, actor, first)
    second = await file_new_version(database, world.school, first.site_id, Filing(parsed_outline()))
    await decide(database, actor, second, FilingDecision("rejected", "范围超出校园"))
    assert first.id in await load_in_force(database, world.school, now())
    assert second.id not in await load_in_force(database, world.school, now())


async def test_a_site_is_closed_once_its_newest_version_has_ended(
    database: Database, world: SampleProvince
) -> None:
    actor, start = bureau_account(world.city), now()
    end = start + timedelta(days=30)
    first = await file_new_site(database, world.school)
    last = await file_new_version(
        database, world.school, first.site_id, Filing(parsed_outline(), valid_to=end)
    )
    for version in (first, last):
        await decide(database, actor, version)
    assert last.id in await load_in_force(database, world.school, end - timedelta(microseconds=1))
    assert not {first.id, last.id} & await load_in_force(database, world.school, end)


async def test_one_statement_selects_the_versions_of_a_subtree(
    database: Database, world: SampleProvince
) -> None:
    actor = province_account(world.province)
    versions = {school.id: await file_new_site(database, school) for school in (world.school, world.direct)}
    for version in versions.values():
        await decide(database, actor, version)
    async with database.transaction(actor.scope) as session:
        rows = (await session.execute(effective_versions(now(), schools_below(world.city.path)))).all()
    chosen = {row.version_id for row in rows}
    assert versions[world.school.id].id in chosen
    assert versions[world.direct.id].id not in chosen
    assert {row.kind for row in rows if row.version_id == versions[world.school.id].id} == {"main"}


async def test_a_site_name_is_unique_within_a_school(database: Database, world: SampleProvince) -> None:
    actor, new = registrar_account(world.school), new_site()
    async with database.transaction(actor.scope) as session:
        await file_site(session, actor, new, Filing(parsed_outline()), now())
    with pytest.raises(SiteNameTaken):
        async with database.transaction(actor.scope) as session:
            await file_site(session, actor, new, Filing(parsed_outline()), now())
    sister = registrar_account(world.sister)
    async with database.transaction(sister.scope) as session:
        await file_site(session, sister, new, Filing(parsed_outline()), now())


async def test_only_a_registrar_files_and_only_for_the_own_school(
    database: Database, world: SampleProvince
) -> None:
    version = await file_new_site(database, world.sister)
    others = [bureau_account(world.city), counselor_account(world.school, world.school.classes[0])]
    for actor in others:
        with pytest.raises(NotPermitted):
            async with database.transaction(actor.scope) as session:
                await file_site(session, actor, new_site(), Filing(parsed_outline()), now())
    for site_id in (version.site_id, uuid4()):
        with pytest.raises(NotFound):
            await file_new_version(database, world.school, site_id, Filing(parsed_outline()))


async def test_invalid_validity_and_missing_opinion_are_refused(
    database: Database, world: SampleProvince
) -> None:
    at = now()
    with pytest.raises(ValidityOrder):
        await file_new_site(database, world.school, Filing(parsed_outline(), valid_from=at, valid_to=at))
    version = await file_new_site(database, world.school)
    with pytest.raises(OpinionMissing):
        await decide(database, bureau_account(world.city), version, FilingDecision("rejected"))


async def test_the_original_is_stored_with_the_wgs84_polygons(
    database: Database, world: SampleProvince
) -> None:
    outline = parsed_outline(datum=Datum.GCJ02)
    version = await file_new_site(database, world.school, Filing(outline))
    async with database.transaction(school_scope(world.school)) as session:
        view = await load_site(session, version.site_id, now())
        srid, area = (
            await session.execute(
                select(
                    func.ST_SRID(SiteVersion.polygons),
                    text("ST_Area(CAST(polygons AS geography))"),
                ).where(SiteVersion.id == version.id)
            )
        ).one()
    (shown,) = view.versions
    assert shown.original == outline.outline.text
    assert (shown.version.datum, shown.status, srid) == ("gcj02", "filed", 4326)
    assert area == pytest.approx(version.area_m2, rel=1e-3)


async def test_sites_are_listed_by_status_and_a_student_sees_none(
    database: Database, world: SampleProvince
) -> None:
    waiting, approved = (
        await file_new_site(database, world.school),
        await file_new_site(database, world.school),
    )
    await decide(database, bureau_account(world.city), approved)
    bureau = bureau_account(world.city)
    async with database.transaction(bureau.scope) as session:
        pages = {
            status: (
                await load_site_page(
                    session, bureau, SiteSearch(world.school.id, status), now(), PageRequest(200)
                )
            ).rows
            for status in ("filed", "approved", None)
        }
    sites = {status: {view.site.id for view in views} for status, views in pages.items()}
    assert waiting.site_id in sites["filed"] - sites["approved"]
    assert approved.site_id in sites["approved"] - sites["filed"]
    assert sites["filed"] | sites["approved"] <= sites[None]
    student = student_account(world.school, world.school.students[0])
    async with database.transaction(student.scope) as session:
        assert (await load_site_page(session, student, SiteSearch(), now(), PageRequest(200))).rows == []


async def test_filings_and_decisions_are_audited(database: Database, world: SampleProvince) -> None:
    actor = bureau_account(world.city)
    version = await file_new_site(database, world.school)
    await decide(database, actor, version, FilingDecision("rejected", "请缩小范围"))
    async with database.transaction(actor.scope) as session:
        entries = await session.scalars(
            select(AuditEntry).where(AuditEntry.subject_id == str(version.id)).order_by(AuditEntry.id)
        )
        traces = [(entry.action, entry.acting_account) for entry in entries]
    assert traces == [("site_filed", version.filed_by), ("site_decided", actor.account_id)]
