"""`with_stack` passes the service addresses to a command and returns its exit code."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.devstack.services import Stack
from backend.devstack.with_stack import main, run_with

STACK = Stack(Path("/x/sock"), Path("/x/sock/redis.sock"), Path("/usr/lib/postgresql/15/bin"))


@pytest.mark.parametrize("status", [0, 1, 5])
def test_exit_code_of_the_command_is_returned(status: int) -> None:
    assert run_with(STACK, ["sh", "-c", f"exit {status}"]) == status


def test_command_gets_the_service_addresses(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_with(STACK, ["sh", "-c", "echo $DIANMING_TEST_REDIS_URL; echo $DIANMING_TEST_APP_DSN"]) == 0
    assert capfd.readouterr().out.splitlines() == [STACK.redis_url, STACK.app_dsn]


def test_programs_of_the_virtual_environment_come_first(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_with(STACK, ["sh", "-c", "command -v pytest"]) == 0
    assert capfd.readouterr().out.strip() == str(Path(sys.executable).parent / "pytest")


def test_sigterm_also_ends_the_command(tmp_path: Path) -> None:
    code = (
        "from backend.devstack import with_stack as w; from tests.devstack.test_with_stack import STACK\n"
        "raise SystemExit(w.run_with(STACK, ['sh', '-c', 'echo $$; exec sleep 600']))"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert not Path(f"/proc/{pid}/exe").exists()


def test_unknown_purpose_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["--purpose", "production", "--", "true"])
    assert exit_info.value.code == 2
    assert "production" in capsys.readouterr().err
