import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engine import EngineKey, Metric
from biometrics.matching import FaceTemplate
from biometrics.template import (
    Binding,
    KeyEncryptionKey,
    TemplateUnreadable,
    WrappedKey,
    new_data_key,
    parse,
    rewrap,
    seal,
    serialise,
    unseal,
)

ENGINE = EngineKey("dlib", "1")
KEK = KeyEncryptionKey("school-1", bytes(range(32)))
BINDING = Binding("student-1", ENGINE, "roll_call")
TEMPLATE = FaceTemplate(ENGINE, Metric.L2, np.linspace(-0.4, 0.4, 128, dtype=np.float32), 3, 0.25)


@pytest.fixture
def wrapped() -> WrappedKey:
    return new_data_key("student-1", KEK)


def test_a_sealed_template_opens_to_itself(wrapped: WrappedKey) -> None:
    opened = unseal(seal(TEMPLATE, BINDING, wrapped, KEK), BINDING, wrapped, KEK)
    assert (opened.engine, opened.metric, opened.shots, opened.spread) == (ENGINE, Metric.L2, 3, 0.25)
    assert np.allclose(opened.mean, TEMPLATE.mean, atol=3e-4)


def test_half_precision_moves_no_distance_by_a_thousandth() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        mean, probe = rng.normal(0, 0.11, (2, 128)).astype(np.float32)
        stored = parse(serialise(replace(TEMPLATE, mean=mean)), ENGINE).mean
        assert abs(np.linalg.norm(stored - probe) - np.linalg.norm(mean - probe)) < 1e-3


def test_sealing_twice_gives_different_bytes(wrapped: WrappedKey) -> None:
    assert seal(TEMPLATE, BINDING, wrapped, KEK) != seal(TEMPLATE, BINDING, wrapped, KEK)


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, student_id="student-2"),
        replace(BINDING, purpose="portrait"),
        replace(BINDING, engine=EngineKey("dlib", "2")),
        replace(BINDING, engine=EngineKey("other", "1")),
    ],
)
def test_a_template_opens_only_for_its_student_engine_version_and_purpose(
    other: Binding, wrapped: WrappedKey
) -> None:
    sealed = seal(TEMPLATE, BINDING, wrapped, KEK)
    with pytest.raises(TemplateUnreadable):
        unseal(sealed, other, wrapped, KEK)


def test_parts_of_the_binding_cannot_be_shifted_into_each_other() -> None:
    one = Binding("ab", EngineKey("c", "1"), "p").associated_data()
    other = Binding("a", EngineKey("bc", "1"), "p").associated_data()
    assert one != other


@given(st.data())
def test_any_altered_byte_keeps_the_template_shut(data: st.DataObject) -> None:
    wrapped = new_data_key("student-1", KEK)
    sealed = bytearray(seal(TEMPLATE, BINDING, wrapped, KEK))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TemplateUnreadable):
        unseal(bytes(sealed), BINDING, wrapped, KEK)


@pytest.mark.parametrize("length", [0, 3, 4, 15, 16, 40])
def test_cut_off_bytes_keep_the_template_shut(length: int, wrapped: WrappedKey) -> None:
    with pytest.raises(TemplateUnreadable):
        unseal(seal(TEMPLATE, BINDING, wrapped, KEK)[:length], BINDING, wrapped, KEK)


def test_without_the_students_own_key_nothing_opens(wrapped: WrappedKey) -> None:
    sealed = seal(TEMPLATE, BINDING, wrapped, KEK)
    with pytest.raises(TemplateUnreadable):  # shredded: the wrapped key is gone, a new one does not help
        unseal(sealed, BINDING, new_data_key("student-1", KEK), KEK)


def test_the_wrapped_key_of_another_student_does_not_open(wrapped: WrappedKey) -> None:
    with pytest.raises(TemplateUnreadable):
        seal(TEMPLATE, replace(BINDING, student_id="student-2"), wrapped, KEK)


@pytest.mark.parametrize(
    "kek", [KeyEncryptionKey("school-1", os.urandom(32)), KeyEncryptionKey("school-2", KEK.secret)]
)
def test_another_key_encryption_key_does_not_open(kek: KeyEncryptionKey, wrapped: WrappedKey) -> None:
    sealed = seal(TEMPLATE, BINDING, wrapped, KEK)
    with pytest.raises(TemplateUnreadable):
        unseal(sealed, BINDING, wrapped, kek)


def test_rotating_the_key_encryption_key_leaves_sealed_templates_alone(wrapped: WrappedKey) -> None:
    sealed = seal(TEMPLATE, BINDING, wrapped, KEK)
    newer = KeyEncryptionKey("school-1-2027", os.urandom(32))
    rewrapped = rewrap(wrapped, "student-1", KEK, newer)
    assert unseal(sealed, BINDING, rewrapped, newer).shots == 3


def test_a_template_is_not_sealed_under_another_engines_name(wrapped: WrappedKey) -> None:
    with pytest.raises(TemplateUnreadable):
        seal(TEMPLATE, replace(BINDING, engine=EngineKey("dlib", "2")), wrapped, KEK)


@given(st.binary(max_size=300))
def test_parsing_never_fails_in_another_way(data: bytes) -> None:
    with pytest.raises(TemplateUnreadable):
        parse(data, ENGINE)


def test_a_template_of_non_numbers_is_unreadable() -> None:
    mean = TEMPLATE.mean.copy()
    mean[5] = np.nan
    with pytest.raises(TemplateUnreadable):
        parse(serialise(replace(TEMPLATE, mean=mean)), ENGINE)


def test_a_key_encryption_key_has_256_bits_and_shows_none_of_them() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyEncryptionKey("short", bytes(16))
    assert "secret" not in repr(KEK)
