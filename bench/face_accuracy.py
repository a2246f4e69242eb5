"""How well faces are told apart: every way of scoring on the same pictures, each measured on people it never saw.

Two sources: the photographs that the tests use, always; and folders of research pictures with a `pairs.csv` (a, b, same,
group; `--faces DIR`), where there are any. Those are for measuring alone: nothing that is shipped is learned from them.
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
    Scored,
    Scorer,
    by,
    rate,
    scored_disjoint,
)
from biometrics.matching.decision import Method
from biometrics.matching.scoring import Scoring, Vectors
from biometrics.pictures.decoding import DecodeLimits, Picture

SEED = seed(1)

ROOT = Path(__file__).resolve().parents[1]
FMRS = (1e-2, 1e-3)
_SHOTS, _DRAWS = 3, 12
_RIDGE = 0.1
"""Share of the mean variance added to each direction before whitening: with few people some have none."""


class Measured(DlibOnnxEngine):
    """The shipped engine, which also gives the descriptor that dlib itself would: its own chip, no mirror image."""

    def both(self, picture: Picture, face: DetectedFace) -> tuple[Vectors, Vectors]:
        """The shipped descriptor and the plain one."""
        (shipped,) = self.embed([(picture, face)])
        chip = self._chip(picture, face, 0.25).transpose(2, 0, 1)[None]
        (plain,) = self._network.run(None, {INPUT: np.ascontiguousarray(chip, dtype=np.float32)})
        return shipped.vector.astype(np.float64), plain[0].astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Descriptors of a set of pictures, shipped and plain, with their persons and the comparisons to make."""

    name: str
    shipped: Vectors
    plain: Vectors
    person: Ints
    left: Ints
    right: Ints
    unfound: int
    """Pictures in which no face was found; the middle of the picture stands for it, as these are cut-outs."""

    def compared(self, vectors: Vectors) -> Comparisons:
        return Comparisons(
            vectors[self.left], vectors[self.right], self.person[self.left], self.person[self.right]
        )


def _face(engine: Measured, picture: Picture) -> tuple[DetectedFace, bool]:
    found = engine.detect(picture)
    if found:
        return found[0], True
    width, height = picture.width, picture.height
    return engine.marked(picture, Box(0.15 * width, 0.15 * height, 0.85 * width, 0.85 * height), 0.0), False


def _opened(path: Path) -> Picture:
    """The picture; one of a kind that the product refuses is redrawn first, so that it is measured too."""
    try:
        return Picture.open(path.read_bytes(), DecodeLimits())
    except BiometricsError:
        buffer = io.BytesIO()
        with Image.open(path) as image:
            ImageOps.exif_transpose(image).convert("RGB").save(buffer, "PNG")
        return Picture.open(buffer.getvalue(), DecodeLimits())


def _described(engine: Measured, name: str, files: list[tuple[Path, str]], pairs: Ints | None) -> Pictures:
    shipped, plain, unfound = [], [], 0
    for path, _ in files:
        picture = _opened(path)
        face, found = _face(engine, picture)
        unfound += not found
        one, other = engine.both(picture, face)
        shipped.append(one)
        plain.append(other)
    person = np.unique([who for _, who in files], return_inverse=True)[1]
    left, right = np.triu_indices(len(files), 1) if pairs is None else pairs
    return Pictures(name, np.stack(shipped), np.stack(plain), person, left, right, unfound)


def _research(engine: Measured, folder: Path) -> list[Pictures]:
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for group in dict.fromkeys(row["group"] for row in rows):
        chosen = [row for row in rows if row["group"] == group]
        names = sorted({row[side] for row in chosen for side in "ab"})
        number = {name: index for index, name in enumerate(names)}
        pairs = np.array([[number[row["a"]], number[row["b"]]] for row in chosen]).T
        files = [(folder / name, str(PurePosixPath(name).parent)) for name in names]
        found.append(_described(engine, group, files, pairs))
    return found


def plain_l2(comparisons: Comparisons, vectors: Vectors, person: Ints) -> Vectors:
    """The package's own way: Euclidean distance."""
    del vectors, person
    distances: Vectors = -np.linalg.norm(comparisons.left - comparisons.right, axis=1)
    return distances


def whitened(comparisons: Comparisons, vectors: Vectors, person: Ints) -> Vectors:
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


def _ways() -> dict[str, tuple[str, Scorer]]:
    """Name → which descriptor, and how it is scored."""
    ways: dict[str, tuple[str, Scorer]] = {
        "L2, dlib's own chip, no mirror": ("plain", plain_l2),
        "L2": ("shipped", plain_l2),
        "whitened (WCCN)": ("shipped", whitened),
    }
    for scoring in CANDIDATES:
        ways[_called(scoring)] = ("shipped", by(scoring))
    return ways


def _called(scoring: Scoring) -> str:
    if scoring.method is Method.NEUTRAL:
        return "cosine (neutral)"
    centred = f"cosine less {scoring.weight:g} × mean" if scoring.weight else "cosine"
    return centred if scoring.method is Method.CENTRED else f"{centred}, AS-norm"


def _row(pictures: Pictures, way: str, scored: Scored) -> dict[str, Any]:
    row: dict[str, Any] = {"set": pictures.name, "people": len(np.unique(pictures.person)), "score": way}
    for rated in (rate(scored, fmr) for fmr in FMRS):
        row[f"TAR @ {rated.fmr:g}"] = _interval(rated)
        row[f"from @ {rated.fmr:g}"] = round(rated.threshold, 3)
    return row


def _interval(rated: Rate) -> str:
    return f"{rated.tar:.3f} ({rated.low:.2f}–{rated.high:.2f})"


def single_shots(sets: list[Pictures]) -> list[dict[str, Any]]:
    """One picture against one, by every way of scoring."""
    rows = []
    for pictures in sets:
        for way, (which, scorer) in _ways().items():
            vectors = pictures.plain if which == "plain" else pictures.shipped
            scored = scored_disjoint(pictures.compared(vectors), (vectors, pictures.person), scorer)
            rows.append(_row(pictures, way, scored))
    return rows


def _drawn(pictures: Pictures, probes: int, random: np.random.Generator) -> tuple[Vectors, Vectors, Ints]:
    """For everybody with enough pictures: a template of some, a probe of others."""
    templates, seen, people = [], [], []
    for person in np.unique(pictures.person):
        own = random.permutation(np.flatnonzero(pictures.person == person))
        if len(own) <= _SHOTS:
            continue
        templates.append(pictures.shipped[own[:_SHOTS]].mean(axis=0))
        seen.append(pictures.shipped[own[_SHOTS : _SHOTS + probes]].mean(axis=0))
        people.append(person)
    return np.stack(templates), np.stack(seen), np.array(people)


def several_shots(sets: list[Pictures]) -> list[dict[str, Any]]:
    """Templates of three pictures, against one picture and against the mean of two and of three others."""
    rows = []
    for pictures in sets:
        for probes, label in ((1, "one picture"), (2, "mean of two"), (_SHOTS, "mean of three")):
            random = np.random.default_rng(SEED)
            drawn = [_drawn(pictures, probes, random) for _ in range(_DRAWS)]
            parts = [_all_against_all(*each) for each in drawn]
            together = Comparisons(
                *(np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES)
            )
            for scoring in (
                Scoring(Method.NEUTRAL),
                Scoring(Method.CENTRED, 0.5),
                Scoring(Method.CENTRED, 1.0),
            ):
                samples = (pictures.shipped, pictures.person)
                scored = scored_disjoint(together, samples, by(scoring))
                rows.append(_row(pictures, f"3 shots against {label}, {_called(scoring)}", scored))
    return rows


_NAMES = ("left", "right", "left_person", "right_person")


def _all_against_all(templates: Vectors, seen: Vectors, people: Ints) -> Comparisons:
    one, other = (index.ravel() for index in np.indices((len(people), len(people))))
    return Comparisons(templates[one], seen[other], people[one], people[other])


def stand_ins(sets: list[Pictures]) -> list[dict[str, Any]]:
    """The roster rule: everybody claims everybody else of the class; how many pass, and what it costs the rightful."""
    rows = []
    scoring = Scoring(Method.NEUTRAL)
    for pictures in sets:
        random = np.random.default_rng(SEED)
        passed, refused = np.zeros((2, 2)), np.zeros(2)
        for _ in range(_DRAWS):
            templates, seen, people = _drawn(pictures, _SHOTS, random)
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
                "score": _called(scoring) + ", threshold at FMR 1e-2",
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


TABLES: dict[str, tuple[str, Callable[[list[Pictures]], list[dict[str, Any]]]]] = {
    "face_accuracy_single": ("one picture against one; L2 of dlib's own chip", single_shots),
    "face_accuracy_several": ("templates of three pictures; the neutral cosine", several_shots),
    "face_accuracy_roster": ("the same threshold without the rule", stand_ins),
}


def main() -> None:
    """Describe every picture once, then publish the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--faces", type=Path, default=ROOT.parent / "shared" / "faces", help="folder with a pairs.csv"
    )
    folder = parser.parse_args().faces
    engine = Measured()
    people = sample_people(sample_faces_dir(ROOT))
    files = [(path, name) for name, paths in people.items() for path in paths]
    sets = [_described(engine, "test pictures", files, None)]
    if (folder / "pairs.csv").is_file():
        sets += _research(engine, folder)
    for name, (floor, table) in TABLES.items():
        publish(name, floor, table(sets), SEED)
    for pictures in sets:
        print(f"{pictures.name}: {len(pictures.person)} pictures, a face not found in {pictures.unfound}")


if __name__ == "__main__":
    main()
