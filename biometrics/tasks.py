"""The two tasks of a face worker: enrol a person from shots, and verify a burst against a template.

Both are pure functions: bytes and values in, a result out. They run in the calling process or in a worker of
`biometrics.pool`. They do not accept or reject a student: `biometrics.matching.decision.decide` applies the thresholds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

from biometrics.engines.base import (
    Box,
    Contours,
    Descriptor,
    DetectedFace,
    EmbeddingUse,
    EngineInfo,
    EngineSet,
    FaceEngine,
    distance,
)
from biometrics.errors import BiometricsError
from biometrics.liveness.actions import Action
from biometrics.liveness.burst import (
    MOVEMENT_REASONS,
    BurstRules,
    ChallengeRules,
    Frame,
    LivenessReport,
    ObservedActions,
    ObservedBurst,
    check_burst,
    check_challenge,
    observe_actions,
)
from biometrics.liveness.face_change import choose_moments, cut_chip, measure_change
from biometrics.liveness.flash import Colour, flash_response, mean_colours
from biometrics.matching.decision import (
    EnrolmentRules,
    FaceTemplate,
    ShotsDisagree,
    ShotsTooFew,
    build_template,
    mean_descriptor,
)
from biometrics.matching.scoring import MatchReference, Score, score
from biometrics.pictures.decoding import WORKING_SIDE, DecodeLimits, ImageTooLarge, Picture, check_total
from biometrics.pictures.fingerprints import Fingerprint, fingerprint, hamming
from biometrics.pictures.quality import (
    NO_FACE,
    SHOT_REPEATED,
    Quality,
    QualityLimits,
    Reason,
    check_quality,
    measure_quality,
)
from biometrics.pictures.texture import measure_texture


@dataclass(frozen=True, slots=True)
class FaceRules:
    """The policy's limits for pictures and bursts. Match thresholds are separate (`FaceThresholds`)."""

    enrolment: EnrolmentRules
    burst: BurstRules
    challenge: ChallengeRules | None = None
    """None where no actions are ever requested, such as for an ID portrait."""
    quality: QualityLimits = field(default_factory=QualityLimits)
    decoding: DecodeLimits = field(default_factory=DecodeLimits)
    frame_decoding: DecodeLimits = field(default_factory=DecodeLimits)
    """For the frames of a burst, which a phone takes smaller than single pictures."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One uploaded picture. `captured_ms` is the phone's own clock; None if unknown."""

    data: bytes
    captured_ms: int | None = None
    screen: Colour | None = None
    """The colour that the phone's screen showed; None without a colour flash."""


@dataclass(frozen=True, slots=True)
class ShotReport:
    """The findings for one picture. `fingerprint` is None if the picture could not be decoded."""

    reasons: tuple[Reason, ...]
    fingerprint: Fingerprint | None = None
    face: Box | None = None
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class EnrolmentResult:
    """A template, or the reasons why there is none. Unusable shots are reported in either case."""

    template: FaceTemplate | None
    engine: EngineInfo
    shots: tuple[ShotReport, ...]
    reasons: tuple[Reason, ...]
    ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class BurstResult:
    """The score of a burst, with the quality and liveness reasons against it.

    `score` is None if no frame has a usable face. A decision may use it only if there are no reasons.
    """

    score: Score | None
    engine: EngineInfo
    frames: tuple[ShotReport, ...]
    quality_reasons: tuple[Reason, ...]
    liveness: LivenessReport
    probe: Descriptor | None
    """The compared descriptor: the mean over the frames in which the face is at rest."""
    ms: dict[str, float]


class Stopwatch:
    """Milliseconds per stage, summed over the pictures of one task."""

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
        """The time of each stage and the total so far, rounded to 0.01 ms."""
        stages = {**self._stages, "total": 1000 * (perf_counter() - self._started)}
        return {name: round(value, 2) for name, value in stages.items()}


def enrol_shots(engines: EngineSet, shots: Sequence[Shot], rules: FaceRules) -> EnrolmentResult:
    """Build a template from at least `rules.enrolment.min_shots` usable shots of one person."""
    stopwatch = Stopwatch()
    pictures = [_open_picture(shot, rules.decoding, stopwatch) for shot in shots]
    engine = engines.engine_for([item for item in pictures if not isinstance(item, Reason)])
    examined = _mark_repeated(
        examine_pictures(engine, pictures, rules.quality, stopwatch, thorough=True), rules.enrolment
    )
    usable = [descriptor for _, descriptor in examined if descriptor is not None]
    template: FaceTemplate | None = None
    reasons: tuple[Reason, ...] = ()
    try:
        template = build_template(usable, rules.enrolment)
    except (ShotsTooFew, ShotsDisagree) as error:
        reasons = (_reason_for(error),)
    return EnrolmentResult(
        template, engine.info(), tuple(report for report, _ in examined), reasons, stopwatch.read()
    )


def _mark_repeated(
    examined: Sequence[tuple[ShotReport, Descriptor | None]], rules: EnrolmentRules
) -> list[tuple[ShotReport, Descriptor | None]]:
    """Give a reason to every usable shot that is the same picture as an earlier one, so that it does not count."""
    kept: list[tuple[Fingerprint, Descriptor]] = []
    marked: list[tuple[ShotReport, Descriptor | None]] = []
    for report, descriptor in examined:
        if descriptor is None or report.fingerprint is None:
            marked.append((report, descriptor))
        elif any(_is_same_picture(report.fingerprint, descriptor, *other, rules) for other in kept):
            marked.append((replace(report, reasons=(*report.reasons, SHOT_REPEATED)), None))
        else:
            kept.append((report.fingerprint, descriptor))
            marked.append((report, descriptor))
    return marked


def _is_same_picture(
    one: Fingerprint,
    descriptor: Descriptor,
    other: Fingerprint,
    its_descriptor: Descriptor,
    rules: EnrolmentRules,
) -> bool:
    if one.sha256 == other.sha256:
        return True
    return (
        hamming(one.phash, other.phash) <= rules.max_hash_bits
        and distance(descriptor, its_descriptor) < rules.min_shot_distance
    )


def verify_burst(
    engines: EngineSet,
    burst: Sequence[Shot],
    reference: MatchReference,
    rules: FaceRules,
    actions: Sequence[Action] = (),
    cues_ms: Sequence[int] = (),
) -> BurstResult:
    """Check a burst against the requested actions, and score its mean descriptor against the claimed template.

    `cues_ms` are the instants at which the phone showed each action, if it showed them one by one.

    The engine that made the template judges the burst. Raises EngineMismatch or EngineUnavailable if that engine and
    version is not enabled.
    """
    stopwatch = Stopwatch()
    engine = engines.get(reference.template.engine)
    examined = _examine_frames(engine, burst, rules, actions, stopwatch)
    decoded = [frame for frame in examined if frame.report.fingerprint is not None]
    frames = [frame.for_liveness() for frame in decoded]
    observed = _observe_actions(frames, rules, actions)
    rest_frames, action_frames = observed.rest_frames(), observed.action_frames()
    with stopwatch.stage("embed"):
        faces = _faces_at(decoded, (*rest_frames, *action_frames))
        descriptors = engine.embed(faces, use=EmbeddingUse.PROBE)
    probe = mean_descriptor(descriptors[: len(rest_frames)] or descriptors) if descriptors else None
    with stopwatch.stage("liveness"):
        generated = engine.info().test_only
        signals = _measure_risk_signals(examined)
    with stopwatch.stage("change"):
        signals |= {} if generated else _measure_change(decoded, observed)
    with stopwatch.stage("liveness"):
        seen = ObservedBurst(frames, observed, descriptors, signals, cues_ms, generated=generated)
        liveness = _check_liveness(seen, rules, actions)
    return BurstResult(
        score=score(reference, probe) if probe else None,
        engine=engine.info(),
        frames=tuple(frame.report for frame in examined),
        quality_reasons=_quality_reasons([frame.report for frame in examined], rules),
        liveness=liveness,
        probe=probe,
        ms=stopwatch.read(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _ExaminedFrame:
    """One frame of a burst. `face` is the usable face with its picture; None without one."""

    shot: Shot
    report: ShotReport
    face: tuple[Picture, DetectedFace] | None
    contours: Contours | None

    def for_liveness(self) -> Frame:
        """The part of a decoded frame that the liveness check needs."""
        assert self.report.fingerprint is not None
        box = None if self.face is None else self.face[1].box
        return Frame(self.report.fingerprint, self.shot.captured_ms, box, self.contours)


def _faces_at(frames: Sequence[_ExaminedFrame], indices: Sequence[int]) -> list[tuple[Picture, DetectedFace]]:
    return [face for face in (frames[index].face for index in indices) if face is not None]


def _examine_frames(
    engine: FaceEngine,
    burst: Sequence[Shot],
    rules: FaceRules,
    actions: Sequence[Action],
    stopwatch: Stopwatch,
) -> list[_ExaminedFrame]:
    """Examine every frame. A face is tracked from frame to frame, so only the first frame is searched in full."""
    opened = _open_frames(burst, rules.frame_decoding, stopwatch)
    limits = rules.quality
    if actions and rules.challenge is not None:
        limits = replace(limits, max_nose_offset=rules.challenge.max_nose_offset)
    tracked = iter(_track_faces(engine, [each for each in opened if isinstance(each, Picture)], stopwatch))
    examined = [
        _examine_picture(
            engine, each, limits, stopwatch, faces=next(tracked) if isinstance(each, Picture) else None
        )
        for each in opened
    ]
    # All contours in one loop: decoding pictures in between evicts the 100 MB model from the CPU cache.
    with stopwatch.stage("contours"):
        contours = [engine.find_contours(*face) if actions and face else None for _, face in examined]
    return [
        _ExaminedFrame(shot, report, face, outlines)
        for shot, (report, face), outlines in zip(burst, examined, contours, strict=True)
    ]


def _track_faces(
    engine: FaceEngine, pictures: Sequence[Picture], stopwatch: Stopwatch
) -> Sequence[list[DetectedFace] | None]:
    """Detect the faces of all frames. If a frame cannot be read, return None for all, to detect frame by frame."""
    with stopwatch.stage("detect"):
        try:
            return engine.track(pictures)
        except BiometricsError:
            return [None] * len(pictures)


def _observe_actions(frames: Sequence[Frame], rules: FaceRules, actions: Sequence[Action]) -> ObservedActions:
    if not actions:
        with_face = tuple(index for index, frame in enumerate(frames) if frame.box is not None)
        return ObservedActions((), (), with_face)
    if rules.challenge is None:
        raise ValueError("actions were requested, but the rules have no challenge")
    return observe_actions(frames, rules.challenge.actions)


def _check_liveness(burst: ObservedBurst, rules: FaceRules, actions: Sequence[Action]) -> LivenessReport:
    if actions and rules.challenge is not None:
        return check_challenge(burst, actions, rules.burst, rules.challenge)
    reasons = check_burst(burst.frames, burst.descriptors, rules.burst)
    return LivenessReport(reasons, at_rest=burst.observed.at_rest)


def _measure_risk_signals(frames: Sequence[_ExaminedFrame]) -> dict[str, float]:
    """Risk signals measured on the pixels: texture of the widest face, and its response to the screen's colours."""
    signals: dict[str, float] = {}
    faces = [(picture, face.box) for picture, face in (frame.face for frame in frames if frame.face)]
    texture = measure_texture(*max(faces, key=lambda each: each[1].width)) if faces else None
    if texture is not None:
        signals |= {"moire": texture.moire, "irregular": texture.irregular}
    lit = [(frame.shot.screen, *frame.face) for frame in frames if frame.shot.screen and frame.face]
    colours = [mean_colours(picture.rgb(WORKING_SIDE), face.box) for _, picture, face in lit]
    response = flash_response(
        [screen for screen, _, _ in lit],
        [face for face, _ in colours],
        [background for _, background in colours],
    )
    if response is not None:
        signals["flash"] = response.correlation
    return signals


def _measure_change(frames: Sequence[_ExaminedFrame], observed: ObservedActions) -> dict[str, float]:
    """The change of the face between two moments. Empty if no two frames at rest look the same way."""
    moments = choose_moments(observed.faces, observed.at_rest)
    if moments is None:
        return {}
    chips = []
    for frame in (frames[index] for index in moments):
        assert frame.face is not None
        assert frame.contours is not None
        chips.append(cut_chip(frame.face[0], frame.face[1].box, frame.contours))
    return {"change": measure_change(*chips)}


def _quality_reasons(reports: Sequence[ShotReport], rules: FaceRules) -> tuple[Reason, ...]:
    """The reasons of all frames. If a challenge was set, a few frames spoiled by movement are ignored."""
    lost = [report for report in reports if report.reasons and MOVEMENT_REASONS.issuperset(report.reasons)]
    if rules.challenge is not None and len(lost) <= rules.challenge.max_lost_frames:
        reports = [report for report in reports if report not in lost]
    return tuple(dict.fromkeys(reason for report in reports for reason in report.reasons))


def examine_pictures(
    engine: FaceEngine,
    pictures: Sequence[Picture | Reason],
    limits: QualityLimits,
    stopwatch: Stopwatch,
    *,
    thorough: bool = False,
) -> list[tuple[ShotReport, Descriptor | None]]:
    """Detect and measure the widest face of each picture, then embed all usable faces in one batch.

    A Reason stands for a picture that could not be opened.
    """
    examined = [_examine_picture(engine, each, limits, stopwatch, thorough=thorough) for each in pictures]
    with stopwatch.stage("embed"):
        descriptors = iter(engine.embed([face for _, face in examined if face is not None]))
    return [(report, None if face is None else next(descriptors)) for report, face in examined]


def _examine_picture(
    engine: FaceEngine,
    picture: Picture | Reason,
    limits: QualityLimits,
    stopwatch: Stopwatch,
    *,
    thorough: bool = False,
    faces: list[DetectedFace] | None = None,
) -> tuple[ShotReport, tuple[Picture, DetectedFace] | None]:
    """Report on one picture, and return its face if that face is usable. Detects faces unless they are given."""
    if isinstance(picture, Reason):
        return ShotReport((picture,)), None
    try:
        return _measure_face(engine, picture, limits, stopwatch, thorough=thorough, faces=faces)
    except BiometricsError as error:
        if not error.code.startswith("image_"):
            raise
        return ShotReport((_reason_for(error),)), None


def _measure_face(
    engine: FaceEngine,
    picture: Picture,
    limits: QualityLimits,
    stopwatch: Stopwatch,
    *,
    thorough: bool,
    faces: list[DetectedFace] | None,
) -> tuple[ShotReport, tuple[Picture, DetectedFace] | None]:
    with stopwatch.stage("fingerprint"):
        hashes = fingerprint(picture)
    if faces is None:
        with stopwatch.stage("detect"):
            faces = engine.detect(picture, thorough=thorough)
    if not faces:
        return ShotReport((NO_FACE,), hashes), None
    with stopwatch.stage("quality"):
        quality = measure_quality(picture, faces)
        reasons = check_quality(quality, limits)
    report = ShotReport(reasons, hashes, faces[0].box, quality)
    return report, None if reasons else (picture, faces[0])


def _open_frames(
    burst: Sequence[Shot], limits: DecodeLimits, stopwatch: Stopwatch
) -> Sequence[Picture | Reason]:
    """Open all frames. If one is too large, or all together are, none is decoded: the burst is lost anyway."""
    opened: list[Picture | Reason] = []
    try:
        for shot in burst:
            try:
                opened.append(Picture.open(shot.data, limits, in_burst=True))
            except ImageTooLarge:
                raise
            except BiometricsError as error:
                opened.append(_reason_for(error))
        check_total([each for each in opened if isinstance(each, Picture)], limits)
    except ImageTooLarge as error:
        return [_reason_for(error)] * len(burst)
    return [each if isinstance(each, Reason) else _decode_first(each, stopwatch) for each in opened]


def _open_picture(shot: Shot, limits: DecodeLimits, stopwatch: Stopwatch) -> Picture | Reason:
    try:
        return _decode_first(Picture.open(shot.data, limits), stopwatch)
    except BiometricsError as error:
        return _reason_for(error)


def _decode_first(picture: Picture, stopwatch: Stopwatch) -> Picture | Reason:
    """Decode the small grey version that every check uses first."""
    try:
        with stopwatch.stage("decode"):
            picture.grey(WORKING_SIDE)
            return picture
    except BiometricsError as error:
        return _reason_for(error)


def _reason_for(error: BiometricsError) -> Reason:
    return Reason(error.code, error.sentence("zh"), error.sentence("en"))
