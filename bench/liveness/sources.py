"""Where the liveness benchmark takes its pictures from: people with photographs, and films of people who move.

The sample photographs are always there. Research photographs and films are outside the repository, are used for measuring
only and must not be redistributed. Films need PyAV (`uv sync --group films`).
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backend.devstack.sample_faces import sample_faces_dir, sample_people

ROOT = Path(__file__).resolve().parents[2]

Photographs = Sequence[bytes]
"""Some photographs of one person."""

_FILM_FRAME_MS = 133
"""Films are read at this interval; a burst takes every third frame, 400 ms apart."""
_STRIDE, _FRAMES = 3, 8
_JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class FilmBurst:
    """Eight frames of a film with their times; `start_ms` is the first frame's time in the film."""

    film: str
    start_ms: int
    frames: tuple[bytes, ...]
    times_ms: tuple[int, ...]


def sample_group(people: int) -> dict[str, Photographs]:
    """AT&T people (grey, 92 x 112 pixels), evenly chosen."""
    named = {
        name: [path.read_bytes() for path in paths]
        for name, paths in sample_people(sample_faces_dir(ROOT)).items()
        if name.startswith("att")
    }
    return _choose(named, people)


def folder_group(folder: Path, people: int) -> dict[str, Photographs]:
    """People of a research set: each folder with at least two pictures is one person."""
    pictures: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*.jpg")):
        pictures.setdefault(path.parent, []).append(path)
    named = {
        str(parent.relative_to(folder)): [path.read_bytes() for path in paths[:5]]
        for parent, paths in pictures.items()
        if len(paths) > 1
    }
    return _choose(named, people)


def film_bursts(path: Path) -> Iterator[FilmBurst]:
    """Bursts of eight frames of a film, beginning every 400 ms: neighbours overlap, so they are no separate trials."""
    frames = list(_read_film(path))
    for start in range(0, len(frames) - _STRIDE * (_FRAMES - 1), _STRIDE):
        chosen = frames[start : start + _STRIDE * _FRAMES : _STRIDE]
        begun = chosen[0][0]
        yield FilmBurst(
            path.stem, begun, tuple(data for _, data in chosen), tuple(at - begun for at, _ in chosen)
        )


def film_stills(folder: Path) -> dict[str, Photographs]:
    """Two frames of each film, from its start and its end."""
    stills: dict[str, Photographs] = {}
    for path in sorted(folder.glob("*.mp4")):
        frames = list(_read_film(path))
        stills[path.stem] = [frames[3][1], frames[-3][1]]
    return stills


def _read_film(path: Path) -> Iterator[tuple[int, bytes]]:
    import av  # noqa: PLC0415 - only where films are measured

    due = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            at = 1000 * float(frame.time or 0)
            if at + 1 < due:
                continue
            due = max(due + _FILM_FRAME_MS, at)
            target = io.BytesIO()
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(target, "JPEG", quality=_JPEG_QUALITY)
            yield round(at), target.getvalue()


def _choose(named: Mapping[str, Photographs], people: int) -> dict[str, Photographs]:
    step = max(1, len(named) // people)
    return dict(list(named.items())[::step][:people])
