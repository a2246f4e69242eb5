"""Who looked at the student's own pictures."""

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, parse_id
from backend.core.web.problems import problem_responses
from backend.identity.pictures.schemas import OwnPictureViewOut, own_picture_view_out
from backend.identity.pictures.views import load_own_picture_views
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1/me", tags=["照片查看记录 · picture views"])


@router.get("/picture-views", responses=problem_responses(401, 422))
async def list_picture_views(
    caller: PhoneCaller, limit: Limit = 50, cursor: Cursor = None
) -> Page[OwnPictureViewOut]:
    """谁看过我的照片（新的在前） · Who looked at my pictures, when and why, newest first: role and unit, no names."""
    before = None if cursor is None else parse_id(decode_cursor(cursor, 1)[0])
    async with caller.transaction() as session:
        rows = await load_own_picture_views(session, caller.actor, before, limit + 1)
    next_cursor = encode_cursor(str(rows[limit - 1].view.id)) if len(rows) > limit else None
    return Page(items=[own_picture_view_out(row) for row in rows[:limit]], next_cursor=next_cursor)
