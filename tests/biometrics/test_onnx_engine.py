"""Engines of an operator's own models, tested with models of a few nodes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biometrics.engines.alignment import fit_similarity, sample_chip
from biometrics.engines.base import Box, DetectedFace, EngineSet, Landmarks, Point, distance
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.onnx import OnnxEngine
from biometrics.engines.onnx_spec import EngineSpecInvalid
from biometrics.engines.sface import SFaceEngine
from biometrics.errors import EngineMismatch, EngineUnavailable
from biometrics.pictures.decoding import DecodeLimits, Picture, picture_from_pixels
from biometrics.tasks import FaceRules, Shot, enrol_shots
from tests.support.biometrics import shipped_engine
from tests.support.biometrics.tiny_models import (
    DIMENSION,
    SIDE,
    WEIGHTS,
    constant_model,
    corner_colour_model,
    detector_spec,
    embedder_spec,
    input_spec,
    mean_colour_model,
    scrfd_spec,
    write_engine_spec,
)

RED_GREEN_BLUE = np.array([200, 100, 50], np.uint8)
POINTS = {"left_eye": [8, 10], "right_eye": [24, 10], "nose": [16, 18]}


def plain_picture(width: int = 128, height: int = 128) -> Picture:
    return picture_from_pixels(np.broadcast_to(RED_GREEN_BLUE, (height, width, 3)).copy())


def make_face(left: float = 16, top: float = 16, side: float = 64) -> DetectedFace:
    eyes = (Point(left + 16, top + 20),) * 2, (Point(left + 48, top + 20),) * 2
    return DetectedFace(
        Box(left, top, left + side, top + side), Landmarks(*eyes, Point(left + 32, top + 36)), 1.0
    )


def load_engine(file: Path) -> OnnxEngine:
    return OnnxEngine(file, shipped_engine.engine(), shipped_engine.dlib_engine())


def embed_face(file: Path, picture: Picture, one: DetectedFace | None = None) -> list[float]:
    (descriptor,) = load_engine(file).embed([(picture, one or make_face())])
    return [float(value) for value in descriptor.vector]


def detect_faces(folder: Path, model: Any, picture: Picture, **changes: object) -> list[DetectedFace]:
    file = write_engine_spec(
        folder, detector=detector_spec(folder, model, **changes), embedder=embedder_spec(folder)
    )
    return load_engine(file).detect(picture)


def load_error(file: Path) -> tuple[str, str]:
    """Field and English sentence."""
    with pytest.raises(EngineSpecInvalid) as caught:
        load_engine(file)
    assert caught.value.params["file"] == file.name
    assert file.name in caught.value.sentence("zh")
    return str(caught.value.params["field"]), caught.value.sentence("en")


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_pixels_are_preprocessed_as_described(tmp_path: Path, channels: str, layout: str) -> None:
    given = input_spec(SIDE, channels=channels, layout=layout, mean=[1, 2, 3], scale=[0.5, 1, 2])
    file = write_engine_spec(
        tmp_path, embedder=embedder_spec(tmp_path, mean_colour_model("n", layout), input=given)
    )
    ordered = RED_GREEN_BLUE.astype(np.float32)[:: 1 if channels == "RGB" else -1]
    assert embed_face(file, plain_picture()) == pytest.approx(
        ((ordered - [1, 2, 3]) * [0.5, 1, 2] @ WEIGHTS).tolist()
    )


def test_single_picture_model_runs_once_per_picture(tmp_path: Path) -> None:
    file = write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path, mean_colour_model(1), mirror=True))
    one, other = load_engine(file).embed(
        [(plain_picture(), make_face()), (plain_picture(200, 160), make_face())]
    )
    assert one.vector.tolist() == other.vector.tolist() == pytest.approx((RED_GREEN_BLUE @ WEIGHTS).tolist())


def test_embedding_no_faces_gives_no_descriptors(tmp_path: Path) -> None:
    assert load_engine(write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path))).embed([]) == []


def test_descriptors_are_scaled_to_unit_length_if_described(tmp_path: Path) -> None:
    file = write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path, unit_length=True))
    assert np.linalg.norm(embed_face(file, plain_picture())) == pytest.approx(1)


def test_mirrored_descriptor_is_the_mean_of_both_views(tmp_path: Path) -> None:
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:, 64:] = 200
    halves = picture_from_pixels(pixels)
    whole = make_face(0, 0, 128)
    direct = embed_face(
        write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path, corner_colour_model())), halves, whole
    )
    file = write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path, corner_colour_model(), mirror=True))
    assert direct == [0] * DIMENSION
    assert embed_face(file, halves, whole) == pytest.approx(([100] * 3 @ WEIGHTS).tolist())


def test_chip_has_padding_and_is_black_beyond_the_picture(tmp_path: Path) -> None:
    alignment = {"kind": "box", "padding": 0.5}
    file = write_engine_spec(
        tmp_path, embedder=embedder_spec(tmp_path, corner_colour_model(), alignment=alignment)
    )
    assert embed_face(file, plain_picture(), make_face(8, 8, 64)) == [0] * DIMENSION
    assert embed_face(file, plain_picture(), make_face(40, 40, 64)) == pytest.approx(
        (RED_GREEN_BLUE @ WEIGHTS).tolist()
    )


def test_similarity_maps_points_to_their_place_in_the_chip() -> None:
    chip = np.array([8 + 10j, 24 + 10j, 16 + 18j])
    turned = (chip - 16 - 16j) * (2 * np.exp(0.4j)) + 70 + 60j
    step, origin = fit_similarity(chip, turned)
    assert np.allclose(origin + step * chip, turned)
    assert abs(step) == pytest.approx(2)


def test_chip_is_rotated_with_its_points() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:50] = 250
    # A quarter turn: the upper side comes to the left.
    chip = sample_chip(pixels, 1j, complex(75, 25), (50, 50))
    assert chip[:, :24].mean() > 240
    assert chip[:, 26:].mean() < 10


@pytest.mark.parametrize("step", [0.5, 1.0, 2.7, 9.0])
def test_chip_covers_the_same_area_at_every_scale(step: float) -> None:
    pixels = np.tile(np.linspace(0, 250, 400).astype(np.uint8)[None, :, None], (400, 1, 3))
    chip = sample_chip(pixels, complex(step), complex(200 - 16 * step, 200 - 16 * step), (32, 32))
    assert chip[16, 15:17].mean() == pytest.approx(125, abs=4)
    assert chip.mean() == pytest.approx(125, abs=4)


def test_chip_outside_the_picture_is_black() -> None:
    assert not sample_chip(np.full((50, 50, 3), 9, np.uint8), 1 + 0j, 500 + 500j, (32, 32)).any()


BOXES = np.array([[[8, 8, 24, 24], [9, 8, 25, 24], [40, 4, 60, 30], [0, 0, 5, 5], [9, 9, 9, 9]]])
SCORES = np.array([[[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1], [0.1, 0.99]]])


def test_overlapping_boxes_are_suppressed_and_sorted_by_width(tmp_path: Path) -> None:
    found = detect_faces(
        tmp_path, constant_model({"boxes": BOXES, "scores": SCORES}), plain_picture(256, 128)
    )
    assert [each.box for each in found] == [Box(160, 16, 240, 120), Box(32, 32, 96, 96)]
    assert [round(each.confidence, 3) for each in found] == [0.7, 0.9]


def test_boxes_may_be_fractions_of_the_input(tmp_path: Path) -> None:
    model = constant_model({"boxes": BOXES[:, :1] / 64, "scores": SCORES[:, :1]})
    (found,) = detect_faces(tmp_path, model, plain_picture(), units="fractions")
    assert found.box == Box(16, 16, 48, 48)


def test_no_face_is_detected_below_the_threshold(tmp_path: Path) -> None:
    assert (
        detect_faces(tmp_path, constant_model({"boxes": BOXES, "scores": SCORES * 0.4}), plain_picture())
        == []
    )


def test_detector_points_become_landmarks(tmp_path: Path) -> None:
    points = np.array([[[10, 12, 20, 12, 15, 16, 11, 20, 19, 20]]])
    model = constant_model({"boxes": BOXES[:, :1], "scores": SCORES[:, :1], "points": points})
    outputs = {"boxes": "boxes", "scores": "scores", "landmarks": "points"}
    (found,) = detect_faces(tmp_path, model, plain_picture(), outputs=outputs)
    assert found.landmarks.left_eye == (Point(20, 24), Point(20, 24))
    assert found.landmarks.nose == Point(30, 32)
    assert found.mouth == (Point(22, 40), Point(38, 40))


def test_detector_without_points_uses_the_shipped_landmarks(tmp_path: Path) -> None:
    (found,) = detect_faces(
        tmp_path, constant_model({"boxes": BOXES[:, :1], "scores": SCORES[:, :1]}), plain_picture()
    )
    assert found.landmarks.left_eye[0] != found.landmarks.left_eye[1]
    assert found.mouth is None


def scrfd_level() -> dict[str, np.ndarray]:
    """A grid of 4 × 4 with two anchors. The second anchor of row 1, column 2 detects a face."""
    scores, sides, points = np.zeros((32, 1)), np.ones((32, 4)), np.zeros((32, 10))
    row = 2 * (1 * 4 + 2) + 1
    scores[row], sides[row], points[row] = 0.9, [1, 0.5, 1.5, 1], np.arange(10) / 10
    return {"s": scores, "b": sides, "p": points}


def test_scrfd_is_decoded_from_its_grid(tmp_path: Path) -> None:
    detector = scrfd_spec(
        tmp_path, constant_model(scrfd_level()), stride=16, boxes="b", scores="s", landmarks="p"
    )
    file = write_engine_spec(tmp_path, detector=detector, embedder=embedder_spec(tmp_path))
    (found,) = load_engine(file).detect(plain_picture())
    assert found.box == Box(32, 16, 112, 64)
    left_eye = found.landmarks.left_eye[0]
    assert (left_eye.x, left_eye.y) == pytest.approx((64, 35.2))


def test_wrong_grid_size_is_an_error_at_load_time(tmp_path: Path) -> None:
    detector = scrfd_spec(tmp_path, constant_model(scrfd_level()), stride=8, boxes="b", scores="s")
    field, sentence = load_error(write_engine_spec(tmp_path, detector=detector))
    assert field == "detector.outputs"
    assert "the grid has 128" in sentence


def test_shipped_detector_works_with_an_own_embedder(
    tmp_path: Path, people: dict[str, tuple[Path, ...]], sface_engine: SFaceEngine
) -> None:
    photograph = Picture.open(people["obama"][0].read_bytes(), DecodeLimits())
    alignment = {"kind": "points", "points": POINTS | {"mouth_left": [10, 24]}}
    engine = load_engine(write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path, alignment=alignment)))
    found = engine.detect(photograph)
    assert found == sface_engine.detect(photograph)
    assert engine.embed([(photograph, found[0])])[0].vector.shape == (DIMENSION,)


def test_dlib_detector_provides_no_corner_of_the_mouth(tmp_path: Path) -> None:
    alignment = {"kind": "points", "points": POINTS | {"mouth_left": [3, 3]}}
    spec = write_engine_spec(
        tmp_path, detector={"kind": "dlib-hog"}, embedder=embedder_spec(tmp_path, alignment=alignment)
    )
    field, sentence = load_error(spec)
    assert field == "embedder.alignment.points"
    assert "does not provide this point" in sentence


def test_dlib_detector_works_with_an_own_embedder(
    tmp_path: Path, people: dict[str, tuple[Path, ...]], dlib_engine: DlibOnnxEngine
) -> None:
    photograph = Picture.open(people["obama"][0].read_bytes(), DecodeLimits())
    spec = write_engine_spec(tmp_path, detector={"kind": "dlib-hog"}, embedder=embedder_spec(tmp_path))
    engine = load_engine(spec)
    found = engine.detect(photograph)
    assert found == dlib_engine.detect(photograph)
    assert engine.embed([(photograph, found[0])])[0].vector.shape == (DIMENSION,)


def test_shipped_network_works_with_an_own_detector(
    tmp_path: Path,
    people: dict[str, tuple[Path, ...]],
    dlib_engine: DlibOnnxEngine,
    sface_engine: SFaceEngine,
) -> None:
    photograph = Picture.open(people["obama"][0].read_bytes(), DecodeLimits())
    (theirs,) = dlib_engine.detect(photograph)
    size = np.array([photograph.width, photograph.height] * 2) / max(photograph.width, photograph.height)
    corners = np.array([theirs.box.left, theirs.box.top, theirs.box.right, theirs.box.bottom])
    boxes = corners / np.array([photograph.width, photograph.height] * 2) * size
    model = constant_model({"boxes": boxes[None, None], "scores": np.ones((1, 1))})
    detector = detector_spec(tmp_path, model, units="fractions")
    engine = load_engine(write_engine_spec(tmp_path, detector=detector))
    (descriptor,) = engine.embed([(photograph, engine.detect(photograph)[0])])
    (shipped,) = sface_engine.embed([(photograph, theirs)])
    assert np.linalg.norm(descriptor.vector - shipped.vector) < 0.1
    with pytest.raises(EngineMismatch):
        distance(descriptor, shipped)


def test_person_can_be_enrolled_with_an_own_engine(
    tmp_path: Path, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> None:
    alignment = {"kind": "points", "points": POINTS}
    file = write_engine_spec(
        tmp_path, embedder=embedder_spec(tmp_path, alignment=alignment, unit_length=True)
    )
    shots = [Shot(path.read_bytes()) for path in people["att-s02"][:3]]
    template = enrol_shots(EngineSet([load_engine(file), shipped_engine.engine()]), shots, rules).template
    assert template is not None
    assert (template.engine.id, template.shots) == ("tiny", 3)


def test_version_depends_on_the_model_but_not_on_the_licence_text(tmp_path: Path) -> None:
    embedder = embedder_spec(tmp_path)
    first = load_engine(write_engine_spec(tmp_path, embedder=embedder)).info()
    assert first.key.version.startswith("1-")
    assert "made in a test" in first.licence
    assert first.dimension == DIMENSION
    worded = load_engine(write_engine_spec(tmp_path, embedder=embedder, licence="in other words")).info()
    assert worded.key == first.key
    changed = embedder | {"input": input_spec(SIDE, mean=[0, 0, 1])}
    assert load_engine(write_engine_spec(tmp_path, embedder=changed)).info().key != first.key


def test_non_finite_descriptors_are_rejected(tmp_path: Path) -> None:
    given = input_spec(SIDE, scale=[1e36, 1e36, 1e36])
    engine = load_engine(write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path, input=given)))
    with pytest.raises(EngineUnavailable, match="not finite"):
        engine.embed([(plain_picture(), make_face())])


Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (lambda e: e | {"file": "absent.onnx"}, "embedder.file", "absent.onnx"),
        (lambda e: e | {"sha256": "0" * 64}, "embedder.sha256", "0" * 64),
        (lambda e: e | {"dimension": 9}, "embedder.dimension", "the model outputs 8"),
        (lambda e: e | {"dimension": "many"}, "embedder.dimension", "many"),
        (lambda e: e | {"output": "other"}, "embedder.output", "the model has descriptor"),
        (lambda e: e | {"input": input_spec(SIDE, name="x")}, "embedder.input.name", "the model has input"),
        (lambda e: e | {"input": input_spec(SIDE * 2)}, "embedder.input", "a test run failed"),
        (lambda e: e | {"input": input_spec(SIDE, channels="GBR")}, "embedder.input.channels", "GBR"),
        (lambda e: e | {"surprise": 1}, "embedder.surprise", "not permitted"),
        (
            lambda e: e | {"alignment": {"kind": "points", "points": {"nose": [1, 1], "left_eye": [1, 1]}}},
            "embedder.alignment",
            "the same position",
        ),
    ],
)
def test_error_names_file_field_and_value(tmp_path: Path, change: Change, field: str, message: str) -> None:
    found, sentence = load_error(write_engine_spec(tmp_path, embedder=change(embedder_spec(tmp_path))))
    assert found.startswith(field)
    assert message in sentence


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid YAML"),
        ("- a list", "-"),
        ("id: tiny\nversion: '1'\nlicence: x", "a detector or an embedder is required"),
        ("id: dlib-onnx\nversion: '1'\nlicence: x", "is reserved for an engine of the product"),
        ("a" * 70_000, "too long"),
    ],
)
def test_invalid_description_is_rejected(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "engine.yaml"
    file.write_text(text)
    assert message in load_error(file)[1]


def test_missing_description_is_rejected(tmp_path: Path) -> None:
    assert "cannot be read" in load_error(tmp_path / "none.yaml")[1]


def test_file_that_is_not_a_model_is_rejected(tmp_path: Path) -> None:
    embedder = embedder_spec(tmp_path)
    (tmp_path / "embedder.onnx").write_bytes(b"not a model")
    embedder["sha256"] = hashlib.sha256(b"not a model").hexdigest()
    assert load_error(write_engine_spec(tmp_path, embedder=embedder))[0] == "embedder.file"
