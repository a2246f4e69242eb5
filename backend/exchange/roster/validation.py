"""First a file is read to its end and judged, with no transaction open; then its students are entered.

Between the two the students wait on disk, one JSON line each, so that a large file is parsed once and never held.
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
from backend.exchange.roster.reader import quiet, read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.summary import SHOWN, RosterSummary
from backend.exchange.roster.xlsx_reader import Progress

READING_MEMORY = 2 * 2**30
"""Bytes that reading one upload may take; 200,000 rows take about an eighth of it."""

_ROW = TypeAdapter(RosterRow)


@dataclass(frozen=True, slots=True)
class CheckedRoster:
    """A file that was read: what is in it, its SHA-256 in hexadecimal, and its sound rows in a file beside it."""

    summary: RosterSummary
    sha256: str
    spool: Path

    def rows(self) -> Iterator[RosterRow]:
        """The rows without errors, in the order of the file."""
        with self.spool.open("rb") as lines:
            for line in lines:
                yield _ROW.validate_json(line)


def check_roster(
    path: Path, spool: Path, *, today: date, shown: int = SHOWN, progress: Progress = quiet
) -> CheckedRoster:
    """Read `path` to the end and leave its sound rows in `spool`, which holds ID numbers in the clear: the caller
    puts it into a directory that nobody else reads and removes it. Raises what `read_roster` raises.
    """
    summary = RosterSummary(shown=shown)
    with spool.open("wb") as lines:
        for item in read_roster(path, today=today, progress=progress):
            summary.add(item)
            if isinstance(item, RosterRow):
                lines.write(_ROW.dump_json(item) + b"\n")
    with path.open("rb") as stream:
        return CheckedRoster(summary, hashlib.file_digest(stream, "sha256").hexdigest(), spool)


async def check_upload(path: Path, spool: Path, *, today: date, shown: int = SHOWN) -> CheckedRoster:
    """`check_roster` in a process of its own, with a ceiling on its memory.

    Parsing a workbook builds a tree of every row, and a hostile row may be as long as the archive unpacks: only a
    ceiling bounds that. It also leaves this process its processor for the check-ins that arrive meanwhile.
    """
    return await asyncio.to_thread(_check_in_child, path, spool, today, shown)


def _check_in_child(
    path: Path, spool: Path, today: date, shown: int, memory: int = READING_MEMORY
) -> CheckedRoster:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as child:
        try:
            outcome = child.submit(_check_bounded, path, spool, today, shown, memory).result()
        except BrokenProcessPool as killed:
            raise _TOO_MUCH from killed
    if isinstance(outcome, CheckedRoster):
        return outcome
    refusal, params = outcome
    raise refusal(**params)


_TOO_MUCH = RosterTooLarge(what_zh="读取所需内存过多", what_en="reading it takes too much memory")


def _check_bounded(
    path: Path, spool: Path, today: date, shown: int, memory: int
) -> CheckedRoster | tuple[type[DomainError], dict[str, Any]]:
    """A refusal is returned as a value: an exception with named arguments does not survive pickling."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    ceiling = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    try:
        return check_roster(path, spool, today=today, shown=shown)
    except DomainError as refusal:
        return type(refusal), refusal.params
    except MemoryError:
        return RosterTooLarge, _TOO_MUCH.params
