from dataclasses import replace

import numpy as np
import pytest

from biometrics.engine import Descriptor, EngineKey, Metric
from biometrics.fingerprints import Fingerprint
from biometrics.liveness import BurstRules, Frame, check_burst

RULES = BurstRules(min_frames=3, min_gap_ms=100, max_gap_ms=2000, max_frame_distance=0.5)


def frame(index: int, at: int | None, place: float = 0.0) -> Frame:
    vector = np.array([place, 0], dtype=np.float32)
    return Frame(Fingerprint(f"{index}", index), at, Descriptor(EngineKey("a", "1"), Metric.L2, vector))


def codes(frames: list[Frame]) -> list[str]:
    return [reason.code for reason in check_burst(frames, RULES)]


BURST = [frame(0, 0), frame(1, 300, 0.1), frame(2, 600, 0.2)]


def test_a_steady_burst_of_one_person_is_plausible() -> None:
    assert codes(BURST) == []


def test_too_few_frames_are_not_a_burst() -> None:
    assert codes(BURST[:2]) == ["too_few_frames"]
    assert codes([]) == ["too_few_frames"]


def test_one_picture_sent_twice_is_noticed() -> None:
    assert codes([BURST[0], BURST[1], replace(BURST[2], fingerprint=BURST[0].fingerprint)]) == [
        "identical_frames"
    ]


@pytest.mark.parametrize("times", [(0, 300, 300), (0, 300, 200), (0, 99, 400), (0, 300, 2301), (600, 300, 0)])
def test_an_implausible_rhythm_is_noticed(times: tuple[int, ...]) -> None:
    assert codes([frame(i, at) for i, at in enumerate(times)]) == ["frame_times_implausible"]


def test_the_bounds_of_the_rhythm_are_plausible() -> None:
    assert codes([frame(0, 0), frame(1, 100), frame(2, 2100)]) == []


def test_missing_times_are_noticed() -> None:
    assert codes([BURST[0], BURST[1], frame(2, None)]) == ["frame_times_missing"]


def test_a_change_of_person_within_the_burst_is_noticed() -> None:
    assert codes([BURST[0], BURST[1], frame(2, 600, 0.6)]) == ["different_people"]


def test_every_frame_needs_one_dominant_face() -> None:
    assert codes([BURST[0], BURST[1], replace(BURST[2], descriptor=None)]) == ["no_dominant_face"]
