"""TEST engine `test-pattern/1`: synthetic pictures for demonstrations and load tests. Never for real people.

It only reads pictures of its own generator, which are labelled as test patterns in large letters, and "recognises" the
seed they were made from. It finds nothing in a photograph, and the shipped engine finds no face in a test pattern. An
operator must enable it explicitly; every result it produces has `info().test_only` set.

A pattern has 240 × 320 grey pixels: a title, a frame of black and white finder cells around 8 × 16 data cells (the
"face"), a row of marks for the current actions, and below them blobs that differ between shots, so that no two shots look
alike.
"""

import io
import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from biometrics.engines.base import (
    Box,
    Contours,
    Descriptor,
    DetectedFace,
    EmbeddingUse,
    EngineInfo,
    EngineKey,
    Landmarks,
    Metric,
    Point,
    Vector,
)
from biometrics.liveness.actions import Action
from biometrics.pictures.decoding import Picture, Pixels

KEY = EngineKey("test-pattern", "1")

_WIDTH, _HEIGHT = 240, 320
_CELL = 12
_ROWS, _COLUMNS = 8, 16
_LEFT, _TOP = 24, 56
"""Position of the upper finder row. Data rows follow, then the lower finder row."""
_UPPER = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1], dtype=bool)
_LOWER = ~_UPPER
_DARK, _LIGHT = 20, 235
_MIN_CONTRAST = 120
_DATA_CENTRE, _DATA_HALF_RANGE = 127.5, 87.5
_SHOT_NOISE = 3.0
"""Noise between shots, in grey levels per cell."""
_SCALE = 1 / np.sqrt(2 / 3 * _ROWS * _COLUMNS)
"""Scales the distance between two different people to about 1. Two shots of one person are about 0.06 apart."""
_BLOBS, _BLOB = (4, 6), 32
_BLOB_TOP = 188
_MARKS_TOP = 176
"""One cell per action, in the order of Action; dark while the action is done."""

_EYE_DISTANCE = 9 * _CELL
_EYES = (_LEFT + 8 * _CELL, _TOP + 3 * _CELL)
"""The midpoint of the eyes. The head below is in eye distances from there: right, down, towards the camera."""
_EYE_WIDTH, _MOUTH_WIDTH, _MOUTH_BELOW = 1 / 3, 0.6, 0.95
_OPEN_EYE, _CLOSED_EYE, _OPEN_MOUTH, _CLOSED_MOUTH = 0.3, 0.08, 0.6, 0.05
"""Ratios of height to width."""
_NOSE = (
    (0, 0, 0.1),
    (0, 0.2, 0.2),
    (0, 0.4, 0.35),
    (0, 0.5, 0.5),
    *((x, 0.6, 0.3) for x in (-0.2, -0.1, 0, 0.1, 0.2)),
)
_NOSE_BASE = 6
"""Index of its middle in _NOSE."""
_TURN_ANGLE = math.radians(40)

_TITLE_TEXT = "TEST PATTERN"
_GLYPH_SIDE = 24
_TITLE_GLYPHS = (  # 测试图案, one bit per pixel
    (
        "3000041dff040f83240583240193240193240193247193243993241d93240193240193240193240193240d93240d932419b32418"
        "3004186c0430640430c20423833c000030000000"
    ),
    (
        "0800d01c00d80e00cc0600c60200c000fffe00fffe7c00c07c00c00400c0047f40047f40040860040860040860040860040860058b"
        "620f9f320e78360c401e08001c000000000000"
    ),
    (
        "0000003ffffc30000c30600c30600c30ffcc31818c33c30c36660c303c0c307e0c33e3cc3f00ec30780c300e0c30020c31f00c303f"
        "0c30038c30000c3ffffc3ffffc30000c000000"
    ),
    (
        "0000000018003ffffc3ffffc30200c30600c00c0003ffffe0181c003018007e700007f0003ffe03f807c0018080018007ffffe7fff"
        "fe00ff000199800718e03c183c70180e001800"
    ),
)

Grey = npt.NDArray[np.float32]


class PatternEngine:
    """Reads the grid of a test pattern. See the warning in the module's docstring."""

    def info(self) -> EngineInfo:
        return EngineInfo(
            key=KEY,
            metric=Metric.L2,
            dimension=_ROWS * _COLUMNS,
            licence="Apache-2.0; no weights",
            weights_sha256="",
            test_only=True,
        )

    def supports(self, picture: Picture) -> bool:
        """Whether both finder rows are in their place."""
        if (picture.height, picture.width) != (_HEIGHT, _WIDTH):
            return False
        pixels = picture.rgb().pixels
        return bool(
            np.array_equal(_read_row(pixels, 0) > _DATA_CENTRE, _UPPER)
            and np.array_equal(_read_row(pixels, _ROWS + 1) > _DATA_CENTRE, _LOWER)
            and min(_contrast(_read_row(pixels, 0)), _contrast(_read_row(pixels, _ROWS + 1))) > _MIN_CONTRAST
        )

    def detect(
        self,
        picture: Picture,
        *,
        thorough: bool = False,  # noqa: ARG002 - patterns have one size
    ) -> list[DetectedFace]:
        """The data grid as the only "face" of a test pattern; nothing in any other picture."""
        if not self.supports(picture):
            return []
        box = Box(_LEFT, _TOP, _LEFT + _COLUMNS * _CELL, _TOP + (_ROWS + 2) * _CELL)
        y = _TOP + 3 * _CELL
        left = (Point(_LEFT + 2 * _CELL, y), Point(_LEFT + 5 * _CELL, y))
        right = (Point(_LEFT + 14 * _CELL, y), Point(_LEFT + 11 * _CELL, y))
        nose = Point(_LEFT + 8 * _CELL, _TOP + 6 * _CELL)
        return [DetectedFace(box, Landmarks(left, right, nose), 1.0)]

    def track(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        return [self.detect(picture) for picture in pictures]

    def find_contours(self, picture: Picture, face: DetectedFace) -> Contours | None:  # noqa: ARG002 - there is one face
        """The contours of a simple model head that performs the marked actions."""
        return _head_contours(_read_marks(picture.rgb().pixels))

    def embed(
        self,
        faces: Sequence[tuple[Picture, DetectedFace]],
        *,
        use: EmbeddingUse = EmbeddingUse.TEMPLATE,  # noqa: ARG002 - always one view
    ) -> list[Descriptor]:
        """The grey levels of the cells, scaled so that distances resemble those of a real engine."""
        return [Descriptor(KEY, Metric.L2, _read_cells(picture.rgb().pixels)) for picture, _ in faces]


def render_pattern(person_seed: int, shot: int, action: Action | None = None) -> bytes:
    """A PNG of person `person_seed` in the given shot, performing `action`. Equal arguments give equal bytes."""
    person = np.random.default_rng(person_seed)
    noise = np.random.default_rng((person_seed, shot))
    levels = person.uniform(-1, 1, (_ROWS, _COLUMNS)) * _DATA_HALF_RANGE + _DATA_CENTRE
    levels = np.clip(levels + noise.normal(0, _SHOT_NOISE, levels.shape), 0, 255)
    finders = (np.where(bits, _LIGHT, _DARK)[None, :] for bits in (_UPPER, _LOWER))
    grid = np.concatenate([next(finders), levels, next(finders)])
    page = _blank_page().copy()
    page[_TOP : _TOP + grid.shape[0] * _CELL, _LEFT : _LEFT + grid.shape[1] * _CELL] = _enlarge(grid, _CELL)
    blobs = noise.uniform(40, 215, _BLOBS)
    page[_BLOB_TOP : _BLOB_TOP + _BLOBS[0] * _BLOB, _LEFT : _LEFT + _BLOBS[1] * _BLOB] = _enlarge(
        blobs, _BLOB
    )
    if action is not None:
        left = _mark_left(action)
        page[_MARKS_TOP : _MARKS_TOP + _CELL, left : left + _CELL] = _DARK
    target = io.BytesIO()
    Image.fromarray(page).save(target, format="PNG", compress_level=1)
    return target.getvalue()


def _mark_left(action: Action) -> int:
    return _LEFT + list(Action).index(action) * 2 * _CELL


def _read_marks(pixels: Pixels) -> frozenset[Action]:
    """The actions whose mark is dark."""
    inset = _CELL // 4
    rows = slice(_MARKS_TOP + inset, _MARKS_TOP + _CELL - inset)
    return frozenset(
        action
        for action in Action
        if pixels[rows, _mark_left(action) + inset : _mark_left(action) + _CELL - inset].mean() < _DATA_CENTRE
    )


def _head_contours(doing: frozenset[Action]) -> Contours:
    """The contours of a model head, rotated and projected without perspective."""
    turned = _TURN_ANGLE * ((Action.TURN_LEFT in doing) - (Action.TURN_RIGHT in doing))

    def seen(x: float, y: float, near: float) -> Point:
        across = x * math.cos(turned) + near * math.sin(turned)
        return Point(_EYES[0] + across * _EYE_DISTANCE, _EYES[1] + y * _EYE_DISTANCE)

    def outline(x: float, y: float, width: float, aspect: float, steps: int) -> tuple[Point, ...]:
        """A lens shape: corner, upper side, corner, lower side on the way back."""
        half, inner = width / 2, [width * (step / steps - 0.5) for step in range(1, steps)]
        height = width * aspect / 2
        upper = [seen(x + each, y - height, 0) for each in inner]
        lower = [seen(x + each, y + height, 0) for each in reversed(inner)]
        return (seen(x - half, y, 0), *upper, seen(x + half, y, 0), *lower)

    lids = _CLOSED_EYE if Action.CLOSE_EYES in doing else _OPEN_EYE
    lips = _OPEN_MOUTH if Action.OPEN_MOUTH in doing else _CLOSED_MOUTH
    left, right = (outline(side, 0, _EYE_WIDTH, lids, 3) for side in (-0.5, 0.5))
    nose = tuple(seen(*point) for point in _NOSE)
    return Contours(
        left_eye=left,
        right_eye=right,
        mouth=outline(0, _MOUTH_BELOW, _MOUTH_WIDTH, lips, 4),
        nose=nose[_NOSE_BASE],
        rigid=(left[0], left[3], right[0], right[3], *nose),
    )


def _read_cells(pixels: Pixels) -> Vector:
    cells = np.concatenate([_read_row(pixels, row) for row in range(1, _ROWS + 1)])
    vector: Vector = ((cells - _DATA_CENTRE) / _DATA_HALF_RANGE * _SCALE).astype(np.float32)
    return vector


def _enlarge(values: npt.NDArray[np.floating], side: int) -> Pixels:
    return values.round().astype(np.uint8).repeat(side, axis=0).repeat(side, axis=1)


def _read_row(pixels: Pixels, row: int) -> Grey:
    """Mean grey level of each cell of a grid row. The outer quarter is ignored because edges may be blurred."""
    inset = _CELL // 4
    top = _TOP + row * _CELL + inset
    band = pixels[top : top + _CELL - 2 * inset, _LEFT : _LEFT + _COLUMNS * _CELL].mean(axis=(0, 2))
    cells: Grey = band.reshape(_COLUMNS, _CELL)[:, inset:-inset].mean(axis=1)
    return cells


def _contrast(finder: Grey) -> float:
    """The difference between the darkest light cell and the lightest dark cell."""
    light = finder > _DATA_CENTRE
    return float(finder[light].min() - finder[~light].max())


@cache
def _blank_page() -> Pixels:
    """An empty page with its title. Cached, because drawing letters costs more than everything else."""
    image = Image.new("L", (_WIDTH, _HEIGHT), 200)
    ImageDraw.Draw(image).text((_LEFT, 20), _TITLE_TEXT, fill=0)
    page = np.array(image)
    left = _WIDTH - _LEFT - len(_TITLE_GLYPHS) * _GLYPH_SIDE
    for index, glyph in enumerate(_TITLE_GLYPHS):
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(glyph), dtype=np.uint8)).reshape(
            _GLYPH_SIDE, _GLYPH_SIDE
        )
        column = left + index * _GLYPH_SIDE
        page[16 : 16 + _GLYPH_SIDE, column : column + _GLYPH_SIDE][bits.astype(bool)] = 0
    return page
