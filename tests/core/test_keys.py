"""Keys are bound to a context, versioned, and never overwritten."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from backend.core.app_context import AppContext
from backend.core.keys import (
    KeyRing,
    VersionInUse,
    add_version,
    complete_key_file,
    create_key_file,
    remove_version,
)
from backend.core.web.client import Client


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    path = tmp_path_factory.mktemp("ring") / "keys.json"
    create_key_file(path)
    return KeyRing.load(path)


@given(plain=st.binary(max_size=200), context=st.binary(max_size=40))
def test_decryption_needs_the_same_context(ring: KeyRing, plain: bytes, context: bytes) -> None:
    sealed = ring.encrypt("identifier", plain, context)
    assert ring.decrypt("identifier", sealed, context) == plain
    with pytest.raises(InvalidTag):
        ring.decrypt("identifier", sealed, context + b"x")
    with pytest.raises(InvalidTag):
        ring.decrypt("identifier", sealed[:-1] + bytes([sealed[-1] ^ 1]), context)


def test_old_versions_still_decrypt_after_a_rotation(ring: KeyRing) -> None:
    sealed = ring.encrypt("identifier", b"41", b"row")
    rotated = replace(
        ring,
        current=ring.current | {"identifier": "2"},
        secrets=ring.secrets | {("identifier", "2"): b"n" * 32},
    )
    assert rotated.decrypt("identifier", sealed, b"row") == b"41"
    assert rotated.encrypt("identifier", b"41", b"row").startswith(b"2\0")


def test_blind_index_ignores_case_and_space_and_depends_on_the_key(ring: KeyRing, tmp_path: Path) -> None:
    other = tmp_path / "keys.json"
    create_key_file(other)
    index = ring.blind_index("11010519491231002X")
    assert index == ring.blind_index(" 11010519491231002x ")
    assert index != KeyRing.load(other).blind_index("11010519491231002X")


def test_keyed_hash_tells_texts_apart_that_differ_in_punctuation_only(ring: KeyRing) -> None:
    texts = ["sign-in:address:11.1.1.1", "sign-in:address:1.11.1.1", "sign-in:login:a.b", "sign-in:login:ab"]
    assert len({ring.keyed_hash(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("one", "other"), [("11.1.1.1", "1.11.1.1"), ("2001:db8:1:11::1", "2001:db8:11:1::1")]
)
def test_addresses_with_the_same_digits_are_counted_apart(ring: KeyRing, one: str, other: str) -> None:
    context = cast("AppContext", SimpleNamespace(keys=ring))
    assert Client(one).address_key(context, "sign-in") != Client(other).address_key(context, "sign-in")


def test_key_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_key_file(path)


def test_missing_keys_are_added_and_others_kept(tmp_path: Path) -> None:
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


def test_new_version_becomes_current_and_old_ones_stay(
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


def test_only_versions_that_are_not_current_can_be_removed(tmp_path: Path) -> None:
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


def test_leftover_of_an_interrupted_change_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    (tmp_path / ".keys.json.new").write_text("{ half")
    assert add_version(path, "template-root") == "2"


def test_concurrent_changes_lose_no_version(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: add_version(path, "template-root"), range(12)))
    assert sorted(map(int, names)) == list(range(2, 14))
    assert set(json.loads(path.read_text())["template-root"]) == {"current", "1", *names}


def test_key_ring_finds_versions_added_later(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    ring = KeyRing.load(path)
    add_version(path, "template-root")
    assert len(ring.version("template-root", "2")) == 32
    assert ring.current["template-root"] == "2"
    with pytest.raises(KeyError):
        ring.version("template-root", "3")


def test_key_ring_without_a_file_finds_no_new_versions(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    ring = KeyRing.parse(json.loads(path.read_text()))
    with pytest.raises(KeyError):
        ring.version("template-root", "2")
