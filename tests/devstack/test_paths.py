"""Socket paths are short enough, directories are private, and an inaccessible checkout stores its data outside."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devstack.errors import DataOfAnotherUser, UnsafeDirectory
from backend.devstack.paths import (
    LONGEST_SOCKET_NAME,
    MAX_SOCKET_PATH,
    ServiceUser,
    checkout_id,
    choose_socket_directory,
    find_service_user,
    make_private_directory,
    prepare_location,
    user_can_write,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def current_user() -> ServiceUser:
    return ServiceUser("current", os.geteuid(), os.getegid())


def test_sockets_are_in_the_data_directory_if_its_path_is_short() -> None:
    assert choose_socket_directory(Path("/srv/d/.local/run"), Path("/srv/d"), "run") == Path(
        "/srv/d/.local/run/sock"
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=150))
def test_socket_path_always_fits_the_address(name: str) -> None:
    root = Path("/srv") / name
    directory = choose_socket_directory(root / ".local" / "test", root, "test")
    assert len(os.fsencode(directory / LONGEST_SOCKET_NAME)) < MAX_SOCKET_PATH


def test_checkouts_and_purposes_never_share_a_short_directory() -> None:
    deep = [Path("/srv") / ("x" * 120) / name for name in ("a", "b")]
    names = {choose_socket_directory(root / ".local" / p, root, p) for root in deep for p in ("run", "test")}
    assert len(names) == 4


def test_private_directory_is_closed_to_others(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "sock", current_user())
    assert (tmp_path / "sock").stat().st_mode & 0o777 == 0o700


def test_symbolic_link_as_socket_directory_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeDirectory):
        make_private_directory(tmp_path / "sock", current_user())


@as_root
def test_directory_of_another_user_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "sock").mkdir()
    os.chown(tmp_path / "sock", 12345, 12345)
    with pytest.raises(DataOfAnotherUser, match="12345"):
        make_private_directory(tmp_path / "sock", current_user())


@as_root
def test_root_does_not_run_the_services_as_root() -> None:
    assert find_service_user().uid != 0


@as_root
def test_inaccessible_checkout_stores_data_outside_and_prints_the_path(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed, system_data = checkout / "closed", checkout / "var"
    closed.mkdir(mode=0o700)
    location = prepare_location(closed, "test", system_data=system_data)
    assert location.data == system_data / checkout_id(closed) / "test"
    assert user_can_write(location.data, location.user)
    assert user_can_write(location.sockets, location.user)
    assert not (closed / ".local" / "test").exists()
    assert str(location.data) in capsys.readouterr().out


def test_accessible_checkout_stores_its_data_inside(checkout: Path) -> None:
    location = prepare_location(checkout, "run", system_data=checkout / "var")
    assert location.data == checkout / ".local" / "run"
    assert user_can_write(location.sockets, location.user)
