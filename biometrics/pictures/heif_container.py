"""Parses the structure of HEIC files without decoding pixels.

HEIC is a sequence of boxes (ISO/IEC 14496-12). `meta` names the primary picture, its dimensions and its rotation
(ISO/IEC 23008-12). Other pictures of the file, a video of a motion photo (`mpvd`) or a depth map are boxes too, so that
nothing may follow the last box. Only the primary picture is read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"hevx", b"heim", b"heis"})
_CODED_AS_HEVC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"})
_HEADER, _LARGE_HEADER, _FULL_BOX = 8, 16, 4
_MAX_BOXES = 4096
"""A picture of a phone has some hundred boxes, most of them properties of its tiles."""
_LARGE, _TO_THE_END = 1, 0
_WIDE_INDEX_FLAG, _QUARTER_TURN = 1, 1


class HeifInvalid(Exception):
    """The boxes contradict each other, or a required one is missing."""


class HeifTrailing(Exception):
    """Bytes that are not a box follow the last box."""


@dataclass(frozen=True, slots=True)
class PrimaryPicture:
    """The dimensions of the primary picture after its crop and rotation, and those that the decoder needs first."""

    width: int
    height: int
    coded_width: int
    coded_height: int


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    """Where the content starts."""
    end: int


def is_heic(head: bytes) -> bool:
    """Whether a file starts like HEIC: `ftyp` with a brand of HEVC-coded pictures. At least 12 bytes are needed."""
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


def read_primary_picture(data: bytes) -> PrimaryPicture:
    """Parse the file. Raises HeifInvalid, HeifTrailing or struct.error. The time is linear in the number of boxes."""
    boxes = list(_read_boxes(data, 0, len(data), trailing=True))
    if not boxes or boxes[0].kind != b"ftyp" or not _is_coded_as_hevc(data, boxes[0]):
        raise HeifInvalid
    [meta] = _only(boxes, b"meta")
    parts = list(_read_boxes(data, meta.start + _FULL_BOX, meta.end))
    [pitm], [iprp] = _only(parts, b"pitm"), _only(parts, b"iprp")
    properties = list(_read_boxes(data, iprp.start, iprp.end))
    [ipco] = _only(properties, b"ipco")
    values = list(_read_boxes(data, ipco.start, ipco.end))
    primary = _unsigned(data, pitm.start + _FULL_BOX, wide=data[pitm.start] > 0)
    indices = [
        index
        for box in properties
        if box.kind == b"ipma"
        for item, index in _associations(data, box)
        if item == primary
    ]
    if any(not 0 < index <= len(values) for index in indices):
        raise HeifInvalid
    return _apply_properties(data, [values[index - 1] for index in indices])


def _is_coded_as_hevc(data: bytes, ftyp: _Box) -> bool:
    brands = {data[ftyp.start : ftyp.start + 4]}
    brands |= {data[at : at + 4] for at in range(ftyp.start + 8, ftyp.end, 4)}
    return bool(brands & _CODED_AS_HEVC)


def _only(boxes: list[_Box], kind: bytes) -> list[_Box]:
    found = [box for box in boxes if box.kind == kind]
    if len(found) != 1:
        raise HeifInvalid
    return found


def _read_boxes(data: bytes, position: int, end: int, *, trailing: bool = False) -> Iterator[_Box]:
    """The boxes between two positions, which they must fill. With `trailing`, foreign bytes at the end have an error."""
    for _ in range(_MAX_BOXES):
        if position == end:
            return
        if end - position < _HEADER:
            raise HeifTrailing if trailing else HeifInvalid
        length, kind = struct.unpack_from(">I4s", data, position)
        header = _HEADER
        if length == _LARGE:
            (length,) = struct.unpack_from(">Q", data, position + _HEADER)
            header = _LARGE_HEADER
        elif length == _TO_THE_END:
            length = end - position
        if not (kind.isascii() and kind.decode().isprintable()):
            raise HeifTrailing if trailing else HeifInvalid
        if length < header or position + length > end:
            raise HeifInvalid
        yield _Box(kind, position + header, position + length)
        position += length
    raise HeifInvalid


def count_boxes(data: bytes, position: int, end: int) -> int:
    """How many boxes fill the bytes between two positions; 0 if they are not a sequence of boxes."""
    try:
        return sum(1 for _ in _read_boxes(data, position, end))
    except (HeifInvalid, struct.error):
        return 0


def _associations(data: bytes, ipma: _Box) -> Iterator[tuple[int, int]]:
    """Pairs of an item and the index of one of its properties, which counts from 1."""
    version, wide_index = data[ipma.start], data[ipma.start + 3] & _WIDE_INDEX_FLAG
    position = ipma.start + _FULL_BOX
    entries = _unsigned(data, position, wide=True)
    position += 4
    for _ in range(entries):
        if position >= ipma.end:
            raise HeifInvalid
        item = _unsigned(data, position, wide=version > 0)
        position += 4 if version > 0 else 2
        count, position = data[position], position + 1
        for _ in range(count):
            if wide_index:
                yield item, _unsigned(data, position, wide=False) & 0x7FFF
            else:
                yield item, data[position] & 0x7F
            position += 2 if wide_index else 1


def _unsigned(data: bytes, position: int, *, wide: bool) -> int:
    (value,) = struct.unpack_from(">I" if wide else ">H", data, position)
    return int(value)


def _apply_properties(data: bytes, properties: list[_Box]) -> PrimaryPicture:
    """Crop (`clap`) and rotate (`irot`) the coded dimensions (`ispe`) in the order in which the file lists them."""
    coded: tuple[int, int] | None = None
    width = height = 0
    for box in properties:
        if box.kind == b"ispe":
            coded = width, height = struct.unpack_from(">II", data, box.start + _FULL_BOX)
        elif box.kind == b"clap":
            width_n, width_d, height_n, height_d = struct.unpack_from(">4I", data, box.start)
            if not width_d or not height_d or width_n > width * width_d or height_n > height * height_d:
                raise HeifInvalid
            width, height = round(width_n / width_d), round(height_n / height_d)
        elif box.kind == b"irot" and data[box.start] & _QUARTER_TURN:
            width, height = height, width
    if coded is None or width == 0 or height == 0:
        raise HeifInvalid
    return PrimaryPicture(width, height, *coded)
