"""What a running process holds, handed to whoever needs it instead of being looked up globally."""

from dataclasses import dataclass, field
from typing import Any

from backend.core.clock import Clock, now, shifted_clock
from backend.core.database import Database
from backend.core.evidence import EvidenceStore
from backend.core.keys import KeyRing
from backend.core.redis_link import RedisLink, open_redis
from backend.settings import Settings


@dataclass(slots=True)
class Runtime:
    """The parts of a process; `extras` holds what only one room knows (its own clients), by name."""

    settings: Settings
    database: Database
    redis: RedisLink
    keys: KeyRing
    evidence: EvidenceStore
    clock: Clock = now
    extras: dict[str, Any] = field(default_factory=dict)

    async def close(self) -> None:
        """Let go of every connection."""
        await self.redis.aclose()
        await self.database.close()


def refuse_make_believe(settings: Settings) -> None:
    """Raise for whatever a demonstration may have and production must not."""
    if settings.env != "production":
        return
    if settings.clock_file is not None:
        msg = "DIANMING_CLOCK_FILE shifts the clock of the law; unset it in production"
        raise RuntimeError(msg)
    if settings.test_engine:
        msg = "DIANMING_TEST_ENGINE admits drawn patterns as faces; unset it in production"
        raise RuntimeError(msg)
    if settings.gateway_secret == Settings.model_fields["gateway_secret"].default:
        msg = (
            "DIANMING_GATEWAY_SECRET is the published one of the demonstration: with it anyone reports a notice as"
            " delivered; set the carrier's in production"
        )
        raise RuntimeError(msg)
    if not settings.public_url.startswith("https://"):
        msg = "DIANMING_PUBLIC_URL must begin with https:// in production"
        raise RuntimeError(msg)


def clock_of(settings: Settings) -> Clock:
    """The server's clock, shifted where a demonstration says so."""
    return now if settings.clock_file is None else shifted_clock(settings.clock_file)


def open_runtime(settings: Settings) -> Runtime:
    """The parts as the settings say; nothing is connected before its first use."""
    refuse_make_believe(settings)
    return Runtime(
        settings=settings,
        database=Database.connect(settings.database_url, settings.pool_size),
        redis=open_redis(settings.redis_url),
        keys=KeyRing.load(settings.keys_file, settings.template_cipher),
        evidence=EvidenceStore.local(settings.evidence_dir),
        clock=clock_of(settings),
    )
