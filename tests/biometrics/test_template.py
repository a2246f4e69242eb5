"""Templates and records of accepted pictures as bytes: small, close to what was measured, and nothing else parses."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engines.base import Descriptor, EngineKey, Metric
from biometrics.matching.decision import FaceTemplate
from biometrics.templates.sealing import Binding, Cipher, DataKey, TemplateUnreadable
from biometrics.templates.template import (
    half,
    parse,
    parse_selfie,
    seal,
    serialise,
    serialise_selfie,
    unseal,
)

ENGINE = EngineKey("dlib", "1")
BINDING = Binding("student-1", ENGINE, "roll-call")
KEY = DataKey("student-1", bytes(range(32)))
TEMPLATE = FaceTemplate(ENGINE, Metric.L2, np.linspace(-0.4, 0.4, 128, dtype=np.float32), 3, 0.25)
SELFIE = Descriptor(ENGINE, Metric.L2, TEMPLATE.mean)


def test_a_sealed_template_opens_to_itself() -> None:
    opened = unseal(seal(TEMPLATE, BINDING, KEY, Cipher.AES_256_GCM), BINDING, KEY)
    assert (opened.engine, opened.metric, opened.shots, opened.spread) == (ENGINE, Metric.L2, 3, 0.25)
    assert np.array_equal(opened.mean, half(TEMPLATE.mean))
    assert np.allclose(opened.mean, TEMPLATE.mean, atol=3e-4)


def test_half_precision_moves_no_distance_by_a_thousandth() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        mean, probe = rng.normal(0, 0.11, (2, 128)).astype(np.float32)
        stored = parse(serialise(replace(TEMPLATE, mean=mean)), ENGINE).mean
        assert abs(np.linalg.norm(stored - probe) - np.linalg.norm(mean - probe)) < 1e-3


def test_a_template_is_not_sealed_under_another_engines_name() -> None:
    other = replace(BINDING, engine=EngineKey("dlib", "2"))
    with pytest.raises(TemplateUnreadable):
        seal(TEMPLATE, other, KEY, Cipher.AES_256_GCM)


@given(st.binary(max_size=300))
def test_parsing_never_fails_in_another_way(data: bytes) -> None:
    for parser in (parse, parse_selfie):
        with pytest.raises(TemplateUnreadable):
            parser(data, ENGINE)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_a_byte_more_or_less_does_not_parse(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(TemplateUnreadable):
        parse(change(serialise(TEMPLATE)), ENGINE)
    with pytest.raises(TemplateUnreadable):
        parse_selfie(change(serialise_selfie(SELFIE, [1, 2])), ENGINE)


def test_a_template_of_non_numbers_is_unreadable() -> None:
    mean = TEMPLATE.mean.copy()
    mean[5] = np.nan
    with pytest.raises(TemplateUnreadable):
        parse(serialise(replace(TEMPLATE, mean=mean)), ENGINE)


def test_a_selfie_is_its_mean_and_a_hash_of_each_frame() -> None:
    hashes = (0, 1, 2**63 + 5, 2**64 - 1)
    kept = parse_selfie(serialise_selfie(SELFIE, hashes), ENGINE)
    assert kept.hashes == hashes
    assert kept.descriptor.engine == ENGINE
    assert np.array_equal(kept.descriptor.vector, half(SELFIE.vector))


def test_a_template_is_no_selfie_and_a_selfie_no_template() -> None:
    with pytest.raises(TemplateUnreadable):
        parse_selfie(serialise(TEMPLATE), ENGINE)
    with pytest.raises(TemplateUnreadable):
        parse(serialise_selfie(SELFIE, []), ENGINE)
