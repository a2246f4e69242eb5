"""What a running process holds, handed to whoever needs it instead of being looked up globally."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from backend.core.clock import Clock, now, shifted_clock
from backend.core.database import Database
from backend.core.evidence import EvidenceStore
from backend.core.keys import KeyRing
from backend.core.redis_client import RedisClient, open_redis
from backend.settings import Settings

T = TypeVar("T")


@dataclass(slots=True)
class AppContext:
    """Settings, connections and keys of one process, and the services that packages share within it.

    A package above `core` registers a service by its factory: a class or function that takes the context.
    """

    settings: Settings
    database: Database
    redis: RedisClient
    keys: KeyRing
    evidence: EvidenceStore
    clock: Clock = now
    services: dict[Callable[["AppContext"], Any], Any] = field(default_factory=dict)

    def service(self, factory: Callable[["AppContext"], T]) -> T:
        """The service that `factory` makes; made at the first call and shared from then on."""
        if factory not in self.services:
            self.services[factory] = factory(self)
        return cast("T", self.services[factory])

    def provide(self, factory: Callable[["AppContext"], T], service: T) -> None:
        """Register a service that was made elsewhere, instead of the one `factory` would make."""
        self.services[factory] = service

    async def close(self) -> None:
        """Close the services that can be closed, then Redis and the database."""
        for service in self.services.values():
            if hasattr(service, "aclose"):
                await service.aclose()
        await self.redis.aclose()
        await self.database.close()


def check_production_settings(settings: Settings) -> None:
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


def settings_clock(settings: Settings) -> Clock:
    """The server's clock, shifted where a demonstration says so."""
    return now if settings.clock_file is None else shifted_clock(settings.clock_file)


def open_app_context(settings: Settings) -> AppContext:
    """The parts as the settings say; nothing is connected before its first use."""
    check_production_settings(settings)
    return AppContext(
        settings=settings,
        database=Database.connect(settings.database_url, settings.pool_size),
        redis=open_redis(settings.redis_url),
        keys=KeyRing.load(settings.keys_file, settings.template_cipher),
        evidence=EvidenceStore.local(settings.evidence_dir),
        clock=settings_clock(settings),
    )
