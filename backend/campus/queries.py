"""Queries of sites: versions in force at an instant, filings by status, and the history of one site."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.tables import CampusSite, SiteDecision, SiteVersion
from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit


def effective_versions(
    at: datetime, school_ids: Select[UUID] | Iterable[UUID] | None = None
) -> Select[UUID, UUID, UUID, str]:
    """Select the versions in force at an instant, one row per site: version_id, site_id, school_id, kind.

    A site's newest approved version that has started is in force until it ends. Then the site is closed; no earlier
    version becomes valid again. A launch uses it in `INSERT … SELECT` to freeze the versions.
    """
    started = (
        select(
            SiteVersion.id.label("version_id"),
            SiteVersion.site_id,
            SiteVersion.school_id,
            SiteVersion.valid_to,
        )
        .join(SiteDecision, SiteDecision.version_id == SiteVersion.id)
        .where(
            SiteDecision.outcome == "approved",
            SiteDecision.decided_at <= at,
            SiteVersion.valid_from <= at,
        )
        .ext(distinct_on(SiteVersion.site_id))
        .order_by(SiteVersion.site_id, SiteVersion.version.desc())
    )
    if school_ids is not None:
        started = started.where(SiteVersion.school_id.in_(school_ids))
    newest = started.subquery("newest")
    return (
        select(newest.c.version_id, newest.c.site_id, newest.c.school_id, CampusSite.kind)
        .join(CampusSite, CampusSite.id == newest.c.site_id)
        .where(or_(newest.c.valid_to.is_(None), newest.c.valid_to > at))
    )


@dataclass(frozen=True, slots=True)
class VersionView:
    """A filing with its decision, if any. The geometry is loaded for a single site only."""

    version: SiteVersion
    decision: SiteDecision | None
    geojson: str | None = None
    original: str | None = None

    @property
    def status(self) -> str:
        """`filed`, `approved` or `rejected`."""
        return self.decision.outcome if self.decision else "filed"


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site, its filings (newest first), and the id of the version in force."""

    site: CampusSite
    versions: tuple[VersionView, ...]
    effective_version_id: UUID | None


@dataclass(frozen=True, slots=True)
class SiteSearch:
    """A filter on sites; `status` selects sites with at least one filing of this status."""

    school_id: UUID | None = None
    status: str | None = None
    unit_id: UUID | None = None
    text: str | None = None
    """Part of the name of the site or of its school."""


SiteSort = Literal["created_at", "-created_at", "name", "-name", "school_name", "-school_name"]
SITE_SORTS = ListSorts(
    CampusSite.id,
    {"created_at": CampusSite.id, "name": by_name(CampusSite.name), "school_name": by_name(OrgUnit.name)},
    default="created_at",
)


async def load_site_page(
    session: AsyncSession, actor: Actor, search: SiteSearch, at: datetime, request: PageRequest
) -> ListPage[SiteView]:
    """A page of the sites of the scope. Raises `NotFound` for a unit of others."""
    schools = await load_school_scope(session, actor, search.unit_id)
    page = (
        select(CampusSite)
        .join(OrgUnit, OrgUnit.id == CampusSite.school_id)
        .where(is_of_schools(CampusSite.school_id, schools))
    )
    if search.text is not None:
        in_site = CampusSite.name.contains(search.text, autoescape=True)
        page = page.where(or_(in_site, OrgUnit.name.contains(search.text, autoescape=True)))
    if search.school_id is not None:
        page = page.where(CampusSite.school_id == search.school_id)
    if search.status is not None:
        status = func.coalesce(SiteDecision.outcome, "filed")
        has_one = exists().where(SiteVersion.site_id == CampusSite.id, status == search.status)
        page = page.where(
            has_one.select_from(SiteVersion.__table__.outerjoin(SiteDecision.__table__)).correlate(CampusSite)
        )
    found = await load_page(session, page, SITE_SORTS, request)
    return found.with_rows(await _build_views(session, [site for (site,) in found.rows], at))


async def _build_views(
    session: AsyncSession, sites: Sequence[CampusSite], at: datetime
) -> Sequence[SiteView]:
    filed = (
        select(SiteVersion, SiteDecision)
        .outerjoin(SiteDecision, SiteDecision.version_id == SiteVersion.id)
        .where(SiteVersion.site_id.in_([site.id for site in sites]))
        .order_by(SiteVersion.version.desc())
    )
    versions: dict[UUID, list[VersionView]] = defaultdict(list)
    for version, decision in await session.execute(filed):
        versions[version.site_id].append(VersionView(version, decision))
    effective = await _load_effective_ids(session, sites, at)
    return [SiteView(site, tuple(versions[site.id]), effective.get(site.id)) for site in sites]


async def _load_effective_ids(
    session: AsyncSession, sites: Sequence[CampusSite], at: datetime
) -> dict[UUID, UUID]:
    rows = await session.execute(effective_versions(at, {site.school_id for site in sites}))
    return {row.site_id: row.version_id for row in rows}


async def load_site(session: AsyncSession, site_id: UUID, at: datetime) -> SiteView:
    """One site with all filings, their outlines as GeoJSON in WGS-84 and in the original; raises `NotFound`."""
    site = await session.get(CampusSite, site_id)
    if site is None:
        raise NotFound
    filed = (
        select(SiteVersion, SiteDecision, func.ST_AsGeoJSON(SiteVersion.polygons), SiteVersion.original)
        .outerjoin(SiteDecision, SiteDecision.version_id == SiteVersion.id)
        .where(SiteVersion.site_id == site_id)
        .order_by(SiteVersion.version.desc())
    )
    versions = tuple(VersionView(*row) for row in await session.execute(filed))
    return SiteView(site, versions, (await _load_effective_ids(session, [site], at)).get(site_id))
