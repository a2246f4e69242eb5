"""Validates a whole file with no transaction open, before its students are imported.

Valid rows are spooled to disk as JSON lines, so that a large file is parsed once and never held in memory.
"""

import asyncio
import hashlib
import multiprocessing
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from backend.core.errors import DomainError
from backend.exchange.roster.errors import RosterTooLarge
from backend.exchange.roster.reader import no_progress, read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.summary import SHOWN, RosterSummary
from backend.exchange.roster.xlsx_reader import Progress

READING_MEMORY = 2 * 2**30
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
    """Run `validate_roster` in a child process with a memory limit.

    Parsing a workbook builds a tree of every row, and a hostile row may be as large as the unpacked archive; only a
    limit of the process bounds that. The child also keeps the CPU load out of the server process.
    """
    return await asyncio.to_thread(_validate_in_child, path, spool, today, shown)


def _validate_in_child(
    path: Path, spool: Path, today: date, shown: int, memory: int = READING_MEMORY
) -> ValidatedRoster:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as child:
        try:
            outcome = child.submit(_validate_with_memory_limit, path, spool, today, shown, memory).result()
        except BrokenProcessPool as error:
            raise _TOO_MUCH_MEMORY from error
    if isinstance(outcome, ValidatedRoster):
        return outcome
    error_type, params = outcome
    raise error_type(**params)


_TOO_MUCH_MEMORY = RosterTooLarge(what_zh="读取所需内存过多", what_en="reading it takes too much memory")


def _validate_with_memory_limit(
    path: Path, spool: Path, today: date, shown: int, memory: int
) -> ValidatedRoster | tuple[type[DomainError], dict[str, Any]]:
    """Errors are returned as values, because exceptions with keyword arguments cannot be unpickled."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        return validate_roster(path, spool, today=today, shown=shown)
    except DomainError as error:
        return type(error), error.params
    except MemoryError:
        return RosterTooLarge, _TOO_MUCH_MEMORY.params
