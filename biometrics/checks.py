"""The two units of work: enrol a person from shots, judge a burst against a template.

Pure: bytes and values in, a result out, in this process or in a worker of `biometrics.pool`. Nothing here
accepts or rejects a student; thresholds are applied to the score by `biometrics.matching.decision.decide`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

from biometrics.engines.base import Box, Contours, Descriptor, DetectedFace, EngineInfo, EngineSet, FaceEngine
from biometrics.errors import BiometricsError
from biometrics.liveness.actions import Action
from biometrics.liveness.burst import (
    EXCUSED,
    Answer,
    BurstRules,
    ChallengeRules,
    Frame,
    LivenessReport,
    Watched,
    check_burst,
    check_challenge,
    watch_actions,
)
from biometrics.liveness.flash import Colour, flash_response, mean_colours
from biometrics.matching.decision import (
    EnrolmentRules,
    FaceTemplate,
    ShotsDisagree,
    ShotsTooFew,
    average,
    build_template,
)
from biometrics.matching.scoring import Reference, Score, score
from biometrics.pictures.decoding import WORKING_SIDE, DecodeLimits, Picture
from biometrics.pictures.fingerprints import Fingerprint, fingerprint
from biometrics.pictures.quality import NO_FACE, Quality, QualityLimits, Reason, judge, measure
from biometrics.pictures.texture import measure_texture


@dataclass(frozen=True, slots=True)
class FaceRules:
    """Everything policy says about pictures, apart from the thresholds of the match."""

    enrolment: EnrolmentRules
    burst: BurstRules
    challenge: ChallengeRules | None = None
    """None where nothing is ever asked, as of a portrait."""
    quality: QualityLimits = field(default_factory=QualityLimits)
    decoding: DecodeLimits = field(default_factory=DecodeLimits)


@dataclass(frozen=True, slots=True)
class Shot:
    """One received picture; `captured_ms` is the phone's own time, None when unknown."""

    data: bytes
    captured_ms: int | None = None
    screen: Colour | None = None
    """The colour that the phone's screen showed; None when it flashed none."""


@dataclass(frozen=True, slots=True)
class ShotReport:
    """What was found in one picture. Without a fingerprint it was not even decoded."""

    reasons: tuple[Reason, ...]
    fingerprint: Fingerprint | None = None
    face: Box | None = None
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class EnrolmentResult:
    """A template, or the reasons why there is none. Unusable shots are reported beside a template too."""

    template: FaceTemplate | None
    engine: EngineInfo
    shots: tuple[ShotReport, ...]
    reasons: tuple[Reason, ...]
    ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class BurstResult:
    """The score of a burst and everything that speaks against judging it.

    `score` is None when no frame holds a usable face; it is meaningful for a decision only without reasons.
    """

    score: Score | None
    engine: EngineInfo
    frames: tuple[ShotReport, ...]
    quality_reasons: tuple[Reason, ...]
    liveness: LivenessReport
    probe: Descriptor | None
    """What was compared: the mean of the frames in which the face is at rest."""
    ms: dict[str, float]


class Stopwatch:
    """Milliseconds by stage, summed over the pictures of one task."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        before = perf_counter()
        try:
            yield
        finally:
            self._stages[name] = self._stages.get(name, 0.0) + 1000 * (perf_counter() - before)

    def read(self) -> dict[str, float]:
        """Stages and the total so far, to a hundredth of a millisecond."""
        stages = {**self._stages, "total": 1000 * (perf_counter() - self._started)}
        return {name: round(value, 2) for name, value in stages.items()}


def enrol_shots(engines: EngineSet, shots: Sequence[Shot], rules: FaceRules) -> EnrolmentResult:
    """A template from at least `rules.enrolment.min_shots` usable, agreeing shots."""
    watch = Stopwatch()
    decoded = [_opened(shot, rules.decoding, watch) for shot in shots]
    engine = engines.claiming([item for item in decoded if not isinstance(item, Reason)])
    examined = examine(engine, decoded, rules.quality, watch, thorough=True)
    usable = [descriptor for _, descriptor in examined if descriptor is not None]
    template: FaceTemplate | None = None
    reasons: tuple[Reason, ...] = ()
    try:
        template = build_template(usable, rules.enrolment)
    except (ShotsTooFew, ShotsDisagree) as refusal:
        reasons = (_reason(refusal),)
    return EnrolmentResult(
        template, engine.info(), tuple(report for report, _ in examined), reasons, watch.read()
    )


def judge_burst(
    engines: EngineSet,
    burst: Sequence[Shot],
    reference: Reference,
    rules: FaceRules,
    actions: Sequence[Action] = (),
) -> BurstResult:
    """The burst as an answer to the asked actions, and its mean against the claimed person's template, by its engine.

    Raises EngineMismatch or EngineUnavailable when that engine and version is not enabled.
    """
    watch = Stopwatch()
    engine = engines.of(reference.template.engine)
    looks = _looked_through(
        engine,
        [_opened(shot, rules.decoding, watch, for_landmarks=True) for shot in burst],
        burst,
        rules,
        actions,
        watch,
    )
    decoded = [look for look in looks if look.report.fingerprint is not None]
    frames = [look.frame() for look in decoded]
    watched = _watched(frames, rules, actions)
    resting, telling = watched.resting(), watched.telling()
    with watch.stage("embed"):
        at_rest = engine.embed(_found(decoded, resting))
        descriptors = [*at_rest, *engine.embed(_found(decoded, telling), brief=bool(resting))]
    probe = average(at_rest or descriptors) if descriptors else None
    with watch.stage("liveness"):
        liveness = _liveness(Answer(frames, watched, descriptors, _signals(looks)), rules, actions)
    return BurstResult(
        score=score(reference, probe) if probe else None,
        engine=engine.info(),
        frames=tuple(look.report for look in looks),
        quality_reasons=_unexcused([look.report for look in looks], rules),
        liveness=liveness,
        probe=probe,
        ms=watch.read(),
    )


def _found(looks: Sequence["_Look"], indices: Sequence[int]) -> list[tuple[Picture, DetectedFace]]:
    return [look.found for look in (looks[index] for index in indices) if look.found is not None]


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One frame of a burst; `found` is its face with the picture, None without a usable one."""

    shot: Shot
    report: ShotReport
    found: tuple[Picture, DetectedFace] | None
    contours: Contours | None

    def frame(self) -> Frame:
        """What liveness needs of a decoded frame."""
        assert self.report.fingerprint is not None
        box = None if self.found is None else self.found[1].box
        return Frame(self.report.fingerprint, self.shot.captured_ms, box, self.contours)


def _looked_through(
    engine: FaceEngine,
    opened: Sequence[Picture | Reason],
    burst: Sequence[Shot],
    rules: FaceRules,
    actions: Sequence[Action],
    watch: Stopwatch,
) -> list[_Look]:
    """Every frame; a face is followed from one to the next, so that only the first is searched for other people."""
    limits = rules.quality
    if actions and rules.challenge is not None:
        limits = replace(limits, max_nose_offset=rules.challenge.max_nose_offset)
    followed = iter(_followed(engine, [each for each in opened if isinstance(each, Picture)], watch))
    seen = [
        _seen(engine, each, limits, watch, faces=next(followed) if isinstance(each, Picture) else None)
        for each in opened
    ]
    with watch.stage("contours"):  # in one go: a model of 100 MB is cold again after every decoded picture
        contours = [engine.contours(*found) if actions and found else None for _, found in seen]
    return [
        _Look(shot, report, found, outlines)
        for shot, (report, found), outlines in zip(burst, seen, contours, strict=True)
    ]


def _followed(
    engine: FaceEngine, pictures: Sequence[Picture], watch: Stopwatch
) -> Sequence[list[DetectedFace] | None]:
    """The faces of each frame; None for each when a frame cannot be read, which then costs that frame alone."""
    with watch.stage("detect"):
        try:
            return engine.follow(pictures)
        except BiometricsError:
            return [None] * len(pictures)


def _watched(frames: Sequence[Frame], rules: FaceRules, actions: Sequence[Action]) -> Watched:
    if not actions:
        return Watched((), (), tuple(index for index, frame in enumerate(frames) if frame.box is not None))
    if rules.challenge is None:
        raise ValueError("actions were asked under rules that know no challenge")
    return watch_actions(frames, rules.challenge.actions)


def _liveness(given: Answer, rules: FaceRules, actions: Sequence[Action]) -> LivenessReport:
    if actions and rules.challenge is not None:
        return check_challenge(given, actions, rules.burst, rules.challenge)
    reasons = check_burst(given.frames, given.descriptors, rules.burst)
    return LivenessReport(reasons, at_rest=given.watched.at_rest)


def _signals(looks: Sequence[_Look]) -> dict[str, float]:
    """What the pictures themselves say of risk: the texture of the widest face, the answer to the screen's colours."""
    signals: dict[str, float] = {}
    found = [(picture, face.box) for picture, face in (look.found for look in looks if look.found)]
    texture = measure_texture(*max(found, key=lambda each: each[1].width)) if found else None
    if texture is not None:
        signals |= {"moire": texture.moire, "irregular": texture.irregular}
    lit = [(look.shot.screen, *look.found) for look in looks if look.shot.screen and look.found]
    colours = [mean_colours(picture.rgb(WORKING_SIDE), face.box) for _, picture, face in lit]
    answered = flash_response(
        [screen for screen, _, _ in lit], [face for face, _ in colours], [behind for _, behind in colours]
    )
    if answered is not None:
        signals["flash"] = answered.correlation
    return signals


def _unexcused(reports: Sequence[ShotReport], rules: FaceRules) -> tuple[Reason, ...]:
    """The reasons of all frames; those of a few frames lost to movement are excused where movement was asked."""
    lost = [report for report in reports if report.reasons and EXCUSED.issuperset(report.reasons)]
    if rules.challenge is not None and len(lost) <= rules.challenge.max_lost_frames:
        reports = [report for report in reports if report not in lost]
    return tuple(dict.fromkeys(reason for report in reports for reason in report.reasons))


def examine(
    engine: FaceEngine,
    opened: Sequence[Picture | Reason],
    limits: QualityLimits,
    watch: Stopwatch,
    *,
    thorough: bool = False,
) -> list[tuple[ShotReport, Descriptor | None]]:
    """Detect and measure the widest face of each picture, and embed together those that nothing speaks against."""
    seen = [_seen(engine, each, limits, watch, thorough=thorough) for each in opened]
    with watch.stage("embed"):
        descriptors = iter(engine.embed([found for _, found in seen if found is not None]))
    return [(report, None if found is None else next(descriptors)) for report, found in seen]


def _seen(
    engine: FaceEngine,
    opened: Picture | Reason,
    limits: QualityLimits,
    watch: Stopwatch,
    *,
    thorough: bool = False,
    faces: list[DetectedFace] | None = None,
) -> tuple[ShotReport, tuple[Picture, DetectedFace] | None]:
    """What one picture shows, given its faces or looking for them, and its face with the picture when it is worth embedding."""
    if isinstance(opened, Reason):
        return ShotReport((opened,)), None
    try:
        return _looked_at(engine, opened, limits, watch, thorough=thorough, faces=faces)
    except BiometricsError as refusal:
        if not refusal.code.startswith("image_"):
            raise
        return ShotReport((_reason(refusal),)), None


def _looked_at(
    engine: FaceEngine,
    picture: Picture,
    limits: QualityLimits,
    watch: Stopwatch,
    *,
    thorough: bool,
    faces: list[DetectedFace] | None,
) -> tuple[ShotReport, tuple[Picture, DetectedFace] | None]:
    with watch.stage("fingerprint"):
        print_ = fingerprint(picture)
    if faces is None:
        with watch.stage("detect"):
            faces = engine.detect(picture, thorough=thorough)
    if not faces:
        return ShotReport((NO_FACE,), print_), None
    with watch.stage("quality"):
        quality = measure(picture, faces)
        reasons = judge(quality, limits)
    report = ShotReport(reasons, print_, faces[0].box, quality)
    return report, None if reasons else (picture, faces[0])


def _opened(
    shot: Shot, limits: DecodeLimits, watch: Stopwatch, *, for_landmarks: bool = False
) -> Picture | Reason:
    """The picture with the small grey decoding that every check begins with."""
    try:
        with watch.stage("decode"):
            picture = Picture.open(shot.data, limits, for_landmarks=for_landmarks)
            picture.grey(WORKING_SIDE)
            return picture
    except BiometricsError as refusal:
        return _reason(refusal)


def _reason(refusal: BiometricsError) -> Reason:
    return Reason(refusal.code, refusal.sentence("zh"), refusal.sentence("en"))
