"""Logs do not mix with the output of commands."""

import pytest
import structlog

from backend.core.process.logging import configure_logging


@pytest.mark.parametrize("as_json", [True, False])
def test_logs_go_to_stderr_only(*, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    configure_logging(as_json=as_json)
    try:
        structlog.get_logger().info("something happened", items=1)
    finally:
        structlog.configure(**before)
    written = capsys.readouterr()
    assert written.out == ""
    assert "something happened" in written.err
