"""The Redis channel that tells open dashboards to read a roll call's counts again.

PostgreSQL holds the counts: a trigger records the change in the statement that writes an outcome. Redis carries only
the signal, so a lost message delays an update and never makes a count wrong.
"""

from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

CHANNEL_PREFIX = "dianming:progress:"


async def publish_changed(redis: "Redis", roll_call_id: UUID) -> None:
    """Signal that the counts of a roll call changed; do nothing if Redis is not reachable."""
    try:
        await redis.publish(CHANNEL_PREFIX + str(roll_call_id), b"1")
    except RedisError:
        return
