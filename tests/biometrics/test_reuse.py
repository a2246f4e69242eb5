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


def descriptor_at(place: float, engine: EngineKey = ENGINE) -> Descriptor:
    return Descriptor(engine, Metric.L2, np.array([place, 0], dtype=np.float32))


def template(place: float, engine: EngineKey = ENGINE) -> FaceTemplate:
    return FaceTemplate(engine, Metric.L2, descriptor_at(place).vector, 3, 0.1)


def codes(
    probe: float, hashes: list[int], *stored: Selfie, enrolled: FaceTemplate | None = None
) -> list[str]:
    found = reuse_signals(descriptor_at(probe), hashes, stored, enrolled, RULES)
    return [reason.code for reason in found.reasons]


def test_new_burst_has_no_reuse_reason() -> None:
    assert codes(1.0, [0, 1], Selfie(descriptor_at(0.8), (FAR,)), enrolled=template(0.5)) == []
    assert codes(1.0, [0, 1]) == []


def test_two_near_duplicate_frames_are_detected() -> None:
    stored = Selfie(descriptor_at(0), (FAR, 0b1111))
    assert codes(1.0, [0, 0xFF << 40], stored) == []
    assert codes(1.0, [0, 0b111], stored) == ["like_earlier_picture"]


def test_descriptor_closer_than_two_sessions_is_detected() -> None:
    assert codes(1.0, [], Selfie(descriptor_at(0.85), ())) == ["like_earlier_selfie"]
    assert codes(1.0, [], Selfie(descriptor_at(0.83), ())) == []
    assert codes(1.0, [], enrolled=template(0.9)) == ["like_enrolment"]


def test_descriptors_of_other_engines_are_not_compared() -> None:
    stored = Selfie(descriptor_at(1.0, OTHER), ())
    found = reuse_signals(descriptor_at(1.0), [], [stored], template(1.0, OTHER), RULES)
    assert found.reasons == ()
    assert found.nearest_selfie is None
    assert found.to_template is None


def test_hashes_are_compared_without_a_face() -> None:
    found = reuse_signals(None, [FAR, FAR], [Selfie(descriptor_at(0), (FAR,))], template(0), RULES)
    assert found.like_frames == 2
    assert [reason.code for reason in found.reasons] == ["like_earlier_picture"]


@given(st.lists(st.floats(-2, 2, width=32), max_size=6), st.floats(-2, 2, width=32))
def test_nearest_stored_descriptor_counts(places: list[float], probe: float) -> None:
    found = reuse_signals(
        descriptor_at(probe), [], [Selfie(descriptor_at(place), ()) for place in places], None, RULES
    )
    nearest = min((abs(place - probe) for place in places), default=None)
    assert found.nearest_selfie == (None if nearest is None else pytest.approx(nearest, abs=1e-6))


def test_every_reason_asks_for_a_new_series_in_both_languages() -> None:
    stored = Selfie(descriptor_at(1.0), (0, 1))
    reasons = reuse_signals(descriptor_at(1.0), [0, 1], [stored], template(1.0), RULES).reasons
    assert len(reasons) == 3
    assert all("重新拍摄" in reason.zh and "Take a new live series" in reason.en for reason in reasons)
