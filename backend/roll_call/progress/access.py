"""Live progress: who may look at what, and a poke through Redis when something changed.

PostgreSQL counts outcomes in the statement that writes them (a trigger notes what it added to each class; a job folds
the notes), so figures are never wrong by what a crash lost between two stores. Redis only carries the nudge that tells
open dashboards to look again.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.org.queries import unit_below
from backend.roll_call.oversight import access_roll_call, overseen_classes
from backend.roll_call.progress.totals import RollCallTotals, Unit

CHANNEL = "dianming:progress:"
GRANTED_SECONDS = 30.0
"""A roll call never changes and a unit hardly ever: who might look a moment ago may still."""
_MOST_GRANTED = 5_000


async def publish_changed(redis: "Redis", roll_call_id: UUID) -> None:
    """Tell open dashboards that figures changed. Losing Redis loses only the nudge."""
    try:
        await redis.publish(CHANNEL + str(roll_call_id), b"1")
    except RedisError:
        return


@dataclass(frozen=True, slots=True)
class ProgressAccess:
    """What somebody may look at: a unit, or some classes of a school. Equal views show the same."""

    roll_call_id: UUID
    launcher_path: str
    unit: Unit
    class_ids: frozenset[UUID] | None = None

    def drawn(self, tally: RollCallTotals) -> str:
        """The unit's own sums and those of what lies directly below it (units, or a school's classes), as JSON."""
        if self.class_ids is None:
            return tally.board(self.unit)
        return tally.board_of_classes(self.unit, self.class_ids)


async def authorize_progress(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, unit_id: UUID | None, at: datetime
) -> ProgressAccess:
    """The caller's view of a unit, their own by default; a counselor's are the own classes. Raises `NotFound`."""
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    unit = await unit_below(session, actor, unit_id or actor.org_id)
    overseen = overseen_classes(actor)
    mine = None if overseen is None else frozenset(await session.scalars(overseen))
    return ProgressAccess(
        roll_call_id, roll_call.launcher_path, Unit(unit.id, unit.kind, unit.name, unit.path), mine
    )


class AccessCache:
    """What was granted in this process lately, so that a dashboard that looks often asks the database for figures only.

    Whoever asks is known anew each time: a grant is for a kind of account at a place of the tree, and for nobody else.
    Counselors' classes change hands, so theirs are asked each time.
    """

    def __init__(self, app_context: AppContext) -> None:
        self._database = app_context.database
        self._granted: dict[tuple[object, ...], tuple[ProgressAccess, float]] = {}

    async def view(
        self, actor: Actor, roll_call_id: UUID, unit_id: UUID | None, at: datetime
    ) -> ProgressAccess:
        """As `authorize_progress`."""
        key = (actor.role, actor.org_id, actor.org_path, actor.school_id, roll_call_id, unit_id)
        view, until = self._granted.get(key, (None, 0.0))
        if view is not None and time.monotonic() < until:
            return view
        async with self._database.transaction(actor.scope) as session:
            view = await authorize_progress(session, actor, roll_call_id, unit_id, at)
        if view.class_ids is None:
            if len(self._granted) >= _MOST_GRANTED:
                self._granted.clear()
            self._granted[key] = view, time.monotonic() + GRANTED_SECONDS
        return view
