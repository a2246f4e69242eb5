"""Starts the house's processes by forking: everything is imported once, so that a killed one is back in a second.

A child is what `dianming serve`, `worker` or `gateway` is, with a process id, session and log of its own. One JSON
object a line on stdin asks for a start; each start and each end is told by one on stdout.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from biometrics.engines.base import EngineSet

COMMANDS = {
    "serve": "backend.commands.deployment.serve_command",
    "worker": "backend.commands.deployment.worker_command",
    "gateway": "backend.commands.deployment.gateway_command",
}
LOOK_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


def only_patterns(**_settings: Any) -> "EngineSet":
    """The test engine alone: the models of the shipped one would take most of a worker's start, and nobody shows a face."""
    from biometrics.engines.base import EngineSet  # noqa: PLC0415
    from biometrics.engines.test_pattern import PatternEngine  # noqa: PLC0415

    return EngineSet([PatternEngine()])


def _import_all() -> None:
    from backend import worker  # noqa: PLC0415
    from backend.app import MOBILE_ROUTERS, STAFF_ROUTERS  # noqa: PLC0415 - a face process imports this module too
    from biometrics.engines import registry as admitted  # noqa: PLC0415

    for name in (*COMMANDS.values(), *MOBILE_ROUTERS, *STAFF_ROUTERS):
        importlib.import_module(name)
    worker.load_jobs()
    admitted.face_engines = only_patterns


def _become(order: dict[str, Any]) -> NoReturn:
    """In the child: the command as the console script runs it."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(order["environment"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((empty, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    status = 1
    arguments = order["arguments"]
    if "clock_file" in arguments:
        arguments["clock_file"] = Path(arguments["clock_file"])
    try:
        importlib.import_module(COMMANDS[order["command"]]).command(**arguments)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever ended it stands in its log
        import traceback  # noqa: PLC0415

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(ended=pid, status=os.waitstatus_to_exitcode(status))


def main() -> None:
    """Serve orders until stdin ends; the children end with us."""
    _import_all()
    _tell(ready=True)
    buffer = b""
    while True:
        readable, _, _ = select.select([0], [], [], LOOK_SECONDS)
        if readable:
            data = os.read(0, 1 << 16)
            if not data:
                return
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    _become(order)
                _tell(started=pid, name=order["name"])
        _reap()


if __name__ == "__main__":
    main()
