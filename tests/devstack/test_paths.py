"""Sockets fit their addresses, directories are private, and an unreachable checkout gets another place."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devstack.errors import DataOfAnotherUser, UnsafeDirectory
from backend.devstack.paths import (
    LONGEST_SOCKET_NAME,
    ROOMY_SOCKET_PATH,
    Account,
    account_can_use,
    find_place,
    make_private,
    service_account,
    short_name,
    socket_directory,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def ourselves() -> Account:
    return Account("us", os.geteuid(), os.getegid())


def test_sockets_lie_beside_the_data_where_the_path_is_short() -> None:
    assert socket_directory(Path("/srv/d/.local/run"), Path("/srv/d"), "run") == Path(
        "/srv/d/.local/run/sock"
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=150))
def test_a_socket_path_always_fits_its_address(name: str) -> None:
    root = Path("/srv") / name
    directory = socket_directory(root / ".local" / "test", root, "test")
    assert len(os.fsencode(directory / LONGEST_SOCKET_NAME)) < ROOMY_SOCKET_PATH


def test_deep_checkouts_and_purposes_do_not_share_their_short_directory() -> None:
    deep = [Path("/srv") / ("x" * 120) / name for name in ("a", "b")]
    names = {socket_directory(root / ".local" / p, root, p) for root in deep for p in ("run", "test")}
    assert len(names) == 4


def test_a_private_directory_is_closed_to_others(tmp_path: Path) -> None:
    make_private(tmp_path / "sock", ourselves())
    assert (tmp_path / "sock").stat().st_mode & 0o777 == 0o700


def test_a_link_in_place_of_the_socket_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeDirectory):
        make_private(tmp_path / "sock", ourselves())


@as_root
def test_a_directory_of_a_stranger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sock").mkdir()
    os.chown(tmp_path / "sock", 12345, 12345)
    with pytest.raises(DataOfAnotherUser, match="12345"):
        make_private(tmp_path / "sock", ourselves())


@as_root
def test_root_never_runs_the_services_as_root() -> None:
    assert service_account().uid != 0


@as_root
def test_a_checkout_the_account_cannot_reach_keeps_its_data_outside_and_says_so(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed, system_data = checkout / "closed", checkout / "var"
    closed.mkdir(mode=0o700)
    place = find_place(closed, "test", system_data=system_data)
    assert place.data == system_data / short_name(closed) / "test"
    assert account_can_use(place.data, place.account)
    assert account_can_use(place.sockets, place.account)
    assert not (closed / ".local" / "test").exists()
    assert str(place.data) in capsys.readouterr().out


def test_a_checkout_the_account_can_reach_keeps_its_data_inside(checkout: Path) -> None:
    place = find_place(checkout, "run", system_data=checkout / "var")
    assert place.data == checkout / ".local" / "run"
    assert account_can_use(place.sockets, place.account)
