"""An operator's engine against the shipped one: separation of the same people, distances for its policy, and time.

    python -m bench.face.operator_engine --engine FILE [--faces DIR] [--people 100] [--pictures 8]

A template of three pictures is compared with the mean of two others, as at a check-in, and single pictures with single
ones, where engines differ more. The people are those of the
test photographs, and the first ones of each group of a folder of research pictures with a `pairs.csv`, if available:
these are used for measurement only.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from backend.devstack.sample_faces import sample_faces_dir, sample_people
from bench.report import publish, seed
from biometrics.engines.base import DetectedFace, EmbeddingUse, FaceEngine
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.onnx import OnnxEngine
from biometrics.engines.sface import SFaceEngine
from biometrics.errors import BiometricsError
from biometrics.matching.calibration import ScoredComparisons, measure_rate
from biometrics.pictures.decoding import DecodeLimits, Picture

SEED = seed(1)
ROOT = Path(__file__).resolve().parents[2]
SHOTS, PROBES, DRAWS = 3, 2, 20
_TIMED = 20
"""Pictures whose embedding is timed."""

Floats = npt.NDArray[np.float64]
Files = dict[str, list[Path]]


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """The descriptors of each person's pictures, shape (pictures, dimension), and the time of one for a check-in, in ms."""

    people: list[Floats]
    milliseconds: float


def research_files(folder: Path) -> dict[str, Files]:
    """The files of each person of each group."""
    groups: dict[str, dict[str, set[Path]]] = defaultdict(lambda: defaultdict(set))
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for side in "ab":
                groups[row["group"]][str(PurePosixPath(row[side]).parent)].add(folder / row[side])
    return {
        group: {person: sorted(paths) for person, paths in sorted(people.items())}
        for group, people in groups.items()
    }


def describe(engine: FaceEngine, files: Files) -> Described:
    """Describe the widest face of each picture as for a template. Pictures without a usable face are left out."""
    people: list[Floats] = []
    times: list[float] = []
    for paths in files.values():
        faces = [face for path in paths for face in _find_face(engine, path)]
        if faces:
            vectors = [engine.embed([face], use=EmbeddingUse.TEMPLATE)[0].vector for face in faces]
            people.append(np.stack(vectors).astype(np.float64))
        if len(times) < _TIMED:
            times += [_time_embedding(engine, face) for face in faces]
    return Described(people, 1000 * float(np.median(times)))


def _find_face(engine: FaceEngine, path: Path) -> list[tuple[Picture, DetectedFace]]:
    try:
        picture = Picture.open(path.read_bytes(), DecodeLimits())
    except BiometricsError:
        return []
    return [(picture, face) for face in engine.detect(picture, thorough=True)[:1]]


def _time_embedding(engine: FaceEngine, face: tuple[Picture, DetectedFace]) -> float:
    """Processor time of this thread, in seconds, so that other programs do not count."""
    start = time.thread_time()
    engine.embed([face], use=EmbeddingUse.PROBE)
    return time.thread_time() - start


def score_people(people: Sequence[Floats]) -> ScoredComparisons:
    """All templates against all probes, drawn several times."""
    random = np.random.default_rng(SEED)
    people = [own for own in people if len(own) >= SHOTS + PROBES]
    draws = []
    for _ in range(DRAWS):
        orders = [random.permutation(len(own)) for own in people]
        sides = [
            np.stack([own[order[chosen]].mean(axis=0) for own, order in zip(people, orders, strict=True)])
            for chosen in (slice(SHOTS), slice(SHOTS, SHOTS + PROBES))
        ]
        one, other = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
        draws.append(one @ other.T)
    values = np.stack(draws)
    left, right = np.broadcast_arrays(*np.indices(values.shape)[1:])
    return ScoredComparisons(values.ravel(), left.ravel(), right.ravel())


def score_singles(people: Sequence[Floats]) -> ScoredComparisons:
    """The cosines of all pairs of pictures."""
    vectors = np.concatenate([own / np.linalg.norm(own, axis=1, keepdims=True) for own in people])
    person = np.repeat(np.arange(len(people)), [len(own) for own in people])
    one, other = np.triu_indices(len(vectors), 1)
    return ScoredComparisons((vectors @ vectors.T)[one, other], person[one], person[other])


def measure(name: str, engine: FaceEngine, files: Files) -> dict[str, Any]:
    """One row: an engine on one set of people."""
    described = describe(engine, files)
    row: dict[str, Any] = {"set": name, "engine": engine.info().key.id}
    singles = score_singles(described.people)
    for label, scores, fmr in (
        ("3 against 2", score_people(described.people), 1e-3),
        ("1 against 1", singles, 1e-3),
        ("1 against 1", singles, 1e-4),
    ):
        rate = measure_rate(scores, fmr)
        row[f"{label}: people"] = len(np.unique(scores.left_person))
        row[f"{label}: TAR @ {fmr:g}"] = f"{rate.tar:.3f} ({rate.low:.3f}–{rate.high:.3f})"
    distances = np.sqrt(np.maximum(2 - 2 * singles.value, 0))
    same = singles.left_person == singles.right_person
    row["own pictures, 99 % below"] = round(float(np.quantile(distances[same], 0.99)), 2)
    row["other people, 0.1 % below"] = round(float(np.quantile(distances[~same], 1e-3)), 2)
    row["embedding, ms of one thread"] = round(described.milliseconds)
    return row


def main() -> None:
    """Measure the engine and the shipped one on the same people."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", type=Path, required=True, help="the YAML description")
    parser.add_argument("--faces", type=Path, default=ROOT.parent / "shared" / "faces")
    parser.add_argument("--people", type=int, default=100, help="of each group of research pictures")
    parser.add_argument("--pictures", type=int, default=8, help="of each person")
    arguments = parser.parse_args()
    samples = sample_people(sample_faces_dir(ROOT))
    sets: dict[str, Files] = {"test photographs": {name: list(paths) for name, paths in samples.items()}}
    if (arguments.faces / "pairs.csv").is_file():
        sets |= research_files(arguments.faces)
    shipped = SFaceEngine()
    engines: tuple[FaceEngine, ...] = (OnnxEngine(arguments.engine, shipped, DlibOnnxEngine()), shipped)
    rows = []
    for name, files in sets.items():
        chosen = list(files.items())[: arguments.people]
        limited = {person: paths[: arguments.pictures] for person, paths in chosen}
        rows += [measure(name, engine, limited) for engine in engines]
    publish("operator_engine", "the shipped engine in the same rows", rows, SEED)


if __name__ == "__main__":
    main()
