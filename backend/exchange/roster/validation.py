"""Validates a whole file with no transaction open, before its students are imported.

Valid rows are spooled to disk as JSON lines, so that a large file is parsed once and never held in memory.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from backend.exchange.child_process import run_in_child_process
from backend.exchange.roster.reader import no_progress, read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.summary import SHOWN, RosterSummary
from backend.exchange.roster.xlsx_reader import Progress

MEMORY_LIMIT = 2 * 2**30
"""Memory limit in bytes for reading one upload; 200,000 rows take about an eighth of it."""

_ROW = TypeAdapter(RosterRow)


@dataclass(frozen=True, slots=True)
class ValidatedRoster:
    """A validated file: its summary, its SHA-256 in hexadecimal, and the spool file with its valid rows."""

    summary: RosterSummary
    sha256: str
    spool: Path

    def rows(self) -> Iterator[RosterRow]:
        """The valid rows, in the order of the file."""
        with self.spool.open("rb") as lines:
            for line in lines:
                yield _ROW.validate_json(line)


def validate_roster(
    path: Path, spool: Path, *, today: date, shown: int = SHOWN, progress: Progress = no_progress
) -> ValidatedRoster:
    """Read `path` and write its valid rows to `spool`. Raises what `read_roster` raises.

    The spool holds ID numbers in plain text: the caller creates it in a private directory and deletes it.
    """
    summary = RosterSummary(shown=shown)
    with spool.open("wb") as lines:
        for item in read_roster(path, today=today, progress=progress):
            summary.add(item)
            if isinstance(item, RosterRow):
                lines.write(_ROW.dump_json(item) + b"\n")
    with path.open("rb") as stream:
        return ValidatedRoster(summary, hashlib.file_digest(stream, "sha256").hexdigest(), spool)


async def validate_upload(path: Path, spool: Path, *, today: date, shown: int = SHOWN) -> ValidatedRoster:
    """Run `validate_roster` in a child process with a memory limit."""
    validate = partial(validate_roster, path, spool, today=today, shown=shown)
    return await run_in_child_process(validate, MEMORY_LIMIT)
