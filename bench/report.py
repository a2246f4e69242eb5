"""A table for people and a JSON file for machines, with where and on what the figures were measured."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


class Stolen:
    """The share of this machine's processor time, while it worked or wanted to, that its host gave to other machines.

    Where it is not next to nothing, latencies tell of the host; ratios of one run tell of the product still.
    """

    def __init__(self) -> None:
        self._before = self._ticks()

    @staticmethod
    def _ticks() -> tuple[int, int]:
        user, nice, system, _, _, irq, softirq, stolen = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        )
        return stolen, user + nice + system + irq + softirq + stolen

    def share(self) -> float:
        """Since this was made, or since it was asked last."""
        now = self._ticks()
        (stolen, all_), self._before = (new - old for new, old in zip(now, self._before, strict=True)), now
        return round(stolen / max(all_, 1), 3)


_STOLEN = Stolen()


def seed(default: int) -> int:
    """What a benchmark draws its chances from: `make bench ARGS="--seed N …"`, or its own."""
    return int(os.environ.get("DIANMING_BENCH_SEED", default))


def publish(name: str, floor: str, rows: list[dict[str, Any]], drawn_from: int | None = None) -> None:
    """Print `rows` under the benchmark's name with its stated floor, and write bench/results/NAME.json.

    `drawn_from` is the seed; None where nothing is drawn.
    """
    table = Table(title=f"{name}  (floor: {floor})")
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
        "floor": floor,
        "at": datetime.now(UTC).isoformat(),
        "commit": _commit(),
        "machine": machine,
        "seed": drawn_from,
        "rows": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False, indent=1))
