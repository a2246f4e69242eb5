"""Staff endpoints to invite many counselors of a school from a list (HN334-3.2)."""

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.identity.accounts.counselor_invitations import check_counselors, invite_counselors
from backend.identity.accounts.counselor_schemas import CounselorListIn, InvitedRowsOut
from backend.identity.policy import province_policy
from backend.org.tables import OrgUnit
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1/counselor-invitations", tags=["账号 · accounts"])


@router.post("", status_code=201, responses=problem_responses(401, 403, 409, 422))
async def invite_listed_counselors(caller: StaffCaller, body: CounselorListIn) -> InvitedRowsOut:
    """按名单邀请辅导员（一行一人，激活码只显示一次） · Invite counselors, one result a row; the codes are shown only once.

    请带 Idempotency-Key：重发时得到同样的激活码 · Send an Idempotency-Key, so that a repetition returns the same codes.
    """
    policy = province_policy(caller.app_context, caller.at)
    rows = [each.to_row() for each in body.rows]
    async with caller.transaction() as session:
        results = await invite_counselors(session, caller.actor, rows, policy, caller.at)
        school = await session.get_one(OrgUnit, caller.actor.org_id)
    return InvitedRowsOut.of_invitations(results, school, caller.app_context.settings.public_url)


@router.post("/check", responses=problem_responses(401, 403, 422))
async def check_listed_counselors(caller: StaffCaller, body: CounselorListIn) -> InvitedRowsOut:
    """预检名单（不邀请、不保存） · What an invitation of this list would refuse now; nothing is kept."""
    policy = province_policy(caller.app_context, caller.at)
    rows = [each.to_row() for each in body.rows]
    async with caller.transaction() as session:
        results = await check_counselors(session, caller.actor, rows, policy, caller.at)
    return InvitedRowsOut.of_check(results)
