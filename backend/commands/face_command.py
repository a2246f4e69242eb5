"""`dianming face`: what the shipped engine sees in photographs, with scores, thresholds, reasons and times."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.output import answer, refuse
from backend.core.clock import legal_day, now
from backend.core.errors import DomainError
from backend.policy import PolicyAt, load_policies
from biometrics.checks import ShotReport, Stopwatch, examine
from biometrics.dlib_onnx_engine import DlibOnnxEngine
from biometrics.engine import Descriptor, EngineInfo, EngineSet, FaceEngine, distance
from biometrics.errors import BiometricsError
from biometrics.matching import FaceThresholds, decide
from biometrics.pattern_engine import PatternEngine
from biometrics.picture import WORKING_SIDE, DecodeLimits, Picture
from biometrics.quality import QualityLimits, Reason

app = typer.Typer(no_args_is_help=True, help="人脸核验 · Faces.")

UNUSABLE = "unusable"
"""The answer when a readable picture holds no face that can be judged."""

Photograph = Annotated[Path, typer.Argument(help="JPEG, PNG 或 WebP 照片 · photograph")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
TestEngine = Annotated[
    bool, typer.Option("--with-test-engine", help="允许测试图案引擎 · also judge synthetic test patterns")
]
Day = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="适用规定的日期 · legal day, today if not given"),
]
Place = Annotated[str, typer.Option(help="适用规定的行政区划 · division whose policy applies")]


@app.command("compare")
def compare_command(
    a: Photograph,
    b: Photograph,
    day: Day = None,
    place: Place = "410000",
    with_test_engine: TestEngine = False,
    as_json: AsJson = False,
) -> None:
    """比对两张照片是否同一人 · Are two photographs of one person? One shot against one, the weakest case."""
    try:
        watch = Stopwatch()
        pictures = [_opened(path, watch, as_json=as_json) for path in (a, b)]
        engine = _engines(with_test_engine=with_test_engine).claiming(pictures)
        thresholds = _thresholds(
            engine.info(), load_policies().at(day.date() if day else legal_day(now()), place)
        )
        examined = [examine(engine, picture, QualityLimits(), watch) for picture in pictures]
        payload = _compared(engine.info(), thresholds, examined) | {"ms": watch.read()}
    except (BiometricsError, DomainError) as error:
        refuse(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    answer(payload, as_json=as_json, render=_render_compared)


@app.command("inspect")
def inspect_command(a: Photograph, with_test_engine: TestEngine = False, as_json: AsJson = False) -> None:
    """查看一张照片能否用于核验 · Can this photograph be judged, and if not, why?"""
    try:
        watch = Stopwatch()
        picture = _opened(a, watch, as_json=as_json)
        engine = _engines(with_test_engine=with_test_engine).claiming([picture])
        report, descriptor = examine(engine, picture, QualityLimits(), watch)
    except BiometricsError as error:
        refuse(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    payload = {
        "usable": descriptor is not None,
        "format": picture.kind.value,
        "width": picture.width,
        "height": picture.height,
        "quality": _quality(report),
        "reasons": [asdict(reason) for reason in report.reasons],
        "fingerprint": asdict(report.fingerprint) if report.fingerprint else None,
        "engine": _engine(engine.info()),
        "ms": watch.read(),
    }
    answer(payload, as_json=as_json, render=_render_inspected)


def _opened(path: Path, watch: Stopwatch, *, as_json: bool) -> Picture:
    try:
        data = path.read_bytes()
    except OSError as error:
        refuse("file_unreadable", f"无法读取 {path}。 Cannot read {path}: {error.strerror}", as_json=as_json)
    with watch.stage("decode"):
        picture = Picture.open(data, DecodeLimits())
        picture.rgb(WORKING_SIDE)
        return picture


def _engines(*, with_test_engine: bool) -> EngineSet:
    shipped: list[FaceEngine] = [DlibOnnxEngine()]
    return EngineSet([PatternEngine(), *shipped] if with_test_engine else shipped)


def _thresholds(engine: EngineInfo, policy: PolicyAt) -> FaceThresholds:
    return FaceThresholds(
        accept_at=policy.number(f"verification.face.{engine.key.id}.accept_max_distance"),
        reject_at=policy.number(f"verification.face.{engine.key.id}.reject_min_distance"),
        metric=engine.metric,
    )


def _compared(
    engine: EngineInfo, thresholds: FaceThresholds, examined: list[tuple[ShotReport, Descriptor | None]]
) -> dict[str, Any]:
    (report_a, descriptor_a), (report_b, descriptor_b) = examined
    score = distance(descriptor_a, descriptor_b) if descriptor_a and descriptor_b else None
    return {
        "decision": UNUSABLE if score is None else decide(score, engine.metric, thresholds).value,
        "score": score if score is None else round(score, 6),
        "threshold": thresholds.accept_at,
        "reject_threshold": thresholds.reject_at,
        "metric": engine.metric.value,
        "engine": _engine(engine),
        "quality": {"a": _quality(report_a), "b": _quality(report_b)},
        "reasons": [*_reasons("a", report_a.reasons), *_reasons("b", report_b.reasons)],
    }


def _engine(engine: EngineInfo) -> str:
    return f"{engine.key} (test only)" if engine.test_only else str(engine.key)


def _quality(report: ShotReport) -> dict[str, float]:
    if report.quality is None:
        return {"faces": 0}
    return {name: round(value, 3) for name, value in asdict(report.quality).items()}


def _reasons(image: str, reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    return [{"image": image, **asdict(reason)} for reason in reasons]


def _render_compared(payload: dict[str, Any]) -> str:
    score = "–" if payload["score"] is None else f"{payload['score']:.3f}"
    bounds = f"accepted up to {payload['threshold']}, rejected from {payload['reject_threshold']}"
    head = f"{payload['decision']}: {payload['metric']} {score}, {bounds}"
    lines = [f"{head} ({payload['engine']}, {payload['ms']['total']} ms)"]
    lines += [f"  {reason['image']}: {reason['zh']} {reason['en']}" for reason in payload["reasons"]]
    return "\n".join(lines)


def _render_inspected(payload: dict[str, Any]) -> str:
    verdict = "usable" if payload["usable"] else UNUSABLE
    size = f"{payload['format']} {payload['width']} × {payload['height']}"
    lines = [f"{verdict}: {size} ({payload['engine']}, {payload['ms']['total']} ms)"]
    lines += [f"  {name}: {value}" for name, value in payload["quality"].items()]
    lines += [f"  {reason['code']}: {reason['zh']} {reason['en']}" for reason in payload["reasons"]]
    return "\n".join(lines)
