"""Small generated pictures for tests of decoding."""

import io

import numpy as np
from PIL import Image


def noise_picture(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """A picture of random colours, which does not compress to almost nothing."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1))


def encode_picture(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, format=kind, **options)
    return target.getvalue()
