import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.liveness.picture_attacks import sample_through_grid
from biometrics.engines.base import Box
from biometrics.pictures.decoding import picture_from_pixels
from biometrics.pictures.texture import SIDE, measure_square, measure_texture


def smooth_pixels(seed: int) -> np.ndarray:
    """Smooth shades with sensor noise."""
    source = np.random.default_rng(seed)
    small = Image.fromarray(source.integers(60, 180, (12, 12), dtype=np.uint8))
    shades = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.clip(shades + source.normal(0, 2, shades.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_fringes_raise_the_moire_figure(seed: int) -> None:
    plain = smooth_pixels(seed)
    hand = random.Random(seed)
    screen = sample_through_grid(
        Image.fromarray(plain).convert("RGB"), hand.uniform(1.1, 2.4), hand.uniform(0.05, 0.15)
    ).convert("L")
    assert measure_square(np.asarray(screen)).moire > measure_square(plain).moire + 0.3


def test_noise_is_more_irregular_than_a_ramp() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(SIDE, dtype=np.uint8), (SIDE, SIDE))
    assert measure_square(noise).irregular > 0.4
    assert measure_square(ramp).irregular == 0


def test_a_flat_square_has_no_fringes() -> None:
    assert measure_square(np.full((SIDE, SIDE), 90, dtype=np.uint8)).moire == 0


def test_small_or_cropped_face_is_not_measured() -> None:
    picture = picture_from_pixels(np.full((400, 400, 3), 90, dtype=np.uint8))
    assert measure_texture(picture, Box(0, 0, SIDE - 1, SIDE)) is None
    assert measure_texture(picture, Box(300, 300, 300 + SIDE, 300 + SIDE)) is None
    assert measure_texture(picture, Box(50, 50, 50 + SIDE, 50 + SIDE)) is not None


def test_photograph_of_a_screen_has_a_higher_moire_figure(people: dict[str, tuple[Path, ...]]) -> None:
    with Image.open(people["obama"][1]) as opened:
        still = opened.convert("RGB").resize((720, 900))
    box = Box(200, 200, 520, 520)
    plain = measure_texture(picture_from_pixels(np.asarray(still)), box)
    screen = measure_texture(picture_from_pixels(np.asarray(sample_through_grid(still, 1.7, 0.1))), box)
    assert plain is not None
    assert screen is not None
    assert screen.moire > plain.moire
