"""The HTTP response with a picture of a face."""

from typing import Any

from fastapi import Response

from backend.identity.pictures.opening import OpenedPicture


def picture_response(opened: OpenedPicture) -> Response:
    """The picture as a download that a browser neither displays in our origin, nor sniffs, nor caches."""
    name = f"{opened.picture.kind}-{opened.picture.position}.jpg"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Response(opened.data, media_type="image/jpeg", headers=headers)


def picture_body() -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the response."""
    content = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"description": "照片（JPEG） · the picture as a JPEG", "content": content}}
