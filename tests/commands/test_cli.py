"""The command line finds sub-commands by name, and earlier names still work without being listed."""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend import cli
from backend.commands.deployment import clock_command, env_command
from backend.core.clock import now
from backend.devstack.supervisor import settings_file
from backend.settings import get_settings


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["dianming", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_flow_is_an_alias_of_events(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for name in ("flow", "events"):
        assert run(monkeypatch, name, "--json") == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0] == results[1]


def test_help_lists_commands_without_their_aliases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    commands = {line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("│ ")}
    assert set(cli.SUBCOMMANDS) <= commands
    assert commands.isdisjoint(cli.HIDDEN_ALIASES)


def test_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"dianming {version('dianming')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "verify"),
        ("audit", "seal"),
        ("explain", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ("face", "plan"),
        ("progress", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ("retention", "run"),
        ("terms", "list"),
        ("clock", "show"),
    ],
)
def test_missing_settings_are_a_json_error_with_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    for name in list(os.environ):
        if name.startswith("DIANMING_"):
            monkeypatch.delenv(name)
    get_settings.cache_clear()
    assert run(monkeypatch, *arguments, "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] in {"settings_missing", "usage"}
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("geo", "decide", "--site", "{none}", "--fix", "113,34,10"), "site_unreadable"),
        (("geo", "decide", "--site", "{folder}", "--fix", "113,34,10"), "site_unreadable"),
        (("geo", "decide", "--site", "{text}", "--fix", "113,34,10"), "site_invalid"),
        (("law", "check", "{none}"), "case_file_unreadable"),
        (("roster", "import", "{none}", "--dry-run"), "roster_missing"),
        (("face", "compare", "{none}", "{none}"), "file_unreadable"),
    ],
)
def test_messages_have_no_words_of_python_or_the_system(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: str,
) -> None:
    (tmp_path / "site.json").write_text("not json", encoding="utf-8")
    paths = {"none": tmp_path / "none.csv", "folder": tmp_path, "text": tmp_path / "site.json"}
    assert run(monkeypatch, *(each.format(**paths) for each in arguments), "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == code
    for leak in ("Errno", "Expecting value", "codec", "Traceback", "No such file or directory"):
        assert leak not in error["message"]


def test_env_prints_the_settings_of_a_running_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(env_command, "policies_directory", lambda: tmp_path / "policies")
    (tmp_path / ".local").mkdir()
    with settings_file(tmp_path, {"DIANMING_PUBLIC_URL": "http://x y", "HOME": "/"}):
        assert (tmp_path / env_command.RUN_SETTINGS).stat().st_mode & 0o077 == 0
        assert run(monkeypatch, "env") == 0
        assert capsys.readouterr().out == "export DIANMING_PUBLIC_URL='http://x y'\n"
    assert run(monkeypatch, "env", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "not_running"


def test_clock_moves_gradually(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("backend.commands.deployment.clock_command.time.sleep", pauses.append)
    path = tmp_path / "clock"
    settings = SimpleNamespace(clock_file=path)
    monkeypatch.setattr(clock_command, "get_settings", lambda: settings)
    monkeypatch.setattr(clock_command, "settings_clock", lambda _: now)
    assert run(monkeypatch, "clock", "advance", "120", "--gradual") == 0
    assert float(path.read_text()) == 120
    assert len(pauses) == 2
    assert capsys.readouterr().out


def test_small_roster_has_full_time_students(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "roster.csv"
    arguments = ("roster", "generate", str(out), "--students", "24", "--seed", "77", "--format", "csv-utf8")
    assert run(monkeypatch, *arguments) == 0
    assert out.read_text(encoding="utf-8-sig").count(",全日制,") == 24
