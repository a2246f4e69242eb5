"""Serialisation of templates and selfie records: small, accurate, and strict."""

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
    parse_selfie,
    parse_template,
    round_to_half,
    seal_template,
    serialise_selfie,
    serialise_template,
    unseal_template,
)

ENGINE = EngineKey("dlib", "1")
BINDING = Binding("student-1", ENGINE, "roll-call")
KEY = DataKey("student-1", bytes(range(32)))
TEMPLATE = FaceTemplate(ENGINE, Metric.L2, np.linspace(-0.4, 0.4, 128, dtype=np.float32), 3, 0.25)
SELFIE = Descriptor(ENGINE, Metric.L2, TEMPLATE.mean)


def test_sealed_template_round_trips() -> None:
    opened = unseal_template(seal_template(TEMPLATE, BINDING, KEY, Cipher.AES_256_GCM), BINDING, KEY)
    assert (opened.engine, opened.metric, opened.shots, opened.spread) == (ENGINE, Metric.L2, 3, 0.25)
    assert np.array_equal(opened.mean, round_to_half(TEMPLATE.mean))
    assert np.allclose(opened.mean, TEMPLATE.mean, atol=3e-4)


def test_half_precision_changes_distances_by_less_than_0_001() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        mean, probe = rng.normal(0, 0.11, (2, 128)).astype(np.float32)
        stored = parse_template(serialise_template(replace(TEMPLATE, mean=mean)), ENGINE).mean
        assert abs(np.linalg.norm(stored - probe) - np.linalg.norm(mean - probe)) < 1e-3


def test_template_is_not_sealed_for_another_engine() -> None:
    other = replace(BINDING, engine=EngineKey("dlib", "2"))
    with pytest.raises(TemplateUnreadable):
        seal_template(TEMPLATE, other, KEY, Cipher.AES_256_GCM)


@given(st.binary(max_size=300))
def test_parsing_raises_only_template_unreadable(data: bytes) -> None:
    for parser in (parse_template, parse_selfie):
        with pytest.raises(TemplateUnreadable):
            parser(data, ENGINE)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_wrong_length_does_not_parse(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(TemplateUnreadable):
        parse_template(change(serialise_template(TEMPLATE)), ENGINE)
    with pytest.raises(TemplateUnreadable):
        parse_selfie(change(serialise_selfie(SELFIE, [1, 2])), ENGINE)


def test_template_with_nan_is_unreadable() -> None:
    mean = TEMPLATE.mean.copy()
    mean[5] = np.nan
    with pytest.raises(TemplateUnreadable):
        parse_template(serialise_template(replace(TEMPLATE, mean=mean)), ENGINE)


def test_selfie_record_round_trips() -> None:
    hashes = (0, 1, 2**63 + 5, 2**64 - 1)
    kept = parse_selfie(serialise_selfie(SELFIE, hashes), ENGINE)
    assert kept.hashes == hashes
    assert kept.descriptor.engine == ENGINE
    assert np.array_equal(kept.descriptor.vector, round_to_half(SELFIE.vector))


def test_templates_and_selfies_are_not_interchangeable() -> None:
    with pytest.raises(TemplateUnreadable):
        parse_selfie(serialise_template(TEMPLATE), ENGINE)
    with pytest.raises(TemplateUnreadable):
        parse_template(serialise_selfie(SELFIE, []), ENGINE)
