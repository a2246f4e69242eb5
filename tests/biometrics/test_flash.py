import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engines.base import Box
from biometrics.liveness.flash import Colour, flash_response, mean_colours
from biometrics.pictures.decoding import DecodedImage

SHOWN: list[Colour] = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
WALL: Colour = (90, 90, 90)


def light_skin(skin: Colour, screen: Colour, share: float) -> Colour:
    red, green, blue = (level * (1 + share * light / 255) for level, light in zip(skin, screen, strict=True))
    return red, green, blue


def walls(count: int) -> list[Colour]:
    return [WALL] * count


@given(st.floats(0.01, 0.5), st.tuples(*[st.floats(40, 200)] * 3))
def test_face_lit_by_the_screen_correlates_with_its_colours(share: float, skin: Colour) -> None:
    faces = [light_skin(skin, screen, share) for screen in SHOWN]
    response = flash_response(SHOWN, faces, walls(5))
    assert response is not None
    assert response.correlation > 0.9


def test_face_lit_by_other_colours_does_not_correlate() -> None:
    faces = [light_skin((120, 90, 80), screen, 0.1) for screen in SHOWN[1:] + SHOWN[:1]]
    response = flash_response(SHOWN, faces, walls(5))
    assert response is not None
    assert response.correlation < 0.2


def test_changes_of_white_balance_do_not_hide_the_response() -> None:
    casts = [(1.0, 0.8, 1.2), (0.9, 1.1, 1.0), (1.2, 1.0, 0.7), (1, 1, 1), (0.8, 0.8, 1.3)]

    def cast(colour: Colour, by: tuple[float, float, float]) -> Colour:
        return colour[0] * by[0], colour[1] * by[1], colour[2] * by[2]

    faces = [
        cast(light_skin((120, 90, 80), *each), by)
        for each, by in zip(((s, 0.1) for s in SHOWN), casts, strict=True)
    ]
    response = flash_response(SHOWN, faces, [cast(WALL, by) for by in casts])
    assert response is not None
    assert response.correlation > 0.9


@pytest.mark.parametrize(
    ("shown", "faces"),
    [
        (SHOWN[:2], [WALL, WALL]),
        ([(255, 0, 0)] * 4, [(100, 90, 80)] * 4),
        (SHOWN, [(100, 90, 80)] * 5),
        ([], []),
    ],
)
def test_response_is_undefined_without_changes(shown: list[Colour], faces: list[Colour]) -> None:
    assert flash_response(shown, faces, walls(len(shown))) is None


def test_colours_are_measured_on_face_and_background() -> None:
    pixels = np.full((100, 80, 3), 50, dtype=np.uint8)
    pixels[30:70, 20:60] = (200, 100, 10)
    face, behind = mean_colours(DecodedImage(pixels, 2.0), Box(40, 60, 120, 140))
    assert list(face) == [200, 100, 10]
    assert list(behind) == [50, 50, 50]


@given(st.floats(-300, 300), st.floats(-300, 300), st.floats(1, 500))
def test_box_may_extend_beyond_the_image(left: float, top: float, side: float) -> None:
    pixels = np.full((40, 30, 3), 7, dtype=np.uint8)
    box = Box(left, top, left + side, top + side)
    assert mean_colours(DecodedImage(pixels, 1.0), box) == ((7, 7, 7), (7, 7, 7))
