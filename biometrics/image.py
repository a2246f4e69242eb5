"""Safe decoding: untrusted bytes in, upright RGB pixels out, or a refusal with a code.

The container is walked before any decoder sees it (`biometrics.containers`): kind by magic, dimensions, end
of the file, animation, colour space. Then exactly one Pillow decoder is allowed to run, so that a file is
what both the walk and the decoder say it is. Nothing of the original but its pixels survives.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, ImageOps

from biometrics import containers
from biometrics.containers import ImageKind
from biometrics.engine import Pixels
from biometrics.errors import BiometricsError

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Pillow's modes that become RGB without loss of range."""


class ImageBroken(BiometricsError):
    """The container looks right, but the decoder cannot read what is inside."""

    code = "image_broken"
    status = 422
    zh = "图片已损坏，无法读取。请重新拍摄。"
    en = "The picture is damaged and cannot be read. Take it again."


class ImageTooLarge(BiometricsError):
    """More bytes or more pixels than anybody's check-in needs."""

    code = "image_too_large"
    status = 413
    zh = "图片过大（上限 {limit}）。请使用应用内相机拍摄。"
    en = "The picture is too large (limit {limit}). Take it with the app's camera."


class ImageTooSmall(BiometricsError):
    """Too few pixels to hold a face that can be judged."""

    code = "image_too_small"
    status = 422
    zh = "图片过小（短边至少 {limit} 像素）。请使用应用内相机拍摄。"
    en = "The picture is too small (short side at least {limit} pixels). Take it with the app's camera."


class ImageColourUnsupported(BiometricsError):
    """CMYK, 16-bit grey and other colour spaces that no phone camera makes."""

    code = "image_colour_unsupported"
    status = 422
    zh = "图片的色彩格式（{colour}）不受支持。请使用应用内相机拍摄。"
    en = "The picture's colour format ({colour}) is not supported. Take it with the app's camera."


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds checked before decoding; a file beyond them costs no decoder time."""

    max_bytes: int = 8 * 1024 * 1024
    max_pixels: int = 25_000_000
    min_side: int = 32
    working_side: int = 720
    """JPEGs whose short side is at least twice this are decoded at a power-of-two fraction of their size."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """Upright pixels and what the file said about itself."""

    pixels: Pixels
    kind: ImageKind
    width: int
    """Of the file, before orientation and scaling."""
    height: int


def decode(data: bytes, limits: DecodeLimits) -> DecodedImage:
    """Decode one still JPEG, PNG or WebP; raises a BiometricsError whose code starts with `image_`."""
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(limit=f"{limits.max_bytes // 1024} KiB")
    container = containers.inspect(data)
    if container.width * container.height > limits.max_pixels:
        raise ImageTooLarge(limit=f"{limits.max_pixels // 1_000_000} MP")
    if min(container.width, container.height) < limits.min_side:
        raise ImageTooSmall(limit=limits.min_side)
    if container.colour is not None:
        raise ImageColourUnsupported(colour=container.colour)
    pixels = _pixels(data, container, limits)
    return DecodedImage(pixels, container.kind, container.width, container.height)


def _pixels(data: bytes, container: containers.Container, limits: DecodeLimits) -> Pixels:
    # face_recognition switches this on for the whole process, which would turn half a picture into a grey one.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    kind = container.kind.value
    try:
        # Pillow warns about oddities such as corrupt EXIF data, which it then ignores, as we do.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=[kind]) as image:
            return _upright(image, container, limits)
    except BiometricsError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever hostile bytes make them raise
        raise ImageBroken from error


def _upright(image: Image.Image, container: containers.Container, limits: DecodeLimits) -> Pixels:
    if image.size != (container.width, container.height):
        raise ImageBroken
    if container.kind is ImageKind.JPEG:
        image.draft("RGB", _draft_size(image.size, limits.working_side))
    upright = ImageOps.exif_transpose(image)
    if upright.mode not in _MODES:
        raise ImageColourUnsupported(colour=upright.mode)
    return np.ascontiguousarray(np.asarray(upright.convert("RGB"), dtype=np.uint8))


def _draft_size(size: tuple[int, int], working_side: int) -> tuple[int, int]:
    """The smallest size Pillow may scale down to while the short side keeps `working_side` pixels."""
    scale = max(1.0, min(size) / working_side)
    return int(size[0] / scale), int(size[1] / scale)


def reencode(image: DecodedImage, quality: int = 88) -> bytes:
    """A fresh JPEG of the pixels alone, for the evidence store: no metadata, no trailing bytes."""
    target = io.BytesIO()
    Image.fromarray(image.pixels).save(target, format="JPEG", quality=quality)
    return target.getvalue()
