"""One still picture from untrusted bytes, decoded upright and no larger than it is needed.

The container is walked before any decoder sees it (`biometrics.pictures.containers`): kind by magic, dimensions, end of the
file, animation, colour space. A JPEG is then decoded by libjpeg-turbo at 1/1, 1/2, 1/4 or 1/8 of its size, since the
detector looks at small grey pictures and the network at 150 pixels; PNG and WebP are decoded in full and reduced.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageFile

from biometrics.errors import BiometricsError
from biometrics.pictures import containers
from biometrics.pictures.containers import Container, ImageKind

Pixels = npt.NDArray[np.uint8]
"""An upright RGB image, shape (height, width, 3), C-contiguous."""

Grey = npt.NDArray[np.uint8]
"""An upright grey image, shape (height, width), C-contiguous."""

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Pillow's modes that become RGB without loss of range."""

WORKING_SIDE = 360
"""Nothing is decoded smaller than this: entropy decoding costs the same at every size, and once is enough."""

_REDUCTIONS = (8, 4, 2, 1)
"""Halvings only: libjpeg-turbo has no vector code for the eighths between, and 5/8 takes longer than the whole."""
_FACE_WIDTH = 260.0
"""Width of a face in the decoding that landmarks are found in and the chip is cut from. dlib rounds landmarks to whole
pixels: at 150, the size of a chip, that moved descriptors of one person apart by up to a tenth."""
_LANDMARK_SIDE = 720
"""Short side of the one decoding of a frame of a burst: a face held before a phone is `_FACE_WIDTH` wide in it."""
_LARGEST_SIDE = 1440
"""No face calls for more: the smallest that a detector finds is a chip wide here, and memory stays bounded."""

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

    def __init__(
        self, data: bytes, container: Container, orientation: int, *, for_landmarks: bool = False
    ) -> None:
        self._data = data
        self._for_landmarks = for_landmarks
        self._orientation = orientation
        self._decoded: dict[tuple[str, int], Scaled] = {}
        self.kind = container.kind
        sides = (container.width, container.height)
        self.width, self.height = sides[::-1] if orientation >= _SIDEWAYS else sides

    @classmethod
    def open(cls, data: bytes, limits: DecodeLimits, *, for_landmarks: bool = False) -> Self:
        """Check one still JPEG, PNG or WebP; raises a BiometricsError whose code starts with `image_`.

        `for_landmarks` says that a face in it will be looked at closely, as in every frame of a burst: one decoding
        in colour then serves all, where detection alone is best served by a small grey one.
        """
        if len(data) > limits.max_bytes:
            raise ImageTooLarge(limit=f"{limits.max_bytes // 1024} KiB")
        container = containers.inspect(data)
        if container.width * container.height > limits.max_pixels:
            raise ImageTooLarge(limit=f"{limits.max_pixels // 1_000_000} MP")
        if min(container.width, container.height) < limits.min_side:
            raise ImageTooSmall(limit=limits.min_side)
        if container.colour is not None:
            raise ImageColourUnsupported(colour=container.colour)
        return cls(data, container, _orientation_of(data, container), for_landmarks=for_landmarks)

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)

    def rgb(self, short_side: int | None = None) -> Scaled:
        """RGB, decoded as small as a short side of at least `short_side` allows; in full by default.

        Raises ImageBroken where the decoder finds damage.
        """
        return self._at("RGB", short_side)

    def grey(self, short_side: int | None = None) -> Scaled:
        """The same in grey."""
        return self._at("GRAY", short_side)

    def showing(self, width: float) -> Scaled:
        """RGB in which what is `width` pixels wide in the original is wide enough for landmarks and chip."""
        wanted = round(self.short_side * _FACE_WIDTH / max(1.0, width))
        return self.rgb(min(max(1, wanted), _LARGEST_SIDE))

    def levels(self, width: float) -> Scaled:
        """Like `showing`, in grey where that costs nothing, else in colour: for whoever only wants levels."""
        shown = self.showing(width)
        return self.grey(_reduced(self.short_side, round(shown.factor))) if self._for_landmarks else shown

    def _at(self, colours: str, short_side: int | None) -> Scaled:
        wanted = min(max(short_side or self.short_side, WORKING_SIDE), self.short_side)
        reduction = next(each for each in _REDUCTIONS if _reduced(self.short_side, each) >= wanted)
        key = (colours, reduction)
        if key not in self._decoded:
            upright = np.ascontiguousarray(self._decoder(colours)(colours, reduction))
            self._decoded[key] = Scaled(upright, self.width / upright.shape[1])
        return self._decoded[key]

    def _decoder(self, colours: str) -> Callable[[str, int], npt.NDArray[np.uint8]]:
        if colours == "GRAY" and self._for_landmarks:
            return self._from_colour
        return self._jpeg if self.kind is ImageKind.JPEG else self._other

    def _from_colour(self, colours: str, reduction: int) -> npt.NDArray[np.uint8]:
        """Grey by dlib, whose mean of the three colours takes half as long as Pillow's weights."""
        import dlib  # noqa: PLC0415 - for those processes alone that look at faces

        rgb = self.rgb(max(_LANDMARK_SIDE, _reduced(self.short_side, reduction)))
        taken = round(rgb.factor)
        if taken < reduction:
            finest = self._at(colours, _reduced(self.short_side, taken))
            return np.asarray(Image.fromarray(finest.pixels).reduce(reduction // taken))
        grey: npt.NDArray[np.uint8] = dlib.as_grayscale(rgb.pixels)
        return grey

    def _jpeg(self, colours: str, reduction: int) -> npt.NDArray[np.uint8]:
        short_side = _reduced(self.short_side, reduction)
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
        except (ValueError, RuntimeError) as error:
            raise ImageBroken from error
        return _turned(raw[..., 0] if colours == "GRAY" else raw, self._orientation)

    def _other(self, colours: str, reduction: int) -> npt.NDArray[np.uint8]:
        if colours == "GRAY":
            rgb = self.rgb(_reduced(self.short_side, reduction)).pixels
            return np.asarray(Image.fromarray(rgb).convert("L"))
        # face_recognition switches this on for the whole process, which would turn half a picture into a grey one.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            # Pillow warns about oddities such as corrupt EXIF data, which it then ignores, as we do.
            with (
                warnings.catch_warnings(action="ignore"),
                Image.open(io.BytesIO(self._data), formats=[self.kind.value]) as image,
            ):
                return _turned(np.asarray(_as_rgb(image).reduce(reduction)), self._orientation)
        except (BiometricsError, MemoryError):  # memory that ran out says nothing about the picture
            raise
        except Exception as error:  # Pillow's plugins raise whatever hostile bytes make them raise
            raise ImageBroken from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode not in _MODES:
        raise ImageColourUnsupported(colour=image.mode)
    return image if image.mode == "RGB" else image.convert("RGB")


def _reduced(side: int, reduction: int) -> int:
    """Both decoders round up."""
    return -(-side // reduction)


def picture_of(pixels: Pixels) -> Picture:
    """A picture of pixels that are here already, stored without loss."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG", compress_level=0)
    return Picture.open(target.getvalue(), DecodeLimits(max_bytes=2**31, max_pixels=2**28, min_side=1))


def _orientation_of(data: bytes, container: Container) -> int:
    """The EXIF orientation, 1 to 8; whatever cannot be read is upright. The decoder must see the size that we saw."""
    orientation = _UPRIGHT
    try:
        if container.kind is ImageKind.JPEG:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if container.kind is not ImageKind.JPEG or container.exif:
            with (
                warnings.catch_warnings(action="ignore"),
                Image.open(io.BytesIO(data), formats=[container.kind.value]) as image,
            ):
                width, height = image.size
                orientation = _read_orientation(image)
    except Exception as error:  # as above
        raise ImageBroken from error
    if (width, height) != (container.width, container.height):
        raise ImageBroken
    return orientation


def _read_orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - a camera's absurd notes about a picture say nothing against the picture
        return _UPRIGHT
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
