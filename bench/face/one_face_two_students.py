"""The search for one face under two names at the size of a province: 1.2 million synthetic descriptors of 128 numbers.

Each query is compared with every face, and the most similar one is kept. `numpy blocks` is the search of the product
(`biometrics.matching.duplicates`); the peer is faiss IndexFlatIP (exact inner product), if `faiss-cpu` is installed; the
product does not depend on it. "province" is the time for all 1.2 million queries, extrapolated from the measured rate.

    make bench ARGS="one-face-two-students"
"""

import argparse
import importlib
import os
import resource
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from bench.report import publish, seed
from biometrics.matching.duplicates import NearestFaces, Singles, to_directions

FACES, QUERIES, DIMENSION, SCHOOL = 1_200_000, 2_048, 128, 2_000
ROUNDS = 3


def make_faces(faces: int, random_seed: int) -> Singles:
    """Unit vectors around a common mean, a school at a time so that memory stays small."""
    rng = np.random.default_rng(random_seed)
    common = rng.normal(size=DIMENSION).astype(np.float32) * 0.4
    rows = np.empty((faces, DIMENSION), dtype=np.float32)
    for first in range(0, faces, SCHOOL):
        part = rows[first : first + SCHOOL]
        part[:] = to_directions(rng.standard_normal(part.shape, dtype=np.float32) + common)
    return rows


def search_numpy(faces: Singles, queries: Singles) -> np.ndarray:
    """Stream the faces school by school, as the job does."""
    nearest, none_own = NearestFaces(queries), np.full(len(queries), -1, dtype=np.int64)
    for first in range(0, len(faces), SCHOOL):
        nearest.add(faces[first : first + SCHOOL], none_own)
    return nearest.faces


def make_faiss_search(faces: Singles) -> tuple[Callable[[Singles, Singles], np.ndarray], float] | None:
    """The peer with its index built, and the seconds that took; None if it is not installed."""
    try:
        faiss = importlib.import_module("faiss")  # an optional peer, not a dependency
    except ImportError:
        return None
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    began = time.perf_counter()
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(faces)
    built = time.perf_counter() - began

    def search(_: Singles, queries: Singles) -> np.ndarray:
        found: np.ndarray = index.search(queries, 1)[1][:, 0]
        return found

    return search, built


def measure(
    name: str, search: Callable[[Singles, Singles], np.ndarray], faces: Singles, queries: Singles
) -> tuple[dict[str, Any], np.ndarray]:
    """The best of some rounds, with the CPU time of all threads."""
    seconds, cpu, found = [], [], np.empty(0)
    for _ in range(ROUNDS):
        began, cpu_began = time.perf_counter(), time.process_time()
        found = search(faces, queries)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - cpu_began)
    best = min(seconds)
    row = {
        "search": name,
        "faces": len(faces),
        "queries": len(queries),
        "seconds": round(best, 2),
        "cpu seconds": round(min(cpu), 2),
        "million pairs/s": round(len(faces) * len(queries) / best / 1e6, 1),
        "ms/query": round(1000 * best / len(queries), 3),
        "province h": round(best / len(queries) * len(faces) / 3600, 3),
    }
    return row, found


def run(faces_count: int, queries_count: int, random_seed: int) -> list[dict[str, Any]]:
    """Measure the product's search and the peer on the same faces; both must find the same."""
    faces = make_faces(faces_count, random_seed)
    rng = np.random.default_rng(random_seed + 1)
    copied = rng.choice(faces_count, queries_count, replace=False)
    noise = rng.standard_normal((queries_count, DIMENSION), dtype=np.float32) * 0.03
    queries = to_directions(faces[copied] + noise)
    row, found = measure("numpy blocks", search_numpy, faces, queries)
    rows = [row | _quality(found, copied) | {"build s": 0.0}]
    peer = make_faiss_search(faces)
    if peer is not None:
        search, built = peer
        row, found_by_peer = measure(f"faiss IndexFlatIP {_faiss_version()}", search, faces, queries)
        rows.append(row | _quality(found_by_peer, copied) | {"build s": round(built, 2)})
    return rows


def _quality(found: np.ndarray, copied: np.ndarray) -> dict[str, Any]:
    """The share of the copied faces that were found, and the memory of the process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"found": float((found == copied).mean()), "peak MB": peak}


def _faiss_version() -> str:
    try:
        return version("faiss-cpu")
    except PackageNotFoundError:
        return ""


def main() -> None:
    """Measure at the size of a province, or at another one."""
    parser = argparse.ArgumentParser(prog="python -m bench.face.one_face_two_students")
    parser.add_argument("--faces", type=int, default=FACES)
    parser.add_argument("--queries", type=int, default=QUERIES)
    arguments = parser.parse_args()
    random_seed = seed(20)
    rows = run(arguments.faces, arguments.queries, random_seed)
    publish("one_face_two_students", "faiss IndexFlatIP, exact, all cores", rows, random_seed)


if __name__ == "__main__":
    main()
