"""Photographs, engines and rules for the tests of the face library."""

from pathlib import Path

import pytest

from backend.devstack.sample_faces import sample_faces_dir, sample_people
from biometrics.engines.base import EngineSet
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.sface import SFaceEngine
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.liveness.burst import BurstRules
from biometrics.matching.decision import EnrolmentRules
from biometrics.tasks import FaceRules, Shot
from tests.support.biometrics import shipped_engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def people() -> dict[str, tuple[Path, ...]]:
    """Real photographs by person, downloaded once and cached outside the repository."""
    return sample_people(sample_faces_dir(ROOT))


@pytest.fixture(scope="session")
def sface_engine() -> SFaceEngine:
    return shipped_engine.engine()


@pytest.fixture(scope="session")
def dlib_engine() -> DlibOnnxEngine:
    return shipped_engine.dlib_engine()


@pytest.fixture(scope="session")
def both_engines(sface_engine: SFaceEngine) -> EngineSet:
    return EngineSet([PatternEngine(), sface_engine])


@pytest.fixture(scope="session")
def rules() -> FaceRules:
    return FaceRules(
        enrolment=EnrolmentRules(min_shots=3, max_shot_distance=1.1),
        burst=BurstRules(min_frames=3, min_gap_ms=100, max_gap_ms=5000, max_frame_distance=1.15),
    )


@pytest.fixture(scope="session")
def pattern_shots() -> list[Shot]:
    """Four shots of test person 1, a third of a second apart."""
    return [Shot(render_pattern(1, shot), captured_ms=333 * shot) for shot in range(4)]
