import pickle
from pathlib import Path

import numpy as np
import pytest

from biometrics.engines.base import Descriptor, EngineKey, EngineSet, FaceEngine, Metric, distance
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.test_pattern import KEY as PATTERN
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.errors import EngineMismatch, EngineUnavailable
from biometrics.pictures.decoding import DecodeLimits, Picture

UNIT = np.ones(4, dtype=np.float32)


@pytest.mark.parametrize("other", [EngineKey("a", "2"), EngineKey("b", "1")])
def test_descriptors_of_different_engines_or_versions_are_never_compared(other: EngineKey) -> None:
    with pytest.raises(EngineMismatch) as caught:
        distance(Descriptor(EngineKey("a", "1"), Metric.L2, UNIT), Descriptor(other, Metric.L2, UNIT))
    assert caught.value.code == "face_engine_mismatch"
    assert "a/1" in caught.value.sentence("zh")


def test_the_distance_is_euclidean() -> None:
    key = EngineKey("a", "1")
    assert distance(Descriptor(key, Metric.L2, 3 * UNIT), Descriptor(key, Metric.L2, UNIT)) == pytest.approx(
        4.0
    )


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(EngineMismatch(enrolled="a/1", asked="b/1")))
    assert isinstance(error, EngineMismatch)
    assert error.params == {"enrolled": "a/1", "asked": "b/1"}


def test_the_test_engine_claims_only_its_own_pictures(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]]
) -> None:
    pattern = Picture.open(render_pattern(1, 1), DecodeLimits())
    photograph = Picture.open(people["obama"][0].read_bytes(), DecodeLimits())
    assert both_engines.claiming([pattern]).info().test_only
    assert not both_engines.claiming([photograph]).info().test_only
    assert not both_engines.claiming([pattern, photograph]).info().test_only


def test_an_engine_that_is_not_enabled_is_not_available(dlib_engine: DlibOnnxEngine) -> None:
    with pytest.raises(EngineUnavailable):
        EngineSet([dlib_engine]).of(PATTERN)


def test_another_version_of_an_enabled_engine_is_a_mismatch() -> None:
    with pytest.raises(EngineMismatch):
        EngineSet([PatternEngine()]).of(EngineKey("test-pattern", "0"))


@pytest.mark.parametrize("engines", [[], [PatternEngine(), PatternEngine()]])
def test_a_set_needs_engines_and_each_once(engines: list[FaceEngine]) -> None:
    with pytest.raises(EngineUnavailable):
        EngineSet(engines)
