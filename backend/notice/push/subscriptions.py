"""Push subscriptions of students: saved and renewed by the app, removed at sign-out and with the phone's key."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.notice.errors import PushServiceUnknown, PushUnavailable
from backend.notice.push.addresses import is_push_address
from backend.notice.push.client import PushTarget, push_public_key
from backend.notice.settings import get_notice_settings
from backend.notice.tables import PushSubscription


@dataclass(frozen=True, slots=True)
class PushState:
    """Whether web push is on here (then with its public key), and whether the student's phone receives it."""

    public_key: str | None
    subscribed: bool


async def load_push_state(session: AsyncSession, actor: Actor) -> PushState:
    """The state for the calling student."""
    own = select(PushSubscription.student_id).where(PushSubscription.student_id == actor.student_id)
    return PushState(push_public_key(), await session.scalar(own) is not None)


async def save_push_subscription(
    session: AsyncSession,
    actor: Actor,
    device_id: UUID,
    target: PushTarget,
    at: datetime,
    *,
    in_production: bool,
) -> PushState:
    """Save or renew the subscription of the bound phone; it replaces an earlier one.

    Raises `PushUnavailable`, `PushServiceUnknown` and `PushKeysInvalid`.
    """
    settings = get_notice_settings()
    public_key = push_public_key()
    if public_key is None:
        raise PushUnavailable
    if not is_push_address(target.endpoint, settings.push_hosts, in_production=in_production):
        raise PushServiceUnknown
    target.check_keys()
    row = {
        "student_id": actor.student_id,
        "school_id": actor.school_id,
        "device_id": device_id,
        "endpoint": target.endpoint,
        "p256dh": target.p256dh,
        "auth": target.auth,
        "created_at": at,
        "renewed_at": at,
    }
    renewed = {name: row[name] for name in ("device_id", "endpoint", "p256dh", "auth", "renewed_at")}
    statement = insert(PushSubscription).values(row)
    await session.execute(
        statement.on_conflict_do_update(index_elements=[PushSubscription.student_id], set_=renewed)
    )
    return PushState(public_key, subscribed=True)


async def remove_push_subscription(session: AsyncSession, student_id: UUID) -> None:
    """Remove the student's subscription, if there is one."""
    await session.execute(delete(PushSubscription).where(PushSubscription.student_id == student_id))
