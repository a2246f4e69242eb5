"""An animated photograph passes the check, because nothing here detects generated pictures."""

import io
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from backend.demo.face_animation import (
    PHONE,
    FaceAnimator,
    NoFaceToAnimate,
    Pose,
    add_hand_motion,
    render_burst,
)
from backend.demo.poses import FRAME_INTERVAL_MS, plan_burst
from bench.liveness import picture_attacks as attacks
from bench.liveness.animated_attacks import DrawnFaceAnimator, WarpWithoutLandmarks
from biometrics.engines.base import EngineSet
from biometrics.engines.sface import KEY, SFaceEngine
from biometrics.liveness.actions import Action
from biometrics.matching.decision import EnrolmentRules, Method
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.tasks import BurstResult, FaceRules, Shot, enrol_shots, verify_burst
from tests.support.biometrics import shipped_engine
from tests.support.biometrics.challenge_rules import BURST, CHALLENGE
from tests.support.biometrics.pictures import encode_picture, noise_picture

# Models and frames take seconds: one process creates them.
pytestmark = pytest.mark.xdist_group("face_animation")

RULES = FaceRules(EnrolmentRules(3, 1.1), replace(BURST, max_frame_distance=1.15), CHALLENGE)
PERSON = "att-s24"
REQUESTED = (Action.TURN_LEFT, Action.OPEN_MOUTH)

People = dict[str, tuple[Path, ...]]


@pytest.fixture(scope="module")
def engines() -> EngineSet:
    return EngineSet([shipped_engine.engine(shipped_engine.landmark_model())])


@pytest.fixture(scope="module")
def reference(engines: EngineSet, people: People) -> MatchReference:
    template = enrol_shots(engines, [Shot(path.read_bytes()) for path in people[PERSON][1:5]], RULES).template
    assert template is not None
    return MatchReference(
        template, neutral_population(KEY, template.mean.size), ScoringConfig(Method.NEUTRAL)
    )


@pytest.fixture(scope="module", autouse=True)
def _models_loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "backend.demo.face_animation._models",
            lambda: (shipped_engine.engine(), shipped_engine.landmark_model()),
        )
        yield


@pytest.fixture(scope="module")
def animator(people: People) -> FaceAnimator:
    return FaceAnimator(people[PERSON][0].read_bytes(), (360, 640))


@pytest.fixture(scope="module")
def still(animator: FaceAnimator) -> Image.Image:
    return Image.open(io.BytesIO(animator.frame(Pose(), 0)))


@pytest.fixture(scope="module")
def frames(animator: FaceAnimator) -> list[bytes]:
    """The photograph, animated to perform the requested actions."""
    return render_burst(animator, plan_burst(REQUESTED))


def verify(
    engines: EngineSet, reference: MatchReference, frames: list[bytes], *requested: Action
) -> BurstResult:
    burst = [Shot(data, FRAME_INTERVAL_MS * number + number % 3) for number, data in enumerate(frames)]
    return verify_burst(engines, burst, reference, RULES, requested)


def codes(result: BurstResult) -> list[str]:
    return [reason.code for reason in (*result.quality_reasons, *result.liveness.reasons)]


def test_animated_photograph_passes_its_challenge(
    engines: EngineSet, reference: MatchReference, frames: list[bytes]
) -> None:
    result = verify(engines, reference, frames, *REQUESTED)
    assert codes(result) == []
    assert [each.action for each in result.liveness.detected] == list(REQUESTED)
    assert result.score is not None
    assert result.probe is not None
    assert {part.name for part in result.liveness.risk.parts} >= {"stillness", "rhythm"}


def test_animated_photograph_asks_for_a_second_look(
    engines: EngineSet, reference: MatchReference, frames: list[bytes]
) -> None:
    """THREATS, requirement 14: what passes the challenge is doubted, since its first and last frame are one picture."""
    liveness = verify(engines, reference, frames, *REQUESTED).liveness
    assert [reason.code for reason in liveness.doubts] == ["face_unchanged"]
    mouth = next(each for each in liveness.detected if each.action is Action.OPEN_MOUTH)
    assert liveness.frames_to_show is not None
    at_rest, acting = liveness.frames_to_show
    assert acting == mouth.peak
    assert at_rest in liveness.at_rest
    assert liveness.figures()["doubts"] == ["face_unchanged"]


@pytest.mark.parametrize("kind", [DrawnFaceAnimator, WarpWithoutLandmarks])
def test_other_animations_ask_for_a_second_look_too(
    engines: EngineSet, people: People, reference: MatchReference, kind: type[FaceAnimator]
) -> None:
    animator = kind(people[PERSON][0].read_bytes(), (360, 640))
    poses = add_hand_motion(plan_burst(REQUESTED), 3)
    frames = [animator.frame(pose, at) for at, pose in enumerate(poses)]
    doubts = verify(engines, reference, frames, *REQUESTED).liveness.doubts
    assert [reason.code for reason in doubts] == ["face_unchanged"]


def test_face_that_changed_is_not_doubted(
    engines: EngineSet, people: People, reference: MatchReference, frames: list[bytes]
) -> None:
    later = FaceAnimator(people[PERSON][2].read_bytes(), (360, 640))
    ended = [*frames[:-2], *render_burst(later, [None, None], 9)]
    liveness = verify(engines, reference, ended, *REQUESTED).liveness
    assert liveness.doubts == ()


def test_animated_photograph_fails_in_another_order(
    engines: EngineSet, reference: MatchReference, frames: list[bytes]
) -> None:
    assert codes(verify(engines, reference, frames, *reversed(REQUESTED))) == ["actions_out_of_order"]
    assert codes(verify(engines, reference, frames, Action.TURN_RIGHT, Action.OPEN_MOUTH)) == [
        "head_not_turned_right"
    ]


def test_closed_eyes_are_detected_if_the_landmarks_show_them(
    engines: EngineSet, people: People, reference: MatchReference
) -> None:
    person = FaceAnimator(people["att-s29"][0].read_bytes(), (360, 640))
    result = verify(
        engines, reference, render_burst(person, plan_burst([Action.CLOSE_EYES])), Action.CLOSE_EYES
    )
    assert codes(result) == []


@pytest.mark.parametrize(
    "attack",
    [
        attacks.reuploaded_still,
        attacks.moved_print,
        attacks.tilted_print,
        attacks.bent_print,
        attacks.screen_replay,
    ],
)
def test_photograph_in_front_of_the_camera_fails(
    engines: EngineSet, reference: MatchReference, still: Image.Image, attack: attacks.Attack
) -> None:
    frames = attack(still, plan_burst(REQUESTED), random.Random(5))
    assert {"mouth_not_opened", "head_not_turned_left", "turn_without_depth"} & set(
        codes(verify(engines, reference, frames, *REQUESTED))
    )


def test_flash_response_is_measured_on_a_lit_face(
    engines: EngineSet, reference: MatchReference, animator: FaceAnimator
) -> None:
    screens = [(255.0, 40.0, 40.0), (40.0, 255.0, 40.0), (40.0, 40.0, 255.0), (255.0, 255.0, 255.0)] * 2
    lights = [tuple(1 + 0.08 * level / 255 for level in screen) for screen in screens]
    frames = [animator.frame(Pose(light=(r, g, b)), number) for number, (r, g, b) in enumerate(lights)]
    burst = [
        Shot(data, FRAME_INTERVAL_MS * number, screen)
        for number, (data, screen) in enumerate(zip(frames, screens, strict=True))
    ]
    result = verify_burst(engines, burst, reference, RULES, REQUESTED)
    (flash,) = [part for part in result.liveness.risk.parts if part.name == "flash"]
    assert flash.figure > 0.5
    assert flash.suspicion == 0


@pytest.mark.parametrize("person", ["obama", "biden", "att-s01", "att-s20", "att-s40"])
def test_faces_on_a_phone_canvas_are_detected_and_large_enough(
    dlib_engine: SFaceEngine, people: People, person: str
) -> None:
    frame = FaceAnimator(people[person][0].read_bytes()).frame(Pose(), 0)
    picture = Picture.open(frame, DecodeLimits())
    assert (picture.width, picture.height) == PHONE
    assert dlib_engine.detect(picture)[0].box.width > 150


def test_picture_without_a_face_cannot_be_animated() -> None:
    with pytest.raises(NoFaceToAnimate):
        FaceAnimator(encode_picture(noise_picture(320, 240), "PNG"))
