"""Checks what follows the end of a JPEG picture. Only data that a format of phone cameras defines are allowed.

| format | declared by | data |
| --- | --- | --- |
| MPO, Ultra HDR (CIPA DC-007) | APP2 segment `MPF` | further pictures: depth map, gain map, preview |
| Motion Photo (Android), MicroVideo | XMP: `Item:Length` or `MicroVideoOffset` | pictures, then a video, up to the end of the file |
| Samsung | trailer `SEFH` … `SEFT` | blocks with a type each, among them a video |
| Huawei, Honor | ASCII trailer `LIVE_…` | a video |

No part is decoded. Each must start like a picture or a video, so that other files cannot hide behind a declaration.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from biometrics.pictures.heif_container import count_boxes

MPF, XMP = b"MPF\0", b"http://ns.adobe.com/xap/1.0/\0"
"""Signatures of the segments APP2 and APP1 that declare data behind the picture."""

_MP_ENTRIES, _MP_ENTRY_BYTES, _IFD_ENTRY_BYTES = 0xB002, 16, 12
_MAX_PARTS = 64
_LENGTHS = re.compile(rb"\bItem:Length(?:\s*=\s*[\"']|>)\s*(\d{1,10})")
_MICRO_VIDEO = re.compile(rb"\bMicroVideoOffset(?:\s*=\s*[\"']|>)\s*(\d{1,10})")
_SEF_ENTRY_BYTES, _SEF_HEAD, _SEF_TAIL = 12, 12, 8
_LIVE = re.compile(rb"[\x20-\x7e]{0,60}LIVE_\d{1,12} {0,15}\Z")
_LIVE_BYTES = 80


@dataclass(slots=True)
class Declarations:
    """Segments of a JPEG that declare data behind the picture."""

    mpf: list[int] = field(default_factory=list)
    """Positions of the TIFF headers in `MPF` segments; offsets of the format count from there."""
    xmp: list[bytes] = field(default_factory=list)


def has_foreign_trailer(data: bytes, end: int, declared: Declarations) -> bool:
    """Whether any byte behind `end` is neither padding (zero) nor in a part that a format defines."""
    position = end
    for start, stop in sorted(_find_parts(data, end, declared)):
        if data[position : max(position, start)].strip(b"\0"):
            return True
        position = max(position, stop)
    return bool(data[position:].strip(b"\0"))


def _find_parts(data: bytes, end: int, declared: Declarations) -> Iterator[tuple[int, int]]:
    """Start and stop of each part that a format declares and that looks as declared."""
    media = [part for at in declared.mpf for part in _mpf_parts(data, at)]
    media += [part for packet in declared.xmp for part in _xmp_parts(packet, len(data))]
    for start, stop in media:
        if end <= start < stop <= len(data) and _is_media(data, start, stop):
            yield start, stop
    yield from _sef_parts(data, end)
    yield from _live_parts(data, end)


def _is_media(data: bytes, start: int, stop: int) -> bool:
    return data.startswith(b"\xff\xd8\xff", start) or _is_video(data, start, stop)


def _is_video(data: bytes, start: int, stop: int) -> bool:
    """Whether a part is a sequence of boxes that starts with `ftyp` (MP4, ISO/IEC 14496-12)."""
    return data[start + 4 : start + 8] == b"ftyp" and count_boxes(data, start, stop) > 1


def _mpf_parts(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The pictures of the MP index. The first is the primary one, whose offset is 0."""
    order = {b"II": "<", b"MM": ">"}.get(data[at : at + 2])
    if order is None:
        return
    try:
        (ifd,) = struct.unpack_from(f"{order}I", data, at + 4)
        (tags,) = struct.unpack_from(f"{order}H", data, at + ifd)
        for number in range(min(tags, _MAX_PARTS)):
            entry = at + ifd + 2 + number * _IFD_ENTRY_BYTES
            tag, _, size, offset = struct.unpack_from(f"{order}HHII", data, entry)
            if tag == _MP_ENTRIES:
                for picture in range(min(size // _MP_ENTRY_BYTES, _MAX_PARTS)):
                    length, start = struct.unpack_from(
                        f"{order}II", data, at + offset + picture * _MP_ENTRY_BYTES + 4
                    )
                    if start:
                        yield at + start, at + start + length
    except struct.error:
        return


def _xmp_parts(packet: bytes, size: int) -> Iterator[tuple[int, int]]:
    """The items of a container directory, which end with the file, or the video of the older MicroVideo."""
    for match in _MICRO_VIDEO.finditer(packet):
        yield size - int(match[1]), size
    stop = size
    for length in [int(match[1]) for match in _LENGTHS.finditer(packet)][:_MAX_PARTS][::-1]:
        if length:
            yield stop - length, stop
            stop -= length


def _sef_parts(data: bytes, end: int) -> Iterator[tuple[int, int]]:
    """The blocks of Samsung's trailer, and its directory. Offsets count backwards from the directory."""
    size = len(data.rstrip(b"\0"))
    if data[size - 4 : size] != b"SEFT" or size < end + _SEF_HEAD + _SEF_TAIL:
        return
    (length,) = struct.unpack_from("<I", data, size - _SEF_TAIL)
    directory = size - _SEF_TAIL - length
    if directory < end or data[directory : directory + 4] != b"SEFH" or length < _SEF_HEAD:
        return
    (count,) = struct.unpack_from("<I", data, directory + 8)
    if _SEF_HEAD + count * _SEF_ENTRY_BYTES > length or count > _MAX_PARTS:
        return
    for number in range(count):
        entry = directory + _SEF_HEAD + number * _SEF_ENTRY_BYTES
        kind, offset, block = struct.unpack_from("<2xHII", data, entry)
        start = directory - offset
        if start < end or start + block > directory or data[start + 2 : start + 4] != struct.pack("<H", kind):
            return
        yield start, start + block
    yield directory, size


def _live_parts(data: bytes, end: int) -> Iterator[tuple[int, int]]:
    """The video of Huawei's live photos, between the picture and the trailer."""
    tail = _LIVE.search(data, max(end, len(data) - _LIVE_BYTES))
    if tail is None:
        return
    for stop in range(tail.start(), tail.end()):
        if _is_video(data, end, stop):
            yield end, len(data)
            return
