"""Notifications by the browser's push service (Web Push), for the bound phone."""

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.identity.devices.service import require_active_device
from backend.notice.push.subscriptions import (
    load_push_state,
    remove_push_subscription,
    save_push_subscription,
)
from backend.notice.schemas import PushStateOut, PushSubscriptionIn
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1/me/push-subscription", tags=["notices"])


@router.get("", responses=problem_responses(401))
async def get_push_subscription(caller: PhoneCaller) -> PushStateOut:
    """浏览器通知的状态 · Whether this phone receives notifications, and the key to subscribe with."""
    async with caller.transaction() as session:
        return PushStateOut.of(await load_push_state(session, caller.actor))


@router.put("", responses=problem_responses(401, 409, 422))
async def subscribe_to_push(caller: PhoneCaller, body: PushSubscriptionIn) -> PushStateOut:
    """开启或续订浏览器通知 · Subscribe the bound phone, or renew it. A message says only that there is a notice, and its kind."""
    in_production = caller.app_context.settings.env == "production"
    async with caller.transaction() as session:
        device = await require_active_device(session, caller.actor)
        state = await save_push_subscription(
            session, caller.actor, device.id, body.target(), caller.at, in_production=in_production
        )
    return PushStateOut.of(state)


@router.delete("", responses=problem_responses(401))
async def unsubscribe_from_push(caller: PhoneCaller) -> PushStateOut:
    """关闭浏览器通知 · Unsubscribe. Repeating it changes nothing."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        await remove_push_subscription(session, caller.actor.student_id)
        return PushStateOut.of(await load_push_state(session, caller.actor))
