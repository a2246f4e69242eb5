"""Which part of a roll call's progress an account may see."""

import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.org.queries import get_unit_in_subtree
from backend.roll_call.access import access_roll_call, acts_for_launcher, select_counselor_classes
from backend.roll_call.progress.totals import RollCallTotals, Unit

CACHE_SECONDS = 30.0
"""A roll call never changes and a unit rarely does, so a decision stays valid for this long."""
_MAX_CACHED = 5_000


@dataclass(frozen=True, slots=True)
class ProgressAccess:
    """A unit, or some classes of a school, that an account may see. Equal values render the same snapshot.

    `sees_queue`: the account acts for the launcher, and also gets the figures of the verification queue.
    """

    roll_call_id: UUID
    launcher_path: str
    unit: Unit
    class_ids: frozenset[UUID] | None = None
    sees_queue: bool = False

    def render(self, totals: RollCallTotals) -> str:
        """The counts of the unit and of each direct child (unit or class), as JSON."""
        if self.class_ids is None:
            return totals.render(self.unit)
        return totals.render_classes(self.unit, self.class_ids)


async def authorize_progress(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, unit_id: UUID | None, at: datetime
) -> ProgressAccess:
    """What the caller may see of a unit, by default their own. A counselor sees only their own classes.

    Raises `NotFound`.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    unit = await get_unit_in_subtree(session, actor, unit_id or actor.org_id)
    class_ids = select_counselor_classes(actor)
    own_classes = None if class_ids is None else frozenset(await session.scalars(class_ids))
    return ProgressAccess(
        roll_call_id,
        roll_call.launcher_path,
        Unit(unit.id, unit.kind, unit.name, unit.path),
        own_classes,
        acts_for_launcher(roll_call, actor),
    )


class AccessCache:
    """Caches `authorize_progress` per process, so that a polling dashboard queries the database for counts only.

    The key is the caller's role and place in the tree; every request still authenticates the caller. The access of
    counselors is not cached, because their classes can be reassigned at any time.
    """

    def __init__(self, app_context: AppContext) -> None:
        self._database = app_context.database
        self._cache: dict[tuple[object, ...], tuple[ProgressAccess, float]] = {}

    async def authorize(
        self, actor: Actor, roll_call_id: UUID, unit_id: UUID | None, at: datetime
    ) -> ProgressAccess:
        """Same as `authorize_progress`, from the cache if possible."""
        key = (actor.role, actor.org_id, actor.org_path, actor.school_id, roll_call_id, unit_id)
        access, expires_at = self._cache.get(key, (None, 0.0))
        if access is not None and time.monotonic() < expires_at:
            return access
        async with self._database.transaction(actor.scope) as session:
            access = await authorize_progress(session, actor, roll_call_id, unit_id, at)
        if access.class_ids is None:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[key] = access, time.monotonic() + CACHE_SECONDS
        return access
