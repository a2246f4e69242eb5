"""The effect of storage: templates in half precision or in bytes, pictures re-encoded as JPEG.

`python -m bench.face.template_loss` measures on the sample photographs; `--set DIR` uses the pictures below a directory
instead, with one directory per person.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from backend.devstack.sample_faces import sample_faces_dir, sample_people
from bench.report import publish
from biometrics.engines.base import Descriptor, EngineKey, Metric, Vector
from biometrics.engines.sface import SFaceEngine
from biometrics.errors import BiometricsError
from biometrics.matching.decision import FaceTemplate, mean_descriptor
from biometrics.pictures.decoding import DecodeLimits, Picture, reencode
from biometrics.pictures.reencoding import KEPT_QUALITY, KEPT_SIDE
from biometrics.templates.sealing import (
    Binding,
    Cipher,
    KeyEncryptionKey,
    new_data_key,
    open_data_key,
)
from biometrics.templates.template import round_to_half, seal_template, unseal_template

ROOT = Path(__file__).resolve().parents[2]
SHOTS, PROBES = 3, 4
OPENED = 2000


def round_to_bytes(vector: Vector) -> Vector:
    """The vector as it would be if stored with one byte per value and a common scale."""
    scale = float(np.abs(vector).max()) / 127
    stored: Vector = (np.rint(vector / scale).astype(np.int8) * np.float32(scale)).astype(np.float32)
    return stored


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--set", type=Path, help="a directory with one sub-directory per person, at any depth"
    )
    arguments = parser.parse_args()
    people = sample_people(sample_faces_dir(ROOT)) if arguments.set is None else find_people(arguments.set)
    name = "samples" if arguments.set is None else arguments.set.name
    engine = SFaceEngine()
    described = {person: list(describe_pictures(engine, paths)) for person, paths in people.items()}
    publish(
        "template_loss",
        "stored and exact, mean of 3 shots against single pictures",
        measure_storage_loss(name, described),
    )
    every = [path for paths in people.values() for path in paths[:SHOTS]]
    publish(
        "redrawing_loss",
        "distance of a picture's descriptor to that of its copy",
        measure_reencoding_loss(name, engine, every),
    )
    publish("template_opening", "unwrap the data key, unseal, parse", measure_opening())


def find_people(directory: Path) -> dict[str, tuple[Path, ...]]:
    """Pictures by person: each directory with pictures is one person."""
    pictures: dict[str, list[Path]] = {}
    for path in sorted(directory.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
            pictures.setdefault(str(path.parent), []).append(path)
    return {person: tuple(paths) for person, paths in pictures.items()}


def describe_pictures(engine: SFaceEngine, paths: tuple[Path, ...]) -> Iterator[Descriptor]:
    for path in paths[: SHOTS + PROBES]:
        descriptor = describe_picture(engine, path.read_bytes())
        if descriptor is not None:
            yield descriptor


def describe_picture(engine: SFaceEngine, data: bytes) -> Descriptor | None:
    """The descriptor of the widest face; None without one."""
    try:
        picture = Picture.open(data, DecodeLimits())
        faces = engine.detect(picture, thorough=True)
        return engine.embed([(picture, faces[0])])[0] if faces else None
    except BiometricsError:
        return None


def measure_storage_loss(name: str, described: dict[str, list[Descriptor]]) -> list[dict[str, object]]:
    enrolled = {
        person: mean_descriptor(each[:SHOTS]).vector
        for person, each in described.items()
        if len(each) > SHOTS
    }
    probes = [probe.vector for each in described.values() for probe in each[SHOTS:]]
    exact, vectors = np.stack(list(enrolled.values())), np.stack(probes)
    forms: tuple[tuple[str, int, Callable[[Vector], Vector]], ...] = (
        ("float16", 2, round_to_half),
        ("int8", 1, round_to_bytes),
    )
    rows = []
    for form, width, restore in forms:
        restored = np.stack([restore(vector) for vector in exact])
        distance = np.abs(distances(restored, vectors) - distances(exact, vectors))
        cosine = np.abs(cosines(restored, vectors) - cosines(exact, vectors))
        rows.append(
            {
                "set": name,
                "stored as": form,
                "bytes": width * exact.shape[1],
                "pairs": distance.size,
                "distance max": f"{distance.max():.1e}",
                "distance mean": f"{distance.mean():.1e}",
                "cosine max": f"{cosine.max():.1e}",
                "cosine mean": f"{cosine.mean():.1e}",
            }
        )
    return rows


def distances(templates: npt.NDArray[np.float32], probes: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    differences = templates.astype(np.float64)[:, None] - probes.astype(np.float64)[None]
    lengths: npt.NDArray[np.float64] = np.linalg.norm(differences, axis=2)
    return lengths


def cosines(templates: npt.NDArray[np.float32], probes: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    one, other = (each.astype(np.float64) for each in (templates, probes))
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    product: npt.NDArray[np.float64] = one @ other.T
    return product


def measure_reencoding_loss(name: str, engine: SFaceEngine, paths: list[Path]) -> list[dict[str, object]]:
    """The distance between the descriptors of the original and the stored copy. The product judges the original."""
    moved = []
    for path in islice(paths, 200):
        data = path.read_bytes()
        before = describe_picture(engine, data)
        drawn = reencode(Picture.open(data, DecodeLimits()), KEPT_SIDE, KEPT_QUALITY)
        after = describe_picture(engine, drawn)
        if before is not None and after is not None:
            moved.append(float(np.linalg.norm(before.vector - after.vector)))
    return [
        {
            "set": name,
            "pictures": len(moved),
            "distance max": float(np.max(moved)),
            "distance median": float(np.median(moved)),
        }
    ]


def measure_opening() -> list[dict[str, object]]:
    engine = EngineKey("bench", "1")
    template = FaceTemplate(engine, Metric.L2, np.linspace(-0.3, 0.3, 128, dtype=np.float32), 3, 0.2)
    school = KeyEncryptionKey("school", os.urandom(32))
    binding = Binding("student", engine, "roll-call")
    rows: list[dict[str, object]] = []
    for cipher in Cipher:
        wrapped = new_data_key("student", school, cipher)
        sealed = seal_template(template, binding, open_data_key(wrapped, "student", school), cipher)
        started = time.process_time()
        for _ in range(OPENED):
            unseal_template(sealed, binding, open_data_key(wrapped, "student", school))
        each = (time.process_time() - started) / OPENED
        rows.append({"cipher": cipher.value, "sealed bytes": len(sealed), "CPU µs a template": each * 1e6})
    return rows


if __name__ == "__main__":
    main()
