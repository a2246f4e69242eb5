import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biometrics.engines.base import Descriptor, distance
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.test_pattern import render_pattern
from biometrics.errors import EngineUnavailable
from biometrics.pictures.decoding import DecodeLimits, Picture, picture_from_pixels

DESCRIBE_WITH_REFERENCE = """
import json, sys
from pathlib import Path
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.engines.reference import ReferenceEngine
engine, found = ReferenceEngine(), []
for name in sys.argv[1:]:
    data = Path(name).read_bytes()
    picture = Picture.open(data, DecodeLimits())
    (by_steps,) = engine.embed([(picture, engine.detect(picture)[0])])
    found.append([engine.describe(data)[0].vector.tolist(), by_steps.vector.tolist()])
print(json.dumps(found))
"""

LOAD_ENGINE = """
import sys
from biometrics.engines.dlib_onnx import DlibOnnxEngine
DlibOnnxEngine()
print(sorted({"pkg_resources", "face_recognition", "face_recognition_models"} & set(sys.modules)))
"""


def open_picture(data: bytes) -> Picture:
    return Picture.open(data, DecodeLimits())


def describe_widest(engine: DlibOnnxEngine, data: bytes) -> Descriptor:
    opened = open_picture(data)
    (descriptor,) = engine.embed([(opened, engine.detect(opened)[0])])
    return descriptor


@pytest.fixture(scope="module")
def figures(people: dict[str, tuple[Path, ...]], dlib_engine: DlibOnnxEngine) -> dict[Path, Descriptor]:
    """Descriptors of the public figures' photographs."""
    return {
        path: describe_widest(dlib_engine, path.read_bytes())
        for name in ("obama", "biden")
        for path in people[name]
    }


def test_photographs_of_one_person_are_closer_than_of_two(
    figures: dict[Path, Descriptor], people: dict[str, tuple[Path, ...]]
) -> None:
    obama = [figures[path] for path in people["obama"]]
    biden = figures[people["biden"][0]]
    same = max(distance(one, other) for one in obama for other in obama)
    assert same < 0.45
    assert min(distance(one, biden) for one in obama) > same + 0.3


def halve_picture(path: Path, folder: Path) -> Path:
    """Save the photograph at half its size."""
    smaller = folder / path.name
    with Image.open(path) as photograph:
        photograph.reduce(2).save(smaller, "JPEG", quality=95)
    return smaller


def test_distances_agree_with_the_reference_library(
    dlib_engine: DlibOnnxEngine, people: dict[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    figures = sorted((*people["obama"], *people["biden"]), key=lambda path: path.stat().st_size)
    paths = [halve_picture(path, tmp_path) for path in figures[:3]]  # the reference searches every pixel
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DESCRIBE_WITH_REFERENCE, *map(str, paths)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    reference, by_steps = np.array(json.loads(done.stdout)).transpose(1, 0, 2)
    assert np.linalg.norm(reference - by_steps, axis=1).max() < 0.1  # same pipeline except for the decoder
    ours = np.array([describe_widest(dlib_engine, path.read_bytes()).vector for path in paths])
    for one in range(len(paths)):
        for other in range(one):
            theirs = np.linalg.norm(reference[one] - reference[other])
            assert np.linalg.norm(ours[one] - ours[other]) == pytest.approx(theirs, abs=0.05)


def test_weights_package_is_read_but_not_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD_ENGINE], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_picture_and_mirror_image_have_the_same_descriptor(
    dlib_engine: DlibOnnxEngine, people: dict[str, tuple[Path, ...]]
) -> None:
    upright = open_picture(people["obama"][0].read_bytes())
    mirrored = picture_from_pixels(np.ascontiguousarray(upright.rgb().pixels[:, ::-1]))
    one, other = dlib_engine.embed(
        [(upright, dlib_engine.detect(upright)[0]), (mirrored, dlib_engine.detect(mirrored)[0])]
    )
    assert distance(one, other) < 0.12


def test_photograph_rotated_by_exif_is_recognised(
    dlib_engine: DlibOnnxEngine, people: dict[str, tuple[Path, ...]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    target = io.BytesIO()
    with Image.open(people["obama"][0]) as upright:
        upright.rotate(-90, expand=True).save(target, "JPEG", exif=exif, quality=95)
    turned = describe_widest(dlib_engine, target.getvalue())
    assert distance(turned, describe_widest(dlib_engine, people["obama"][0].read_bytes())) < 0.15


@pytest.mark.parametrize("seed", range(25))
def test_no_face_is_detected_in_a_test_pattern(dlib_engine: DlibOnnxEngine, seed: int) -> None:
    assert dlib_engine.detect(open_picture(render_pattern(seed, 0))) == []


def test_faces_are_detected_in_small_photographs(
    dlib_engine: DlibOnnxEngine, people: dict[str, tuple[Path, ...]]
) -> None:
    found = [
        dlib_engine.detect(open_picture(people[f"att-s{person:02}"][0].read_bytes()))
        for person in range(1, 41, 4)
    ]
    assert [len(faces) for faces in found] == [1] * 10


def test_engine_can_be_shared_between_threads(
    dlib_engine: DlibOnnxEngine, people: dict[str, tuple[Path, ...]]
) -> None:
    small = open_picture(people["att-s01"][0].read_bytes())
    with ThreadPoolExecutor(4) as threads:
        boxes = list(threads.map(lambda _: [face.box for face in dlib_engine.detect(small)], range(40)))
    assert all(found == boxes[0] for found in boxes)


def test_info_contains_licence_and_weights(dlib_engine: DlibOnnxEngine) -> None:
    info = dlib_engine.info()
    assert len(info.weights_sha256) == 64
    assert "public domain" in info.licence
    assert not info.test_only


def test_missing_weights_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="shape_predictor_5_face_landmarks"):
        DlibOnnxEngine(tmp_path)
