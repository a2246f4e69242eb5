"""Accuracy of face comparison: all scoring methods on the same pictures, each tested on people not used for training.

There are two sources: the photographs of the tests (always), and folders of research pictures with a `pairs.csv` (columns
a, b, same, group; `--faces DIR`), if available. Research pictures are used for measurement only: nothing that is shipped
is trained on them.
"""

import argparse
import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from backend.devstack.sample_faces import sample_faces_dir, sample_people
from bench.report import publish, seed
from biometrics.engines.base import Box, DetectedFace
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.resnet_graph import INPUT
from biometrics.errors import BiometricsError
from biometrics.matching.calibration import (
    CANDIDATES,
    Comparisons,
    Ints,
    Rate,
    ScoredComparisons,
    Scorer,
    measure_rate,
    score_disjoint,
    scorer_for,
)
from biometrics.matching.decision import Method
from biometrics.matching.scoring import ScoringConfig, Vectors
from biometrics.pictures.decoding import DecodeLimits, Picture

SEED = seed(1)

ROOT = Path(__file__).resolve().parents[1]
FMRS = (1e-2, 1e-3)
_SHOTS, _DRAWS = 3, 12
_RIDGE = 0.1
"""Share of the mean variance added to each direction before whitening: with few people, some directions have none."""


class MeasuringEngine(DlibOnnxEngine):
    """The shipped engine, which also computes dlib's original descriptor: dlib's own chip, no mirror image."""

    def describe_both(self, picture: Picture, face: DetectedFace) -> tuple[Vectors, Vectors]:
        """The shipped descriptor and dlib's original one."""
        (shipped,) = self.embed([(picture, face)])
        chip = self._cut_chip(picture, face, 0.25).transpose(2, 0, 1)[None]
        (plain,) = self._network().run(None, {INPUT: np.ascontiguousarray(chip, dtype=np.float32)})
        return shipped.vector.astype(np.float64), plain[0].astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class PictureSet:
    """Descriptors of a set of pictures, shipped and plain, with their people and the comparisons to make."""

    name: str
    shipped: Vectors
    plain: Vectors
    person: Ints
    left: Ints
    right: Ints
    undetected: int
    """Pictures without a detected face. Their middle is used instead, because these pictures are cropped faces."""

    def comparisons(self, vectors: Vectors) -> Comparisons:
        return Comparisons(
            vectors[self.left], vectors[self.right], self.person[self.left], self.person[self.right]
        )


def _locate_face(engine: MeasuringEngine, picture: Picture) -> tuple[DetectedFace, bool]:
    faces = engine.detect(picture)
    if faces:
        return faces[0], True
    width, height = picture.width, picture.height
    middle = Box(0.15 * width, 0.15 * height, 0.85 * width, 0.85 * height)
    return engine.locate_landmarks(picture, middle, 0.0), False


def _open_picture(path: Path) -> Picture:
    """Open a picture. One in a format that the product refuses is re-encoded first, so that it is measured too."""
    try:
        return Picture.open(path.read_bytes(), DecodeLimits())
    except BiometricsError:
        buffer = io.BytesIO()
        with Image.open(path) as image:
            ImageOps.exif_transpose(image).convert("RGB").save(buffer, "PNG")
        return Picture.open(buffer.getvalue(), DecodeLimits())


def _describe_set(
    engine: MeasuringEngine, name: str, files: list[tuple[Path, str]], pairs: Ints | None
) -> PictureSet:
    shipped, plain, undetected = [], [], 0
    for path, _ in files:
        picture = _open_picture(path)
        face, detected = _locate_face(engine, picture)
        undetected += not detected
        one, other = engine.describe_both(picture, face)
        shipped.append(one)
        plain.append(other)
    person = np.unique([who for _, who in files], return_inverse=True)[1]
    left, right = np.triu_indices(len(files), 1) if pairs is None else pairs
    return PictureSet(name, np.stack(shipped), np.stack(plain), person, left, right, undetected)


def _load_research_sets(engine: MeasuringEngine, folder: Path) -> list[PictureSet]:
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sets = []
    for group in dict.fromkeys(row["group"] for row in rows):
        chosen = [row for row in rows if row["group"] == group]
        names = sorted({row[side] for row in chosen for side in "ab"})
        number = {name: index for index, name in enumerate(names)}
        pairs = np.array([[number[row["a"]], number[row["b"]]] for row in chosen]).T
        files = [(folder / name, str(PurePosixPath(name).parent)) for name in names]
        sets.append(_describe_set(engine, group, files, pairs))
    return sets


def score_l2(comparisons: Comparisons, vectors: Vectors, person: Ints) -> Vectors:
    """Negative Euclidean distance, as the package itself compares."""
    del vectors, person
    distances: Vectors = -np.linalg.norm(comparisons.left - comparisons.right, axis=1)
    return distances


def score_whitened(comparisons: Comparisons, vectors: Vectors, person: Ints) -> Vectors:
    """Within-class covariance normalisation (Hatch, Kajarekar, Stolcke 2006), then the centred cosine."""
    people = np.unique(person)
    means = np.stack([vectors[person == each].mean(axis=0) for each in people])
    inside = vectors - means[np.searchsorted(people, person)]
    covariance = inside.T @ inside / len(inside)
    covariance += _RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    turn = np.linalg.cholesky(np.linalg.inv(covariance))
    centre = means.mean(axis=0)
    left, right = ((side - centre) @ turn for side in (comparisons.left, comparisons.right))
    left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right))
    cosine: Vectors = np.einsum("ij,ij->i", left, right)
    return cosine


def _methods() -> dict[str, tuple[str, Scorer]]:
    """For each method's name: which descriptor it uses, and its scorer."""
    methods: dict[str, tuple[str, Scorer]] = {
        "L2, dlib's own chip, no mirror": ("plain", score_l2),
        "L2": ("shipped", score_l2),
        "whitened (WCCN)": ("shipped", score_whitened),
    }
    for scoring in CANDIDATES:
        methods[_label(scoring)] = ("shipped", scorer_for(scoring))
    return methods


def _label(scoring: ScoringConfig) -> str:
    if scoring.method is Method.NEUTRAL:
        return "cosine (neutral)"
    centred = f"cosine less {scoring.weight:g} × mean" if scoring.weight else "cosine"
    return centred if scoring.method is Method.CENTRED else f"{centred}, AS-norm"


def _row(pictures: PictureSet, method: str, scores: ScoredComparisons) -> dict[str, Any]:
    row: dict[str, Any] = {"set": pictures.name, "people": len(np.unique(pictures.person)), "score": method}
    for rate in (measure_rate(scores, fmr) for fmr in FMRS):
        row[f"TAR @ {rate.fmr:g}"] = _interval(rate)
        row[f"from @ {rate.fmr:g}"] = round(rate.threshold, 3)
    return row


def _interval(rate: Rate) -> str:
    return f"{rate.tar:.3f} ({rate.low:.2f}–{rate.high:.2f})"


def compare_single_shots(sets: list[PictureSet]) -> list[dict[str, Any]]:
    """Compare single pictures with every scoring method."""
    rows = []
    for pictures in sets:
        for method, (which, scorer) in _methods().items():
            vectors = pictures.plain if which == "plain" else pictures.shipped
            scores = score_disjoint(pictures.comparisons(vectors), (vectors, pictures.person), scorer)
            rows.append(_row(pictures, method, scores))
    return rows


def _draw_templates(
    pictures: PictureSet, probes: int, random: np.random.Generator
) -> tuple[Vectors, Vectors, Ints]:
    """For each person with enough pictures: a template from some of them, and a probe from others."""
    templates, seen, people = [], [], []
    for person in np.unique(pictures.person):
        own = random.permutation(np.flatnonzero(pictures.person == person))
        if len(own) <= _SHOTS:
            continue
        templates.append(pictures.shipped[own[:_SHOTS]].mean(axis=0))
        seen.append(pictures.shipped[own[_SHOTS : _SHOTS + probes]].mean(axis=0))
        people.append(person)
    return np.stack(templates), np.stack(seen), np.array(people)


def compare_several_shots(sets: list[PictureSet]) -> list[dict[str, Any]]:
    """Compare templates of three pictures with one picture, and with the mean of two and of three others."""
    rows = []
    for pictures in sets:
        for probes, label in ((1, "one picture"), (2, "mean of two"), (_SHOTS, "mean of three")):
            random = np.random.default_rng(SEED)
            drawn = [_draw_templates(pictures, probes, random) for _ in range(_DRAWS)]
            parts = [_all_against_all(*each) for each in drawn]
            together = Comparisons(
                *(np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES)
            )
            for scoring in (
                ScoringConfig(Method.NEUTRAL),
                ScoringConfig(Method.CENTRED, 0.5),
                ScoringConfig(Method.CENTRED, 1.0),
            ):
                samples = (pictures.shipped, pictures.person)
                scores = score_disjoint(together, samples, scorer_for(scoring))
                rows.append(_row(pictures, f"3 shots against {label}, {_label(scoring)}", scores))
    return rows


_NAMES = ("left", "right", "left_person", "right_person")


def _all_against_all(templates: Vectors, seen: Vectors, people: Ints) -> Comparisons:
    one, other = (index.ravel() for index in np.indices((len(people), len(people))))
    return Comparisons(templates[one], seen[other], people[one], people[other])


def measure_stand_ins(sets: list[PictureSet]) -> list[dict[str, Any]]:
    """The roster rule: every student claims to be each classmate. How many pass, and how many genuine ones must retry."""
    rows = []
    scoring = ScoringConfig(Method.NEUTRAL)
    for pictures in sets:
        random = np.random.default_rng(SEED)
        passed, refused = np.zeros((2, 2)), np.zeros(2)
        for _ in range(_DRAWS):
            templates, seen, people = _draw_templates(pictures, _SHOTS, random)
            scores = _cosines(templates, seen)
            own = np.eye(len(people), dtype=bool)
            loose = float(np.sort(scores[~own])[::-1][int(1e-2 * (~own).sum())])
            nearest = scores >= scores.max(axis=0, keepdims=True)
            over = scores >= loose
            passed += [[(over & ~own).sum(), (~own).sum()], [(over & nearest & ~own).sum(), (~own).sum()]]
            refused += [(own & over & ~nearest).sum(), (own & over).sum()]
        rows.append(
            {
                "set": pictures.name,
                "score": _label(scoring) + ", threshold at FMR 1e-2",
                "stand-ins passing": f"{passed[0, 0] / passed[0, 1]:.4f}",
                "with the roster rule": f"{passed[1, 0] / passed[1, 1]:.4f}",
                "rightful asked again": f"{refused[0] / refused[1]:.4f}",
            }
        )
    return rows


def _cosines(one: Vectors, other: Vectors) -> npt.NDArray[np.float64]:
    left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (one, other))
    cosines: npt.NDArray[np.float64] = left @ right.T
    return cosines


TABLES: dict[str, tuple[str, Callable[[list[PictureSet]], list[dict[str, Any]]]]] = {
    "face_accuracy_single": ("one picture against one; L2 of dlib's own chip", compare_single_shots),
    "face_accuracy_several": ("templates of three pictures; the neutral cosine", compare_several_shots),
    "face_accuracy_roster": ("the same threshold without the rule", measure_stand_ins),
}


def main() -> None:
    """Describe every picture once, then publish the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--faces", type=Path, default=ROOT.parent / "shared" / "faces", help="folder with a pairs.csv"
    )
    folder = parser.parse_args().faces
    engine = MeasuringEngine()
    people = sample_people(sample_faces_dir(ROOT))
    files = [(path, name) for name, paths in people.items() for path in paths]
    sets = [_describe_set(engine, "test pictures", files, None)]
    if (folder / "pairs.csv").is_file():
        sets += _load_research_sets(engine, folder)
    for name, (baseline, table) in TABLES.items():
        publish(name, baseline, table(sets), SEED)
    for pictures in sets:
        print(f"{pictures.name}: {len(pictures.person)} pictures, a face not found in {pictures.undetected}")


if __name__ == "__main__":
    main()
