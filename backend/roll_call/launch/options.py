"""What an account may launch, and how long a window may be: known before anything is typed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.policy.installed import policy_at
from backend.roll_call import rules
from backend.roll_call.launch.checks import WindowBounds, window_bounds


@dataclass(frozen=True, slots=True)
class LaunchOption:
    """A kind of roll call that an account may launch, with the bounds of its window."""

    kind: rules.Kind
    bounds: WindowBounds


async def load_launch_options(session: AsyncSession, actor: Actor, at: datetime) -> list[LaunchOption]:
    """The kinds that the policy of the day permits this account; none for counselors (HN334-3.4)."""
    launcher = await session.get_one(OrgUnit, actor.org_id)
    policy = policy_at(legal_day(at), division_of(launcher.path))
    permitted = {row["kind"] for row in policy.table("launch.permissions") if row["account"] == actor.role}
    return [LaunchOption(kind, window_bounds(policy, kind)) for kind in rules.KINDS if kind in permitted]
