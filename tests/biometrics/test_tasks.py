from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from biometrics.engines.base import EngineSet
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.test_pattern import render_pattern
from biometrics.errors import EngineUnavailable
from biometrics.matching.decision import Method
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population
from biometrics.pictures.decoding import DecodeLimits
from biometrics.pictures.quality import Reason
from biometrics.tasks import EnrolmentResult, FaceRules, Shot, enrol_shots, verify_burst
from tests.support.biometrics.pictures import encode_picture, noise_picture


def make_burst(paths: Iterable[Path]) -> list[Shot]:
    return [Shot(path.read_bytes(), captured_ms=400 * index) for index, path in enumerate(paths)]


def make_reference(result: EnrolmentResult) -> MatchReference:
    """A reference for the enrolled person, before a population is known."""
    template = result.template
    assert template is not None
    return MatchReference(
        template, neutral_population(template.engine, template.mean.size), ScoringConfig(Method.NEUTRAL)
    )


def codes(reasons: Iterable[Reason]) -> list[str]:
    return [reason.code for reason in reasons]


@pytest.fixture(scope="module")
def enrolment(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> EnrolmentResult:
    return enrol_shots(both_engines, make_burst(people["att-s02"][:3]), rules)


@pytest.mark.clause("HN334-3.1")
def test_three_photographs_enrol_a_person(enrolment: EnrolmentResult) -> None:
    assert enrolment.template is not None
    assert enrolment.template.shots == 3
    assert str(enrolment.engine.key) == "sface/1"
    assert enrolment.reasons == ()
    assert {"decode", "detect", "embed", "total"} <= set(enrolment.ms)


@pytest.mark.clause("HN334-3.4")
def test_same_person_scores_higher_than_another_person(
    both_engines: EngineSet, enrolment: EnrolmentResult, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> None:
    own = verify_burst(both_engines, make_burst(people["att-s02"][4:7]), make_reference(enrolment), rules)
    stranger = verify_burst(
        both_engines, make_burst(people["att-s10"][4:7]), make_reference(enrolment), rules
    )
    assert own.quality_reasons == own.liveness.reasons == ()
    assert own.score is not None
    assert stranger.score is not None
    assert own.score.value > 0.6
    assert stranger.score.value < 0.4
    assert all(frame.fingerprint and frame.quality and frame.face for frame in own.frames)


def test_shots_of_two_people_make_no_template(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> None:
    shots = make_burst([people["obama"][0], people["obama"][1], people["biden"][0]])
    result = enrol_shots(both_engines, shots, rules)
    assert result.template is None
    assert codes(result.reasons) == ["face_shots_disagree"]


def test_unusable_shot_is_reported_and_not_counted(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> None:
    shots = [
        *make_burst(people["att-s02"][:2]),
        Shot(b"not a picture"),
        Shot(encode_picture(noise_picture(320, 240), "PNG")),
    ]
    result = enrol_shots(both_engines, shots, rules)
    assert result.template is None
    assert codes(result.reasons) == ["face_shots_too_few"]
    assert "2" in result.reasons[0].zh
    assert [codes(shot.reasons) for shot in result.shots] == [[], [], ["image_unsupported"], ["no_face"]]
    assert result.shots[2].fingerprint is None


def test_burst_without_a_face_has_no_score(
    both_engines: EngineSet, enrolment: EnrolmentResult, rules: FaceRules
) -> None:
    result = verify_burst(
        both_engines,
        [Shot(encode_picture(noise_picture(320, 240), "PNG"), 0)],
        make_reference(enrolment),
        rules,
    )
    assert result.score is None
    assert codes(result.quality_reasons) == ["no_face"]
    assert codes(result.liveness.reasons) == ["too_few_frames", "no_dominant_face"]


def test_broken_frame_among_good_ones_is_a_reason(
    both_engines: EngineSet, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    reference = make_reference(enrol_shots(both_engines, pattern_shots[:3], rules))
    result = verify_burst(both_engines, [*pattern_shots, Shot(b"?", 2000)], reference, rules)
    assert result.score is not None
    assert codes(result.quality_reasons) == ["image_unsupported"]


def test_test_pattern_is_judged_by_the_test_engine_and_marked(
    both_engines: EngineSet, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    enrolment = enrol_shots(both_engines, pattern_shots[:3], rules)
    result = verify_burst(both_engines, pattern_shots[1:], make_reference(enrolment), rules)
    assert enrolment.engine.test_only
    assert result.engine.test_only
    assert result.score is not None
    assert result.score.value > 0.99
    assert result.quality_reasons == result.liveness.reasons == ()


def test_test_pattern_does_not_match_an_enrolled_photograph(
    both_engines: EngineSet, enrolment: EnrolmentResult, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    result = verify_burst(both_engines, pattern_shots, make_reference(enrolment), rules)
    assert result.score is None
    assert not result.engine.test_only
    assert codes(result.quality_reasons) == ["no_face"]


def test_template_of_a_disabled_engine_cannot_be_compared(
    dlib_engine: DlibOnnxEngine, both_engines: EngineSet, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    reference = make_reference(enrol_shots(both_engines, pattern_shots[:3], rules))
    with pytest.raises(EngineUnavailable):
        verify_burst(EngineSet([dlib_engine]), pattern_shots, reference, rules)


def test_test_pattern_cannot_be_enrolled_without_the_test_engine(
    dlib_engine: DlibOnnxEngine, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    result = enrol_shots(EngineSet([dlib_engine]), pattern_shots, rules)
    assert result.template is None
    assert codes(result.shots[0].reasons) == ["no_face"]


def test_decoder_uses_the_limits_of_the_rules(both_engines: EngineSet, rules: FaceRules) -> None:
    tight = replace(rules, decoding=DecodeLimits(max_bytes=100))
    result = enrol_shots(both_engines, [Shot(render_pattern(1, 0))], tight)
    assert codes(result.shots[0].reasons) == ["image_too_large"]


def test_enrolment_without_shots_gives_no_template(both_engines: EngineSet, rules: FaceRules) -> None:
    assert enrol_shots(both_engines, [], rules).template is None
