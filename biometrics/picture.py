"""One still picture from untrusted bytes, decoded upright and no larger than it is needed.

The container is walked before any decoder sees it (`biometrics.containers`): kind by magic, dimensions, end of the
file, animation, colour space. A JPEG is then decoded by libjpeg-turbo at a fraction of its size (1/1 to 1/8), since
the detector looks at small grey pictures and the network at 150 pixels; PNG and WebP have no such short way.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageFile, ImageOps

from biometrics import containers
from biometrics.containers import Container, ImageKind
from biometrics.errors import BiometricsError

Pixels = npt.NDArray[np.uint8]
"""An upright RGB image, shape (height, width, 3), C-contiguous."""

Grey = npt.NDArray[np.uint8]
"""An upright grey image, shape (height, width), C-contiguous."""

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Pillow's modes that become RGB without loss of range."""

WORKING_SIDE = 360
"""Nothing is decoded smaller than this: entropy decoding costs the same at every size, and once is enough."""

_ORIENTATION = 0x0112
_UPRIGHT, _SIDEWAYS, _LAST = 1, 5, 8
"""EXIF orientations, the first and the last; from 5 on width and height change places."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """A decoded picture and how much smaller it is than the original: a position here times `factor` is one there."""

    pixels: npt.NDArray[np.uint8]
    factor: float


class Picture:
    """A checked picture. Decodings are kept, so that asking twice costs once; the object lives for one task.

    `width` and `height` are those of the upright original in pixels; positions of faces are in them.
    """

    def __init__(self, data: bytes, container: Container, orientation: int) -> None:
        self._data = data
        self._orientation = orientation
        self._decoded: dict[tuple[str, int], Scaled] = {}
        self.kind = container.kind
        sides = (container.width, container.height)
        self.width, self.height = sides[::-1] if orientation >= _SIDEWAYS else sides

    @classmethod
    def open(cls, data: bytes, limits: DecodeLimits) -> Self:
        """Check one still JPEG, PNG or WebP; raises a BiometricsError whose code starts with `image_`."""
        if len(data) > limits.max_bytes:
            raise ImageTooLarge(limit=f"{limits.max_bytes // 1024} KiB")
        container = containers.inspect(data)
        if container.width * container.height > limits.max_pixels:
            raise ImageTooLarge(limit=f"{limits.max_pixels // 1_000_000} MP")
        if min(container.width, container.height) < limits.min_side:
            raise ImageTooSmall(limit=limits.min_side)
        if container.colour is not None:
            raise ImageColourUnsupported(colour=container.colour)
        return cls(data, container, _orientation_of(data, container))

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)

    def rgb(self, short_side: int | None = None) -> Scaled:
        """RGB, decoded as small as a short side of at least `short_side` allows; in full by default.

        Raises ImageBroken where the decoder finds damage.
        """
        return self._at("RGB", short_side)

    def grey(self, short_side: int | None = None) -> Scaled:
        """The same in grey. A small one comes from the colours that the chip will need anyway."""
        if (short_side or self.short_side) > WORKING_SIDE:
            return self._at("GRAY", short_side)
        if ("GRAY", WORKING_SIDE) not in self._decoded:
            colours = self.rgb(WORKING_SIDE)
            grey = np.asarray(Image.fromarray(colours.pixels).convert("L"))
            self._decoded["GRAY", WORKING_SIDE] = Scaled(grey, colours.factor)
        return self._decoded["GRAY", WORKING_SIDE]

    def _at(self, colours: str, short_side: int | None) -> Scaled:
        wanted = min(max(short_side or self.short_side, WORKING_SIDE), self.short_side)
        key = (colours, wanted if self.kind is ImageKind.JPEG else self.short_side)
        if key not in self._decoded:
            scaled = self._jpeg(colours, wanted) if self.kind is ImageKind.JPEG else self._other(colours)
            self._decoded[key] = scaled
        return self._decoded[key]

    def _jpeg(self, colours: str, short_side: int) -> Scaled:
        try:
            raw = simplejpeg.decode_jpeg(
                self._data,
                colorspace=colours,
                fastdct=True,
                fastupsample=True,
                min_height=short_side,
                min_width=short_side,
                min_factor=1,
            )
        except (ValueError, RuntimeError, MemoryError) as error:
            raise ImageBroken from error
        upright = _turned(raw[..., 0] if colours == "GRAY" else raw, self._orientation)
        return Scaled(np.ascontiguousarray(upright), self.width / upright.shape[1])

    def _other(self, colours: str) -> Scaled:
        # face_recognition switches this on for the whole process, which would turn half a picture into a grey one.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            # Pillow warns about oddities such as corrupt EXIF data, which it then ignores, as we do.
            with (
                warnings.catch_warnings(action="ignore"),
                Image.open(io.BytesIO(self._data), formats=[self.kind.value]) as image,
            ):
                upright = _converted(ImageOps.exif_transpose(image), "L" if colours == "GRAY" else "RGB")
                return Scaled(np.ascontiguousarray(np.asarray(upright, dtype=np.uint8)), 1.0)
        except BiometricsError:
            raise
        except Exception as error:  # Pillow's plugins raise whatever hostile bytes make them raise
            raise ImageBroken from error


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode not in _MODES:
        raise ImageColourUnsupported(colour=image.mode)
    return image.convert(mode)


def picture_of(pixels: Pixels) -> Picture:
    """A picture of pixels that are here already, stored without loss."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG", compress_level=0)
    return Picture.open(target.getvalue(), DecodeLimits(max_bytes=2**31, max_pixels=2**28, min_side=1))


def _orientation_of(data: bytes, container: Container) -> int:
    """The EXIF orientation, 1 to 8; whatever cannot be read is upright."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=[container.kind.value]) as image,
        ):
            agreed = image.size == (container.width, container.height)
            found = image.getexif().get(_ORIENTATION, _UPRIGHT)
    except Exception as error:  # as above
        raise ImageBroken from error
    if not agreed:
        raise ImageBroken
    return found if isinstance(found, int) and _UPRIGHT <= found <= _LAST else _UPRIGHT


def _turned(raw: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn and mirror as the eight orientations of EXIF ask."""
    if orientation >= _SIDEWAYS:
        raw = raw.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        raw = raw[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        raw = raw[::-1]
    return raw


def reencode(picture: Picture, short_side: int | None = None, quality: int = 88) -> bytes:
    """A fresh JPEG of the pixels alone, for the evidence store: no metadata, no trailing bytes."""
    encoded: bytes = simplejpeg.encode_jpeg(picture.rgb(short_side).pixels, quality=quality)
    return encoded
