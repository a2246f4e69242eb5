"""The positions of a student's check-ins in a roll call, with the filed outlines that they were judged by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.tables import CampusSite, SiteVersion
from backend.roll_call.envelope import FixPart, parse_stored_envelope
from backend.roll_call.tables import RollCall, RollCallSite, Submission, VerdictRecord
from geo.datum import Datum


@dataclass(frozen=True, slots=True)
class PositionFix:
    """A fix in WGS-84. `taken_at`: when the server received the check-in, less the age that the phone gave."""

    lon: float
    lat: float
    accuracy_m: float
    datum: Datum
    """The datum in which the phone sent it."""
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class CheckInPositions:
    """One check-in: its fixes, and how the verdict judged them. `fence` is that part of the verdict's trace."""

    submission_id: UUID
    received_at: datetime
    deleted_at: datetime | None
    fixes: tuple[PositionFix, ...]
    fence: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class JudgedOutline:
    """A version of a filed site, frozen when the roll call was launched; `geojson` is in WGS-84."""

    site_id: UUID
    site_name: str
    version: int
    geojson: str


async def load_check_in_positions(
    session: AsyncSession, roll_call: RollCall, student_id: UUID
) -> Sequence[CheckInPositions]:
    """The check-ins of a student in a roll call, oldest first."""
    rows = await session.execute(
        select(
            Submission.id,
            Submission.received_at,
            Submission.envelope_deleted_at,
            Submission.envelope,
            VerdictRecord.trace["fence"],
        )
        .outerjoin(
            VerdictRecord,
            and_(
                VerdictRecord.term_code == roll_call.term_code, VerdictRecord.submission_id == Submission.id
            ),
        )
        .where(
            Submission.term_code == roll_call.term_code,
            Submission.roll_call_id == roll_call.id,
            Submission.student_id == student_id,
        )
        .order_by(Submission.received_at, Submission.id)
    )
    return [
        CheckInPositions(
            submission_id,
            received_at,
            deleted_at,
            () if deleted_at else _read_fixes(envelope, received_at),
            fence,
        )
        for submission_id, received_at, deleted_at, envelope, fence in rows
    ]


def _read_fixes(envelope: str, received_at: datetime) -> tuple[PositionFix, ...]:
    return tuple(_convert_fix(fix, received_at) for fix in parse_stored_envelope(envelope).fixes)


def _convert_fix(fix: FixPart, received_at: datetime) -> PositionFix:
    measured = fix.to_fix().in_wgs84()
    taken_at = received_at - timedelta(seconds=fix.age_s)
    return PositionFix(measured.lon, measured.lat, fix.accuracy_m, Datum(fix.datum), taken_at)


async def load_judged_outlines(
    session: AsyncSession, roll_call: RollCall, school_id: UUID
) -> Sequence[JudgedOutline]:
    """The outlines of the school that the roll call was judged by, in the order of their names."""
    rows = await session.execute(
        select(CampusSite.id, CampusSite.name, SiteVersion.version, func.ST_AsGeoJSON(SiteVersion.polygons))
        .select_from(RollCallSite)
        .join(SiteVersion, SiteVersion.id == RollCallSite.site_version_id)
        .join(CampusSite, CampusSite.id == SiteVersion.site_id)
        .where(
            RollCallSite.term_code == roll_call.term_code,
            RollCallSite.roll_call_id == roll_call.id,
            RollCallSite.school_id == school_id,
        )
        .order_by(CampusSite.name, SiteVersion.id)
    )
    return [JudgedOutline(*row) for row in rows]
