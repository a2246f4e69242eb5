"""Where the attester is: the position that the browser reports must be inside the frozen site."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.fences import decide_for_sites, load_sites
from backend.policy import PolicyAt
from backend.roll_call.errors import AttesterOutsideSite, AttesterPositionUncertain, FixRefused
from backend.roll_call.policy import fence_thresholds
from geo.errors import GeoError
from geo.location_fixes import Fix, validate


@dataclass(frozen=True, slots=True)
class AttesterPosition:
    """The attester's position, and the sign-in session that reported it."""

    fix: Fix
    session_id: UUID


async def require_inside_site(
    session: AsyncSession, policy: PolicyAt, site_version_id: UUID, position: AttesterPosition
) -> dict[str, Any]:
    """Return the position and its evaluation, for the record.

    Raises FixRefused, AttesterOutsideSite or AttesterPositionUncertain.
    """
    thresholds, fix = fence_thresholds(policy), position.fix
    try:
        validate(fix, max_age_s=thresholds.max_age_s)
    except GeoError as error:
        raise FixRefused(
            code=error.code, reason_zh=error.sentence("zh"), reason_en=error.sentence("en")
        ) from error
    decided = decide_for_sites([fix], await load_sites(session, [site_version_id]), thresholds)
    if decided.decision.value == "outside":
        raise AttesterOutsideSite
    if decided.decision.value != "inside":
        raise AttesterPositionUncertain
    return {
        "lon": fix.lon,
        "lat": fix.lat,
        "accuracy_m": fix.accuracy_m,
        "datum": fix.datum.value,
        "age_s": fix.age_s,
        "distance_m": round(decided.distance_m, 2),
        "probability_inside": round(decided.probability_inside, 6),
    }
