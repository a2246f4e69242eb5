"""Presentation attacks made from one still photograph, each as the frames of a burst (THREATS 14)."""

import io
import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from biometrics.liveness.actions import Action

WALL = (120, 128, 130)
_FOCAL = 1.4
"""Focal length of the phone's camera, in image widths."""

_Values = npt.NDArray[np.float64]

Attack = Callable[[Image.Image, Sequence[Action | None], random.Random], list[bytes]]
"""A still photograph, the action of each frame, and a random generator."""


def reuploaded_still(still: Image.Image, plan: Sequence[Action | None], rng: random.Random) -> list[bytes]:
    """The same picture in every frame, with fresh noise to avoid exact duplicates."""
    return [encode_frame(still, rng) for _ in plan]


def moved_print(still: Image.Image, plan: Sequence[Action | None], rng: random.Random) -> list[bytes]:
    """A print that is shifted, moved closer and rolled in front of the camera."""
    return [
        encode_frame(_project_sheet(still, roll=rng.gauss(0, 6), scale=rng.gauss(1, 0.06), rng=rng), rng)
        for _ in plan
    ]


def tilted_print(still: Image.Image, plan: Sequence[Action | None], rng: random.Random) -> list[bytes]:
    """A print tilted about its vertical axis where a turn is requested, and nodded for eye or mouth actions."""
    return [encode_frame(still_seen, rng) for still_seen in _tilt_frames(still, plan, rng)]


def bent_print(still: Image.Image, plan: Sequence[Action | None], rng: random.Random) -> list[bytes]:
    """A print bent around a vertical cylinder, and turned where a turn is requested."""
    frames = []
    for action in plan:
        side = _turn_side(action)
        seen = _project_sheet(
            still,
            yaw=side * rng.uniform(20, 40) + rng.gauss(0, 2),
            bend=rng.uniform(0.8, 1.6) if side else 0.0,
            pitch=rng.uniform(-20, 20) if action else 0.0,
            rng=rng,
        )
        frames.append(encode_frame(seen, rng))
    return frames


def screen_replay(still: Image.Image, plan: Sequence[Action | None], rng: random.Random) -> list[bytes]:
    """A photograph on a screen whose pixel grid interferes with the sensor's, moved and tilted like a print."""
    pitch, angle = rng.uniform(1.1, 2.4), rng.uniform(-0.15, 0.15)
    return [
        encode_frame(sample_through_grid(still_seen, pitch, angle), rng)
        for still_seen in _tilt_frames(still, plan, rng)
    ]


def encode_frame(image: Image.Image, rng: random.Random) -> bytes:
    """A JPEG with sensor noise."""
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 2.0, (image.height, image.width, 1))
    buffer = io.BytesIO()
    noisy = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _turn_side(action: Action | None) -> int:
    return (action is Action.TURN_LEFT) - (action is Action.TURN_RIGHT)


def _tilt_frames(still: Image.Image, plan: Sequence[Action | None], rng: random.Random) -> list[Image.Image]:
    frames = []
    for action in plan:
        side = _turn_side(action)
        nod = rng.uniform(-35, 35) if action and not side else rng.gauss(0, 2)
        yaw = side * rng.choice((-1, 1)) * rng.uniform(25, 50) + rng.gauss(0, 2)
        frames.append(_project_sheet(still, yaw=yaw, pitch=nod, rng=rng))
    return frames


def _project_sheet(
    still: Image.Image,
    *,
    rng: random.Random,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    scale: float = 1.0,
    bend: float = 0.0,
) -> Image.Image:
    """The sheet as the camera sees it, rotated by degrees; bent by `bend` radians over half its width."""
    width, height = still.size
    focal = _FOCAL * width
    columns, rows = (
        axis.ravel() for axis in np.meshgrid(np.linspace(0, width, 19), np.linspace(0, height, 25))
    )
    x, y = columns - width / 2, rows - height / 2
    near = np.zeros_like(x)
    if bend:
        radius = width / 2 / bend
        near, x = radius * (np.cos(x / radius) - 1), radius * np.sin(x / radius)
    turned = _rotation(yaw, pitch, roll) @ np.stack([x, y, -near])
    depth = turned[2] + focal / scale
    u = focal * turned[0] / depth + width / 2 + rng.gauss(0, 6)
    v = focal * turned[1] / depth + height / 2 + rng.gauss(0, 6)
    return _draw_mesh(still, (columns, rows), (u, v))


def _rotation(yaw: float, pitch: float, roll: float) -> _Values:
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned: _Values = about_z @ about_x @ about_y
    return turned


def _draw_mesh(
    still: Image.Image, there: tuple[_Values, _Values], here: tuple[_Values, _Values]
) -> Image.Image:
    """Draw the picture on a mesh of 18 by 24 cells, each with its own homography, far cells first."""
    canvas = Image.new("RGB", still.size, WALL)
    columns, rows = 19, 25
    for row in range(rows - 1):
        for column in range(columns - 1):
            at = [row * columns + column, row * columns + column + 1]
            corners = [at[0], at[1], at[1] + columns, at[0] + columns]
            target = np.array([(here[0][corner], here[1][corner]) for corner in corners])
            source = np.array([(there[0][corner], there[1][corner]) for corner in corners])
            _draw_cell(canvas, still, target, source)
    return canvas


def _draw_cell(canvas: Image.Image, still: Image.Image, target: _Values, source: _Values) -> None:
    left, top = np.floor(target.min(axis=0)).astype(int)
    right, bottom = np.ceil(target.max(axis=0)).astype(int) + 1
    left, top, right, bottom = max(0, left), max(0, top), min(still.width, right), min(still.height, bottom)
    if right <= left or bottom <= top:
        return
    (x, y), (u, v) = (target - (left, top)).T, source.T
    one, none = np.ones(4), np.zeros(4)
    system = np.concatenate(
        [
            np.stack([x, y, one, none, none, none, -u * x, -u * y], axis=1),
            np.stack([none, none, none, x, y, one, -v * x, -v * y], axis=1),
        ]
    )
    back = np.linalg.solve(system, np.concatenate([u, v]))
    size = (int(right - left), int(bottom - top))
    cell = still.transform(size, Image.Transform.PERSPECTIVE, tuple(back), Image.Resampling.BICUBIC)
    mask = Image.new("L", size)
    polygon = [(float(px), float(py)) for px, py in target - (left, top)]
    ImageDraw.Draw(mask).polygon(polygon, fill=255, outline=255)
    canvas.paste(cell, (int(left), int(top)), mask)


def sample_through_grid(image: Image.Image, pitch: float, angle: float) -> Image.Image:
    """Sample the image through a grid of red, green and blue stripes, `pitch` camera pixels apart."""
    rows, columns = np.mgrid[: image.height, : image.width]
    across = (columns * np.cos(angle) + rows * np.sin(angle)) / pitch
    down = (rows * np.cos(angle) - columns * np.sin(angle)) / pitch
    stripes = np.stack([np.cos(2 * np.pi * (across + third / 3)) for third in range(3)], axis=-1)
    lines = np.cos(2 * np.pi * down)[..., None]
    lit = np.asarray(image) * (1 + 0.10 * stripes + 0.06 * lines)
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
