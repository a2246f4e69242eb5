"""The cells around a site in one term, without those that too few students were in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.queries import load_site
from backend.campus.tables import SiteVersion
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.org.paths import division_of
from backend.policy.installed import policy_at
from backend.roll_call.tables import CheckInCell, RollCallStep
from geo.cells import Cell, CellBounds, bounds_of, cell_at

MARGIN_CELLS = 4
"""Cells are shown this far beyond the outlines of the site: 200 m."""


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell with the accepted check-ins of the roll calls in which enough students were in it."""

    bounds: CellBounds
    check_ins: int
    roll_calls: int


@dataclass(frozen=True, slots=True)
class SiteCells:
    """The cells of a site in a term, and the least number of students of a cell that is shown."""

    term_code: str | None
    minimum: int
    terms: Sequence[str]
    cells: list[ShownCell]


async def load_site_cells(
    session: AsyncSession, actor: Actor, site_id: UUID, term_code: str | None, at: datetime
) -> SiteCells:
    """The cells of a site, by default of the newest term that has any. Raises `NotFound`, and `NotPermitted` for counselors."""
    site = (await load_site(session, site_id, at)).site
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="签到分布由学校管理员和教育局查看",
            reason_en="registrars and bureaus see where check-ins fell",
        )
    minimum = policy_at(legal_day(at), division_of(actor.org_path)).integer("check_in_cells.minimum_students")
    counted = select(CheckInCell.term_code).where(CheckInCell.school_id == site.school_id).distinct()
    terms = sorted(await session.scalars(counted), reverse=True)
    term = term_code or next(iter(terms), None)
    if term is None:
        return SiteCells(None, minimum, terms, [])
    return SiteCells(term, minimum, terms, await _load_cells(session, site_id, site.school_id, term, minimum))


async def _load_cells(
    session: AsyncSession, site_id: UUID, school_id: UUID, term_code: str, minimum: int
) -> list[ShownCell]:
    first, last = await _load_corners(session, site_id)
    rows = await session.execute(
        select(CheckInCell.cell_row, CheckInCell.cell_column, func.sum(CheckInCell.students), func.count())
        .join(
            RollCallStep,
            (RollCallStep.roll_call_id == CheckInCell.roll_call_id) & (RollCallStep.step == "settled"),
        )
        .where(
            CheckInCell.school_id == school_id,
            CheckInCell.term_code == term_code,
            CheckInCell.students >= minimum,
            CheckInCell.cell_row.between(first.row, last.row),
        )
        .group_by(CheckInCell.cell_row, CheckInCell.cell_column)
        .order_by(CheckInCell.cell_row, CheckInCell.cell_column)
    )
    west, east = bounds_of(first).west, bounds_of(last).east
    shown = (ShownCell(bounds_of(Cell(row, column)), int(n), times) for row, column, n, times in rows)
    return [each for each in shown if each.bounds.east > west and each.bounds.west < east]


async def _load_corners(session: AsyncSession, site_id: UUID) -> tuple[Cell, Cell]:
    """The cells of the south-western and north-eastern corners of all outlines of the site, with the margin."""
    box = func.ST_Extent(SiteVersion.polygons)
    row = await session.execute(
        select(func.ST_XMin(box), func.ST_YMin(box), func.ST_XMax(box), func.ST_YMax(box)).where(
            SiteVersion.site_id == site_id
        )
    )
    west, south, east, north = row.one()
    if west is None:
        raise NotFound
    low, high = cell_at(west, south), cell_at(east, north)
    return (
        Cell(low.row - MARGIN_CELLS, low.column - MARGIN_CELLS),
        Cell(high.row + MARGIN_CELLS, high.column + MARGIN_CELLS),
    )
