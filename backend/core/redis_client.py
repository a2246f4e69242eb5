"""The one way to Redis. It carries nothing that may not be lost, so nobody waits for it: a Redis that is gone, stopped or
behind a broken network costs one short wait every few seconds, and is said so in the log and by /healthz.
"""

import time
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisSilent

ANSWER_SECONDS = 0.5
"""A Redis on the same network answers in a millisecond; a stopped one is noticed after this."""
RETRY_AFTER_SECONDS = 2.0
"""How long one that did not answer is left alone."""

log = structlog.get_logger()


class RedisClient(Redis):
    """Redis that fails at once while it is known to be away; every failure is a `RedisError`, as ever."""

    _away_until = 0.0
    _said = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Raises ConnectionError without asking for a while after nobody answered."""
        if time.monotonic() < self._away_until:
            raise RedisGone("Redis did not answer a moment ago")
        try:
            answer = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # the library's
        except (RedisGone, RedisSilent) as error:
            self._away_until = time.monotonic() + RETRY_AFTER_SECONDS
            if not self._said:
                log.warning(
                    "Redis does not answer: dashboards refresh more slowly", error=type(error).__name__
                )
            self._said = True
            raise
        if self._said:
            log.info("Redis answers again")
        self._away_until, self._said = 0.0, False
        return answer

    async def answers(self) -> bool:
        """Whether it does right now, as far as is known."""
        try:
            return bool(await self.execute_command("PING"))
        except RedisError:
            return False


def open_redis(url: str) -> RedisClient:
    """Nothing is connected before the first use; a failed command is not tried again."""
    link = RedisClient.from_url(
        url,
        socket_connect_timeout=ANSWER_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    assert isinstance(link, RedisClient)
    return link
