"""Wire schemas of attachments, for both APIs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from backend.people.attachment_files import FileContent

_SUFFIXES = {"image/jpeg": "jpg", "application/pdf": "pdf"}
_BINARY = {"schema": {"type": "string", "format": "binary"}}

AttachmentIds = Annotated[
    list[UUID],
    Field(
        max_length=20,
        description="先以 POST /v1/attachments 上传 · files uploaded with POST /v1/attachments",
        examples=[[]],
    ),
]
"""The ids of uploaded files in a request body. A field of this type defaults to an empty list."""


class AttachmentOut(BaseModel):
    """A file attached to a fact; its content is at GET /v1/attachments/{id}."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    media_type: str = Field(examples=["image/jpeg"])
    size_bytes: int = Field(examples=[184320])
    uploaded_at: datetime


def file_request_body(media_types: Sequence[str]) -> dict[str, Any]:
    """The OpenAPI description of a request body that is one file."""
    schema = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    return {"requestBody": {"required": True, "content": dict.fromkeys(media_types, schema)}}


def file_response() -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of a response that is one file."""
    return {
        200: {
            "description": "附件内容 · the content of the file",
            "content": dict.fromkeys(_SUFFIXES, _BINARY),
        }
    }


def download_response(attachment_id: UUID, content: FileContent) -> Response:
    """The file as a download that a browser neither displays in our origin, nor sniffs, nor caches."""
    name = f"{attachment_id}.{_SUFFIXES[content.media_type]}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Response(content.data, media_type=content.media_type, headers=headers)
