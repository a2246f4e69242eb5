"""Speed of face detection and description: the shipped pipeline against `face_recognition` on the same pictures.

*Naive* is `face_recognition.load_image_file` and `face_encodings`. *Probe* is the same work by the shipped engine for a
check-in: container, decoding, detection, alignment, embedding. *Template* is that for an enrolment, which also embeds the
mirror image. *Check* is everything an enrolment does with a picture: the same plus fingerprint and quality. *Forward* is
the bare network on one chip. Variants alternate picture by picture, so that a noisy machine
disturbs all of them alike. Figures are medians, ratios are medians of the ratios of consecutive turns, in CPU time.
"""

import argparse
import io
import os
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from backend.devstack.sample_faces import sample_faces_dir, sample_people
from bench.face import tables as face_tables
from bench.report import publish
from biometrics.engines.base import EmbeddingUse, EngineSet
from biometrics.engines.reference import ReferenceEngine
from biometrics.engines.registry import load_face_engines
from biometrics.engines.sface import Chips, SFaceEngine
from biometrics.pictures.decoding import WORKING_SIDE, DecodeLimits, Picture
from biometrics.pictures.fingerprints import fingerprint
from biometrics.pictures.quality import QualityLimits, measure_quality
from biometrics.pool import FacePool, PoolLimits
from biometrics.tasks import Stopwatch, examine_pictures

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((360, 640), (720, 1280), (1080, 1920))
TARGET = (720, 1280)
FASTER, BY_TWO = 15.0, 1.8
ROUNDS = 3
"""Rounds of the naive variant; the others take several turns in each."""
TURNS = 5
WORKER_ROUNDS, WORKER_PICTURES = 5, 60
STAGES = ("decode", "fingerprint", "detect", "quality", "align", "embed")


class Clocks:
    """Milliseconds of wall time and CPU time of this process, by name."""

    def __init__(self) -> None:
        self.wall: defaultdict[str, list[float]] = defaultdict(list)
        self.cpu: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu[name].append(1000 * (time.process_time() - cpu))
        self.wall[name].append(1000 * (time.perf_counter() - wall))

    def ratio(self, one: str, other: str, turns: int = 1) -> float:
        """The median ratio of each measurement of `one` to the `turns` measurements of `other` that followed it."""
        after = (
            statistics.median(self.cpu[other][first : first + turns])
            for first in range(0, len(self.cpu[other]), turns)
        )
        return statistics.median(first / then for first, then in zip(self.cpu[one], after, strict=True))


def make_selfie(path: Path, size: tuple[int, int]) -> bytes:
    """The photograph on a canvas of a phone's size."""
    with Image.open(path) as picture:
        face = picture.convert("RGB")
    scale = size[0] * 0.9 / face.width
    face = face.resize((round(face.width * scale), round(face.height * scale)), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", size, (120, 128, 130))
    canvas.paste(face, ((size[0] - face.width) // 2, (size[1] - face.height) // 2))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def check(engines: EngineSet, data: bytes) -> bool:
    """Run a complete check of one picture. Returns whether the face is usable."""
    picture = Picture.open(data, DecodeLimits())
    engine = engines.engine_for([picture])
    ((_, descriptor),) = examine_pictures(engine, [picture], QualityLimits(), Stopwatch())
    return descriptor is not None


def describe(engine: SFaceEngine, data: bytes, use: EmbeddingUse) -> None:
    """The work of the naive variant, done by the shipped engine."""
    picture = Picture.open(data, DecodeLimits())
    engine.embed([(picture, face) for face in engine.detect(picture)], use=use)


def sample_photographs() -> list[Path]:
    """Two public figures and four of the AT&T faces, wide and narrow ones."""
    people = sample_people(sample_faces_dir(ROOT))
    return [people["obama"][0], people["biden"][0], *(people[f"att-s0{person}"][0] for person in range(1, 5))]


def run_stages(engine: SFaceEngine, data: bytes, clocks: Clocks) -> Chips:
    """Run a check step by step. A second detection shows how much of the first was decoding."""
    with clocks.of("open"):
        picture = Picture.open(data, DecodeLimits())
        picture.grey(WORKING_SIDE)
    with clocks.of("fingerprint"):
        fingerprint(picture)
    with clocks.of("decode and detect"):
        faces = engine.detect(picture)
    with clocks.of("detect"):
        faces = engine.detect(picture)
    with clocks.of("quality"):
        measure_quality(picture, faces)
    with clocks.of("align"):
        chips = engine.align([(picture, faces[0])])
    with clocks.of("embed"):
        engine.compute_descriptors(chips)
    for times in (clocks.wall, clocks.cpu):
        decoding = times["decode and detect"][-1] - times["detect"][-1]
        times["decode"].append(times["open"][-1] + max(0.0, decoding))
    return chips


def measure_one_process() -> list[dict[str, Any]]:
    """Naive, probe, template, check and forward pass by size, and the stages of a check. Returns the rows by size."""
    engine, package = SFaceEngine(), ReferenceEngine()
    engines = EngineSet([engine])
    rows, parts = [], []
    for size in SIZES:
        pictures = [make_selfie(path, size) for path in sample_photographs()]
        assert all(check(engines, data) for data in pictures), "a sample photograph is not usable"
        clocks, steps = Clocks(), Clocks()
        for _ in range(ROUNDS):
            for data in pictures:
                with clocks.of("naive"):
                    package.describe(data)
                for _ in range(TURNS):
                    with clocks.of("probe"):
                        describe(engine, data, EmbeddingUse.PROBE)
                    with clocks.of("template"):
                        describe(engine, data, EmbeddingUse.TEMPLATE)
                    with clocks.of("check"):
                        check(engines, data)
                    chips = run_stages(engine, data, steps)
                    with clocks.of("forward"):
                        engine.compute_descriptors(chips)
        rows.append(_speed_row(size, len(pictures), clocks))
        parts.append(_stage_row(size, steps))
    publish("face", f"at {TARGET[0]}x{TARGET[1]}: a probe {FASTER:g} times faster than naive", rows)
    publish("face_stages", "none; milliseconds of CPU", parts)
    return rows


def _speed_row(size: tuple[int, int], pictures: int, clocks: Clocks) -> dict[str, Any]:
    wall, cpu = (
        {name: statistics.median(times[name]) for name in ("naive", "probe", "template", "check", "forward")}
        for times in (clocks.wall, clocks.cpu)
    )
    speed_up = clocks.ratio("naive", "probe", TURNS)
    met = speed_up >= FASTER
    return {
        "size": f"{size[0]}x{size[1]}",
        "pictures": pictures,
        **{f"{name} ms": value for name, value in wall.items()},
        **{f"{name} cpu": value for name, value in cpu.items()},
        "times faster": speed_up,
        "met": ("yes" if met else "NO") if size == TARGET else "-",
    }


def _stage_row(size: tuple[int, int], clocks: Clocks) -> dict[str, Any]:
    return {"size": f"{size[0]}x{size[1]}"} | {
        stage: statistics.median(clocks.cpu[stage]) for stage in STAGES
    }


def measure_two_processes() -> None:
    """Pictures per second with one worker process and with two, alternating."""
    pictures = [make_selfie(path, TARGET) for path in sample_photographs()]
    work = [pictures[number % len(pictures)] for number in range(WORKER_PICTURES)]
    rates: dict[int, list[float]] = {1: [], 2: []}
    with ExitStack() as stack:
        factory = partial(load_face_engines, test_engine=False)
        pools = {
            workers: stack.enter_context(FacePool(factory, PoolLimits(workers=workers))) for workers in rates
        }
        loaded = pools[1].submit(resident_mib).result()
        for pool in pools.values():
            _measure_throughput(pool, work[:8])
        after_work = pools[1].submit(resident_mib).result()
        for _ in range(WORKER_ROUNDS):
            for workers, pool in pools.items():
                rates[workers].append(_measure_throughput(pool, work))
    ratio = statistics.median(two / one for one, two in zip(rates[1], rates[2], strict=True))
    row = {
        "size": f"{TARGET[0]}x{TARGET[1]}",
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "one: pictures/s": statistics.median(rates[1]),
        "two: pictures/s": statistics.median(rates[2]),
        "best of one": max(rates[1]),
        "best of two": max(rates[2]),
        "two by one": ratio,
        "MiB of a process, loaded": loaded,
        "after pictures": after_work,
        "met": "yes" if ratio >= BY_TWO else "NO",
    }
    publish("face_workers", f"{BY_TWO:g} times one, with a core for each", [row])


def _measure_throughput(pool: FacePool, work: list[bytes]) -> float:
    started = time.perf_counter()
    jobs = [pool.submit(_check_job(data)) for data in work]
    assert all(job.result() for job in jobs)
    return len(work) / (time.perf_counter() - started)


def resident_mib(_: EngineSet) -> int:
    """Resident memory of a face process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 2**20


def _check_job(data: bytes) -> Callable[[EngineSet], bool]:
    return partial(check, data=data)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.face", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="write docs/measurements/face.json and the tables"
    )
    write = parser.parse_args().write
    rows = measure_one_process()
    measure_two_processes()
    if write:
        names = ("size", "naive cpu", "probe cpu", "template cpu", "check cpu", "forward cpu", "times faster")
        speed = [{name: _rounded(row[name]) for name in names} for row in rows]
        face_tables.update_document({"speed": speed})


def _rounded(figure: object) -> object:
    return round(figure, 2) if isinstance(figure, float) else figure
