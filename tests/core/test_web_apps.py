"""A built web app is served with the right types, encodings and lifetimes."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from backend.core.web.problems import install_problem_handlers
from backend.core.web.web_apps import IMMUTABLE, REVALIDATE, mount_web_app

SCRIPT = "assets/index-Da8Y1-eq.js"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "m"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>app")
    (folder / "sw.js").write_text("worker")
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / "icon-192.png").write_bytes(b"png")
    (folder / SCRIPT).write_text("script")
    (folder / (SCRIPT + ".br")).write_bytes(b"brotli")
    (folder / (SCRIPT + ".gz")).write_bytes(gzip.compress(b"script"))
    return folder


@pytest.fixture
async def client(directory: Path) -> AsyncIterator[AsyncClient]:
    app = FastAPI(redirect_slashes=False)
    install_problem_handlers(app)
    mount_web_app(app, "m", directory)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        yield client


@pytest.mark.parametrize("path", ["/m/", "/m/leave", "/m/roll-calls/0190/check", "/m/index.html"])
async def test_every_page_of_the_app_is_its_index(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, "<!doctype html>app")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == REVALIDATE


async def test_address_without_slash_leads_to_the_app(client: AsyncClient) -> None:
    answer = await client.get("/m")
    assert (answer.status_code, answer.headers["location"]) == (307, "/m/")


@pytest.mark.parametrize(
    ("name", "content_type", "lifetime"),
    [
        (SCRIPT, "text/javascript; charset=utf-8", IMMUTABLE),
        ("sw.js", "text/javascript; charset=utf-8", REVALIDATE),
        ("manifest.webmanifest", "application/manifest+json", REVALIDATE),
        ("icon-192.png", "image/png", REVALIDATE),
    ],
)
async def test_files_have_their_type_and_lifetime(
    client: AsyncClient, name: str, content_type: str, lifetime: str
) -> None:
    headers = (await client.get(f"/m/{name}")).headers
    assert (headers["content-type"], headers["cache-control"]) == (content_type, lifetime)


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", None), ("br;q=0, gzip;q=0.5", "gzip")],
)
async def test_compressed_file_is_sent_to_who_accepts_it(
    client: AsyncClient, accepted: str, encoding: str | None
) -> None:
    request = client.build_request("GET", f"/m/{SCRIPT}", headers={"Accept-Encoding": accepted})
    answer = await client.send(request, stream=True)
    content = b"".join([part async for part in answer.aiter_raw()])
    stored = {"br": b"brotli", None: b"script"}.get(encoding)
    assert answer.headers.get("content-encoding") == encoding
    assert (gzip.decompress(content) if encoding == "gzip" else content) == (stored or b"script")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "Accept-Encoding" in answer.headers["vary"]


async def test_unchanged_file_is_not_sent_again(client: AsyncClient) -> None:
    first = await client.get("/m/index.html")
    again = await client.get("/m/index.html", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, REVALIDATE)


@pytest.mark.parametrize("path", ["/m/assets/index-00000000.js", "/m/icon.ico", "/m/..%2f..%2fsecret.txt"])
async def test_missing_file_is_a_problem_and_not_the_app(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_files_can_only_be_read(client: AsyncClient) -> None:
    assert (await client.post("/m/")).status_code == 405


async def test_missing_build_says_how_to_make_it(client: AsyncClient, directory: Path) -> None:
    (directory / "index.html").unlink()
    answer = await client.get("/m/")
    assert (answer.status_code, answer.json()["code"]) == (503, "web_app_not_built")
    assert "make run" in answer.json()["detail_zh"]
