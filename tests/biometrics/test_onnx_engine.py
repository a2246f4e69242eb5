"""Engines made of models that an operator gives, on models of a few nodes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biometrics.checks import FaceRules, Shot, enrol_shots
from biometrics.engines.base import Box, DetectedFace, EngineSet, Landmarks, Point, distance
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.onnx import OnnxEngine, cut, similarity
from biometrics.engines.onnx_spec import EngineSpecInvalid
from biometrics.errors import EngineMismatch, EngineUnavailable
from biometrics.pictures.decoding import DecodeLimits, Picture, picture_of
from tests.support.biometrics import shipped_engine
from tests.support.biometrics.tiny_models import (
    DIMENSION,
    SIDE,
    WEIGHTS,
    always,
    corner_colour,
    described,
    detector_of,
    embedder_of,
    input_of,
    mean_colour,
    scrfd_of,
)

RED_GREEN_BLUE = np.array([200, 100, 50], np.uint8)
POINTS = {"left_eye": [8, 10], "right_eye": [24, 10], "nose": [16, 18]}


def plain(width: int = 128, height: int = 128) -> Picture:
    return picture_of(np.broadcast_to(RED_GREEN_BLUE, (height, width, 3)).copy())


def face(left: float = 16, top: float = 16, side: float = 64) -> DetectedFace:
    eyes = (Point(left + 16, top + 20),) * 2, (Point(left + 48, top + 20),) * 2
    return DetectedFace(
        Box(left, top, left + side, top + side), Landmarks(*eyes, Point(left + 32, top + 36)), 1.0
    )


def loaded(file: Path) -> OnnxEngine:
    return OnnxEngine(file, shipped_engine.engine())


def embedded(file: Path, picture: Picture, one: DetectedFace | None = None) -> list[float]:
    (descriptor,) = loaded(file).embed([(picture, one or face())])
    return [float(value) for value in descriptor.vector]


def faces(folder: Path, model: Any, picture: Picture, **changes: object) -> list[DetectedFace]:
    file = described(folder, detector=detector_of(folder, model, **changes), embedder=embedder_of(folder))
    return loaded(file).detect(picture)


def refused(file: Path) -> tuple[str, str]:
    """Field and English sentence."""
    with pytest.raises(EngineSpecInvalid) as caught:
        loaded(file)
    assert caught.value.params["file"] == file.name
    assert file.name in caught.value.sentence("zh")
    return str(caught.value.params["field"]), caught.value.sentence("en")


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_pixels_arrive_in_the_order_and_scale_described(tmp_path: Path, channels: str, layout: str) -> None:
    given = input_of(SIDE, channels=channels, layout=layout, mean=[1, 2, 3], scale=[0.5, 1, 2])
    file = described(tmp_path, embedder=embedder_of(tmp_path, mean_colour("n", layout), input=given))
    ordered = RED_GREEN_BLUE.astype(np.float32)[:: 1 if channels == "RGB" else -1]
    assert embedded(file, plain()) == pytest.approx(((ordered - [1, 2, 3]) * [0.5, 1, 2] @ WEIGHTS).tolist())


def test_a_model_for_single_pictures_is_asked_for_each(tmp_path: Path) -> None:
    file = described(tmp_path, embedder=embedder_of(tmp_path, mean_colour(1), mirror=True))
    one, other = loaded(file).embed([(plain(), face()), (plain(200, 160), face())])
    assert one.vector.tolist() == other.vector.tolist() == pytest.approx((RED_GREEN_BLUE @ WEIGHTS).tolist())


def test_nothing_to_embed_gives_nothing(tmp_path: Path) -> None:
    assert loaded(described(tmp_path, embedder=embedder_of(tmp_path))).embed([]) == []


def test_descriptors_are_brought_to_length_one_where_described(tmp_path: Path) -> None:
    file = described(tmp_path, embedder=embedder_of(tmp_path, unit_length=True))
    assert np.linalg.norm(embedded(file, plain())) == pytest.approx(1)


def test_a_mirrored_descriptor_is_the_mean_of_both_ways_to_look(tmp_path: Path) -> None:
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:, 64:] = 200
    halves = picture_of(pixels)
    whole = face(0, 0, 128)
    direct = embedded(described(tmp_path, embedder=embedder_of(tmp_path, corner_colour())), halves, whole)
    file = described(tmp_path, embedder=embedder_of(tmp_path, corner_colour(), mirror=True))
    assert direct == [0] * DIMENSION
    assert embedded(file, halves, whole) == pytest.approx(([100] * 3 @ WEIGHTS).tolist())


def test_a_box_is_cut_with_its_padding_and_black_beyond_the_picture(tmp_path: Path) -> None:
    alignment = {"kind": "box", "padding": 0.5}
    file = described(tmp_path, embedder=embedder_of(tmp_path, corner_colour(), alignment=alignment))
    assert embedded(file, plain(), face(8, 8, 64)) == [0] * DIMENSION
    assert embedded(file, plain(), face(40, 40, 64)) == pytest.approx((RED_GREEN_BLUE @ WEIGHTS).tolist())


def test_named_points_come_to_lie_where_the_chip_wants_them() -> None:
    chip = np.array([8 + 10j, 24 + 10j, 16 + 18j])
    turned = (chip - 16 - 16j) * (2 * np.exp(0.4j)) + 70 + 60j
    step, origin = similarity(chip, turned)
    assert np.allclose(origin + step * chip, turned)
    assert abs(step) == pytest.approx(2)


def test_a_chip_is_turned_as_its_points_are() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:50] = 250
    chip = cut(pixels, 1j, complex(75, 25), (50, 50))  # a quarter turn: what is above comes to the left
    assert chip[:, :24].mean() > 240
    assert chip[:, 26:].mean() < 10


@pytest.mark.parametrize("step", [0.5, 1.0, 2.7, 9.0])
def test_a_chip_covers_the_same_part_at_every_scale(step: float) -> None:
    pixels = np.tile(np.linspace(0, 250, 400).astype(np.uint8)[None, :, None], (400, 1, 3))
    chip = cut(pixels, complex(step), complex(200 - 16 * step, 200 - 16 * step), (32, 32))
    assert chip[16, 15:17].mean() == pytest.approx(125, abs=4)
    assert chip.mean() == pytest.approx(125, abs=4)


def test_a_chip_beside_the_picture_is_black() -> None:
    assert not cut(np.full((50, 50, 3), 9, np.uint8), 1 + 0j, 500 + 500j, (32, 32)).any()


BOXES = np.array([[[8, 8, 24, 24], [9, 8, 25, 24], [40, 4, 60, 30], [0, 0, 5, 5], [9, 9, 9, 9]]])
SCORES = np.array([[[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1], [0.1, 0.99]]])


def test_boxes_come_without_repetitions_the_widest_first_in_the_originals_pixels(tmp_path: Path) -> None:
    found = faces(tmp_path, always({"boxes": BOXES, "scores": SCORES}), plain(256, 128))
    assert [each.box for each in found] == [Box(160, 16, 240, 120), Box(32, 32, 96, 96)]
    assert [round(each.confidence, 3) for each in found] == [0.7, 0.9]


def test_boxes_may_be_fractions_of_the_input(tmp_path: Path) -> None:
    model = always({"boxes": BOXES[:, :1] / 64, "scores": SCORES[:, :1]})
    (found,) = faces(tmp_path, model, plain(), units="fractions")
    assert found.box == Box(16, 16, 48, 48)


def test_a_picture_without_a_face_has_none(tmp_path: Path) -> None:
    assert faces(tmp_path, always({"boxes": BOXES, "scores": SCORES * 0.4}), plain()) == []


def test_the_detectors_own_points_become_landmarks(tmp_path: Path) -> None:
    points = np.array([[[10, 12, 20, 12, 15, 16, 11, 20, 19, 20]]])
    model = always({"boxes": BOXES[:, :1], "scores": SCORES[:, :1], "points": points})
    outputs = {"boxes": "boxes", "scores": "scores", "landmarks": "points"}
    (found,) = faces(tmp_path, model, plain(), outputs=outputs)
    assert found.landmarks.left_eye == (Point(20, 24), Point(20, 24))
    assert found.landmarks.nose == Point(30, 32)
    assert found.mouth == (Point(22, 40), Point(38, 40))


def test_without_points_of_its_own_the_shipped_landmarks_are_found_in_the_box(tmp_path: Path) -> None:
    (found,) = faces(tmp_path, always({"boxes": BOXES[:, :1], "scores": SCORES[:, :1]}), plain())
    assert found.landmarks.left_eye[0] != found.landmarks.left_eye[1]
    assert found.mouth is None


def scrfd_level() -> dict[str, np.ndarray]:
    """A grid of 4 × 4 with two anchors; the second of row 1, column 2 sees a face."""
    scores, sides, points = np.zeros((32, 1)), np.ones((32, 4)), np.zeros((32, 10))
    seen = 2 * (1 * 4 + 2) + 1
    scores[seen], sides[seen], points[seen] = 0.9, [1, 0.5, 1.5, 1], np.arange(10) / 10
    return {"s": scores, "b": sides, "p": points}


def test_scrfd_is_decoded_from_its_grid(tmp_path: Path) -> None:
    detector = scrfd_of(tmp_path, always(scrfd_level()), stride=16, boxes="b", scores="s", landmarks="p")
    file = described(tmp_path, detector=detector, embedder=embedder_of(tmp_path))
    (found,) = loaded(file).detect(plain())
    assert found.box == Box(32, 16, 112, 64)
    left_eye = found.landmarks.left_eye[0]
    assert (left_eye.x, left_eye.y) == pytest.approx((64, 35.2))


def test_a_grid_of_another_size_is_told_when_the_engine_is_loaded(tmp_path: Path) -> None:
    detector = scrfd_of(tmp_path, always(scrfd_level()), stride=8, boxes="b", scores="s")
    field, sentence = refused(described(tmp_path, detector=detector))
    assert field == "detector.outputs"
    assert "the grid has 128" in sentence


def test_the_shipped_detector_serves_an_operators_embedder(
    tmp_path: Path, people: dict[str, tuple[Path, ...]], dlib_engine: DlibOnnxEngine
) -> None:
    photograph = Picture.open(people["obama"][0].read_bytes(), DecodeLimits())
    alignment = {"kind": "points", "points": POINTS}
    engine = loaded(described(tmp_path, embedder=embedder_of(tmp_path, alignment=alignment)))
    found = engine.detect(photograph)
    assert found == dlib_engine.detect(photograph)
    assert engine.embed([(photograph, found[0])])[0].vector.shape == (DIMENSION,)


def test_the_shipped_network_serves_an_operators_detector(
    tmp_path: Path, people: dict[str, tuple[Path, ...]], dlib_engine: DlibOnnxEngine
) -> None:
    photograph = Picture.open(people["obama"][0].read_bytes(), DecodeLimits())
    (theirs,) = dlib_engine.detect(photograph)
    size = np.array([photograph.width, photograph.height] * 2) / max(photograph.width, photograph.height)
    corners = np.array([theirs.box.left, theirs.box.top, theirs.box.right, theirs.box.bottom])
    boxes = corners / np.array([photograph.width, photograph.height] * 2) * size
    model = always({"boxes": boxes[None, None], "scores": np.ones((1, 1))})
    detector = detector_of(tmp_path, model, units="fractions")
    engine = loaded(described(tmp_path, detector=detector))
    (descriptor,) = engine.embed([(photograph, engine.detect(photograph)[0])])
    (shipped,) = dlib_engine.embed([(photograph, theirs)])
    assert np.linalg.norm(descriptor.vector - shipped.vector) < 0.05
    with pytest.raises(EngineMismatch):
        distance(descriptor, shipped)


def test_a_person_is_enrolled_by_a_described_engine(
    tmp_path: Path, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> None:
    alignment = {"kind": "points", "points": POINTS}
    file = described(tmp_path, embedder=embedder_of(tmp_path, alignment=alignment, unit_length=True))
    shots = [Shot(path.read_bytes()) for path in people["att-s02"][:3]]
    template = enrol_shots(EngineSet([loaded(file), shipped_engine.engine()]), shots, rules).template
    assert template is not None
    assert (template.engine.id, template.shots) == ("tiny", 3)


def test_what_shapes_a_descriptor_is_part_of_the_version_and_the_licence_text_is_not(tmp_path: Path) -> None:
    embedder = embedder_of(tmp_path)
    first = loaded(described(tmp_path, embedder=embedder)).info()
    assert first.key.version.startswith("1-")
    assert "made in a test" in first.licence
    assert first.dimension == DIMENSION
    worded = loaded(described(tmp_path, embedder=embedder, licence="in other words")).info()
    assert worded.key == first.key
    changed = embedder | {"input": input_of(SIDE, mean=[0, 0, 1])}
    assert loaded(described(tmp_path, embedder=changed)).info().key != first.key


def test_descriptors_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    given = input_of(SIDE, scale=[1e36, 1e36, 1e36])
    engine = loaded(described(tmp_path, embedder=embedder_of(tmp_path, input=given)))
    with pytest.raises(EngineUnavailable, match="not finite"):
        engine.embed([(plain(), face())])


Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        (lambda e: e | {"file": "absent.onnx"}, "embedder.file", "absent.onnx"),
        (lambda e: e | {"sha256": "0" * 64}, "embedder.sha256", "0" * 64),
        (lambda e: e | {"dimension": 9}, "embedder.dimension", "the model gives 8"),
        (lambda e: e | {"dimension": "many"}, "embedder.dimension", "many"),
        (lambda e: e | {"output": "other"}, "embedder.output", "the model has descriptor"),
        (lambda e: e | {"input": input_of(SIDE, name="x")}, "embedder.input.name", "the model has input"),
        (lambda e: e | {"input": input_of(SIDE * 2)}, "embedder.input", "a trial failed"),
        (lambda e: e | {"input": input_of(SIDE, channels="GBR")}, "embedder.input.channels", "GBR"),
        (lambda e: e | {"surprise": 1}, "embedder.surprise", "not permitted"),
        (
            lambda e: e | {"alignment": {"kind": "points", "points": POINTS | {"mouth_left": [3, 3]}}},
            "embedder.alignment.points",
            "does not tell this point",
        ),
        (
            lambda e: e | {"alignment": {"kind": "points", "points": {"nose": [1, 1], "left_eye": [1, 1]}}},
            "embedder.alignment",
            "in one place",
        ),
    ],
)
def test_an_error_names_file_field_and_value(tmp_path: Path, change: Change, field: str, told: str) -> None:
    found, sentence = refused(described(tmp_path, embedder=change(embedder_of(tmp_path))))
    assert found.startswith(field)
    assert told in sentence


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no YAML"),
        ("- a list", "-"),
        ("id: tiny\nversion: '1'\nlicence: x", "neither a detector nor an embedder"),
        ("id: dlib-onnx\nversion: '1'\nlicence: x", "belongs to an engine of the product"),
        ("a" * 70_000, "too long"),
    ],
)
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "engine.yaml"
    file.write_text(text)
    assert told in refused(file)[1]


def test_an_absent_description_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.yaml")[1]


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    embedder = embedder_of(tmp_path)
    (tmp_path / "embedder.onnx").write_bytes(b"not a model")
    embedder["sha256"] = hashlib.sha256(b"not a model").hexdigest()
    assert refused(described(tmp_path, embedder=embedder))[0] == "embedder.file"
