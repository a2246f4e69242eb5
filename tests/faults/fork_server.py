"""Starts the deployment's processes by forking. All modules are imported once, so a restart takes less than a second.

Each child runs `dianming serve`, `worker` or `gateway` with its own process id, session and log. A start request is one
JSON object per line on stdin; each start and each exit is reported by one on stdout.
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
POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


def pattern_engine_only(**_settings: Any) -> "EngineSet":
    """Return only the test engine. Loading the models of the real engine would dominate the start of a worker."""
    from biometrics.engines.base import EngineSet  # noqa: PLC0415
    from biometrics.engines.test_pattern import PatternEngine  # noqa: PLC0415

    return EngineSet([PatternEngine()])


def _import_all() -> None:
    from backend import worker  # noqa: PLC0415
    from backend.app import MOBILE_ROUTERS, STAFF_ROUTERS  # noqa: PLC0415 - a face process imports this module too
    from biometrics.engines import registry as engine_registry  # noqa: PLC0415

    for name in (*COMMANDS.values(), *MOBILE_ROUTERS, *STAFF_ROUTERS):
        importlib.import_module(name)
    worker.load_tasks()
    engine_registry.load_face_engines = pattern_engine_only


def _run_child(request: dict[str, Any]) -> NoReturn:
    """In the child: run the command like the console script does."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(request["environment"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((empty, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    status = 1
    arguments = request["arguments"]
    if "clock_file" in arguments:
        arguments["clock_file"] = Path(arguments["clock_file"])
    try:
        importlib.import_module(COMMANDS[request["command"]]).command(**arguments)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the exception goes to the log
        import traceback  # noqa: PLC0415

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _send(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _send(ended=pid, status=os.waitstatus_to_exitcode(status))


def main() -> None:
    """Process start requests until stdin is closed. The children end with this process."""
    _import_all()
    _send(ready=True)
    buffer = b""
    while True:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS)
        if readable:
            data = os.read(0, 1 << 16)
            if not data:
                return
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    _run_child(request)
                _send(started=pid, name=request["name"])
        _reap()


if __name__ == "__main__":
    main()
