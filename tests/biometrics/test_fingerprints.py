from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from biometrics.pictures.decoding import DecodeLimits, Picture, picture_from_pixels
from biometrics.pictures.fingerprints import Fingerprint, fingerprint, hamming, near_duplicate
from tests.support.biometrics.pictures import encode_picture, noise_picture

HASHES = st.integers(0, 2**64 - 1)


def test_equal_pixels_have_equal_fingerprints_in_any_file() -> None:
    one, other = (
        Picture.open(encode_picture(noise_picture(), "PNG", compress_level=level), DecodeLimits())
        for level in (1, 9)
    )
    assert fingerprint(one) == fingerprint(other)


def test_one_changed_pixel_changes_only_the_exact_hash() -> None:
    pixels = np.asarray(noise_picture(640, 480)).copy()
    before = fingerprint(picture_from_pixels(pixels))
    pixels[0, 0] ^= 64
    after = fingerprint(picture_from_pixels(pixels))
    assert after.sha256 != before.sha256
    assert after.phash == before.phash


@pytest.mark.parametrize("change", ["jpeg", "half", "brighter"])
def test_slightly_changed_photograph_is_a_near_duplicate(
    people: dict[str, tuple[Path, ...]], change: str
) -> None:
    pixels = Picture.open(people["obama"][0].read_bytes(), DecodeLimits()).rgb().pixels
    image = Image.fromarray(pixels)
    changed = {
        "jpeg": Picture.open(encode_picture(image, "JPEG", quality=30), DecodeLimits()),
        "half": picture_from_pixels(np.asarray(image.resize((image.width // 2, image.height // 2)))),
        "brighter": picture_from_pixels(np.clip(pixels.astype(int) + 12, 0, 255).astype(np.uint8)),
    }[change]
    assert near_duplicate(fingerprint(picture_from_pixels(pixels)), fingerprint(changed), max_bits=6)


def test_different_photographs_of_a_person_are_not_duplicates(people: dict[str, tuple[Path, ...]]) -> None:
    one, other = (
        fingerprint(Picture.open(path.read_bytes(), DecodeLimits())) for path in people["obama"][:2]
    )
    assert not near_duplicate(one, other, max_bits=6)


@given(HASHES, HASHES, HASHES)
def test_hamming_is_a_metric(a: int, b: int, c: int) -> None:
    assert hamming(a, a) == 0
    assert (
        hamming(a, b) == hamming(b, a) == sum(x != y for x, y in zip(f"{a:064b}", f"{b:064b}", strict=True))
    )
    assert hamming(a, c) <= hamming(a, b) + hamming(b, c)


@pytest.mark.parametrize("bits", [-1, 65])
def test_invalid_tolerance_is_rejected(bits: int) -> None:
    with pytest.raises(ValueError, match="max_bits"):
        near_duplicate(Fingerprint("a", 0), Fingerprint("b", 0), max_bits=bits)
