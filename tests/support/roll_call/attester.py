"""The position that an attester's browser reports, as the API takes it."""

from typing import Any

from tests.support.roll_call.student_phone import INSIDE


def attester_position(place: tuple[float, float] = INSIDE) -> dict[str, Any]:
    """Make a position on the campus of the scenario, or at `place`."""
    return {"lon": place[0], "lat": place[1], "accuracy_m": 12.0, "datum": "wgs84", "age_s": 1.0}
