"""Parses the structure of JPEG, PNG, WebP and HEIC files without decoding pixels.

A decoder stops where the picture ends and ignores what follows, which is where polyglot files hide their payload. This
parser reads the whole file: format, dimensions, animation, colour space, and whether the file ends where the picture
ends. What a phone's format appends to a JPEG is allowed (`jpeg_trailers`); only the primary picture is read.
References: ITU-T T.81 annex B, the W3C PNG specification, RFC 9649 (WebP), ISO/IEC 23008-12 (HEIC).
"""

import math
import re
import struct
from dataclasses import dataclass
from enum import Enum

from biometrics.errors import BiometricsError
from biometrics.pictures.heif_container import HeifInvalid, HeifTrailing, is_heic, read_primary_picture
from biometrics.pictures.jpeg_trailers import MPF, XMP, Declarations, has_foreign_trailer

_MAX_JPEG_SCANS = 64
"""A progressive camera picture has about ten scans. Hundreds are a denial-of-service attack on the decoder."""
_MARKER, _EOI, _SOS, _APP1, _APP2 = 0xFF, 0xD9, 0xDA, 0xE1, 0xE2
_EXIF = b"Exif\0"
_RESTARTS = range(0xD0, 0xD8)
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In entropy-coded data: not a stuffed byte, a restart marker or a fill byte."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15, without DHT, JPG and DAC."""
_WITHOUT_LENGTH = frozenset({0x01, *_RESTARTS, 0xD8})
"""TEM, RST and a second SOI are not allowed between segments."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_EXIF = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
"""Chunks in which Pillow finds EXIF data. It decodes the whole picture to look for them."""
_PNG_COLOUR_TYPES = frozenset({0, 2, 3, 4, 6})
_PNG_SIXTEEN_BIT, _IHDR_LENGTH = 16, 13
_JPEG_GREY, _JPEG_RGB = 1, 3
_WEBP_ANIMATION_FLAG = 0x02


class ImageKind(Enum):
    """The accepted formats. Values are the names of Pillow's decoders."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    HEIF = "HEIF"


class ImageUnsupported(BiometricsError):
    """The file does not start like a JPEG, PNG, WebP or HEIC file."""

    code = "image_unsupported"
    status = 415
    zh = "只接受 JPEG、PNG、WebP 或 HEIC 图片。请使用应用内相机拍摄。"
    en = "Only JPEG, PNG, WebP and HEIC pictures are accepted. Take it with the app's camera."


class ImageTruncated(BiometricsError):
    """The file ends before the picture does, or its structure is invalid."""

    code = "image_truncated"
    status = 422
    zh = "图片不完整，可能是上传中断。请重新上传或重新拍摄。"
    en = "The picture is incomplete, perhaps the upload was cut off. Upload or take it again."


class ImageTrailingData(BiometricsError):
    """Bytes that no format defines follow the end of the picture, as in a polyglot file."""

    code = "image_trailing_data"
    status = 422
    zh = "图片文件末尾带有格式中没有定义的数据。请关闭相机的特殊效果（如动态照片），或使用应用内相机拍摄。"
    en = "The file carries data after the picture that its format does not define. Turn off the camera's special effects (such as live photos), or take it with the app's camera."


class ImageAnimated(BiometricsError):
    """The file has several frames. A burst must be sent as several files."""

    code = "image_animated"
    status = 422
    zh = "不接受动图。请上传单张照片。"
    en = "Animated pictures are not accepted. Upload single photographs."


@dataclass(frozen=True, slots=True)
class Container:
    """The header data of a file. `colour` names an unsupported colour space; None if it is supported."""

    kind: ImageKind
    width: int
    height: int
    colour: str | None
    exif: bool = True
    """False if the file certainly has no EXIF orientation to apply."""
    coded_pixels: int = 0
    """Pixels that the decoder must produce before a crop; 0 if they are those of width and height."""

    @property
    def pixels(self) -> int:
        return max(self.coded_pixels, self.width * self.height)


HEAD_BYTES = 12
"""How many bytes at the start of a file `detect_kind` needs."""


def detect_kind(head: bytes) -> ImageKind:
    """The format by the first bytes of a file. Raises ImageUnsupported."""
    if head[:3] == b"\xff\xd8\xff":
        return ImageKind.JPEG
    if head[:8] == _PNG_SIGNATURE:
        return ImageKind.PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ImageKind.WEBP
    if is_heic(head):
        return ImageKind.HEIF
    raise ImageUnsupported


UNSCALED = frozenset({ImageKind.PNG, ImageKind.WEBP, ImageKind.HEIF})
"""Formats that a decoder cannot read at a part of their size. A pixel of them costs some four times one of a JPEG."""


def declared_size(head: bytes) -> tuple[ImageKind, int] | None:
    """Format and pixels by the start of a file, or None if they are not in it. Raises ImageUnsupported.

    For refusing an upload early. The whole file is parsed before it is decoded (`read_container`).
    """
    kind = detect_kind(head[:HEAD_BYTES])
    try:
        width, height = _HEADS[kind](head)
    except (struct.error, IndexError, ImageTruncated, HeifInvalid, HeifTrailing):
        return None
    return kind, width * height


def read_container(data: bytes) -> Container:
    """Parse the file. Raises a BiometricsError. Time and memory are linear in the length of the file."""
    try:
        return _READERS[detect_kind(data[:HEAD_BYTES])](data)
    except (struct.error, IndexError) as error:
        raise ImageTruncated from error


def _read_jpeg(data: bytes) -> Container:
    position, frame, scans, exif = 2, None, 0, False
    declared = Declarations()
    while True:
        position, marker = _read_jpeg_marker(data, position)
        if marker == _EOI:
            break
        if marker in _WITHOUT_LENGTH:
            raise ImageTruncated
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _FRAMES:
            if frame is not None:
                raise ImageTruncated
            frame = struct.unpack_from(">HHB", data, position + 3)
        exif = exif or (marker == _APP1 and data.startswith(_EXIF, position + 2))
        _note_declaration(data, marker, position, length, declared)
        position += length
        if marker == _SOS:  # entropy-coded data follow the header
            scans += 1
            position = _find_next_marker(data, position)
    if frame is None or scans == 0 or scans > _MAX_JPEG_SCANS:
        raise ImageTruncated
    if has_foreign_trailer(data, position, declared):
        raise ImageTrailingData
    height, width, components = frame
    colour = None if components in {_JPEG_GREY, _JPEG_RGB} else "CMYK"
    return Container(ImageKind.JPEG, width, height, colour, exif)


def _jpeg_size(head: bytes) -> tuple[int, int]:
    position = 2
    while True:
        position, marker = _read_jpeg_marker(head, position)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", head, position + 3)
            return width, height
        if marker in _WITHOUT_LENGTH or marker in {_EOI, _SOS}:
            raise ImageTruncated
        position += struct.unpack_from(">H", head, position)[0]


def _note_declaration(data: bytes, marker: int, position: int, length: int, declared: Declarations) -> None:
    """Keep a segment that declares data behind the picture."""
    if marker == _APP2 and data.startswith(MPF, position + 2):
        declared.mpf.append(position + 2 + len(MPF))
    elif marker == _APP1 and data.startswith(XMP, position + 2):
        declared.xmp.append(data[position + 2 : position + length])


def _read_jpeg_marker(data: bytes, position: int) -> tuple[int, int]:
    """Read the marker at `position` (fill bytes allowed). Returns the position after it and the marker."""
    if data[position] != _MARKER:
        raise ImageTruncated
    while data[position] == _MARKER:
        position += 1
    return position + 1, data[position]


def _find_next_marker(data: bytes, position: int) -> int:
    """The position of the next marker that is neither a stuffed byte nor a restart."""
    marker = _NEXT_MARKER.search(data, position)
    if marker is None:
        raise ImageTruncated
    return marker.start()


def _read_png(data: bytes) -> Container:
    length, name = struct.unpack_from(">I4s", data, 8)
    if name != b"IHDR" or length != _IHDR_LENGTH:
        raise ImageTruncated
    width, height, depth, colour_type = struct.unpack_from(">IIBB", data, 16)
    position, exif = 8, False
    while True:
        length, name = struct.unpack_from(">I4s", data, position)
        exif = exif or name in _PNG_EXIF
        position += 12 + length
        if position > len(data):
            raise ImageTruncated
        if name == b"acTL":
            raise ImageAnimated
        if name == b"IEND":
            break
    if position != len(data):
        raise ImageTrailingData
    unusual = colour_type not in _PNG_COLOUR_TYPES or depth == _PNG_SIXTEEN_BIT
    return Container(ImageKind.PNG, width, height, f"PNG {colour_type}/{depth}" if unusual else None, exif)


def _read_webp(data: bytes) -> Container:
    (riff_length,) = struct.unpack_from("<I", data, 4)
    end = 8 + riff_length
    if end > len(data):
        raise ImageTruncated
    if end < len(data):
        raise ImageTrailingData
    _require_still_webp(data, end)
    width, height = _webp_size(data)
    return Container(ImageKind.WEBP, width, height, None)


def _webp_size(data: bytes) -> tuple[int, int]:
    name = data[12:16]
    if name == b"VP8X":
        width, height = struct.unpack("<I", data[24:27] + b"\0"), struct.unpack("<I", data[27:30] + b"\0")
        return 1 + width[0], 1 + height[0]
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if name == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ImageTruncated


def _require_still_webp(data: bytes, end: int) -> None:
    position = 12
    while position < end:
        name, length = struct.unpack_from("<4sI", data, position)
        if name in {b"ANIM", b"ANMF"} or (name == b"VP8X" and data[position + 8] & _WEBP_ANIMATION_FLAG):
            raise ImageAnimated
        position += 8 + length + (length & 1)
    if position != end:
        raise ImageTruncated


def _read_heif(data: bytes) -> Container:
    try:
        primary = read_primary_picture(data)
    except HeifInvalid as error:
        raise ImageTruncated from error
    except HeifTrailing as error:
        raise ImageTrailingData from error
    coded = primary.coded_width * primary.coded_height
    return Container(
        ImageKind.HEIF, primary.width, primary.height, None, exif=False, coded_pixels=coded
    )  # the decoder applies the rotation


def _png_size(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _heif_size(head: bytes) -> tuple[int, int]:
    primary = read_primary_picture(head)
    return max((primary.width, primary.height), (primary.coded_width, primary.coded_height), key=math.prod)


_HEADS = {
    ImageKind.JPEG: _jpeg_size,
    ImageKind.PNG: _png_size,
    ImageKind.WEBP: _webp_size,
    ImageKind.HEIF: _heif_size,
}
_READERS = {
    ImageKind.JPEG: _read_jpeg,
    ImageKind.PNG: _read_png,
    ImageKind.WEBP: _read_webp,
    ImageKind.HEIF: _read_heif,
}
