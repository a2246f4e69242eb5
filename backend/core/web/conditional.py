"""Conditional requests (RFC 9110, section 13): a version of the answer is compared before the answer is loaded."""

import hashlib
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import Response

IfNoneMatch = Annotated[
    str | None,
    Header(
        max_length=400, description="上次答复的 ETag；没有变化时答复 304 · the ETag of the previous answer"
    ),
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "not modified since that ETag"}}


def weak_etag(*parts: object) -> str:
    """A weak entity tag, equal as long as `parts` are. Leave out the time of the answer."""
    digest = hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()
    return f'W/"{digest[:24]}"'


def not_modified_response(tag: str, if_none_match: str | None) -> Response | None:
    """A 304 response if the client has this version already, else None."""
    known = {each.strip() for each in (if_none_match or "").split(",")}
    if tag in known or tag.removeprefix("W/") in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag})
    return None
