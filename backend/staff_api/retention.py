"""What retention deleted: pictures, and templates of those who are off the roll."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.retention.queries import runs_for
from backend.retention.tables import RetentionRun
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id

router = APIRouter(prefix="/v1", tags=["保存期限 · retention"])


class RetentionRunOut(BaseModel):
    """One kind in one run; a run that found nothing has no oldest and newest."""

    id: UUID
    kind: str = Field(
        examples=["frames"], description="frames, enrolment_shots, portraits 或 templates · what was deleted"
    )
    items: int = Field(
        examples=[128],
        description="核验、采集、证件照或学生的数量 · check-ins, enrolments, portraits or students",
    )
    files: int = Field(examples=[1024], description="删除的图片数 · pictures")
    size_bytes: int | None = Field(
        examples=[52428800], description="图片字节数，未知为空 · null if not known"
    )
    oldest: datetime | None = Field(description="最早一项的形成时间 · when the oldest was taken")
    newest: datetime | None = Field(description="最晚一项的形成时间 · when the newest was taken")
    started_at: datetime
    finished_at: datetime

    @classmethod
    def of(cls, row: RetentionRun) -> Self:
        """The row without whose it is."""
        return cls.model_validate(row, from_attributes=True)


@router.get("/retention-runs", responses=documented(401, 403, 422))
async def list_retention_runs(
    caller: StaffCaller, *, deleting_only: bool = False, limit: Limit = 50, cursor: Cursor = None
) -> Page[RetentionRunOut]:
    """到期删除的执行记录（新的在前） · What was deleted because its time was over; for the province, newest first."""
    async with caller.transaction() as session:
        rows = await runs_for(
            session,
            caller.actor,
            deleting_only=deleting_only,
            before=position_id(cursor),
            limit=limit + 1,
        )
    return page_of(rows, limit, RetentionRunOut.of, lambda row: row.id)
