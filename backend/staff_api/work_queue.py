"""What waits for the caller: one count for each list that a person works through."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backend.core.pagination import MAX_COUNT, count_ids
from backend.core.web.problems import problem_responses
from backend.identity.face.review.portraits import select_waiting_portrait_ids
from backend.identity.student_record import select_open_correction_ids
from backend.leave.queries import select_ended_leave_ids, select_pending_leave_ids
from backend.roll_call.looks.queries import select_open_look_ids
from backend.roll_call.results.undetermined import select_undetermined_ids
from backend.staff_api.caller import StaffCaller
from backend.standing.claims.queries import select_open_claim_ids
from backend.standing.prompts.queries import select_open_prompt_ids

router = APIRouter(prefix="/v1", tags=["待办 · work queue"])


class WorkQueueOut(BaseModel):
    """How many items wait in each list, counted up to 1000."""

    leave: int = Field(description="待批请假 · leave requests to decide", examples=[3])
    returns: int = Field(
        description="假期已满、未确认返校 · leave that is over without a confirmed return", examples=[1]
    )
    claims: int = Field(description="待处理的正当理由 · reason claims to decide", examples=[2])
    corrections: int = Field(description="待处理的信息更正 · corrections of records", examples=[0])
    portraits: int | None = Field(
        description="待审证件照；无权查看时为空 · portraits to review; null for a role that sees none",
        examples=[4],
    )
    prompts: int = Field(description="未结束的提示 · open prompts", examples=[0])
    looks: int = Field(description="待人工核对的照片 · pictures to compare", examples=[5])
    undetermined: int | None = Field(
        description="由本单位认定的待定结果；无权认定时为空 · undetermined results to determine; null for a role that"
        " determines none",
        examples=[7],
    )
    counted_up_to: int = Field(description="计数上限 · the largest count", examples=[MAX_COUNT])


@router.get("/me/work-queue", responses=problem_responses(401, 403, 422))
async def get_work_queue(caller: StaffCaller) -> WorkQueueOut:
    """我的待办数量 · How much waits for me, by list."""
    actor, at = caller.actor, caller.at
    undetermined = select_undetermined_ids(actor)
    portraits = select_waiting_portrait_ids(actor)
    async with caller.transaction() as session:
        return WorkQueueOut(
            leave=await count_ids(session, select_pending_leave_ids(actor, at)),
            returns=await count_ids(session, select_ended_leave_ids(actor, at)),
            claims=await count_ids(session, select_open_claim_ids(actor)),
            corrections=await count_ids(session, select_open_correction_ids(actor)),
            portraits=None if portraits is None else await count_ids(session, portraits),
            prompts=await count_ids(session, select_open_prompt_ids(actor, at)),
            looks=await count_ids(session, select_open_look_ids(actor, at)),
            undetermined=None if undetermined is None else await count_ids(session, undetermined),
            counted_up_to=MAX_COUNT,
        )
