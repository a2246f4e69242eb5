"""Staff endpoints for the second person of an authenticator reset: list the requests, approve or refuse one."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.accounts.authenticator_resets import DecideReset, decide_reset, load_resets_page
from backend.identity.accounts.reset_schemas import reset_out
from backend.identity.accounts.schemas import ResetDecisionIn, ResetOut
from backend.identity.names import with_names
from backend.identity.policy import province_policy
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1/authenticator-resets", tags=["账号 · accounts"])


@router.get("", responses=problem_responses(401, 403, 422))
@with_names
async def list_authenticator_resets(
    caller: StaffCaller, cursor: Cursor = None, limit: Limit = 50
) -> Page[ResetOut]:
    """重置验证器申请（新的在前） · List the requests of the own unit and below, newest first."""
    async with caller.transaction() as session:
        views = await load_resets_page(session, caller.actor, cursor_id(cursor), limit + 1)
    return build_page(views, limit, reset_out, lambda view: view.reset.id)


@router.post("/{reset_id}/decision", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def decide_authenticator_reset(reset_id: UUID, body: ResetDecisionIn, caller: StaffCaller) -> ResetOut:
    """复核重置验证器 · Approve or refuse the request of another person; the approval returns an activation code once."""
    command = DecideReset(reset_id, body.outcome, body.note)
    policy = province_policy(caller.app_context, caller.at)
    async with caller.transaction() as session:
        view, invitation = await decide_reset(session, caller.actor, command, policy, caller.at)
    return reset_out(view, invitation)
