"""Engines and tasks for the pool's tests; importable by spawned processes."""

import os
import threading
from pathlib import Path

from biometrics.engines.base import EngineSet
from biometrics.engines.test_pattern import PatternEngine
from biometrics.errors import EngineUnavailable


def pattern_engines() -> EngineSet:
    return EngineSet([PatternEngine()])


def no_engines() -> EngineSet:
    raise EngineUnavailable(engine="none/0", reason="for a test")


def dying_factory() -> EngineSet:
    os._exit(3)


def process_id(engines: EngineSet) -> int:
    assert engines.infos()
    return os.getpid()


def die(engines: EngineSet) -> None:
    os._exit(9)


def dying_once_started(marker: Path) -> EngineSet:
    """Starts, does not start again once, and then starts for ever."""
    starts = len(marker.read_text()) if marker.exists() else 0
    marker.write_text("x" * (starts + 1))
    return dying_factory() if starts == 1 else pattern_engines()


def hoard(engines: EngineSet, mib: int) -> int:
    return len(bytearray(mib * 2**20))


def count(engines: EngineSet, tally: Path) -> None:
    """Leaves a mark for each run, and is stuck."""
    with tally.open("a") as file:
        file.write(f"{os.getpid()}\n")
    hang(engines)


def length(engines: EngineSet, data: bytes) -> int:
    return len(data)


def hang(engines: EngineSet) -> None:
    threading.Event().wait()


def die_once(engines: EngineSet, marker: Path) -> int:
    """Dies in the first process that runs it, answers in the second."""
    if not marker.exists():
        marker.write_text(str(os.getpid()))
        os._exit(9)
    return os.getpid()


def fail(engines: EngineSet) -> None:
    raise EngineUnavailable(engine="some/1", reason="asked to")


def answer_unpicklable(engines: EngineSet) -> object:
    return lambda: None
