"""Serves a built web app: its files, compressed at build time, and `index.html` for every address inside the app."""

import re
from mimetypes import guess_type
from pathlib import Path, PurePosixPath

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from backend.core.errors import DomainError

INDEX = "index.html"
HASHED = re.compile(r"^assets/.*-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")
"""The name of a file whose content never changes, because Vite puts a hash of the content into it."""
IMMUTABLE, REVALIDATE = "public, max-age=31536000, immutable", "no-cache"
ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""Content encoding → suffix of the file, the preferred one first."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Types that the machine's table of MIME types may lack or name otherwise."""
_NOT_FOUND = 404


class WebAppNotBuilt(DomainError):
    """The web app is not built, or the folder of the built apps is another one."""

    code = "web_app_not_built"
    status = 503
    zh = "网页还没有构建。开发环境请运行 make run；部署环境请检查 DIANMING_WEB_DIR。"
    en = "The web pages are not built. In a checkout run `make run`; in a deployment check DIANMING_WEB_DIR."


def mount_web_app(app: FastAPI, base: str, directory: Path) -> None:
    """Publish the web app in `directory` at `/base/`."""

    async def add_slash(_: Request) -> Response:
        return RedirectResponse(f"/{base}/")

    app.add_route(f"/{base}", add_slash, include_in_schema=False)
    app.mount(f"/{base}", WebAppFiles(directory), name=base)


class WebAppFiles(StaticFiles):
    """The files of one web app. An unknown address without a file extension is a page of the app itself."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, check_dir=False)
        self._index = directory / INDEX

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or `index.html` for a page. Raises `WebAppNotBuilt` or HTTPException (404, 405)."""
        if not self._index.is_file():
            raise WebAppNotBuilt
        name = PurePosixPath(path).as_posix()
        if name == "." or not PurePosixPath(name).suffix:
            name = INDEX
        for encoding, suffix in ENCODINGS.items():
            if encoding in _accepted_encodings(scope):
                response = await self._find(name + suffix, scope)
                if response is not None:
                    return _describe(response, name, encoding)
        response = await self._find(name, scope)
        if response is None:
            raise HTTPException(_NOT_FOUND)
        return _describe(response, name, None)

    async def _find(self, name: str, scope: Scope) -> Response | None:
        try:
            return await super().get_response(name, scope)
        except HTTPException as error:
            if error.status_code == _NOT_FOUND:
                return None
            raise


def _accepted_encodings(scope: Scope) -> set[str]:
    """The content encodings that the client accepts; `q=0` means that it does not."""
    accepted = set()
    for part in Headers(scope=scope).get("accept-encoding", "").split(","):
        name, _, quality = part.replace(" ", "").lower().partition(";q=")
        if not re.fullmatch(r"0(\.0*)?", quality):
            accepted.add(name)
    return accepted


def _describe(response: Response, name: str, encoding: str | None) -> Response:
    """Set type, encoding and lifetime. A 304 repeats them (RFC 9110, 15.4.5)."""
    suffix = PurePosixPath(name).suffix
    content_type = _TYPES.get(suffix) or guess_type(name)[0] or "application/octet-stream"
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = IMMUTABLE if HASHED.search(name) else REVALIDATE
    response.headers["Vary"] = "Accept-Encoding"
    if encoding is not None:
        response.headers["Content-Encoding"] = encoding
    return response
