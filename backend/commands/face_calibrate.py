"""`dianming face calibrate`: find thresholds from the deployment's own people; writes a report and a policy file."""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from backend.commands.output import exit_with_error, print_result
from backend.core import audit
from backend.core.app_context import AppContext, open_app_context
from backend.core.clock import legal_day, now
from backend.core.errors import DomainError
from backend.core.tenancy import Scope
from backend.identity.face.calibration_data import FaceSamples, build_samples, load_deployment_samples
from backend.identity.face.policy import SHIPPED_ENGINE
from backend.org.paths import build_unit_path
from backend.policy import PolicyAt, load_policies
from backend.settings import get_settings
from biometrics.engines.base import Vector
from biometrics.engines.sface import KEY, SFaceEngine
from biometrics.errors import BiometricsError
from biometrics.matching import calibration
from biometrics.matching.calibration import Candidate
from biometrics.matching.decision import Method
from biometrics.matching.scoring import PopulationTooSmall, ScoringConfig
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.pictures.quality import QualityLimits, Reason
from biometrics.tasks import Stopwatch, examine_pictures

_FMRS = (1e-2, 1e-3)
_MAX_IMPOSTOR_PAIRS = 200_000
_MAX_GENUINE_REJECTED = 0.005
"""The share of genuine comparisons allowed below the rejection threshold; all others lead at most to another attempt."""
_MIN_PEOPLE = 10
"""With fewer people, an interval is not meaningful."""
HENAN = "410000"
"""The default place for photographs in a folder, which do not belong to a deployment."""
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}

Out = Annotated[Path, typer.Argument(help="报告文件夹，须不存在 · folder for the report; must not exist")]
PicturesFolder = Annotated[
    Path | None,
    typer.Option(help="每人一个子文件夹的照片 · measure on photographs instead, one folder a person"),
]


def calibrate_command(
    out: Out,
    *,
    pictures: PicturesFolder = None,
    place: Annotated[
        str | None,
        typer.Option(
            help="适用的行政区划，默认为本部署 · administrative division; default: that of this deployment"
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=50, help="最多学生数 · students at most")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """用本单位已采集的人脸测定评分方法和阈值 · Find the method and thresholds that suit the people enrolled here.

    Writes a report with plots, and the policy file `faces.yaml`. Nothing changes until an administrator copies that file
    into a folder of DIANMING_POLICIES.
    """
    if out.exists():
        exit_with_error(
            "out_exists", f"{out} 已存在，请另选 · {out} exists; name another folder", as_json=as_json
        )
    if pictures is not None and not pictures.is_dir():
        exit_with_error("folder_unreadable", f"没有文件夹 {pictures} · no folder {pictures}", as_json=as_json)
    place = place or (HENAN if pictures else get_settings().province_code)
    try:
        policy = load_policies().at(legal_day(now()), place)
        samples = _describe_pictures(pictures) if pictures else asyncio.run(_load_deployment_samples(most))
        report = _calibrate(samples, policy)
    except (BiometricsError, DomainError) as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    out.mkdir(parents=True)
    _write(out, report, place, now())
    print_result(_summary(report, out), as_json=as_json, render=_render_summary)


class _NoAliasDumper(yaml.SafeDumper):
    """Writes every value in full, because people read this file."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - overrides the base class
        return True


class CalibrationReport:
    """All measured candidates, and the proposed one."""

    def __init__(self, samples: FaceSamples, candidates: list[Candidate], chosen: Candidate) -> None:
        self.people = len(set(samples.person.tolist()))
        self.vectors = len(samples.vectors)
        self.candidates = candidates
        self.chosen = chosen
        self.neutral = candidates[0]


async def _load_deployment_samples(most: int) -> FaceSamples:
    app_context = open_app_context(get_settings())
    try:
        samples = await load_deployment_samples(app_context, KEY, most)
        await _audit(app_context, len(samples.vectors))
    finally:
        await app_context.close()
    return samples


async def _audit(app_context: AppContext, vectors: int) -> None:
    province = build_unit_path("province", app_context.settings.province_code, None)
    act = audit.Act("face.calibrate", "face_engine", str(KEY), province, after={"descriptors": vectors})
    async with app_context.database.transaction(Scope.wide(province)) as session:
        audit.record(session, act, app_context.clock())


def _describe_pictures(folder: Path) -> FaceSamples:
    """Compute descriptors of all usable photographs, with one sub-folder per person."""
    engine = SFaceEngine()
    people: list[list[Vector]] = []
    for person in sorted(each for each in folder.iterdir() if each.is_dir()):
        files = sorted(path for path in person.iterdir() if path.suffix.lower() in _SUFFIXES)
        examined = examine_pictures(
            engine, [_open_picture(path) for path in files], QualityLimits(), Stopwatch(), thorough=True
        )
        people.append([descriptor.vector for _, descriptor in examined if descriptor is not None])
    return build_samples([vectors for vectors in people if vectors])


def _open_picture(path: Path) -> Picture | Reason:
    """Open a picture. One that cannot be read is reported and skipped, as an enrolment would do."""
    try:
        return Picture.open(path.read_bytes(), DecodeLimits())
    except BiometricsError as error:
        sys.stderr.write(f"{path}: {error.sentence('zh')} {error.sentence('en')}\n")
        return Reason(error.code, error.sentence("zh"), error.sentence("en"))


def _calibrate(samples: FaceSamples, policy: PolicyAt) -> CalibrationReport:
    """Measure the candidates; only the neutral method if there are fewer people than a population needs.

    Raises PopulationTooSmall for a handful of people.
    """
    samples_per_person = Counter(samples.person.tolist())
    comparable_people = sum(count > 1 for count in samples_per_person.values())
    if comparable_people < _MIN_PEOPLE:
        raise PopulationTooSmall(people=comparable_people, needed=_MIN_PEOPLE)
    enough = len(samples_per_person) >= policy.integer("verification.face.population.minimum")
    candidates = calibration.CANDIDATES if enough else calibration.CANDIDATES[:1]
    comparisons = calibration.pair_shots_with_templates(samples.vectors, samples.person, _MAX_IMPOSTOR_PAIRS)
    samples_with_people = (samples.vectors, samples.person)
    measured = calibration.measure_candidates(comparisons, samples_with_people, candidates, _FMRS)
    return CalibrationReport(samples, measured, calibration.choose_best(measured))


def _write(out: Path, report: CalibrationReport, place: str, at: datetime) -> None:
    from backend.commands.face_plots import draw_plots  # noqa: PLC0415 - the plotting library is slow to import

    (out / "report.json").write_text(json.dumps(_document(report), ensure_ascii=False, indent=1), "utf-8")
    (out / "report.md").write_text(_markdown(report, at), "utf-8")
    document = {"parameters": _parameters(report, place, at)}
    text = yaml.dump(document, Dumper=_NoAliasDumper, allow_unicode=True, sort_keys=False, width=110)
    (out / "faces.yaml").write_text(text, "utf-8")
    draw_plots(report.candidates, report.chosen, out)


def _thresholds(candidate: Candidate) -> tuple[float, float]:
    """Accept from the threshold of the strictest FMR. Reject below that of the loosest, if it spares genuine scores."""
    loosest, strictest = candidate.rates[0].threshold, candidate.rates[-1].threshold
    return round(strictest, 4), round(min(loosest, _low_genuine_score(candidate)), 4)


def _low_genuine_score(candidate: Candidate) -> float:
    ordered = sorted(candidate.scores.genuine.tolist())
    return float(ordered[int(_MAX_GENUINE_REJECTED * len(ordered))])


_Parameter = tuple[str, str, str | None, object, str, str]
"""Id below the engine's prefix, kind, unit, value, Chinese and English description."""


def _parameters(report: CalibrationReport, place: str, at: datetime) -> list[dict[str, Any]]:
    """The policy parameters: the proposed method with its thresholds, and those of the neutral method used before it."""
    rate = report.chosen.rates[-1]
    reference = {
        "instrument": "DIANMING",
        "article": "本地校准",
        "clause": "HN334-3.4",
        "rationale": f"Measured on {report.people} people enrolled here: TAR {rate.tar:.3f} at FMR {rate.fmr:g}.",
    }
    return [
        {"id": f"verification.face.{SHIPPED_ENGINE}.{name}", "kind": kind}
        | ({"unit": unit} if unit else {})
        | {"place": place, "zh": zh, "en": en}
        | {"values": [{"from": legal_day(at), "value": value, "reference": reference}]}
        for name, kind, unit, value, zh, en in [
            *_scoring_parameters(report.chosen.scoring),
            *(
                parameter
                for candidate in dict.fromkeys((report.neutral, report.chosen))
                for parameter in _threshold_parameters(candidate)
            ),
        ]
    ]


def _scoring_parameters(scoring: ScoringConfig) -> list[_Parameter]:
    values: list[_Parameter] = [
        ("version", "text", None, KEY.version, "阈值所对应的引擎版本", "Engine version of the thresholds"),
        ("method", "text", None, scoring.method.value, "评分方法", "Method of scoring"),
        ("weight", "ratio", None, scoring.weight, "扣除的人群均值比例", "Share of the mean to subtract"),
    ]
    if scoring.method is Method.AS_NORM:
        size = scoring.cohort_size
        values.append(("cohort_size", "integer", "template", size, "归一化模板数", "Templates in a cohort"))
    return values


def _threshold_parameters(candidate: Candidate) -> list[_Parameter]:
    accept, reject = _thresholds(candidate)
    method = candidate.scoring.method.value
    return [
        (f"{method}.accept_from", "number", "face_score", accept, "接受的最低得分", "Accept from"),
        (f"{method}.reject_below", "number", "face_score", reject, "拒绝的得分上限", "Reject below"),
    ]


def _document(report: CalibrationReport) -> dict[str, Any]:
    return {
        "engine": str(KEY),
        "people": report.people,
        "descriptors": report.vectors,
        "chosen": str(report.chosen.scoring),
        "candidates": [
            {
                "method": str(each.scoring),
                "genuine": len(each.scores.genuine),
                "impostor": len(each.scores.impostor),
                "rates": [asdict(rate) for rate in each.rates],
            }
            for each in report.candidates
        ],
    }


def _markdown(report: CalibrationReport, at: datetime) -> str:
    accept, reject = _thresholds(report.chosen)
    head = " | ".join(f"TAR @ FMR {fmr:g}" for fmr in sorted(_FMRS, reverse=True))
    rows = [
        f"| {each.scoring} | "
        + " | ".join(f"{rate.tar:.3f} ({rate.low:.3f}–{rate.high:.3f})" for rate in each.rates)
        + " |"
        for each in report.candidates
    ]
    return "\n".join(
        [
            f"# 人脸阈值校准报告 · Calibration of face scores, {legal_day(at).isoformat()}",
            "",
            f"引擎 Engine {KEY}；{report.people} 人 people，{report.vectors} 条特征 descriptors。",
            "",
            f"建议 Proposed: **{report.chosen.scoring}**；接受 accept ≥ {accept}，拒绝 reject < {reject}，其间再次核验 retry in between.",
            "",
            f"| 方法 Method | {head} |",
            "| --- | " + " | ".join("---" for _ in _FMRS) + " |",
            *rows,
            "",
            "均值和比对人群取自一半学生，比对只在另一半之间进行。括号内为按人重抽样的 95% 区间。",
            "已入库的核验照片都曾被接受，因此本人通过率偏高；请同时查看人工复核的结果。",
            "Trained on one half of the people and compared within the other; 95 % intervals by resampling people.",
            "Stored check-ins were all accepted, so the TAR is an overestimate; check the human reviews as well.",
            "",
            "由管理员将 `faces.yaml` 放入 DIANMING_POLICIES 所列文件夹并重启后生效。",
            "Takes effect once an administrator has copied `faces.yaml` into a folder of DIANMING_POLICIES and restarted.",
            "",
            "![scores](scores.png)",
            "",
            "![DET](det.png)",
            "",
        ]
    )


def _summary(report: CalibrationReport, out: Path) -> dict[str, Any]:
    accept, reject = _thresholds(report.chosen)
    rate = report.chosen.rates[-1]
    return {
        "chosen": str(report.chosen.scoring),
        "accept_from": accept,
        "reject_below": reject,
        "people": report.people,
        "fmr": rate.fmr,
        "tar": round(rate.tar, 4),
        "report": str(out / "report.md"),
        "law": str(out / "faces.yaml"),
    }


def _render_summary(summary: dict[str, Any]) -> str:
    return (
        f"{summary['chosen']}: accept ≥ {summary['accept_from']}, reject < {summary['reject_below']}"
        f" (TAR {summary['tar']} @ FMR {summary['fmr']:g}, {summary['people']} people)\n"
        f"  报告 report: {summary['report']}\n"
        f"  将 {summary['law']} 放入 DIANMING_POLICIES 的文件夹后重启生效"
        " · copy it into a folder of DIANMING_POLICIES and restart to apply it"
    )
