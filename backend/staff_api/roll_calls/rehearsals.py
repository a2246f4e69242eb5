"""Staff endpoints of rehearsals: the check-ins of a class, and the counselor's confirmation."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.identity.face.calibration.schemas import (
    RehearsalClassOut,
    RehearsalConfirmationIn,
    RehearsalConfirmationOut,
)
from backend.identity.names import with_names
from backend.roll_call.rehearsals import confirm_class, load_rehearsal_classes
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["联调测试 · rehearsals"])


@router.get("/roll-calls/{roll_call_id}/rehearsal", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def get_rehearsal(caller: StaffCaller, roll_call_id: UUID) -> list[RehearsalClassOut]:
    """联调测试中可用于确定人脸阈值的签到 · List the check-ins of a rehearsal from which face thresholds can be learned."""
    async with caller.transaction() as session:
        classes = await load_rehearsal_classes(session, caller.actor, roll_call_id, caller.at)
    return [RehearsalClassOut.of(each.class_id, each.check_ins, each.confirmation) for each in classes]


@router.post(
    "/roll-calls/{roll_call_id}/rehearsal-confirmations",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def confirm_rehearsal_check_in(
    caller: StaffCaller, roll_call_id: UUID, body: RehearsalConfirmationIn
) -> RehearsalConfirmationOut:
    """确认当时在场的学生（本班辅导员） · Confirm who was in front of you at the rehearsal, as the counselor of the class."""
    async with caller.transaction() as session:
        row = await confirm_class(
            session, caller.actor, roll_call_id, body.class_id, body.excluded, caller.at
        )
    return RehearsalConfirmationOut.of(row)
