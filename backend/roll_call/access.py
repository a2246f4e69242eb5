"""Which staff may see a roll call, and whether they act for the launcher or for a school that is checked."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.org.paths import is_below
from backend.people.tables import ClassCounselor
from backend.roll_call.tables import RollCall


async def access_roll_call(session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime) -> RollCall:
    """Load a roll call that staff may see: launched by them or below them, or addressed to them and announced.

    Raises `NotFound`.
    """
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None:
        raise NotFound
    is_secret = roll_call.notify_at > at and not is_below(roll_call.launcher_path, actor.org_path)
    if is_secret:
        raise NotFound
    return roll_call


def acts_for_launcher(roll_call: RollCall, actor: Actor) -> bool:
    """Whether the caller administers the launcher or a superior of it. Never true for the school that is checked."""
    return actor.role != "counselor" and is_below(roll_call.launcher_path, actor.org_path)


def select_counselor_classes(actor: Actor) -> Select[UUID] | None:
    """The classes that a counselor is responsible for now; None for other roles, which see every class in their scope."""
    if actor.role != "counselor":
        return None
    return select(ClassCounselor.class_id).where(
        ClassCounselor.counselor_id == actor.counselor_id, ClassCounselor.until.is_(None)
    )
