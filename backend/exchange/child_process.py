"""Runs one function in a child process with a memory limit.

Parsing a workbook builds a tree of every row, and a hostile row may be as large as the unpacked archive. Only a memory
limit of the process bounds that. The child also keeps the CPU load out of the server process.
"""

import asyncio
import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from backend.core.errors import DomainError
from backend.exchange.roster.errors import RosterTooLarge

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error as a value, because exceptions with keyword arguments cannot be unpickled."""

    error_type: type[DomainError]
    params: dict[str, Any]


_TOO_MUCH_MEMORY = _Failure(
    RosterTooLarge, {"what_zh": "读取所需内存过多", "what_en": "reading it takes too much memory"}
)


async def run_in_child_process(function: Callable[[], T], memory_limit: int) -> T:
    """Call a picklable function in a child process that may allocate `memory_limit` bytes.

    Raises the `DomainError` of the function, and `RosterTooLarge` if it needs more memory.
    """
    return await asyncio.to_thread(_run_and_wait, function, memory_limit)


def _run_and_wait(function: Callable[[], T], memory_limit: int) -> T:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        try:
            result = pool.submit(_call_with_memory_limit, function, memory_limit).result()
        except BrokenProcessPool:
            result = _TOO_MUCH_MEMORY
    if isinstance(result, _Failure):
        raise result.error_type(**result.params)
    return result


def _call_with_memory_limit(function: Callable[[], T], memory_limit: int) -> T | _Failure:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + memory_limit
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        return function()
    except DomainError as error:
        return _Failure(type(error), error.params)
    except MemoryError:
        return _TOO_MUCH_MEMORY
