"""Returns an Excel workbook as a download."""

import asyncio
from collections.abc import AsyncIterator
from typing import IO, Any
from urllib.parse import quote

from fastapi.responses import StreamingResponse

from backend.core.web.workbook import XLSX

_CHUNK_BYTES = 1 << 16


class WorkbookResponse(StreamingResponse):
    """A workbook, sent in chunks."""

    media_type = XLSX


WORKBOOK_BODY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Excel 文件 · an Excel workbook",
        "content": {XLSX: {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def workbook_response(file: IO[bytes], title: str, name: str) -> WorkbookResponse:
    """Send an open file and close it. `title`: name of the file in any script; `name`: in ASCII. Both without suffix."""
    size = await asyncio.to_thread(file.seek, 0, 2)
    await asyncio.to_thread(file.seek, 0)
    headers = {
        "Content-Disposition": f"attachment; filename=\"{name}.xlsx\"; filename*=UTF-8''{quote(title, safe='')}.xlsx",
        "Content-Length": str(size),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return WorkbookResponse(_read_and_close(file), headers=headers)


async def _read_and_close(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
