"""Keys: bound to their context, versioned, never overwritten."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from backend.core.keys import (
    KeyRing,
    VersionInUse,
    add_version,
    complete_key_file,
    create_key_file,
    remove_version,
)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    path = tmp_path_factory.mktemp("ring") / "keys.json"
    create_key_file(path)
    return KeyRing.load(path)


@given(plain=st.binary(max_size=200), context=st.binary(max_size=40))
def test_what_was_encrypted_opens_in_its_own_context_only(
    ring: KeyRing, plain: bytes, context: bytes
) -> None:
    sealed = ring.encrypt("identifier", plain, context)
    assert ring.decrypt("identifier", sealed, context) == plain
    with pytest.raises(InvalidTag):
        ring.decrypt("identifier", sealed, context + b"x")
    with pytest.raises(InvalidTag):
        ring.decrypt("identifier", sealed[:-1] + bytes([sealed[-1] ^ 1]), context)


def test_old_versions_still_open_after_a_new_one_became_current(ring: KeyRing) -> None:
    sealed = ring.encrypt("identifier", b"41", b"row")
    rotated = replace(
        ring,
        current=ring.current | {"identifier": "2"},
        secrets=ring.secrets | {("identifier", "2"): b"n" * 32},
    )
    assert rotated.decrypt("identifier", sealed, b"row") == b"41"
    assert rotated.encrypt("identifier", b"41", b"row").startswith(b"2\0")


def test_the_blind_index_ignores_case_and_space_and_differs_between_deployments(
    ring: KeyRing, tmp_path: Path
) -> None:
    other = tmp_path / "keys.json"
    create_key_file(other)
    index = ring.blind_index("11010519491231002X")
    assert index == ring.blind_index(" 11010519491231002x ")
    assert index != KeyRing.load(other).blind_index("11010519491231002X")


def test_a_key_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_key_file(path)


def test_an_older_file_gets_the_keys_that_it_lacks_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    document = json.loads(path.read_text())
    del document["health"]
    path.write_text(json.dumps(document))
    assert complete_key_file(path) == ("health",)
    assert complete_key_file(path) == ()
    completed = json.loads(path.read_text())
    assert completed.pop("health")["current"] == "1"
    assert completed == document
    assert path.stat().st_mode & 0o777 == 0o600
    assert KeyRing.load(path).secret("health")


def test_a_new_version_becomes_current_beside_the_old_ones_in_a_file_that_stays_private(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    before = json.loads(path.read_text())
    assert (add_version(path, "template-root"), add_version(path, "template-root")) == ("2", "3")
    after = json.loads(path.read_text())
    root = after.pop("template-root")
    assert root["current"] == "3"
    assert root["1"] == before.pop("template-root")["1"]
    assert len(set(root.values())) == 4
    assert after == before
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_a_version_is_removed_for_good_unless_it_is_the_current_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    add_version(path, "template-root")
    for current in ("2", "current"):
        with pytest.raises(VersionInUse):
            remove_version(path, "template-root", current)
    with pytest.raises(KeyError):
        remove_version(path, "template-root", "7")
    remove_version(path, "template-root", "1")
    assert set(json.loads(path.read_text())["template-root"]) == {"current", "2"}
    assert add_version(path, "template-root") == "3"


def test_what_was_left_of_a_change_that_was_cut_off_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    (tmp_path / ".keys.json.new").write_text("{ half")
    assert add_version(path, "template-root") == "2"


def test_changes_of_several_at_once_lose_no_version(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: add_version(path, "template-root"), range(12)))
    assert sorted(map(int, names)) == list(range(2, 14))
    assert set(json.loads(path.read_text())["template-root"]) == {"current", "1", *names}


def test_a_ring_finds_versions_that_were_added_after_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    ring = KeyRing.load(path)
    add_version(path, "template-root")
    assert len(ring.version("template-root", "2")) == 32
    assert ring.current["template-root"] == "2"
    with pytest.raises(KeyError):
        ring.version("template-root", "3")


def test_a_ring_without_a_file_finds_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    ring = KeyRing.parse(json.loads(path.read_text()))
    with pytest.raises(KeyError):
        ring.version("template-root", "2")
