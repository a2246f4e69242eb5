"""What a school's outline is checked against: the limits of policy, an exception, and the school's division. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from backend.policy import PolicyAt


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """Limits of one outline. `division`: the code of the division that the school is in; None if no school is meant."""

    max_area_m2: int
    max_vertices: int
    division: str | None = None
    division_tolerance_m: int = 0


def site_limits(
    policy: PolicyAt,
    *,
    programmes: Collection[str] | None = None,
    exception_m2: int | None = None,
    division: str | None = None,
) -> SiteLimits:
    """The limits for a school that teaches these programmes; None applies the most lenient programme.

    The area limit is the highest one of the school's programmes, or that of the superior's exception if it is higher.
    """
    by_programme = [
        int(row["square_metres"])
        for row in policy.table("campus.site.max_area_by_programme")
        if programmes is None or row["programme"] in programmes
    ]
    return SiteLimits(
        max_area_m2=max(policy.integer("campus.site.max_area"), *by_programme, exception_m2 or 0),
        max_vertices=policy.integer("campus.site.max_vertices"),
        division=division,
        division_tolerance_m=policy.integer("campus.site.division_tolerance"),
    )
