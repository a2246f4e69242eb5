import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.attacks import gridded
from biometrics.engines.base import Box
from biometrics.pictures.decoding import picture_of
from biometrics.pictures.texture import SIDE, measure_texture, texture_of


def smooth(seed: int) -> np.ndarray:
    """Soft shades with a sensor's noise."""
    source = np.random.default_rng(seed)
    small = Image.fromarray(source.integers(60, 180, (12, 12), dtype=np.uint8))
    shades = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.clip(shades + source.normal(0, 2, shades.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_fringes_raise_the_moire_figure(seed: int) -> None:
    plain = smooth(seed)
    hand = random.Random(seed)
    screen = gridded(
        Image.fromarray(plain).convert("RGB"), hand.uniform(1.1, 2.4), hand.uniform(0.05, 0.15)
    ).convert("L")
    assert texture_of(np.asarray(screen)).moire > texture_of(plain).moire + 0.3


def test_noise_is_more_irregular_than_shades() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(SIDE, dtype=np.uint8), (SIDE, SIDE))
    assert texture_of(noise).irregular > 0.4
    assert texture_of(ramp).irregular == 0


def test_a_flat_square_has_no_fringes() -> None:
    assert texture_of(np.full((SIDE, SIDE), 90, dtype=np.uint8)).moire == 0


def test_a_face_too_small_or_cut_off_is_not_judged() -> None:
    picture = picture_of(np.full((400, 400, 3), 90, dtype=np.uint8))
    assert measure_texture(picture, Box(0, 0, SIDE - 1, SIDE)) is None
    assert measure_texture(picture, Box(300, 300, 300 + SIDE, 300 + SIDE)) is None
    assert measure_texture(picture, Box(50, 50, 50 + SIDE, 50 + SIDE)) is not None


def test_a_photograph_of_a_photograph_on_a_screen_looks_riskier(people: dict[str, tuple[Path, ...]]) -> None:
    with Image.open(people["obama"][1]) as opened:
        still = opened.convert("RGB").resize((720, 900))
    box = Box(200, 200, 520, 520)
    plain = measure_texture(picture_of(np.asarray(still)), box)
    screen = measure_texture(picture_of(np.asarray(gridded(still, 1.7, 0.1))), box)
    assert plain is not None
    assert screen is not None
    assert screen.moire > plain.moire
