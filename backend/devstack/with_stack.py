"""Runs one command with PostgreSQL and Redis started, and exits with its status.

    python -m backend.devstack.with_stack [--purpose test] -- pytest -n 2

The command finds the services through the variables DIANMING_TEST_* (see `Stack.test_environment`).
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn, get_args

from backend.devstack.errors import DevstackError
from backend.devstack.paths import Purpose
from backend.devstack.services import Stack, running_stack

ENDED_BY_SIGNAL = 128
FORWARDED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(ENDED_BY_SIGNAL + number)


def run_with(stack: Stack, command: list[str]) -> int:
    """Run the command and return its exit code. Forwards signals to it, so that it ends before the services stop."""
    signal_received = 0
    process: subprocess.Popen[bytes] | None = None

    def forward(number: int, _frame: FrameType | None) -> None:
        nonlocal signal_received
        signal_received = number
        sent_by_terminal = number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty()
        if process is not None and not sent_by_terminal:
            process.send_signal(number)

    previous_handlers = {number: signal.signal(number, forward) for number in FORWARDED_SIGNALS}
    try:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        process = subprocess.Popen(command, env={**os.environ, **stack.test_environment(), "PATH": path})
        if signal_received:  # it arrived before the process existed
            process.send_signal(signal_received)
        status = process.wait()
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
    return (
        ENDED_BY_SIGNAL + signal_received
        if signal_received and signal_received != signal.SIGINT
        else status
        if status >= 0
        else ENDED_BY_SIGNAL - status
    )


def main(argv: list[str]) -> int:
    """Start the services, run the command, stop the services."""
    parser = argparse.ArgumentParser(prog="with_stack")
    parser.add_argument("--purpose", choices=get_args(Purpose), default="test")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, _terminate)
    root = Path(__file__).resolve().parents[2]
    try:
        with running_stack(root, arguments.purpose) as stack:
            return run_with(stack, arguments.command)
    except DevstackError as error:
        print(error.terminal_text(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
