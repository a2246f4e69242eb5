"""Pictures with more pixels than a phone sends are refused before anything is decoded (THREATS, requirement 11)."""

import pytest
import simplejpeg
from PIL import Image, ImageFile

from backend.core.clock import legal_day, now
from backend.identity.face.pictures import check_containers
from backend.identity.face.policy import shot_decoding
from backend.policy.installed import policy_at
from backend.roll_call.policy import frame_decoding
from biometrics.engines.base import EngineSet
from biometrics.engines.test_pattern import PatternEngine
from biometrics.matching.scoring import MatchReference
from biometrics.pictures.containers import ImageKind, ImageUnsupported, declared_size
from biometrics.pictures.decoding import DecodeLimits, ImageTooLarge, Picture
from biometrics.tasks import FaceRules, Shot, enrol_shots, verify_burst
from tests.biometrics.test_tasks import make_reference
from tests.support.biometrics.hostile_pictures import heic_picture
from tests.support.biometrics.pictures import encode_picture, noise_picture

POLICY = policy_at(legal_day(now()), "410000")
FRAMES = frame_decoding(POLICY)
HD, FULL_HD = (720, 1280), (1080, 1920)


def flat_picture(kind: str, size: tuple[int, int], shade: int = 120) -> bytes:
    return encode_picture(Image.new("RGB", size, (shade, 120, 130)), kind)


def flat_burst(kind: str, size: tuple[int, int], count: int) -> list[Shot]:
    return [Shot(flat_picture(kind, size, 100 + at), 400 * at) for at in range(count)]


def enrol_pattern(pattern_shots: list[Shot], rules: FaceRules) -> tuple[EngineSet, MatchReference]:
    engines = EngineSet([PatternEngine()])
    return engines, make_reference(enrol_shots(engines, pattern_shots, rules))


def verify(burst: list[Shot], engines: EngineSet, reference: MatchReference, rules: FaceRules) -> set[str]:
    limited = FaceRules(rules.enrolment, rules.burst, frame_decoding=FRAMES)
    result = verify_burst(engines, burst, reference, limited)
    return {reason.code for reason in result.quality_reasons}


@pytest.mark.parametrize(
    ("kind", "size", "count"),
    [
        ("PNG", (5000, 5000), 2),
        ("JPEG", (5000, 5000), 2),
        ("WEBP", (1300, 1920), 2),
        ("PNG", FULL_HD, 8),
        ("JPEG", FULL_HD, 18),
    ],
)
def test_burst_with_too_many_pixels_is_refused_and_never_decoded(
    kind: str,
    size: tuple[int, int],
    count: int,
    pattern_shots: list[Shot],
    rules: FaceRules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    burst = flat_burst(kind, size, count)
    decoded: list[object] = []
    load, decode = ImageFile.ImageFile.load, simplejpeg.decode_jpeg

    def note_load(self: ImageFile.ImageFile) -> object:
        decoded.append(self.size)
        return load(self)

    def note_jpeg(data: bytes, *args: object, **options: object) -> object:
        decoded.append(len(data))
        return decode(data, *args, **options)

    engines, reference = enrol_pattern(pattern_shots, rules)
    monkeypatch.setattr(ImageFile.ImageFile, "load", note_load)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", note_jpeg)
    assert verify(burst, engines, reference, rules) == {"image_too_large"}
    assert decoded == []


@pytest.mark.parametrize(("kind", "size", "count"), [("PNG", HD, 9), ("WEBP", HD, 8), ("JPEG", FULL_HD, 16)])
def test_burst_of_a_phone_is_within_the_limits(
    kind: str, size: tuple[int, int], count: int, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    engines, reference = enrol_pattern(pattern_shots, rules)
    assert verify(flat_burst(kind, size, count), engines, reference, rules) == {"no_face"}


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_unscaled_shot_of_a_camera_is_refused_at_upload(kind: str) -> None:
    with pytest.raises(ImageTooLarge, match="4 MP"):
        check_containers([flat_picture(kind, (3000, 4000))], shot_decoding(POLICY))


def test_photograph_of_a_camera_is_a_possible_shot() -> None:
    check_containers([flat_picture("JPEG", (3000, 4000))], shot_decoding(POLICY))


def test_declared_size_is_that_of_the_opened_picture() -> None:
    image = noise_picture(64, 48)
    for data in (
        *(encode_picture(image, kind) for kind in ("JPEG", "PNG", "WEBP")),
        encode_picture(image, "WEBP", lossless=True),
        encode_picture(image.convert("RGBA"), "WEBP", exif=b"Exif\0\0MM\0*"),
    ):
        opened = Picture.open(data, DecodeLimits())
        assert declared_size(data) == (opened.kind, 64 * 48)
    assert declared_size(heic_picture(noise_picture(64, 64))) == (ImageKind.HEIF, 64 * 64)


def test_size_that_is_not_in_the_head_is_unknown() -> None:
    assert declared_size(b"\xff\xd8\xff\xe1\xff\xff" + bytes(1000)) is None
    assert declared_size(encode_picture(noise_picture(), "PNG")[:18]) is None
    assert declared_size(heic_picture(noise_picture())[:40]) is None
    with pytest.raises(ImageUnsupported):
        declared_size(b"GIF89a" + bytes(100))


def test_limit_of_a_format_is_never_above_the_general_one() -> None:
    with pytest.raises(ImageTooLarge, match=r"0\.5 MP"):
        DecodeLimits(max_pixels=500_000).check_size(ImageKind.PNG, 600_000)
