"""Answers that need not be sent again: a version of what would be answered, compared before it is read (RFC 9110, 13)."""

import hashlib
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import Response

IfNoneMatch = Annotated[
    str | None,
    Header(max_length=400, description="上次答复的 ETag；没有变化时答复 304 · the ETag of the answer before"),
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "nothing has changed since that ETag"}}


def etag_of(*parts: object) -> str:
    """A weak entity tag: the same as long as nothing of these has changed, which times of answers are none of."""
    digest = hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()
    return f'W/"{digest[:24]}"'


def not_modified(tag: str, asked: str | None) -> Response | None:
    """304 for whoever has that version already."""
    known = {each.strip() for each in (asked or "").split(",")}
    if tag in known or tag.removeprefix("W/") in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag})
    return None
