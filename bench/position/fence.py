"""Deciding fixes against a fence, compared with a bare prepared point-in-polygon test of the same points."""

import math
import time

import numpy as np
import shapely

from bench.report import publish, seed
from geo.datum import Datum
from geo.fence import FenceThresholds, decide, decide_many
from geo.location_fixes import Fix
from geo.site_files import site_from_geojson

SEED = seed(1)

POINTS = 200_000
THRESHOLDS = FenceThresholds(inside_at=0.9, outside_at=0.05, max_accuracy_m=150, max_age_s=60)


def _campus(vertices: int) -> dict[str, object]:
    """A round campus of about 600 m across."""
    ring = [
        [
            113.5 + 0.003 * math.cos(2 * math.pi * k / vertices),
            34.8 + 0.0027 * math.sin(2 * math.pi * k / vertices),
        ]
        for k in range(vertices)
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def main() -> None:
    """Measure fences of 6 and of 200 vertices."""
    noise = np.random.default_rng(SEED)
    lons, lats = noise.uniform(113.49, 113.51, POINTS), noise.uniform(34.79, 34.81, POINTS)
    accuracies = noise.uniform(5, 60, POINTS)
    rows = []
    for vertices in (6, 200):
        site = site_from_geojson(_campus(vertices), datum=Datum.WGS84, max_area_m2=math.inf)
        shapely.prepare(site.polygons)
        started = time.perf_counter()
        shapely.contains_xy(site.polygons, lons, lats)
        baseline = time.perf_counter() - started
        started = time.perf_counter()
        decide_many(lons, lats, accuracies, site, THRESHOLDS)
        many = time.perf_counter() - started
        fixes = [Fix(lons[0] + k * 1e-5, lats[0], 20.0, age_s=1.0) for k in range(3)]
        started = time.perf_counter()
        for _ in range(500):
            decide(fixes, site, THRESHOLDS)
        single = (time.perf_counter() - started) / 500
        rows.append(
            {
                "vertices": vertices,
                "points": POINTS,
                "floor s": baseline,
                "decide_many s": many,
                "ratio": many / baseline,
                "million/s": POINTS / many / 1e6,
                "one check ms": single * 1000,
            }
        )
    publish("fence", "shapely.contains_xy, prepared", rows, SEED)


if __name__ == "__main__":
    main()
