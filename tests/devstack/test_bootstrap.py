"""From nothing to an environment, and nothing at all the second time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.devstack import bootstrap
from backend.devstack.bootstrap import environment_is_current, fingerprint, main, supported, uv_version
from backend.devstack.errors import EnvironmentNotMade, NoSuitablePython

ROOT = Path(__file__).resolve().parents[2]
STDLIB_ONLY = ("bootstrap", "clean", "packages", "paths", "postgres", "redis_server", "services", "processes")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "uv.lock").write_text("version = 1\n")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").touch()
    (programs / "dianming").touch()
    (tmp_path / ".venv" / "dianming.stamp").write_text(fingerprint(tmp_path, "/usr/bin/python3"))
    return tmp_path


def test_an_environment_made_from_todays_lock_file_is_current(project: Path) -> None:
    assert environment_is_current(project, "/usr/bin/python3")


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_a_changed_lock_file_or_project_makes_it_stale(project: Path, name: str) -> None:
    (project / name).write_text("changed\n")
    assert not environment_is_current(project, "/usr/bin/python3")


def test_another_interpreter_makes_it_stale(project: Path) -> None:
    assert not environment_is_current(project, "/usr/bin/python3.12")


@pytest.mark.parametrize("name", ["bin/dianming", "bin/python", "dianming.stamp"])
def test_an_interrupted_making_is_stale(project: Path, name: str) -> None:
    (project / ".venv" / name).unlink()
    assert not environment_is_current(project, "/usr/bin/python3")


def test_a_failed_sync_leaves_no_stamp(project: Path) -> None:
    with pytest.raises(EnvironmentNotMade):
        bootstrap.make_environment(project, uv="false", python="/usr/bin/python3")
    assert not environment_is_current(project, "/usr/bin/python3")


def test_a_finished_sync_is_stamped(project: Path) -> None:
    (project / "uv.lock").write_text("changed\n")
    bootstrap.make_environment(project, uv="true", python="/usr/bin/python3")
    assert environment_is_current(project, "/usr/bin/python3")


def test_a_current_environment_needs_neither_uv_nor_venv(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(bootstrap, "choose_python", lambda: "/usr/bin/python3")
    monkeypatch.setattr(bootstrap, "ensure_packages", lambda *, needs_venv: asked.append(needs_venv))
    monkeypatch.setattr(bootstrap, "run_step", lambda *_: pytest.fail("ran a step"))
    bootstrap.setup(project)
    assert asked == [False]


@pytest.mark.parametrize(
    ("version", "good"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_the_interpreter_must_be_one_the_lock_file_was_resolved_for(
    version: tuple[int, int], good: bool
) -> None:
    assert supported(version) is good


def test_without_a_supported_interpreter_the_refusal_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bootstrap, "supported", lambda _version: False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoSuitablePython, match=r"3\.11, 3\.12 or 3\.13"):
        bootstrap.choose_python()


def test_uv_versions_compare_as_numbers() -> None:
    assert uv_version("uv 0.13.8 (abc 2026-01-01)") == (0, 13, 8)
    assert uv_version("uv 0.9.30") < bootstrap.OLDEST_UV <= uv_version("uv 0.13.0")
    assert uv_version("nonsense") == ()


def test_too_old_a_uv_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "uv"
    old.write_text("#!/bin/sh\necho uv 0.9.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert bootstrap.find_uv(tmp_path) is None
    old.write_text("#!/bin/sh\necho uv 0.13.2\n")
    assert bootstrap.find_uv(tmp_path) == str(old)


def test_an_unknown_word_is_answered_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["destroy"]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("module", STDLIB_ONLY)
def test_what_runs_before_the_environment_exists_imports_the_standard_library_only(module: str) -> None:
    code = f"import sys; sys.path.insert(0, {os.fspath(ROOT)!r}); import backend.devstack.{module}"
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
