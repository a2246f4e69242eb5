"""The same picture several times is not several shots."""

import io
from pathlib import Path

import pytest
from PIL import Image

from backend.core.clock import legal_day, now
from backend.identity.face.policy import enrolment_rules
from backend.policy.installed import policy_at
from biometrics.engines.base import EngineSet
from biometrics.tasks import FaceRules, Shot, enrol_shots
from tests.support.biometrics.pictures import encode_picture

pytestmark = pytest.mark.clause("HN334-3.1")


@pytest.fixture(scope="module")
def rules() -> FaceRules:
    return enrolment_rules(policy_at(legal_day(now()), "410000"))


def reencode(data: bytes, quality: int) -> bytes:
    return encode_picture(Image.open(io.BytesIO(data)).convert("RGB"), "JPEG", quality=quality)


def half_size(data: bytes) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return encode_picture(image.resize((image.width * 3 // 4, image.height * 3 // 4)), "JPEG", quality=90)


def with_comment(data: bytes) -> bytes:
    return data[:2] + b"\xff\xfe\x00\x06abcd" + data[2:]


@pytest.mark.parametrize(
    "copies",
    [
        lambda data: [data, data],
        lambda data: [with_comment(data), with_comment(with_comment(data))],
        lambda data: [reencode(data, 90), reencode(data, 60)],
        lambda data: [half_size(data), reencode(data, 75)],
    ],
    ids=["one file", "other metadata", "re-encoded", "scaled"],
)
def test_copies_of_a_shot_do_not_count(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]], rules: FaceRules, copies: object
) -> None:
    assert callable(copies)
    first = people["obama"][0].read_bytes()
    shots = [Shot(each) for each in [first, *copies(first)]]
    result = enrol_shots(both_engines, shots, rules)
    assert [[reason.code for reason in report.reasons] for report in result.shots] == [
        [],
        ["shot_repeated"],
        ["shot_repeated"],
    ]
    assert result.template is None
    assert [reason.code for reason in result.reasons] == ["face_shots_too_few"]


def test_different_photographs_of_a_person_are_not_copies(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> None:
    for paths in list(people.values())[:12]:
        result = enrol_shots(both_engines, [Shot(path.read_bytes()) for path in paths[:5]], rules)
        assert not any(
            reason.code == "shot_repeated" for report in result.shots for reason in report.reasons
        ), paths
