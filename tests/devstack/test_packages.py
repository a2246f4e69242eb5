"""Finding and installing missing Debian packages."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devstack import packages
from backend.devstack.errors import PackagesMissing, PackagesNotInstalled, UnknownSystem
from backend.devstack.packages import (
    FALLBACK_POSTGIS,
    INSTALL_SCRIPT,
    Machine,
    apt_lists_are_empty,
    install_command,
    manual_install_command,
    missing_packages,
    postgis_package,
    postgis_versions,
)

COMPLETE = Machine(
    postgis_versions=(15,),
    postgres_versions=(15,),
    redis="/usr/bin/redis-server",
    nginx="/usr/sbin/nginx",
    has_ensurepip=True,
)
BARE = Machine(postgis_versions=(), postgres_versions=(), redis=None, nginx=None, has_ensurepip=False)


def test_complete_machine_has_no_missing_packages() -> None:
    assert missing_packages(COMPLETE, (), needs_venv=True) == ()


def test_bare_machine_misses_postgis_redis_nginx_and_venv() -> None:
    assert missing_packages(BARE, ["postgresql-15-postgis-3"], needs_venv=True) == (
        "postgresql-15-postgis-3",
        "redis-server",
        "nginx-light",
        "python3-venv",
    )


def test_venv_package_is_only_required_to_create_an_environment() -> None:
    assert missing_packages(replace(COMPLETE, has_ensurepip=False), (), needs_venv=False) == ()


def test_installed_server_gets_the_postgis_of_its_version() -> None:
    offered = ["postgresql-15-postgis-3", "postgresql-17-postgis-3", "postgresql-17-postgis-3-scripts"]
    assert postgis_package(offered, installed_servers=[15]) == "postgresql-15-postgis-3"
    assert postgis_package(offered, installed_servers=[]) == "postgresql-17-postgis-3"


def test_unsupported_postgis_version_is_never_chosen() -> None:
    assert postgis_package(["postgresql-13-postgis-3"], installed_servers=[13]) == FALLBACK_POSTGIS


@given(st.sets(st.integers(9, 30)), st.sets(st.integers(9, 30)))
def test_chosen_package_is_the_newest_available_match(offered: set[int], servers: set[int]) -> None:
    chosen = postgis_package([f"postgresql-{v}-postgis-3" for v in offered], servers)
    usable = {v for v in offered if v >= 15}
    preferred = usable & servers or usable
    expected = f"postgresql-{max(preferred)}-postgis-3" if preferred else FALLBACK_POSTGIS
    assert chosen == expected


def test_only_servers_with_postgis_from_version_15_count(tmp_path: Path) -> None:
    for version in (13, 15, 16):
        (tmp_path / "lib" / str(version) / "bin").mkdir(parents=True)
        (tmp_path / "lib" / str(version) / "bin" / "initdb").touch()
    for version in (13, 16):
        (tmp_path / "share" / str(version) / "extension").mkdir(parents=True)
        (tmp_path / "share" / str(version) / "extension" / "postgis.control").touch()
    assert postgis_versions(tmp_path / "lib", tmp_path / "share") == (16,)


def test_error_without_privileges_names_the_command_in_both_languages() -> None:
    with pytest.raises(PackagesMissing) as refused:
        install_command(("redis-server", "python3-venv"), prefix=None, update=True)
    command = (
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends redis-server python3-venv"
    )
    assert refused.value.sentence("zh").count(command) == 1
    assert refused.value.sentence("en").count(command) == 1
    assert len(refused.value.terminal_text().splitlines()) == 3


def test_manual_command_for_root_has_no_sudo() -> None:
    assert "sudo" not in manual_install_command(["redis-server"], as_root=True)


def test_with_sudo_the_script_runs_once_under_it() -> None:
    command = install_command(("redis-server",), ("sudo", "-n"), update=True)
    assert command == ["sudo", "-n", "sh", "-c", INSTALL_SCRIPT, "install", "update", "redis-server"]


def test_fresh_image_has_no_package_lists(tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    assert apt_lists_are_empty(tmp_path)
    (tmp_path / "deb.debian.org_dists_bookworm_main_binary-amd64_Packages.lz4").touch()
    assert not apt_lists_are_empty(tmp_path)


def test_install_script_is_valid_shell() -> None:
    checked = subprocess.run(["sh", "-n", "-c", INSTALL_SCRIPT], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_error_without_apt_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "inspect_machine", lambda: BARE)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(UnknownSystem, match=r"postgresql-15-postgis-3 redis-server"):
        packages.ensure_packages(needs_venv=False)


def test_install_fails_if_packages_are_still_missing_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packages, "inspect_machine", lambda: BARE)
    monkeypatch.setattr(packages, "privilege_prefix", lambda: ("true",))
    monkeypatch.setattr(packages, "available_packages", frozenset)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(PackagesNotInstalled):
        packages.ensure_packages(needs_venv=False)
