"""Finding and describing a face: the shipped engine beside the package's own functions, on the same pictures."""

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from backend.local.sample_faces import sample_faces_dir, sample_people
from bench.report import publish
from biometrics.dlib_onnx_engine import DlibOnnxEngine
from biometrics.picture import DecodeLimits, Picture
from biometrics.reference_engine import ReferenceEngine

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((360, 640), (720, 1280))
ROUNDS = 3


def _selfie(path: Path, size: tuple[int, int]) -> bytes:
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


def _median_ms(work: Callable[[bytes], object], pictures: list[bytes]) -> float:
    times = []
    for _ in range(ROUNDS):
        for picture in pictures:
            started = time.perf_counter()
            work(picture)
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def main() -> None:
    """Measure both at two sizes."""
    engine, package = DlibOnnxEngine(), ReferenceEngine()

    def ours(picture: bytes) -> object:
        opened = Picture.open(picture, DecodeLimits())
        return engine.embed(opened, engine.detect(opened))

    def naive(picture: bytes) -> object:
        return package.describe(picture)

    people = sample_people(sample_faces_dir(ROOT))
    photographs = [
        people["obama"][0],
        *(paths[0] for name, paths in people.items() if name.startswith("att-s0")),
    ][:6]
    rows = []
    for size in SIZES:
        pictures = [_selfie(path, size) for path in photographs]
        ours(pictures[0])
        reference, shipped = _median_ms(naive, pictures), _median_ms(ours, pictures)
        rows.append(
            {
                "size": f"{size[0]}x{size[1]}",
                "pictures": len(pictures),
                "face_recognition ms": reference,
                "shipped ms": shipped,
                "speed-up": reference / shipped,
            }
        )
    publish("face", "face_recognition.face_encodings, one descriptor; ours averages picture and mirror", rows)


if __name__ == "__main__":
    main()
