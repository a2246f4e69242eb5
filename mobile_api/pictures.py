"""Reading uploaded pictures from a multipart form. The size of the whole body is limited before it is parsed."""

from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.types import Message

from backend.core.errors import BadInput
from backend.core.web.request_checks import require_media_type
from backend.core.web.requests import read_bounded

MAX_PARTS = 16


async def read_pictures(request: Request, field: str, limit: int) -> list[bytes]:
    """The files in `field` of a multipart form; raises `MediaTypeUnsupported`, `BodyTooLarge` or `BadInput`."""
    require_media_type(request, "multipart/form-data", required=True)
    body = await read_bounded(request, limit)

    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    limited = Request(request.scope, replay)
    async with limited.form(max_files=MAX_PARTS, max_fields=0) as form:
        entries = form.multi_items()
        if any(name != field or not isinstance(part, UploadFile) for name, part in entries):
            raise _bad_upload(
                field, f"只能包含名为 {field} 的图片", f"only files named {field} are permitted"
            )
        return [await part.read() for _, part in entries if isinstance(part, UploadFile)]


def _bad_upload(field: str, zh: str, en: str) -> BadInput:
    return BadInput(field=field, reason_zh=zh, reason_en=en)


def pictures_body(field: str, min_items: int, max_items: int) -> dict[str, Any]:
    """The OpenAPI description of a form with these pictures."""
    files = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": min_items,
        "maxItems": max_items,
    }
    schema = {
        "type": "object",
        "required": [field],
        "properties": {field: files},
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
