"""`make setup` creates the environment once and does nothing the second time."""

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


def test_environment_built_from_current_lock_file_is_current(project: Path) -> None:
    assert environment_is_current(project, "/usr/bin/python3")


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_changed_lock_file_or_project_makes_it_stale(project: Path, name: str) -> None:
    (project / name).write_text("changed\n")
    assert not environment_is_current(project, "/usr/bin/python3")


def test_another_interpreter_makes_it_stale(project: Path) -> None:
    assert not environment_is_current(project, "/usr/bin/python3.12")


@pytest.mark.parametrize("name", ["bin/dianming", "bin/python", "dianming.stamp"])
def test_incomplete_environment_is_stale(project: Path, name: str) -> None:
    (project / ".venv" / name).unlink()
    assert not environment_is_current(project, "/usr/bin/python3")


def test_failed_sync_leaves_no_stamp(project: Path) -> None:
    with pytest.raises(EnvironmentNotMade):
        bootstrap.create_environment(project, uv="false", python="/usr/bin/python3")
    assert not environment_is_current(project, "/usr/bin/python3")


def test_finished_sync_writes_the_stamp(project: Path) -> None:
    (project / "uv.lock").write_text("changed\n")
    bootstrap.create_environment(project, uv="true", python="/usr/bin/python3")
    assert environment_is_current(project, "/usr/bin/python3")


def test_current_environment_needs_neither_uv_nor_venv(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_venv_calls: list[bool] = []
    monkeypatch.setattr(bootstrap, "choose_python", lambda: "/usr/bin/python3")
    monkeypatch.setattr(
        bootstrap, "ensure_packages", lambda *, needs_venv: needs_venv_calls.append(needs_venv)
    )
    monkeypatch.setattr(bootstrap, "run_step", lambda *_: pytest.fail("ran a step"))
    bootstrap.setup(project)
    assert needs_venv_calls == [False]


@pytest.mark.parametrize(
    ("version", "is_supported"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_interpreter_must_be_supported_by_the_lock_file(version: tuple[int, int], is_supported: bool) -> None:
    assert supported(version) is is_supported


def test_missing_interpreter_error_names_the_versions_to_install(
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


def test_outdated_uv_on_the_path_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "uv"
    old.write_text("#!/bin/sh\necho uv 0.9.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert bootstrap.find_uv(tmp_path) is None
    old.write_text("#!/bin/sh\necho uv 0.13.2\n")
    assert bootstrap.find_uv(tmp_path) == str(old)


def test_unknown_argument_prints_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["destroy"]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("module", STDLIB_ONLY)
def test_bootstrap_modules_import_only_the_standard_library(module: str) -> None:
    code = f"import sys; sys.path.insert(0, {os.fspath(ROOT)!r}); import backend.devstack.{module}"
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
