"""Reading uploaded pictures: the whole body is bounded before it is parsed."""

from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.types import Message

from backend.core.errors import BadInput
from backend.core.web.requests import read_bounded

MAX_PARTS = 16


async def read_pictures(request: Request, field: str, limit: int) -> list[bytes]:
    """The files of a multipart form under `field`; raises BodyTooLarge or BadInput."""
    body = await read_bounded(request, limit)

    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _bad(field, "应以 multipart/form-data 上传", "upload it as multipart/form-data")
    bounded = Request(request.scope, replay)
    async with bounded.form(max_files=MAX_PARTS, max_fields=0) as form:
        entries = form.multi_items()
        if any(name != field or not isinstance(part, UploadFile) for name, part in entries):
            raise _bad(field, f"只能包含名为 {field} 的图片", f"it holds files named {field} only")
        return [await part.read() for _, part in entries if isinstance(part, UploadFile)]


def _bad(field: str, zh: str, en: str) -> BadInput:
    return BadInput(field=field, reason_zh=zh, reason_en=en)


def pictures_body(field: str, least: int, most: int) -> dict[str, Any]:
    """The OpenAPI description of such a body."""
    files = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": least,
        "maxItems": most,
    }
    schema = {
        "type": "object",
        "required": [field],
        "properties": {field: files},
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
