"""Another person in the picture is seen from half the width of the first face on."""

from pathlib import Path

import pytest

from bench.face.two_people import FaceCutOut, compose, cut_out_face, detection_rate, sees_second_face
from biometrics.engines.sface import SFaceEngine
from biometrics.pictures.decoding import DecodeLimits, Picture

pytestmark = [pytest.mark.clause("HN334-3.1"), pytest.mark.xdist_group("second_face")]
PEOPLE = 14


@pytest.fixture(scope="module")
def faces(sface_engine: SFaceEngine, people: dict[str, tuple[Path, ...]]) -> list[FaceCutOut]:
    cut_outs = (cut_out_face(sface_engine, paths[0]) for paths in list(people.values())[::3])
    return [face for face in cut_outs if face is not None][:PEOPLE]


@pytest.mark.parametrize("thorough", [False, True], ids=["burst", "enrolment"])
@pytest.mark.parametrize("ratio", [0.5, 0.6, 1.0])
def test_second_face_is_seen(
    sface_engine: SFaceEngine, faces: list[FaceCutOut], ratio: float, *, thorough: bool
) -> None:
    seen, pictures = detection_rate(sface_engine, faces, ratio, thorough=thorough)
    assert seen == pictures


def test_face_of_a_third_of_the_width_is_mostly_ignored(
    sface_engine: SFaceEngine, faces: list[FaceCutOut]
) -> None:
    assert detection_rate(sface_engine, faces, 0.3)[0] <= len(faces) / 10


def test_photographs_of_one_person_show_no_second_face(
    sface_engine: SFaceEngine, people: dict[str, tuple[Path, ...]]
) -> None:
    pictures = [path.read_bytes() for name, paths in people.items() if "att" in name for path in paths[:1]]
    assert sum(sees_second_face(sface_engine, each, thorough=True) for each in pictures) == 0


@pytest.mark.parametrize("frame", [0, -1])
def test_second_face_in_the_first_or_the_last_frame_of_a_burst_is_seen(
    sface_engine: SFaceEngine, faces: list[FaceCutOut], frame: int
) -> None:
    alone = Picture.open(compose(faces[0], faces[1], 0.01), DecodeLimits(), in_burst=True)
    together = Picture.open(compose(faces[0], faces[1], 0.6), DecodeLimits(), in_burst=True)
    burst = [alone, alone, alone]
    burst[frame] = together
    tracked = sface_engine.track(burst)
    assert [len(each) for each in tracked] == [2 if each is together else 1 for each in burst]
