"""Accuracy of face comparison, as the product compares: a template of three shots against a probe of one or two pictures.

There are two sources: the photographs of the tests (always), and a folder of research pictures with a `pairs.csv` (columns
a, b, same, group; `--faces DIR`), if available. Research pictures are used for measurement only: nothing that is shipped
is trained or tuned on them. `--write` also writes docs/measurements/face.json and its tables in docs/biometrics.md.

Every figure is identity-disjoint: a threshold is learned on some people and applied to others.
"""

import argparse
import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from backend.devstack.sample_faces import sample_faces_dir, sample_people
from bench.face import tables as face_tables
from bench.report import publish, seed
from biometrics.engines.base import EmbeddingUse, FaceEngine
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.sface import SFaceEngine
from biometrics.errors import BiometricsError
from biometrics.matching.calibration import Rate, ScoredComparisons, measure_rate
from biometrics.matching.learned_thresholds import LabelledFaces, LearningRules, learn_thresholds
from biometrics.pictures.decoding import DecodeLimits, Picture

SEED = seed(1)
ROOT = Path(__file__).resolve().parents[2]
FMR = 1e-3
SHOTS = 3
DRAWS, SPLITS = 20, 100
SMALLEST_HALF = 50
"""The rule needs so many people to learn from, and as many others are tested."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """The descriptors of one person's pictures: as parts of a template, and as probes. Shape (pictures, dimension)."""

    template: Floats
    probe: Floats


@dataclass(frozen=True, slots=True)
class PictureSet:
    """A set of people, described by one engine."""

    name: str
    engine: str
    people: tuple[Person, ...]
    pictures: int
    undetected: int


def _open_picture(path: Path) -> Picture:
    """Open a picture. One in a format that the product refuses is re-encoded first, so that it is measured too."""
    try:
        return Picture.open(path.read_bytes(), DecodeLimits())
    except BiometricsError:
        buffer = io.BytesIO()
        with Image.open(path) as image:
            ImageOps.exif_transpose(image).convert("RGB").save(buffer, "PNG")
        return Picture.open(buffer.getvalue(), DecodeLimits())


def describe_set(engine: FaceEngine, name: str, files: dict[str, list[Path]]) -> PictureSet:
    """Describe the widest face of each picture, as enrolment and as check-in would. Pictures without a face are counted."""
    people, undetected = [], 0
    for paths in files.values():
        faces = []
        for path in paths:
            picture = _open_picture(path)
            found = engine.detect(picture, thorough=True)
            undetected += not found
            faces += [(picture, found[0])] if found else []
        if faces:
            template, probe = (
                np.stack([each.vector for each in engine.embed(faces, use=use)]).astype(np.float64)
                for use in (EmbeddingUse.TEMPLATE, EmbeddingUse.PROBE)
            )
            people.append(Person(template, probe))
    return PictureSet(name, str(engine.info().key), tuple(people), sum(map(len, files.values())), undetected)


def _research_files(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """The files of each person of each group."""
    groups: dict[str, dict[str, set[Path]]] = defaultdict(lambda: defaultdict(set))
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for side in "ab":
                groups[row["group"]][str(PurePosixPath(row[side]).parent)].add(folder / row[side])
    return {
        face_tables.GROUP_NAMES.get(group, group): {
            person: sorted(path for path in paths if path.is_file()) for person, paths in people.items()
        }
        for group, people in groups.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A template and a probe of each of some people, drawn from their pictures."""

    templates: Floats
    probes: Floats

    def scores(self) -> Floats:
        """Cosines, shape (templates, probes)."""
        one, other = (
            side / np.linalg.norm(side, axis=1, keepdims=True) for side in (self.templates, self.probes)
        )
        cosines: Floats = one @ other.T
        return cosines

    def select(self, chosen: npt.NDArray[np.int64]) -> "Drawn":
        """The same for some of the people."""
        return Drawn(self.templates[chosen], self.probes[chosen])


def draw(people: Sequence[Person], probes: int, random: np.random.Generator) -> Drawn:
    """Draw a template of three pictures and a probe of `probes` others, from each person with enough of them."""
    templates, seen = [], []
    for person in people:
        own = random.permutation(len(person.template))
        if len(own) < SHOTS + probes:
            continue
        templates.append(person.template[own[:SHOTS]].mean(axis=0))
        seen.append(person.probe[own[SHOTS : SHOTS + probes]].mean(axis=0))
    return Drawn(np.array(templates), np.array(seen))


def measure_separation(pictures: PictureSet, probes: int) -> dict[str, Any]:
    """The TAR at the set's own FMR of 1e-3: how well the network separates these people, not what a threshold does."""
    random = np.random.default_rng(SEED)
    scores, left, right = [], [], []
    for _ in range(DRAWS):
        values = draw(pictures.people, probes, random).scores()
        one, other = np.indices(values.shape)
        scores.append(values.ravel())
        left.append(one.ravel())
        right.append(other.ravel())
    together = ScoredComparisons(np.concatenate(scores), np.concatenate(left), np.concatenate(right))
    rate = measure_rate(together, FMR)
    people = int(together.left_person.max()) + 1
    return {
        "set": pictures.name,
        "engine": pictures.engine,
        "people": people,
        "probe": probes,
        "impostor pairs": people * (people - 1),
        **_interval(rate),
    }


def _interval(rate: Rate) -> dict[str, float]:
    return {
        "tar": round(rate.tar, 4),
        "tar low": round(rate.low, 4),
        "tar high": round(rate.high, 4),
        "threshold": round(rate.threshold, 3),
    }


def measure_rule(pictures: PictureSet, probes: int = 2) -> dict[str, Any] | None:
    """The realised FMR and TAR of the learned threshold on people it was not learned from; None for a small set."""
    random = np.random.default_rng(SEED)
    rows = []
    for _ in range(SPLITS):
        drawn = draw(pictures.people, probes, random)
        order = random.permutation(len(drawn.templates))
        half = len(order) // 2
        if half < SMALLEST_HALF:
            return None
        threshold = learn(drawn.select(order[:half]))
        rows.append(realised(drawn.select(order[half:]), threshold))
    fmr, tar = np.array(rows).T
    return {
        "set": pictures.name,
        "engine": pictures.engine,
        "people learned from": half,
        "people tested": len(order) - half,
        "splits": SPLITS,
        "fmr": round(float(fmr.mean()), 6),
        "fmr, 95 % of splits below": round(float(np.quantile(fmr, 0.95)), 6),
        "tar": round(float(tar.mean()), 4),
        "tar, 95 % of splits above": round(float(np.quantile(tar, 0.05)), 4),
    }


def measure_travel(learned: PictureSet, tested: PictureSet, probes: int = 2) -> dict[str, Any]:
    """A threshold learned on one population and applied to another, as no deployment should do."""
    random = np.random.default_rng(SEED)
    rows = []
    for _ in range(DRAWS):
        threshold = learn(draw(learned.people, probes, random))
        rows.append(realised(draw(tested.people, 1, random), threshold))
    fmr, tar = np.array(rows).mean(axis=0)
    return {
        "learned on": learned.name,
        "applied to": tested.name,
        "engine": learned.engine,
        "fmr": round(float(fmr), 6),
        "tar": round(float(tar), 4),
    }


def learn(drawn: Drawn) -> float:
    """The accepting threshold of the product's rule, as if all people were one group of one school."""
    people = len(drawn.templates)
    faces = LabelledFaces(
        drawn.templates, np.zeros(people, np.int64), [""] * people, drawn.probes, np.arange(people)
    )
    return learn_thresholds(faces, LearningRules(minimum=SMALLEST_HALF, fmr=FMR)).accept_from


def realised(drawn: Drawn, threshold: float) -> tuple[float, float]:
    """FMR and TAR at a threshold."""
    scores = drawn.scores()
    own = np.eye(len(scores), dtype=bool)
    return float((scores[~own] >= threshold).mean()), float((scores[own] >= threshold).mean())


def measure(sets: Sequence[PictureSet]) -> dict[str, list[dict[str, Any]]]:
    """All tables: separation and rule, the worst group first, and what a threshold of another population does."""
    separation = [
        measure_separation(each, probes) for each in sets for probes in (1, 2) if _is_enough(each, probes)
    ]
    rules = [row for row in map(measure_rule, sets) if row is not None]
    large = {row["set"] for row in rules}
    travel = [
        measure_travel(learned, tested)
        for learned in sets
        for tested in sets
        if learned.name in large and learned.engine == tested.engine and learned.name != tested.name
    ]
    return {
        "separation": sorted(separation, key=lambda row: (row["engine"] != "sface/1", row["tar low"])),
        "rule": sorted(rules, key=lambda row: -row["fmr"]),
        "travel": travel,
        "pictures": [
            {
                "set": each.name,
                "engine": each.engine,
                "people": len(each.people),
                "pictures": each.pictures,
                "no face found": each.undetected,
            }
            for each in sets
        ],
    }


def _is_enough(pictures: PictureSet, probes: int) -> bool:
    return sum(len(person.template) >= SHOTS + probes for person in pictures.people) > 1


def main() -> None:
    """Describe every picture once with each engine, then publish the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--faces", type=Path, default=ROOT.parent / "shared" / "faces", help="folder with a pairs.csv"
    )
    parser.add_argument(
        "--write", action="store_true", help="write docs/measurements/face.json and the tables"
    )
    arguments = parser.parse_args()
    files = {
        face_tables.SAMPLES: {
            name: list(paths) for name, paths in sample_people(sample_faces_dir(ROOT)).items()
        }
    }
    if (arguments.faces / "pairs.csv").is_file():
        files |= _research_files(arguments.faces)
    sets = [
        describe_set(engine, name, people)
        for engine in (SFaceEngine(), DlibOnnxEngine())
        for name, people in files.items()
    ]
    document = measure(sets)
    for name, rows in document.items():
        if rows:
            publish(f"face_accuracy_{name}", "dlib's network in the same rows", rows, SEED)
    if arguments.write:
        face_tables.update_document(document)


if __name__ == "__main__":
    main()
