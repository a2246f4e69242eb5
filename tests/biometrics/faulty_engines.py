"""Engines and tasks for the pool's tests; importable by spawned processes."""

import os
import threading
from pathlib import Path

from biometrics.engine import EngineSet
from biometrics.errors import EngineUnavailable
from biometrics.pattern_engine import PatternEngine


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
