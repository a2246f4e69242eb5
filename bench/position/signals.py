"""How often an honest phone is asked for a second check by the position signals, in a simulated population.

The phones are simulated after what Android and iOS are known to deliver; the figures below are assumptions, stated here
so that a deployment can replace them with its own measurement. Run: `make bench ARGS=position`.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backend.core.clock import legal_day, now
from backend.policy.installed import policy_at
from backend.roll_call.policy import PositionRules, position_rules
from bench.report import publish, seed
from geo.location_fixes import Fix
from geo.position_signals import EarlierCheck, PositionRisk, score_position

SEED = seed(14)
CHECKS = 40_000
LON, LAT = 113.65, 34.76
NORTH_M = 110_940.0
EAST_M = 111_320.0 * math.cos(math.radians(LAT))
"""Metres in one degree at the campus."""
SAMPLING_S = 8.0
COLD_START = 0.03
"""Share of checks whose first fix comes late. An app that conforms samples on until it has its eight seconds; …"""
IMPATIENT = 0.1
"""… but this share of them stops eight seconds after the start, whatever has come."""
CELL_OUTLIER = 0.002
"""Share of indoor checks with one fix from a cell: kilometres off, with a radius to match."""
EARLIER = 0.3
"""Share of checks with an earlier one within half a day: a retry minutes ago, or one elsewhere hours ago."""


@dataclass(frozen=True, slots=True)
class PhoneKind:
    """A kind of phone and place: its share of checks, and how it produces the fixes of one check."""

    name: str
    share: float
    sample: Callable[[random.Random, float, float], list[Fix]]


def _fix(east: float, north: float, accuracy_m: float, age_s: float) -> Fix:
    return Fix(LON + east / EAST_M, LAT + north / NORTH_M, accuracy_m, age_s=age_s)


def _ages(noise: random.Random) -> list[float]:
    """One fix per one to four seconds over the sampling time, as ages before signing."""
    step = noise.choice((1.0, 1.0, 2.0, 4.0))
    late = noise.uniform(1.0, 5.0) if noise.random() < COLD_START else noise.uniform(0.0, 0.8)
    span = SAMPLING_S - late if noise.random() < IMPATIENT else SAMPLING_S
    count = max(3, int(span / step) + 1)
    gap = span / (count - 1)
    return [noise.uniform(0.1, 0.9) + gap * (count - 1 - n) for n in range(count)]


def _satellite(noise: random.Random, east: float, north: float) -> list[Fix]:
    """In the open: 3 to 12 m, a slowly drifting error and a little jitter with each second."""
    accuracy = noise.uniform(3.0, 12.0)
    drift = noise.gauss(0, accuracy / 2), noise.gauss(0, accuracy / 2)
    fixes = []
    for age in _ages(noise):
        drift = drift[0] + noise.gauss(0, 0.3), drift[1] + noise.gauss(0, 0.3)
        reported = round(max(2.0, accuracy + noise.gauss(0, 0.4)), 1)
        fixes.append(_fix(east + drift[0], north + drift[1], reported, age))
    return fixes


def _fused(noise: random.Random, east: float, north: float) -> list[Fix]:
    """Android indoors: 20 to 60 m by Wi-Fi; each scan moves the position, some fixes repeat the last one."""
    repeats = noise.uniform(0.0, 0.7)
    return _indoor(noise, (east, north), repeats, steady_accuracy=False)


def _fused_repeating(noise: random.Random, east: float, north: float) -> list[Fix]:
    """Android phones that deliver the same fused fix again and again, with a new time, until the phone moves."""
    return _indoor(noise, (east, north), 1.0, steady_accuracy=True)


def _fused_cached(noise: random.Random, east: float, north: float) -> list[Fix]:
    """The same, with the time of the first one: an app that did not ask for fresh fixes."""
    fixes = _fused_repeating(noise, east, north)
    return [replace(fix, age_s=fixes[0].age_s) for fix in fixes]


def _apple(noise: random.Random, east: float, north: float) -> list[Fix]:
    """iPhones indoors: one of a few accuracies, which stays, with a position that creeps by decimetres."""
    accuracy = noise.choice((14.2, 22.6, 35.0, 65.0))
    position = east + noise.gauss(0, accuracy / 3), north + noise.gauss(0, accuracy / 3)
    fixes = []
    for age in _ages(noise):
        position = position[0] + noise.gauss(0, 0.4), position[1] + noise.gauss(0, 0.4)
        fixes.append(_fix(*position, accuracy, age))
    return fixes


def _indoor(
    noise: random.Random, place: tuple[float, float], repeats: float, *, steady_accuracy: bool
) -> list[Fix]:
    accuracy = round(noise.uniform(20.0, 60.0), 3)
    outlier = noise.random() < CELL_OUTLIER
    fixes: list[Fix] = []
    for age in _ages(noise):
        if fixes and noise.random() < repeats:
            fixes.append(replace(fixes[-1], age_s=age))
            continue
        reported = accuracy if steady_accuracy else round(accuracy * noise.uniform(0.9, 1.1), 3)
        east, north = (noise.gauss(at, accuracy / 3) for at in place)
        fixes.append(_fix(east, north, reported, age))
    if outlier:
        radius, angle = noise.uniform(500, 3000), noise.uniform(0, math.tau)
        off = noise.uniform(0.2, 1.5) * radius
        fixes[0] = _fix(off * math.cos(angle), off * math.sin(angle), radius, fixes[0].age_s or 0.0)
    return fixes


PHONES = (
    PhoneKind("satellite, in the open", 0.25, _satellite),
    PhoneKind("Android indoors, fused", 0.45, _fused),
    PhoneKind("Android indoors, repeated fused fix", 0.08, _fused_repeating),
    PhoneKind("Android indoors, cached fix with its old time", 0.002, _fused_cached),
    PhoneKind("iPhone indoors", 0.218, _apple),
)


def simulate_check(noise: random.Random, phone: PhoneKind) -> tuple[list[Fix], list[EarlierCheck]]:
    """One honest check on the campus, with an earlier one by the same phone for some."""
    place = noise.uniform(-200, 200), noise.uniform(-200, 200)
    fixes = phone.sample(noise, *place)
    if noise.random() >= EARLIER:
        return fixes, []
    if (
        noise.random() < 0.5
    ):  # a second attempt, minutes later; a repeating phone may even repeat the position
        before = noise.uniform(20, 900)
        again = (
            fixes
            if phone.sample is _fused_repeating and noise.random() < 0.5
            else phone.sample(noise, *place)
        )
        return fixes, [EarlierCheck(again, before)]
    before, speed = noise.uniform(1_800, 43_200), noise.uniform(0, 80)  # by train at up to 290 km/h
    far = min(before * speed * noise.random(), 1_000_000.0)
    return fixes, [EarlierCheck(phone.sample(noise, far, 0.0), before)]


def score(rules: PositionRules, fixes: Sequence[Fix], earlier: Sequence[EarlierCheck]) -> PositionRisk:
    """Score a check under the rules of the policy."""
    return score_position(fixes, earlier=earlier, limits=rules.limits, weights=rules.weights)


def count_flagged(rules: PositionRules, phone: PhoneKind, checks: int, start: int) -> int:
    """How many of `checks` honest checks of one kind of phone reach the score of a second check."""
    noise = random.Random(f"{phone.name}{start}")
    return sum(score(rules, *simulate_check(noise, phone)).score >= rules.step_up_from for _ in range(checks))


def wilson_interval(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson)."""
    z, share = 1.959964, hits / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)


def measure(rules: PositionRules, checks: int, start: int) -> list[tuple[str, int, int]]:
    """Name, checks and flagged checks of each kind of phone, by its share of `checks`, and of all."""
    rows = []
    for phone in PHONES:
        number = round(checks * phone.share)
        rows.append((phone.name, number, count_flagged(rules, phone, number, start)))
    return [*rows, ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]


def main() -> None:
    """Measure under today's national policy."""
    rules = position_rules(policy_at(legal_day(now()), "000000"))
    rows = []
    for name, checks, flagged in measure(rules, CHECKS, SEED):
        low, high = wilson_interval(flagged, checks)
        rows.append(
            {
                "phones": name,
                "checks": checks,
                "second checks": flagged,
                "share %": round(100 * flagged / checks, 3),
                "95 % interval": f"{100 * low:.3f} to {100 * high:.3f}",
            }
        )
    publish("position", "no honest phone is asked for a second check", rows, SEED)


if __name__ == "__main__":
    main()
