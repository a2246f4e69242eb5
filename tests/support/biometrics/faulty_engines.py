"""Engines and tasks for tests of the pool. Spawned processes must be able to import them."""

import os
import threading
from pathlib import Path

from biometrics.engines.base import EngineSet
from biometrics.engines.test_pattern import PatternEngine
from biometrics.errors import EngineUnavailable


def pattern_engines() -> EngineSet:
    return EngineSet([PatternEngine()])


def unavailable_engines() -> EngineSet:
    raise EngineUnavailable(engine="none/0", reason="for a test")


def crashing_factory() -> EngineSet:
    os._exit(3)


def process_id(engines: EngineSet) -> int:
    assert engines.infos()
    return os.getpid()


def read_environment(engines: EngineSet, name: str) -> str | None:
    assert engines.infos()
    return os.environ.get(name)


def crash(engines: EngineSet) -> None:
    os._exit(9)


def crash_on_second_start(marker: Path) -> EngineSet:
    """Start at the first call, crash at the second, and start at all later ones."""
    starts = len(marker.read_text()) if marker.exists() else 0
    marker.write_text("x" * (starts + 1))
    return crashing_factory() if starts == 1 else pattern_engines()


def allocate(engines: EngineSet, mib: int) -> int:
    return len(bytearray(mib * 2**20))


def record_run_and_hang(engines: EngineSet, tally: Path) -> None:
    """Record the run and hang."""
    with tally.open("a") as file:
        file.write(f"{os.getpid()}\n")
    hang(engines)


def data_length(engines: EngineSet, data: bytes) -> int:
    return len(data)


def hang(engines: EngineSet) -> None:
    threading.Event().wait()


def crash_once(engines: EngineSet, marker: Path) -> int:
    """Crash in the first process, return in the second."""
    if not marker.exists():
        marker.write_text(str(os.getpid()))
        os._exit(9)
    return os.getpid()


def fail(engines: EngineSet) -> None:
    raise EngineUnavailable(engine="some/1", reason="asked to")


def return_unpicklable(engines: EngineSet) -> object:
    return lambda: None
