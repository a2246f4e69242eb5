"""The two units of work: enrol a person from shots, judge a burst against a template.

Pure: bytes and values in, a result out, in this process or in a worker of `biometrics.pool`. Nothing here
accepts or rejects a student; thresholds are applied to the score by `biometrics.matching.decide`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from biometrics.engine import Box, Descriptor, EngineInfo, EngineSet, FaceEngine, Metric
from biometrics.errors import BiometricsError
from biometrics.fingerprints import Fingerprint, fingerprint
from biometrics.liveness import BurstRules, Frame, check_burst
from biometrics.matching import (
    EnrolmentRules,
    FaceTemplate,
    ShotsDisagree,
    ShotsTooFew,
    build_template,
    compare,
)
from biometrics.picture import WORKING_SIDE, DecodeLimits, Picture
from biometrics.quality import NO_FACE, Quality, QualityLimits, Reason, judge, measure


@dataclass(frozen=True, slots=True)
class FaceRules:
    """Everything policy says about pictures, apart from the thresholds of the match."""

    enrolment: EnrolmentRules
    burst: BurstRules
    quality: QualityLimits = field(default_factory=QualityLimits)
    decoding: DecodeLimits = field(default_factory=DecodeLimits)


@dataclass(frozen=True, slots=True)
class Shot:
    """One received picture; `captured_ms` is the phone's own time, None when unknown."""

    data: bytes
    captured_ms: int | None = None


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

    score: float | None
    metric: Metric
    engine: EngineInfo
    frames: tuple[ShotReport, ...]
    quality_reasons: tuple[Reason, ...]
    liveness_reasons: tuple[Reason, ...]
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
    examined = [examine(engine, item, rules.quality, watch, thorough=True) for item in decoded]
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
    engines: EngineSet, burst: Sequence[Shot], template: FaceTemplate, rules: FaceRules
) -> BurstResult:
    """The burst's mean against the template, by the template's own engine.

    Raises EngineMismatch or EngineUnavailable when that engine and version is not enabled.
    """
    watch = Stopwatch()
    engine = engines.of(template.engine)
    decoded = [_opened(shot, rules.decoding, watch) for shot in burst]
    examined = [examine(engine, item, rules.quality, watch) for item in decoded]
    reports = tuple(report for report, _ in examined)
    usable = [descriptor for _, descriptor in examined if descriptor is not None]
    frames = [
        Frame(report.fingerprint, shot.captured_ms, descriptor)
        for shot, (report, descriptor) in zip(burst, examined, strict=True)
        if report.fingerprint is not None
    ]
    return BurstResult(
        score=compare(template, usable) if usable else None,
        metric=template.metric,
        engine=engine.info(),
        frames=reports,
        quality_reasons=tuple(dict.fromkeys(reason for report in reports for reason in report.reasons)),
        liveness_reasons=check_burst(frames, rules.burst),
        ms=watch.read(),
    )


def examine(
    engine: FaceEngine,
    opened: Picture | Reason,
    limits: QualityLimits,
    watch: Stopwatch,
    *,
    thorough: bool = False,
) -> tuple[ShotReport, Descriptor | None]:
    """Detect, measure and, when nothing speaks against it, embed the widest face of one picture."""
    if isinstance(opened, Reason):
        return ShotReport((opened,)), None
    try:
        return _examined(engine, opened, limits, watch, thorough=thorough)
    except BiometricsError as refusal:
        if not refusal.code.startswith("image_"):
            raise
        return ShotReport((_reason(refusal),)), None


def _examined(
    engine: FaceEngine, picture: Picture, limits: QualityLimits, watch: Stopwatch, *, thorough: bool
) -> tuple[ShotReport, Descriptor | None]:
    with watch.stage("fingerprint"):
        print_ = fingerprint(picture)
    with watch.stage("detect"):
        faces = engine.detect(picture, thorough=thorough)
    if not faces:
        return ShotReport((NO_FACE,), print_), None
    with watch.stage("quality"):
        quality = measure(picture, faces)
        reasons = judge(quality, limits)
    report = ShotReport(reasons, print_, faces[0].box, quality)
    if reasons:
        return report, None
    with watch.stage("embed"):
        (descriptor,) = engine.embed(picture, faces[:1])
    return report, descriptor


def _opened(shot: Shot, limits: DecodeLimits, watch: Stopwatch) -> Picture | Reason:
    """The picture with its colours decoded as small as most faces need."""
    try:
        with watch.stage("decode"):
            picture = Picture.open(shot.data, limits)
            picture.rgb(WORKING_SIDE)
            return picture
    except BiometricsError as refusal:
        return _reason(refusal)


def _reason(refusal: BiometricsError) -> Reason:
    return Reason(refusal.code, refusal.sentence("zh"), refusal.sentence("en"))
