"""The command line finds sub-commands by name, and earlier names still work without being listed."""

import json
import sys

import pytest

from backend import cli


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
