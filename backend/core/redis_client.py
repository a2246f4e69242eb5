"""The Redis client. Redis stores only data that may be lost, so no request waits long for it.

If Redis is down or unreachable, one command per few seconds waits for a short timeout; all others fail at once. The log
and /healthz report it.
"""

import time
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

TIMEOUT_SECONDS = 0.5
"""Redis on the same network answers within a millisecond; without an answer for this long it counts as down."""
RETRY_AFTER_SECONDS = 2.0
"""How long commands fail at once after Redis did not answer."""

log = structlog.get_logger()


class RedisClient(Redis):
    """A client whose commands fail at once while Redis is known to be down. Every failure is a `RedisError`."""

    _down_until = 0.0
    _is_down_logged = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command. Raises ConnectionError at once for a while after Redis did not answer."""
        if time.monotonic() < self._down_until:
            raise RedisConnectionError("Redis did not answer recently")
        try:
            answer = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # untyped in redis-py
        except (RedisConnectionError, RedisTimeoutError) as error:
            self._down_until = time.monotonic() + RETRY_AFTER_SECONDS
            if not self._is_down_logged:
                log.warning(
                    "Redis does not answer: dashboards refresh more slowly", error=type(error).__name__
                )
            self._is_down_logged = True
            raise
        if self._is_down_logged:
            log.info("Redis answers again")
        self._down_until, self._is_down_logged = 0.0, False
        return answer

    async def is_available(self) -> bool:
        """Whether Redis answers now."""
        try:
            return bool(await self.execute_command("PING"))
        except RedisError:
            return False


def open_redis(url: str) -> RedisClient:
    """Create a client that connects at its first use and does not retry failed commands."""
    client = RedisClient.from_url(
        url,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    assert isinstance(client, RedisClient)
    return client
