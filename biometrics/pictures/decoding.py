"""Decoding of one still picture from untrusted bytes, upright and no larger than needed.

`biometrics.pictures.containers` checks the file before any decoder reads it: format, dimensions, end of file, animation
and colour space. libjpeg-turbo then decodes a JPEG at 1/1, 1/2, 1/4 or 1/8 of its size, because the detector uses small
grey pictures and the network 150 pixels. PNG, WebP and HEIC are decoded in full and then reduced. Of a file with several
pictures only the primary one is decoded.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageFile

from biometrics.errors import BiometricsError
from biometrics.pictures import containers
from biometrics.pictures.containers import UNSCALED, Container, ImageKind

Pixels = npt.NDArray[np.uint8]
"""An upright RGB image, shape (height, width, 3), C-contiguous."""

Grey = npt.NDArray[np.uint8]
"""An upright grey image, shape (height, width), C-contiguous."""

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Pillow modes that convert to RGB without loss of range."""

WORKING_SIDE = 360
"""The smallest decoding: entropy decoding costs the same at every size, so it should happen once."""

_REDUCTIONS = (8, 4, 2, 1)
"""Powers of two only: libjpeg-turbo has no SIMD code for the other eighths, and 5/8 takes longer than full size."""
FACE_WIDTH = 260.0
"""Width of a face in a decoding for dlib's landmarks and chip. dlib rounds landmarks to whole pixels: at 150, the size of a
chip, the rounding moved descriptors of one person apart by up to a tenth."""
CHIP_FACE_WIDTH = 130.0
"""Width of a face in a decoding for everything with parts of a pixel: a chip of 112 pixels, landmarks in an enlarged cut,
brightness. Half the pixels of a phone's frame suffice for it when the face is a third of the picture wide."""
UNSCALED_COST = 4
"""Decoding a pixel of a PNG costs as much as decoding four of a JPEG (54 ms against 12.5 ms at 1080 x 1920)."""
_LARGEST_SIDE = 1440
"""Upper limit for a decoding, to bound memory: the smallest detectable face is as wide as a chip at this size."""

_ORIENTATION = 0x0112
_UPRIGHT, _SIDEWAYS, _LAST = 1, 5, 8
"""EXIF orientations: the first, the first with width and height exchanged, and the last."""


class ImageBroken(BiometricsError):
    """The container looks valid, but the decoder cannot read its content."""

    code = "image_broken"
    status = 422
    zh = "图片已损坏，无法读取。请重新拍摄。"
    en = "The picture is damaged and cannot be read. Take it again."


class ImageTooLarge(BiometricsError):
    """The picture has more bytes or pixels than any check needs."""

    code = "image_too_large"
    status = 413
    zh = "图片过大（上限 {limit}）。请使用应用内相机拍摄。"
    en = "The picture is too large (limit {limit}). Take it with the app's camera."


class ImageTooSmall(BiometricsError):
    """The picture has too few pixels for a usable face."""

    code = "image_too_small"
    status = 422
    zh = "图片过小（短边至少 {limit} 像素）。请使用应用内相机拍摄。"
    en = "The picture is too small (short side at least {limit} pixels). Take it with the app's camera."


class ImageColourUnsupported(BiometricsError):
    """A colour space that no phone camera produces, such as CMYK or 16-bit grey."""

    code = "image_colour_unsupported"
    status = 422
    zh = "图片的色彩格式（{colour}）不受支持。请使用应用内相机拍摄。"
    en = "The picture's colour format ({colour}) is not supported. Take it with the app's camera."


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits checked before decoding, so that a file beyond them costs no decoder time."""

    max_bytes: int = 8 * 1024 * 1024
    max_pixels: int = 25_000_000
    min_side: int = 32
    max_unscaled_pixels: int = 25_000_000
    """For PNG and WebP, which are decoded in full size. HEIC too, but phones take their pictures in it."""
    max_total_pixels: int | None = None
    """For all pictures of one task together, where a pixel of an unscaled format counts `UNSCALED_COST` times."""

    def check_size(self, kind: ImageKind, pixels: int) -> None:
        """Raise ImageTooLarge if a picture of this format has too many pixels."""
        limit = self.max_unscaled_pixels if kind in {ImageKind.PNG, ImageKind.WEBP} else self.max_pixels
        if pixels > min(limit, self.max_pixels):
            raise ImageTooLarge(limit=f"{min(limit, self.max_pixels) / 1_000_000:.3g} MP")


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """A decoded image. Multiply positions in it by `factor` to get positions in the original."""

    pixels: npt.NDArray[np.uint8]
    factor: float


class Picture:
    """A picture that passed the container check. Decodings are cached for the lifetime of the object, which is one task.

    `width` and `height` are those of the upright original in pixels. Positions of faces use the same pixels.
    """

    def __init__(
        self, data: bytes, container: Container, orientation: int, *, in_burst: bool = False
    ) -> None:
        self._data = data
        self._in_burst = in_burst
        self._orientation = orientation
        self._decoded: dict[tuple[str, int], DecodedImage] = {}
        self.kind = container.kind
        self.cost = container.pixels * (UNSCALED_COST if container.kind in UNSCALED else 1)
        sides = (container.width, container.height)
        self.width, self.height = sides[::-1] if orientation >= _SIDEWAYS else sides

    @classmethod
    def open(cls, data: bytes, limits: DecodeLimits, *, in_burst: bool = False) -> Self:
        """Check one still JPEG, PNG, WebP or HEIC. Raises a BiometricsError whose code starts with `image_`.

        Set `in_burst` for the frames of a burst: every step then uses the same colour decoding. For detection alone, a
        small grey decoding is faster.
        """
        if len(data) > limits.max_bytes:
            raise ImageTooLarge(limit=f"{limits.max_bytes // 1024} KiB")
        container = containers.read_container(data)
        limits.check_size(container.kind, container.pixels)
        if min(container.width, container.height) < limits.min_side:
            raise ImageTooSmall(limit=limits.min_side)
        if container.colour is not None:
            raise ImageColourUnsupported(colour=container.colour)
        return cls(data, container, _check_orientation(data, container), in_burst=in_burst)

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)

    def rgb(self, short_side: int | None = None) -> DecodedImage:
        """RGB at the smallest size whose short side is at least `short_side`; in full size by default.

        Raises ImageBroken if the data are damaged.
        """
        return self._decode("RGB", short_side)

    def grey(self, short_side: int | None = None) -> DecodedImage:
        """Grey at the smallest size whose short side is at least `short_side`. Raises ImageBroken."""
        return self._decode("GRAY", short_side)

    def rgb_for_face(self, width: float, wanted: float = FACE_WIDTH) -> DecodedImage:
        """RGB at a size at which a face of `width` pixels in the original is at least `wanted` pixels wide, if it can be."""
        return self.rgb(self._side_for_face(width, wanted))

    def grey_for_face(self, width: float) -> DecodedImage:
        """Like `rgb_for_face` for a chip, but grey if that costs no decoding of its own. For measurements of brightness."""
        if self._in_burst:
            return self.grey(self._side_for_face(width, CHIP_FACE_WIDTH))
        return self.rgb_for_face(width)

    def _side_for_face(self, width: float, wanted: float) -> int:
        side = round(self.short_side * wanted / max(1.0, width))
        return min(max(1, side), _LARGEST_SIDE)

    def _decode(self, colours: str, short_side: int | None) -> DecodedImage:
        wanted = min(max(short_side or self.short_side, WORKING_SIDE), self.short_side)
        reduction = next(each for each in _REDUCTIONS if _reduced_side(self.short_side, each) >= wanted)
        key = (colours, reduction)
        if key not in self._decoded:
            upright = np.ascontiguousarray(self._decoder(colours, reduction)(colours, reduction))
            self._decoded[key] = DecodedImage(upright, self.width / upright.shape[1])
        return self._decoded[key]

    def _decoder(self, colours: str, reduction: int) -> Callable[[str, int], npt.NDArray[np.uint8]]:
        if colours == "GRAY" and self._in_burst and (reduction > 1 or self.short_side < 2 * WORKING_SIDE):
            return self._grey_from_rgb  # otherwise it is the one frame whose texture is measured in full size
        if self.kind is ImageKind.JPEG:
            return self._decode_jpeg
        return self._decode_heif if self.kind is ImageKind.HEIF else self._decode_with_pillow

    def _grey_from_rgb(self, colours: str, reduction: int) -> npt.NDArray[np.uint8]:  # noqa: ARG002
        """Grey computed by dlib as the mean of the channels, twice as fast as Pillow's weighted sum."""
        import dlib  # noqa: PLC0415 - loaded only in processes that analyse faces

        rgb = self._decode("RGB", _reduced_side(self.short_side, reduction))
        grey: npt.NDArray[np.uint8] = dlib.as_grayscale(rgb.pixels)
        return grey

    def _decode_jpeg(self, colours: str, reduction: int) -> npt.NDArray[np.uint8]:
        short_side = _reduced_side(self.short_side, reduction)
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
        return _apply_orientation(raw[..., 0] if colours == "GRAY" else raw, self._orientation)

    def _decode_heif(self, colours: str, reduction: int) -> npt.NDArray[np.uint8]:
        """Decode the primary picture once, at the finest size that any check needs, and reduce that further."""
        finest = next(
            each for each in _REDUCTIONS if each == 1 or _reduced_side(self.short_side, each) >= _LARGEST_SIDE
        )
        if reduction > finest:
            base = self._decode("RGB", _reduced_side(self.short_side, finest)).pixels
            reduced = Image.fromarray(base).reduce(reduction // finest)
        else:
            reduced = self._open_heif().reduce(reduction)
        return np.asarray(reduced.convert("L") if colours == "GRAY" else reduced)

    def _open_heif(self) -> Image.Image:
        """The primary picture in full size, upright."""
        import pillow_heif  # noqa: PLC0415 - loaded only in processes that decode such files

        try:
            file = pillow_heif.open_heif(self._data)
            image = _convert_to_rgb(file[file.primary_index].to_pillow())
        except (BiometricsError, MemoryError):
            raise
        except Exception as error:  # libheif raises arbitrary errors on hostile data
            raise ImageBroken from error
        if image.size != (self.width, self.height):
            raise ImageBroken
        return image

    def _decode_with_pillow(self, colours: str, reduction: int) -> npt.NDArray[np.uint8]:
        if colours == "GRAY":
            rgb = self.rgb(_reduced_side(self.short_side, reduction)).pixels
            return np.asarray(Image.fromarray(rgb).convert("L"))
        # face_recognition sets this for the whole process; it would turn half a picture into a grey one.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            # Pillow warns about oddities such as corrupt EXIF data, which it ignores, as we do.
            with (
                warnings.catch_warnings(action="ignore"),
                Image.open(io.BytesIO(self._data), formats=[self.kind.value]) as image,
            ):
                return _apply_orientation(
                    np.asarray(_convert_to_rgb(image).reduce(reduction)), self._orientation
                )
        except (BiometricsError, MemoryError):  # lack of memory is not the picture's fault
            raise
        except Exception as error:  # Pillow's plugins raise arbitrary errors on hostile data
            raise ImageBroken from error


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode not in _MODES:
        raise ImageColourUnsupported(colour=image.mode)
    return image if image.mode == "RGB" else image.convert("RGB")


def _reduced_side(side: int, reduction: int) -> int:
    """Both decoders round up."""
    return -(-side // reduction)


def check_total(pictures: Sequence[Picture], limits: DecodeLimits) -> None:
    """Raise ImageTooLarge if the pictures of one task are too large together. Decodes nothing."""
    total = limits.max_total_pixels
    if total is not None and sum(picture.cost for picture in pictures) > total:
        raise ImageTooLarge(limit=f"{total / 1_000_000:.3g} MP")


def picture_from_pixels(pixels: Pixels) -> Picture:
    """A picture from raw pixels, encoded without loss."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG", compress_level=0)
    return Picture.open(target.getvalue(), DecodeLimits(2**31, 2**28, 1, max_unscaled_pixels=2**28))


def _check_orientation(data: bytes, container: Container) -> int:
    """Read the EXIF orientation, 1 to 8. Unreadable EXIF counts as upright; other dimensions than ours are an error."""
    orientation = _UPRIGHT
    if (
        container.kind is ImageKind.HEIF
    ):  # libheif rotates, and EXIF does not count (ISO/IEC 23008-12, 6.5.10)
        return orientation
    try:
        if container.kind is ImageKind.JPEG:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if container.kind is not ImageKind.JPEG or container.exif:
            with (
                warnings.catch_warnings(action="ignore"),
                Image.open(io.BytesIO(data), formats=[container.kind.value]) as image,
            ):
                width, height = image.size
                orientation = _read_orientation(image) if container.exif else _UPRIGHT
    except Exception as error:  # Pillow and simplejpeg raise arbitrary errors on hostile data
        raise ImageBroken from error
    if (width, height) != (container.width, container.height):
        raise ImageBroken
    return orientation


def _read_orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - broken EXIF data do not make the picture unusable
        return _UPRIGHT
    return orientation if isinstance(orientation, int) and _UPRIGHT <= orientation <= _LAST else _UPRIGHT


def _apply_orientation(raw: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Rotate and mirror the pixels according to the EXIF orientation."""
    if orientation >= _SIDEWAYS:
        raw = raw.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        raw = raw[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        raw = raw[::-1]
    return raw


def reencode(picture: Picture, short_side: int | None = None, quality: int = 88) -> bytes:
    """Encode the pixels as a new JPEG for the evidence store, without metadata or trailing bytes."""
    encoded: bytes = simplejpeg.encode_jpeg(picture.rgb(short_side).pixels, quality=quality)
    return encoded
