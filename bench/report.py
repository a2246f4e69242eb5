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


def publish(name: str, floor: str, rows: list[dict[str, Any]]) -> None:
    """Print `rows` under the benchmark's name with its stated floor, and write bench/results/NAME.json."""
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
    }
    document = {
        "benchmark": name,
        "floor": floor,
        "at": datetime.now(UTC).isoformat(),
        "commit": _commit(),
        "machine": machine,
        "rows": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False, indent=1))
