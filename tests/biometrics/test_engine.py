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
def test_descriptors_of_other_engines_or_versions_are_not_compared(other: EngineKey) -> None:
    with pytest.raises(EngineMismatch) as caught:
        distance(Descriptor(EngineKey("a", "1"), Metric.L2, UNIT), Descriptor(other, Metric.L2, UNIT))
    assert caught.value.code == "face_engine_mismatch"
    assert "a/1" in caught.value.sentence("zh")


def test_distance_is_euclidean() -> None:
    key = EngineKey("a", "1")
    assert distance(Descriptor(key, Metric.L2, 3 * UNIT), Descriptor(key, Metric.L2, UNIT)) == pytest.approx(
        4.0
    )


def test_errors_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(EngineMismatch(enrolled="a/1", current="b/1")))
    assert isinstance(error, EngineMismatch)
    assert error.params == {"enrolled": "a/1", "current": "b/1"}


def test_test_engine_supports_only_its_own_pictures(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]]
) -> None:
    pattern = Picture.open(render_pattern(1, 1), DecodeLimits())
    photograph = Picture.open(people["obama"][0].read_bytes(), DecodeLimits())
    assert both_engines.engine_for([pattern]).info().test_only
    assert not both_engines.engine_for([photograph]).info().test_only
    assert not both_engines.engine_for([pattern, photograph]).info().test_only


def test_engine_that_is_not_enabled_is_unavailable(dlib_engine: DlibOnnxEngine) -> None:
    with pytest.raises(EngineUnavailable):
        EngineSet([dlib_engine]).get(PATTERN)


def test_other_version_of_an_enabled_engine_is_a_mismatch() -> None:
    with pytest.raises(EngineMismatch):
        EngineSet([PatternEngine()]).get(EngineKey("test-pattern", "0"))


@pytest.mark.parametrize("engines", [[], [PatternEngine(), PatternEngine()]])
def test_engine_set_needs_distinct_engines(engines: list[FaceEngine]) -> None:
    with pytest.raises(EngineUnavailable):
        EngineSet(engines)
