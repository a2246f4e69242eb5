"""One photograph made to act passes the check: it must, as nothing here detects generated pictures."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from backend.demo.face_animation import PHONE, NoFaceToAnimate, Pose, Puppet, performance
from backend.demo.poses import EACH_MS, posed
from bench import attacks
from biometrics.checks import BurstResult, FaceRules, Shot, enrol_shots, judge_burst
from biometrics.engines.base import EngineSet
from biometrics.engines.dlib_onnx import KEY, DlibOnnxEngine
from biometrics.liveness.actions import Action
from biometrics.matching.decision import EnrolmentRules, Method
from biometrics.matching.scoring import Reference, Scoring, neutral
from biometrics.pictures.decoding import DecodeLimits, Picture
from tests.support.biometrics import shipped_engine
from tests.support.biometrics.challenge_rules import BURST, CHALLENGE
from tests.support.biometrics.pictures import encoded, noise

pytestmark = pytest.mark.xdist_group("puppet")  # its models and frames take seconds: one process makes them

RULES = FaceRules(EnrolmentRules(3, 0.6), BURST, CHALLENGE)
PERSON = "att-s24"
ASKED = (Action.TURN_LEFT, Action.OPEN_MOUTH)

People = dict[str, tuple[Path, ...]]


@pytest.fixture(scope="module")
def engines() -> EngineSet:
    return EngineSet([shipped_engine.engine(shipped_engine.contours())])


@pytest.fixture(scope="module")
def reference(engines: EngineSet, people: People) -> Reference:
    template = enrol_shots(engines, [Shot(path.read_bytes()) for path in people[PERSON][1:5]], RULES).template
    assert template is not None
    return Reference(template, neutral(KEY, template.mean.size), Scoring(Method.NEUTRAL))


@pytest.fixture(scope="module", autouse=True)
def _models_loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "backend.demo.face_animation._models",
            lambda: (shipped_engine.engine(), shipped_engine.contours()),
        )
        yield


@pytest.fixture(scope="module")
def puppet(people: People) -> Puppet:
    return Puppet(people[PERSON][0].read_bytes(), (360, 640))


@pytest.fixture(scope="module")
def still(puppet: Puppet) -> Image.Image:
    return Image.open(io.BytesIO(puppet.frame(Pose(), 0)))


@pytest.fixture(scope="module")
def frames(puppet: Puppet) -> list[bytes]:
    """What the photograph is made to do: what was asked."""
    return performance(puppet, posed(ASKED))


def judged(engines: EngineSet, reference: Reference, frames: list[bytes], *asked: Action) -> BurstResult:
    burst = [Shot(data, EACH_MS * number + number % 3) for number, data in enumerate(frames)]
    return judge_burst(engines, burst, reference, RULES, asked)


def codes(result: BurstResult) -> list[str]:
    return [reason.code for reason in (*result.quality_reasons, *result.liveness.reasons)]


def test_an_animated_photograph_answers_its_challenge(
    engines: EngineSet, reference: Reference, frames: list[bytes]
) -> None:
    result = judged(engines, reference, frames, *ASKED)
    assert codes(result) == []
    assert [each.action for each in result.liveness.seen] == list(ASKED)
    assert result.score is not None
    assert result.probe is not None
    assert {part.name for part in result.liveness.risk.parts} >= {"stillness", "rhythm"}


def test_and_in_another_order_it_does_not(
    engines: EngineSet, reference: Reference, frames: list[bytes]
) -> None:
    assert codes(judged(engines, reference, frames, *reversed(ASKED))) == ["actions_out_of_order"]
    assert codes(judged(engines, reference, frames, Action.TURN_RIGHT, Action.OPEN_MOUTH)) == [
        "head_not_turned_right"
    ]


def test_closed_eyes_are_read_where_the_landmarks_show_them(
    engines: EngineSet, people: People, reference: Reference
) -> None:
    person = Puppet(people["att-s16"][0].read_bytes(), (360, 640))
    result = judged(engines, reference, performance(person, posed([Action.CLOSE_EYES])), Action.CLOSE_EYES)
    assert codes(result) == []


@pytest.mark.parametrize(
    "attack",
    [
        attacks.re_uploaded,
        attacks.print_in_plane,
        attacks.print_tilted,
        attacks.print_bent,
        attacks.screen,
    ],
)
def test_a_photograph_held_before_the_camera_does_not_answer(
    engines: EngineSet, reference: Reference, still: Image.Image, attack: attacks.Attack
) -> None:
    frames = attack(still, posed(ASKED), random.Random(5))
    assert {"mouth_not_opened", "head_not_turned_left", "turn_without_depth"} & set(
        codes(judged(engines, reference, frames, *ASKED))
    )


def test_the_flash_of_the_screen_is_answered_by_a_face_that_it_lights(
    engines: EngineSet, reference: Reference, puppet: Puppet
) -> None:
    screens = [(255.0, 40.0, 40.0), (40.0, 255.0, 40.0), (40.0, 40.0, 255.0), (255.0, 255.0, 255.0)] * 2
    lights = [tuple(1 + 0.08 * level / 255 for level in screen) for screen in screens]
    frames = [puppet.frame(Pose(light=(r, g, b)), number) for number, (r, g, b) in enumerate(lights)]
    burst = [
        Shot(data, EACH_MS * number, screen)
        for number, (data, screen) in enumerate(zip(frames, screens, strict=True))
    ]
    result = judge_burst(engines, burst, reference, RULES, ASKED)
    (flash,) = [part for part in result.liveness.risk.parts if part.name == "flash"]
    assert flash.figure > 0.5
    assert flash.suspicion == 0


@pytest.mark.parametrize("person", ["obama", "biden", "att-s01", "att-s20", "att-s40"])
def test_photographs_on_a_phones_canvas_are_found_and_large_enough(
    dlib_engine: DlibOnnxEngine, people: People, person: str
) -> None:
    frame = Puppet(people[person][0].read_bytes()).frame(Pose(), 0)
    picture = Picture.open(frame, DecodeLimits())
    assert (picture.width, picture.height) == PHONE
    assert dlib_engine.detect(picture)[0].box.width > 150


def test_a_picture_without_a_face_makes_no_puppet() -> None:
    with pytest.raises(NoFaceToAnimate):
        Puppet(encoded(noise(320, 240), "PNG"))
