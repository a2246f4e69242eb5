"""`dianming face`: inspect and compare photographs with the shipped engine, with scores and reasons; learn and report thresholds."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.face_learn import learn_command
from backend.commands.face_plan import plan_command
from backend.commands.face_reembed import reembed_command
from backend.commands.face_report import report_command
from backend.commands.output import exit_with_error, exit_with_file_error, print_result
from backend.core.clock import legal_day, now
from backend.core.errors import DomainError
from backend.identity.face.calibration.policy import fixed_thresholds
from backend.policy import PolicyAt, load_policies
from biometrics.engines.base import Descriptor, EngineInfo, EngineSet, FaceEngine, distance
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.onnx import OnnxEngine
from biometrics.engines.sface import SFaceEngine
from biometrics.engines.test_pattern import PatternEngine
from biometrics.errors import BiometricsError
from biometrics.matching.decision import FaceTemplate, Method, decide
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population, score
from biometrics.pictures.decoding import WORKING_SIDE, DecodeLimits, Picture
from biometrics.pictures.quality import QualityLimits, Reason
from biometrics.tasks import ShotReport, Stopwatch, examine_pictures

app = typer.Typer(no_args_is_help=True, help="人脸核验 · Faces.")

app.command("learn")(learn_command)
app.command("report")(report_command)
app.command("plan")(plan_command)
app.command("reembed")(reembed_command)

UNUSABLE = "unusable"
"""The decision if a readable picture has no usable face."""
UNPROVEN = "unproven"
"""The decision about photographs: thresholds belong to a deployment that learned them, and two pictures have none."""

Photograph = Annotated[Path, typer.Argument(help="JPEG, PNG 或 WebP 照片 · photograph")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
TestEngine = Annotated[
    bool, typer.Option("--with-test-engine", help="允许测试图案引擎 · also accept synthetic test patterns")
]
OwnEngine = Annotated[
    Path | None,
    typer.Option("--engine", help="自备 ONNX 引擎的描述文件 · YAML of an engine of your own models"),
]
Day = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="适用规定的日期 · legal day, default today"),
]
Place = Annotated[str, typer.Option(help="适用规定的行政区划 · administrative division whose policy applies")]


@app.command("compare")
def compare_command(
    a: Photograph,
    b: Photograph,
    day: Day = None,
    place: Place = "410000",
    engine: OwnEngine = None,
    with_test_engine: TestEngine = False,
    as_json: AsJson = False,
) -> None:
    """比对两张照片是否同一人 · Do two photographs show the same person? Compares single shots, the weakest case."""
    try:
        engines = _load_engines(engine, with_test_engine=with_test_engine)
        stopwatch = Stopwatch()
        pictures = [_open_picture(path, stopwatch, as_json=as_json) for path in (a, b)]
        chosen = engines.engine_for(pictures)
        policy = load_policies().at(day.date() if day else legal_day(now()), place)
        examined = examine_pictures(chosen, pictures, QualityLimits(), stopwatch)
        payload = _compare(chosen.info(), policy, examined) | {"ms": stopwatch.read()}
    except (BiometricsError, DomainError) as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    print_result(payload, as_json=as_json, render=_render_compared)


@app.command("inspect")
def inspect_command(
    a: Photograph, engine: OwnEngine = None, with_test_engine: TestEngine = False, as_json: AsJson = False
) -> None:
    """查看一张照片能否用于核验 · Is this photograph usable for verification, and if not, why?"""
    try:
        engines = _load_engines(engine, with_test_engine=with_test_engine)
        stopwatch = Stopwatch()
        picture = _open_picture(a, stopwatch, as_json=as_json)
        chosen = engines.engine_for([picture])
        ((report, descriptor),) = examine_pictures(chosen, [picture], QualityLimits(), stopwatch)
    except BiometricsError as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    payload = {
        "usable": descriptor is not None,
        "format": picture.kind.value,
        "width": picture.width,
        "height": picture.height,
        "quality": _quality(report),
        "reasons": [asdict(reason) for reason in report.reasons],
        "fingerprint": asdict(report.fingerprint) if report.fingerprint else None,
        "engine": _engine_label(chosen.info()),
        "ms": stopwatch.read(),
    }
    print_result(payload, as_json=as_json, render=_render_inspected)


def _open_picture(path: Path, stopwatch: Stopwatch, *, as_json: bool) -> Picture:
    try:
        data = path.read_bytes()
    except OSError as error:
        exit_with_file_error(error, path, code="file_unreadable", as_json=as_json)
    with stopwatch.stage("decode"):
        picture = Picture.open(data, DecodeLimits())
        picture.grey(WORKING_SIDE)
        return picture


def _load_engines(own: Path | None, *, with_test_engine: bool) -> EngineSet:
    shipped = SFaceEngine()
    engines: list[FaceEngine] = [shipped if own is None else OnnxEngine(own, shipped, DlibOnnxEngine())]
    return EngineSet([PatternEngine(), *engines] if with_test_engine else engines)


def _compare(
    engine: EngineInfo, policy: PolicyAt, examined: list[tuple[ShotReport, Descriptor | None]]
) -> dict[str, Any]:
    """Compare with the neutral method: two photographs alone have no population, and no thresholds."""
    (report_a, one), (report_b, other) = examined
    limits = fixed_thresholds(policy, engine.key, Method.NEUTRAL)
    similarity = None if one is None or other is None else _neutral_similarity(one, other)
    decided = UNUSABLE if similarity is None else UNPROVEN
    if similarity is not None and limits is not None:
        decided = decide(similarity, Method.NEUTRAL, limits).value
    return {
        "decision": decided,
        "score": similarity if similarity is None else round(similarity, 6),
        "method": Method.NEUTRAL.value,
        "accept_from": None if limits is None else limits.accept_from,
        "reject_below": None if limits is None else limits.reject_below,
        "distance": None if one is None or other is None else round(distance(one, other), 6),
        "engine": _engine_label(engine),
        "quality": {"a": _quality(report_a), "b": _quality(report_b)},
        "reasons": [*_reasons("a", report_a.reasons), *_reasons("b", report_b.reasons)],
    }


def _neutral_similarity(one: Descriptor, other: Descriptor) -> float:
    template = FaceTemplate(one.engine, one.metric, one.vector, shots=1, spread=0.0)
    reference = MatchReference(
        template, neutral_population(one.engine, one.vector.size), ScoringConfig(Method.NEUTRAL)
    )
    return score(reference, other).value


def _engine_label(engine: EngineInfo) -> str:
    return f"{engine.key} (test only)" if engine.test_only else str(engine.key)


def _quality(report: ShotReport) -> dict[str, float]:
    if report.quality is None:
        return {"faces": 0}
    return {name: round(value, 3) for name, value in asdict(report.quality).items()}


def _reasons(image: str, reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    return [{"image": image, **asdict(reason)} for reason in reasons]


def _render_compared(payload: dict[str, Any]) -> str:
    figure = "–" if payload["score"] is None else f"{payload['score']:.3f}"
    bounds = "没有阈值 · no thresholds: a deployment learns them"
    if payload["accept_from"] is not None:
        bounds = f"accept from {payload['accept_from']}, reject below {payload['reject_below']}"
    head = f"{payload['decision']}: {figure}, {bounds}"
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
