"""Run one command while the private services are up; end with its exit code.

    python -m backend.devstack.with_stack [--purpose test] -- pytest -n 2

The command learns of the services from DIANMING_TEST_* (see `Stack.test_environment`).
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn, get_args

from backend.devstack.errors import LocalRefusal
from backend.devstack.paths import Purpose
from backend.devstack.services import Stack, running_stack

ENDED_BY_SIGNAL = 128
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(ENDED_BY_SIGNAL + number)


def run_with(stack: Stack, command: list[str]) -> int:
    """The command's exit code. Signals are passed on to it, and we wait for its end before the services go."""
    told = 0
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = number
        heard_itself = number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty()
        if process is not None and not heard_itself:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        process = subprocess.Popen(command, env={**os.environ, **stack.test_environment(), "PATH": path})
        if told:  # it came while the command was being started
            process.send_signal(told)
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return (
        ENDED_BY_SIGNAL + told
        if told and told != signal.SIGINT
        else status
        if status >= 0
        else ENDED_BY_SIGNAL - status
    )


def main(words: list[str]) -> int:
    """Services up, command, services down."""
    parser = argparse.ArgumentParser(prog="with_stack")
    parser.add_argument("--purpose", choices=get_args(Purpose), default="test")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args(words)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, _terminate)
    root = Path(__file__).resolve().parents[2]
    try:
        with running_stack(root, asked.purpose) as stack:
            return run_with(stack, asked.command)
    except LocalRefusal as refusal:
        print(refusal.lines(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
