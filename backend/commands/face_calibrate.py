"""`dianming face calibrate`: thresholds from the deployment's own people, as a report and a page of local law."""

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

from backend.commands.output import answer, refuse
from backend.core import audit
from backend.core.app_context import AppContext, open_app_context
from backend.core.clock import legal_day, now
from backend.core.errors import DomainError
from backend.core.tenancy import Scope
from backend.identity.face.calibration_data import Samples, deployment_samples, samples_of
from backend.identity.face.policy import SHIPPED_ENGINE
from backend.org.paths import path_of
from backend.policy import PolicyAt, load_policies
from backend.settings import get_settings
from biometrics.checks import Stopwatch, examine
from biometrics.engines.base import Vector
from biometrics.engines.dlib_onnx import KEY, DlibOnnxEngine
from biometrics.errors import BiometricsError
from biometrics.matching import calibration
from biometrics.matching.calibration import Candidate
from biometrics.matching.decision import Method
from biometrics.matching.scoring import PopulationTooSmall
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.pictures.quality import QualityLimits, Reason

_FMRS = (1e-2, 1e-3)
_IMPOSTORS = 200_000
_SURELY = 0.005
"""Share of genuine comparisons that may lie below the figure under which a face is rejected, not asked again."""
_LEAST_PEOPLE = 10
"""Below, an interval over people means nothing."""
HENAN = "410000"
"""Where photographs in a folder are measured for, unless told: nothing says which deployment they are of."""
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
            help="适用的行政区划，默认为本部署 · division of the page; the deployment's own by default"
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=50, help="最多学生数 · students at most")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """用本单位已采集的人脸测定评分方法和阈值 · Find the method and thresholds that suit the people enrolled here.

    Writes a report with plots and `faces.yaml`, a page of local law. Nothing changes until an administrator puts that
    page into a folder of DIANMING_POLICIES.
    """
    if out.exists():
        refuse("out_exists", f"{out} 已存在，请另选 · {out} exists; name another folder", as_json=as_json)
    if pictures is not None and not pictures.is_dir():
        refuse("folder_unreadable", f"没有文件夹 {pictures} · no folder {pictures}", as_json=as_json)
    place = place or (HENAN if pictures else get_settings().province_code)
    try:
        law = load_policies().at(legal_day(now()), place)
        samples = _of_pictures(pictures) if pictures else asyncio.run(_of_deployment(most))
        report = _calibrated(samples, law)
    except (BiometricsError, DomainError) as error:
        refuse(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    out.mkdir(parents=True)
    _write(out, report, place, now())
    answer(_summary(report, out), as_json=as_json, render=_rendered)


class _Plain(yaml.SafeDumper):
    """Every value written out: people read this page."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the dumper's question
        return True


class Calibrated:
    """What was measured, and the candidate that is proposed."""

    def __init__(self, samples: Samples, candidates: list[Candidate], chosen: Candidate) -> None:
        self.people = len(set(samples.person.tolist()))
        self.vectors = len(samples.vectors)
        self.candidates = candidates
        self.chosen = chosen
        self.neutral = candidates[0]


async def _of_deployment(most: int) -> Samples:
    app_context = open_app_context(get_settings())
    try:
        found = await deployment_samples(app_context, KEY, most)
        await _note(app_context, len(found.vectors))
    finally:
        await app_context.close()
    return found


async def _note(app_context: AppContext, vectors: int) -> None:
    province = path_of("province", app_context.settings.province_code, None)
    act = audit.Act("face.calibrate", "face_engine", str(KEY), province, after={"descriptors": vectors})
    async with app_context.database.transaction(Scope.wide(province)) as session:
        audit.record(session, act, app_context.clock())


def _of_pictures(folder: Path) -> Samples:
    """Descriptors of every photograph that can be judged, one person a sub-folder."""
    engine = DlibOnnxEngine()
    people: list[list[Vector]] = []
    for person in sorted(each for each in folder.iterdir() if each.is_dir()):
        files = sorted(path for path in person.iterdir() if path.suffix.lower() in _SUFFIXES)
        examined = examine(
            engine, [_opened(path) for path in files], QualityLimits(), Stopwatch(), thorough=True
        )
        people.append([descriptor.vector for _, descriptor in examined if descriptor is not None])
    return samples_of([own for own in people if own])


def _opened(path: Path) -> Picture | Reason:
    """The picture; one that cannot be read is named and left out, as an enrolment would leave it out."""
    try:
        return Picture.open(path.read_bytes(), DecodeLimits())
    except BiometricsError as refusal:
        sys.stderr.write(f"{path}: {refusal.sentence('zh')} {refusal.sentence('en')}\n")
        return Reason(refusal.code, refusal.sentence("zh"), refusal.sentence("en"))


def _calibrated(samples: Samples, law: PolicyAt) -> Calibrated:
    """Raises PopulationTooSmall for a handful of people; fewer than a population needs leave the neutral method alone."""
    seen = Counter(samples.person.tolist())
    seen_twice = sum(times > 1 for times in seen.values())
    if seen_twice < _LEAST_PEOPLE:
        raise PopulationTooSmall(people=seen_twice, needed=_LEAST_PEOPLE)
    enough = len(seen) >= law.integer("verification.face.population.minimum")
    candidates = calibration.CANDIDATES if enough else calibration.CANDIDATES[:1]
    comparisons = calibration.shots_against_templates(samples.vectors, samples.person, _IMPOSTORS)
    measured = calibration.measured(comparisons, (samples.vectors, samples.person), candidates, _FMRS)
    return Calibrated(samples, measured, calibration.best(measured))


def _write(out: Path, report: Calibrated, place: str, at: datetime) -> None:
    from backend.commands.face_plots import draw  # noqa: PLC0415 - the plotting library is heavy

    (out / "report.json").write_text(json.dumps(_document(report), ensure_ascii=False, indent=1), "utf-8")
    (out / "report.md").write_text(_page(report, at), "utf-8")
    law = {"parameters": _parameters(report, place, at)}
    text = yaml.dump(law, Dumper=_Plain, allow_unicode=True, sort_keys=False, width=110)
    (out / "faces.yaml").write_text(text, "utf-8")
    draw(report.candidates, report.chosen, out)


def _figures(candidate: Candidate) -> tuple[float, float]:
    """Accept from the threshold of the strictest rate; reject below that of the loosest, but nearly nobody's own face."""
    loosest, strictest = candidate.rates[0].threshold, candidate.rates[-1].threshold
    return round(strictest, 4), round(min(loosest, _lowest_own(candidate)), 4)


def _lowest_own(candidate: Candidate) -> float:
    ordered = sorted(candidate.scored.genuine.tolist())
    return float(ordered[int(_SURELY * len(ordered))])


def _parameters(report: Calibrated, place: str, at: datetime) -> list[dict[str, Any]]:
    """The page of law: method and thresholds of the proposal, and of the neutral method that serves before it."""
    scoring = report.chosen.scoring
    stem = f"verification.face.{SHIPPED_ENGINE}"
    values: list[tuple[str, str, str | None, object, str, str]] = [
        (
            f"{stem}.version",
            "text",
            None,
            KEY.version,
            "阈值所对应的引擎版本",
            "Version the figures belong to",
        ),
        (f"{stem}.method", "text", None, scoring.method.value, "评分方法", "How a score is made"),
        (
            f"{stem}.weight",
            "ratio",
            None,
            scoring.weight,
            "扣除的人群均值比例",
            "Share of the mean taken away",
        ),
    ]
    if scoring.method is Method.AS_NORM:
        size = scoring.cohort_size
        values.append(
            (f"{stem}.cohort_size", "integer", "template", size, "归一化模板数", "Templates in a cohort")
        )
    for candidate in dict.fromkeys((report.neutral, report.chosen)):
        accept, reject = _figures(candidate)
        method = candidate.scoring.method.value
        values += [
            (f"{stem}.{method}.accept_from", "number", "face_score", accept, "接受的最低得分", "Accept from"),
            (
                f"{stem}.{method}.reject_below",
                "number",
                "face_score",
                reject,
                "拒绝的得分上限",
                "Reject below",
            ),
        ]
    rate = report.chosen.rates[-1]
    reference = {
        "instrument": "DIANMING",
        "article": "本地校准",
        "clause": "HN334-3.4",
        "rationale": f"Measured on {report.people} people enrolled here: TAR {rate.tar:.3f} at FMR {rate.fmr:g}.",
    }
    return [
        {"id": name, "kind": kind}
        | ({"unit": unit} if unit else {})
        | {"place": place, "zh": zh, "en": en}
        | {"values": [{"from": legal_day(at), "value": value, "reference": reference}]}
        for name, kind, unit, value, zh, en in values
    ]


def _document(report: Calibrated) -> dict[str, Any]:
    return {
        "engine": str(KEY),
        "people": report.people,
        "descriptors": report.vectors,
        "chosen": str(report.chosen.scoring),
        "candidates": [
            {
                "method": str(each.scoring),
                "genuine": len(each.scored.genuine),
                "impostor": len(each.scored.impostor),
                "rates": [asdict(rate) for rate in each.rates],
            }
            for each in report.candidates
        ],
    }


def _page(report: Calibrated, at: datetime) -> str:
    accept, reject = _figures(report.chosen)
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
            f"建议 Proposed: **{report.chosen.scoring}**；接受 accept ≥ {accept}，拒绝 reject < {reject}，其间再次核验 asked again.",
            "",
            f"| 方法 Method | {head} |",
            "| --- | " + " | ".join("---" for _ in _FMRS) + " |",
            *rows,
            "",
            "均值和比对人群取自一半学生，比对只在另一半之间进行。括号内为按人重抽样的 95% 区间。",
            "已入库的核验照片都曾被接受，因此本人通过率偏高；请同时查看人工复核的结果。",
            "Learned from one half of the people and compared within the other; intervals of 95 % by resampling people.",
            "Kept check-ins are accepted ones, so that the TAR is too high rather than too low; look at the human reviews too.",
            "",
            "由管理员将 `faces.yaml` 放入 DIANMING_POLICIES 所列文件夹并重启后生效。",
            "It holds once an administrator has put `faces.yaml` into a folder of DIANMING_POLICIES and restarted.",
            "",
            "![scores](scores.png)",
            "",
            "![DET](det.png)",
            "",
        ]
    )


def _summary(report: Calibrated, out: Path) -> dict[str, Any]:
    accept, reject = _figures(report.chosen)
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


def _rendered(told: dict[str, Any]) -> str:
    return (
        f"{told['chosen']}: accept ≥ {told['accept_from']}, reject < {told['reject_below']}"
        f" (TAR {told['tar']} @ FMR {told['fmr']:g}, {told['people']} people)\n"
        f"  报告 report: {told['report']}\n"
        f"  将 {told['law']} 放入 DIANMING_POLICIES 的文件夹后重启生效"
        " · put it into a folder of DIANMING_POLICIES and restart to accept"
    )
