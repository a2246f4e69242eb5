"""Publishes benchmark results: a table for people and a JSON file, with the machine and commit they were measured on."""

import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def _current_commit() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or "unknown"


class StolenTime:
    """The share of this machine's busy CPU time that the hypervisor gave to other machines (steal time).

    If it is not close to zero, latencies depend on the host; ratios within one run are still valid.
    """

    def __init__(self) -> None:
        self._before = self._read_ticks()

    @staticmethod
    def _read_ticks() -> tuple[int, int]:
        user, nice, system, _, _, irq, softirq, stolen = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        )
        return stolen, user + nice + system + irq + softirq + stolen

    def share(self) -> float:
        """The share since this object was created or last read."""
        now = self._read_ticks()
        (stolen, all_), self._before = (new - old for new, old in zip(now, self._before, strict=True)), now
        return round(stolen / max(all_, 1), 3)


_STOLEN = StolenTime()


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ratios of two rates, one per round, in ascending order."""

    sorted: Sequence[float]

    def interval(self) -> tuple[float, float]:
        """The two ratios between which the true median lies with at least 95 %, whatever their distribution."""
        count, skipped, outside = len(self.sorted), 0, 2 / 2 ** len(self.sorted)
        while skipped < (count - 1) // 2:
            outside += 2 * math.comb(count, skipped + 1) / 2**count
            if outside > 0.05:
                break
            skipped += 1
        return self.sorted[skipped], self.sorted[count - 1 - skipped]

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{statistics.median(self.sorted):.2f} ({low:.2f} to {high:.2f})"


def seed(default: int) -> int:
    """The random seed of a benchmark: from `make bench ARGS="--seed N …"`, or its default."""
    return int(os.environ.get("DIANMING_BENCH_SEED", default))


def publish(name: str, baseline: str, rows: list[dict[str, Any]], random_seed: int | None = None) -> None:
    """Print `rows` as a table with the stated baseline, and write bench/results/NAME.json.

    `random_seed` is the random seed; None if the benchmark uses no randomness.
    """
    table = Table(title=f"{name}  (baseline: {baseline})")
    for heading in rows[0]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=140).print(table)
    RESULTS.mkdir(exist_ok=True)
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "stolen": _STOLEN.share(),
    }
    document = {
        "benchmark": name,
        "floor": baseline,
        "at": datetime.now(UTC).isoformat(),
        "commit": _current_commit(),
        "machine": machine,
        "seed": random_seed,
        "rows": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False, indent=1))
