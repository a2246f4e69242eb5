from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image, ImageFilter

from biometrics.engines.base import Box, DetectedFace, Landmarks, Point
from biometrics.pictures.decoding import Pixels, picture_from_pixels
from biometrics.pictures.quality import Quality, QualityLimits, check_quality, measure_quality

LIMITS = QualityLimits()
GOOD = Quality(
    faces=1, face_width_px=200, sharpness=100, brightness=120, saturated_share=0.01,
    roll_deg=2, nose_offset=0.05, second_face_ratio=0,
)  # fmt: skip


def make_face(
    left: float = 40, width: float = 200, eye_drop: float = 0, nose: tuple[float, float] = (140, 160)
) -> DetectedFace:
    marks = Landmarks(
        (Point(80, 100), Point(110, 100)),
        (Point(200, 100 + eye_drop), Point(170, 100 + eye_drop)),
        Point(*nose),
    )
    return DetectedFace(Box(left, 40, left + width, 40 + width), marks, 1.0)


def texture_pixels(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(60, 190, (300, 300, 3), dtype=np.uint8)


def test_good_face_has_no_reasons() -> None:
    assert check_quality(GOOD, LIMITS) == ()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("face_width_px", 49.9, "face_too_small"),
        ("sharpness", 14.9, "blurred"),
        ("brightness", 24.0, "too_dark"),
        ("brightness", 226.0, "too_bright"),
        ("saturated_share", 0.61, "saturated"),
        ("roll_deg", -31.0, "tilted"),
        ("nose_offset", -0.26, "turned"),
        ("second_face_ratio", 0.5, "second_face"),
    ],
)
def test_each_defect_has_its_own_reason_in_both_languages(field: str, value: float, code: str) -> None:
    (reason,) = check_quality(Quality(**(asdict(GOOD) | {field: value})), LIMITS)
    assert reason.code == code
    assert reason.zh
    assert reason.en


def test_blurring_lowers_the_sharpness() -> None:
    pixels = texture_pixels()
    blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(12)))
    assert (
        measure_quality(picture_from_pixels(blurred), [make_face()]).sharpness
        < LIMITS.min_sharpness
        < measure_quality(picture_from_pixels(pixels), [make_face()]).sharpness
    )


def test_brightness_and_saturation_are_measured_on_the_face() -> None:
    pixels = texture_pixels()
    pixels[40:240, 40:240] = 2
    quality = measure_quality(picture_from_pixels(pixels), [make_face()])
    assert quality.brightness == pytest.approx(2)
    assert quality.saturated_share == 1


def test_roll_is_the_angle_of_the_eye_axis() -> None:
    assert measure_quality(picture_from_pixels(texture_pixels()), [make_face()]).roll_deg == pytest.approx(0)
    assert measure_quality(
        picture_from_pixels(texture_pixels()), [make_face(eye_drop=90)]
    ).roll_deg == pytest.approx(45)


def test_nose_offset_is_in_eye_distances() -> None:
    assert measure_quality(picture_from_pixels(texture_pixels()), [make_face()]).nose_offset == pytest.approx(
        0
    )
    assert measure_quality(
        picture_from_pixels(texture_pixels()), [make_face(nose=(167, 160))]
    ).nose_offset == pytest.approx(0.3)


def test_second_face_is_measured_by_its_width() -> None:
    assert measure_quality(
        picture_from_pixels(texture_pixels()), [make_face(), make_face(left=10, width=120)]
    ).second_face_ratio == pytest.approx(0.6)


def test_face_beyond_the_edge_is_measured_on_its_visible_part() -> None:
    assert (
        measure_quality(picture_from_pixels(texture_pixels()), [make_face(left=-50)]).sharpness
        > LIMITS.min_sharpness
    )
