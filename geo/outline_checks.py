"""Signs that an outline was drawn otherwise than meant. They do not make it invalid."""

from collections.abc import Sequence

import shapely
from shapely import Polygon

from geo.site_files import NamedOutline


def find_swallowed(outlines: Sequence[NamedOutline]) -> list[tuple[str, str]]:
    """The names (inner, outer) of polygons that lie entirely within another polygon of the file.

    The union of both is the outer one, so the inner one has no effect: it was probably meant as a hole. Of two equal
    polygons only the later one is named.
    """
    polygons = [Polygon(named.outline[0], named.outline[1:]) for named in outlines]
    tree = shapely.STRtree(polygons)
    inner, outer = tree.query(polygons, predicate="covered_by")
    found: dict[int, int] = {}
    for one, other in sorted(zip(inner.tolist(), outer.tolist(), strict=True)):
        if one == other or (polygons[one].equals(polygons[other]) and one < other):
            continue
        found.setdefault(one, other)
    return [(outlines[one].name, outlines[other].name) for one, other in found.items()]
