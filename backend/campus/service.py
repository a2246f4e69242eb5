"""Filing sites and deciding on the filings: the school files, a superior decides (HN334-3.4).

No row is ever updated: a filing is a new version and a decision a separate row, so that versions frozen by a roll call
do not change.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from geoalchemy2.shape import from_shape
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.errors import AlreadyDecided, OpinionMissing, OwnFiling, SiteNameTaken, ValidityOrder
from backend.campus.outline import OUTSIDE_DIVISION, OutlineWarning, ParsedOutline
from backend.campus.tables import WGS84_SRID, CampusSite, SiteDecision, SiteVersion
from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.tables import OrgUnit

SiteKind = Literal["main", "branch", "internship"]
Outcome = Literal["approved", "rejected"]

_LOCK_SITE = text("SELECT pg_advisory_xact_lock(hashtextextended(:site, 0))")


@dataclass(frozen=True, slots=True)
class NewSite:
    """A site to file: 主校区, 分校区 or 实习点."""

    name: str
    kind: SiteKind
    address: str


@dataclass(frozen=True, slots=True)
class Filing:
    """An outline and its validity, the end excluded; by default from the filing on, without end."""

    parsed: ParsedOutline
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class FilingDecision:
    """The superior's decision on a filing; a rejection needs an opinion."""

    outcome: Outcome
    opinion: str | None = None


async def file_site(
    session: AsyncSession, actor: Actor, new: NewSite, filing: Filing, at: datetime
) -> SiteVersion:
    """File a new site with its first version, by the school's registrar.

    Raises `NotPermitted`, `SiteNameTaken` and `ValidityOrder`.
    """
    school = _require_registrar(actor)
    site_id = await session.scalar(
        insert(CampusSite)
        .values(
            id=new_id(),
            school_id=school,
            name=new.name,
            kind=new.kind,
            address=new.address,
            created_by=actor.account_id,
            created_at=at,
        )
        .on_conflict_do_nothing(index_elements=["school_id", "name"])
        .returning(CampusSite.id)
    )
    if site_id is None:
        raise SiteNameTaken(name=new.name)
    return await _add_version(session, actor, site_id, new.kind, filing, at)


async def file_version(
    session: AsyncSession, actor: Actor, site_id: UUID, filing: Filing, at: datetime
) -> SiteVersion:
    """File another version of a site, by the school's registrar; earlier versions are kept.

    Raises `NotPermitted`, `NotFound` and `ValidityOrder`.
    """
    _require_registrar(actor)
    site = await session.get(CampusSite, site_id)
    if site is None:
        raise NotFound
    return await _add_version(session, actor, site_id, site.kind, filing, at)


def _require_registrar(actor: Actor) -> UUID:
    if actor.role != "registrar" or actor.school_id is None:
        raise NotPermitted(
            reason_zh="办学地址由学校管理员备案", reason_en="only the school's registrar can file sites"
        )
    return actor.school_id


def _concerns(kind: str, warning: OutlineWarning) -> bool:
    """An internship may be anywhere."""
    return kind != "internship" or warning.code != OUTSIDE_DIVISION


async def _add_version(
    session: AsyncSession, actor: Actor, site_id: UUID, kind: str, filing: Filing, at: datetime
) -> SiteVersion:
    starts = filing.valid_from or at
    if filing.valid_to is not None and filing.valid_to <= starts:
        raise ValidityOrder
    await session.execute(_LOCK_SITE, {"site": str(site_id)})
    last = await session.scalar(select(func.max(SiteVersion.version)).where(SiteVersion.site_id == site_id))
    parsed = filing.parsed
    version = SiteVersion(
        id=new_id(),
        school_id=actor.school_id,
        site_id=site_id,
        version=(last or 0) + 1,
        polygons=from_shape(parsed.site.polygons, srid=WGS84_SRID),
        original=parsed.outline.text,
        format=parsed.outline.format,
        datum=parsed.outline.datum.value,
        area_m2=parsed.site.area_m2,
        valid_from=starts,
        valid_to=filing.valid_to,
        note=filing.note,
        warnings=[warning.as_dict() for warning in parsed.warnings if _concerns(kind, warning)],
        filed_by=actor.account_id,
        filed_at=at,
    )
    session.add(version)
    await session.flush()
    after = {"site_id": str(site_id), "version": version.version, "area_m2": round(version.area_m2)}
    record(session, Act("site_filed", "site_version", str(version.id), actor.org_path, after=after), at)
    return version


async def decide_filing(
    session: AsyncSession, actor: Actor, version_id: UUID, decision: FilingDecision, at: datetime
) -> SiteDecision:
    """Approve or reject a filing, once; by a superior of the school.

    Raises `NotFound` for a filing outside the caller's subtree, `NotPermitted` for a school's account,
    `OwnFiling`, `OpinionMissing` and `AlreadyDecided`.
    """
    version, school_path = await _load_decidable(session, actor, version_id, decision)
    row = {
        "version_id": version.id,
        "school_id": version.school_id,
        "outcome": decision.outcome,
        "opinion": decision.opinion,
        "filed_by": version.filed_by,
        "decided_by": actor.account_id,
        "decided_at": at,
    }
    decided: SiteDecision | None = await session.scalar(
        insert(SiteDecision)
        .values(row)
        .on_conflict_do_nothing(index_elements=["version_id"])
        .returning(SiteDecision)
    )
    if decided is None:
        raise AlreadyDecided
    after = {"outcome": decision.outcome, "opinion": decision.opinion}
    record(session, Act("site_decided", "site_version", str(version.id), school_path, after=after), at)
    return decided


async def _load_decidable(
    session: AsyncSession, actor: Actor, version_id: UUID, decision: FilingDecision
) -> tuple[SiteVersion, str]:
    """The filing and the school's path, if the actor may make this decision."""
    rows = await session.execute(
        select(SiteVersion, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == SiteVersion.school_id)
        .where(SiteVersion.id == version_id)
    )
    filing = rows.one_or_none()
    if filing is None:
        raise NotFound
    version, school_path = filing
    if version.filed_by == actor.account_id:
        raise OwnFiling
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="备案由学校的上级教育行政部门审核",
            reason_en="only the school's superiors can decide on filings",
        )
    if decision.outcome == "rejected" and decision.opinion is None:
        raise OpinionMissing
    return version, school_path
