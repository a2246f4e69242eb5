from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engines.base import Descriptor, EngineKey, Metric
from biometrics.liveness.reuse import ReuseRules, reuse_signals
from biometrics.matching.decision import FaceTemplate

ENGINE, OTHER = EngineKey("a", "1"), EngineKey("a", "2")
RULES = ReuseRules(max_hash_bits=4, min_like_frames=2, min_distance=0.16)
FAR = 0xFFFF_0000_FFFF_0000


@dataclass(frozen=True)
class Selfie:
    descriptor: Descriptor
    hashes: tuple[int, ...]


def at(place: float, engine: EngineKey = ENGINE) -> Descriptor:
    return Descriptor(engine, Metric.L2, np.array([place, 0], dtype=np.float32))


def template(place: float, engine: EngineKey = ENGINE) -> FaceTemplate:
    return FaceTemplate(engine, Metric.L2, at(place).vector, 3, 0.1)


def codes(probe: float, hashes: list[int], *kept: Selfie, enrolled: FaceTemplate | None = None) -> list[str]:
    found = reuse_signals(at(probe), hashes, kept, enrolled, RULES)
    return [reason.code for reason in found.reasons]


def test_a_new_series_is_like_nothing() -> None:
    assert codes(1.0, [0, 1], Selfie(at(0.8), (FAR,)), enrolled=template(0.5)) == []
    assert codes(1.0, [0, 1]) == []


def test_frames_that_nearly_equal_kept_ones_are_noticed_from_the_second_on() -> None:
    kept = Selfie(at(0), (FAR, 0b1111))
    assert codes(1.0, [0, 0xFF << 40], kept) == []
    assert codes(1.0, [0, 0b111], kept) == ["like_earlier_picture"]


def test_a_descriptor_as_close_as_no_two_sittings_is_noticed() -> None:
    assert codes(1.0, [], Selfie(at(0.85), ())) == ["like_earlier_selfie"]
    assert codes(1.0, [], Selfie(at(0.83), ())) == []
    assert codes(1.0, [], enrolled=template(0.9)) == ["like_enrolment"]


def test_descriptors_of_other_engines_are_not_compared() -> None:
    kept = Selfie(at(1.0, OTHER), ())
    found = reuse_signals(at(1.0), [], [kept], template(1.0, OTHER), RULES)
    assert found.reasons == ()
    assert found.nearest_selfie is None
    assert found.to_template is None


def test_without_any_face_hashes_still_speak() -> None:
    found = reuse_signals(None, [FAR, FAR], [Selfie(at(0), (FAR,))], template(0), RULES)
    assert found.like_frames == 2
    assert [reason.code for reason in found.reasons] == ["like_earlier_picture"]


@given(st.lists(st.floats(-2, 2, width=32), max_size=6), st.floats(-2, 2, width=32))
def test_the_nearest_kept_descriptor_counts(places: list[float], probe: float) -> None:
    found = reuse_signals(at(probe), [], [Selfie(at(place), ()) for place in places], None, RULES)
    nearest = min((abs(place - probe) for place in places), default=None)
    assert found.nearest_selfie == (None if nearest is None else pytest.approx(nearest, abs=1e-6))


def test_every_reason_asks_for_another_series_in_both_languages() -> None:
    kept = Selfie(at(1.0), (0, 1))
    reasons = reuse_signals(at(1.0), [0, 1], [kept], template(1.0), RULES).reasons
    assert len(reasons) == 3
    assert all("重新拍摄" in reason.zh and "Take a new live series" in reason.en for reason in reasons)
