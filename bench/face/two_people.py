"""Pictures of two people, composed of photographs of one: the second face has a given share of the first one's width."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from biometrics.engines.base import FaceEngine
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.pictures.quality import SECOND_FACE, QualityLimits, check_quality, measure_quality

CANVAS = (720, 1280)
_GREY = (120, 128, 130)
_MARGIN = 0.35


@dataclass(frozen=True, slots=True)
class FaceCutOut:
    """A photograph cut close to its face, and the width of the face in it."""

    image: Image.Image
    width: float

    def scaled_to(self, width: float) -> Image.Image:
        factor = width / self.width
        size = (max(1, round(self.image.width * factor)), max(1, round(self.image.height * factor)))
        return self.image.resize(size, Image.Resampling.BICUBIC)


def cut_out_face(engine: FaceEngine, photograph: Path) -> FaceCutOut | None:
    """The face of a photograph; None if the detector finds none."""
    faces = engine.detect(Picture.open(photograph.read_bytes(), DecodeLimits()), thorough=True)
    if not faces:
        return None
    with Image.open(photograph) as opened:
        image = opened.convert("RGB")
    box, margin = faces[0].box, _MARGIN * faces[0].box.width
    around = (
        max(0, round(box.left - margin)),
        max(0, round(box.top - margin)),
        min(image.width, round(box.right + margin)),
        min(image.height, round(box.bottom + margin)),
    )
    return FaceCutOut(image.crop(around), box.width)


def compose(first: FaceCutOut, second: FaceCutOut, ratio: float, share: float = 0.42) -> bytes:
    """A selfie: the first face has `share` of the picture's width, the second, above it, `ratio` of the first one's."""
    canvas = Image.new("RGB", CANVAS, _GREY)
    near = first.scaled_to(share * CANVAS[0])
    far = second.scaled_to(share * ratio * CANVAS[0])
    canvas.paste(near, (10, CANVAS[1] - near.height - 60))
    canvas.paste(far, (CANVAS[0] - far.width - 5, 60))
    target = io.BytesIO()
    canvas.save(target, "JPEG", quality=90)
    return target.getvalue()


def sees_second_face(engine: FaceEngine, picture: bytes, *, thorough: bool) -> bool:
    """Whether the picture is refused because of another person: as an enrolment shot, or as the first frame of a burst."""
    opened = Picture.open(picture, DecodeLimits())
    faces = engine.detect(opened, thorough=True) if thorough else engine.track([opened])[0]
    return bool(faces) and SECOND_FACE in check_quality(measure_quality(opened, faces), QualityLimits())


def detection_rate(
    engine: FaceEngine,
    faces: Sequence[FaceCutOut],
    ratio: float,
    *,
    share: float = 0.42,
    thorough: bool = False,
) -> tuple[int, int]:
    """In how many of how many pictures the second face is seen. Each face is paired with another one."""
    pairs = [(face, faces[(number + len(faces) // 2) % len(faces)]) for number, face in enumerate(faces)]
    seen = sum(
        sees_second_face(engine, compose(one, other, ratio, share), thorough=thorough) for one, other in pairs
    )
    return seen, len(pairs)
