"""Settings, connections and services of a running process, passed as an argument instead of kept in globals."""

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
    """Settings, connections and keys of one process, and the services that its packages share.

    A package above `core` identifies a service by its factory: a class or function that takes the context.
    """

    settings: Settings
    database: Database
    redis: RedisClient
    keys: KeyRing
    evidence: EvidenceStore
    clock: Clock = now
    services: dict[Callable[["AppContext"], Any], Any] = field(default_factory=dict)

    def service(self, factory: Callable[["AppContext"], T]) -> T:
        """Return the service of `factory`. The first call creates it; later calls return the same one."""
        if factory not in self.services:
            self.services[factory] = factory(self)
        return cast("T", self.services[factory])

    def provide(self, factory: Callable[["AppContext"], T], service: T) -> None:
        """Register a service created elsewhere in place of the one that `factory` would create."""
        self.services[factory] = service

    async def close(self) -> None:
        """Close services that have `aclose`, then Redis and the database."""
        for service in self.services.values():
            if hasattr(service, "aclose"):
                await service.aclose()
        await self.redis.aclose()
        await self.database.close()


def check_production_settings(settings: Settings) -> None:
    """Raise RuntimeError in production if a setting is meant for demonstrations only."""
    if settings.env != "production":
        return
    if settings.clock_file is not None:
        msg = "DIANMING_CLOCK_FILE shifts the clock that legal deadlines use; unset it in production"
        raise RuntimeError(msg)
    if settings.clock_bar:
        msg = "DIANMING_CLOCK_BAR lets anyone move the clock of a demonstration; unset it in production"
        raise RuntimeError(msg)
    if settings.test_engine:
        msg = "DIANMING_TEST_ENGINE accepts drawn patterns as faces; unset it in production"
        raise RuntimeError(msg)
    if settings.face_demonstration:
        msg = "DIANMING_FACE_DEMONSTRATION learns thresholds from too few people; unset it in production"
        raise RuntimeError(msg)
    if settings.gateway_secret == Settings.model_fields["gateway_secret"].default:
        msg = (
            "DIANMING_GATEWAY_SECRET is the published secret of the demonstration, with which anyone can report a notice"
            " as delivered; set the secret of your carrier in production"
        )
        raise RuntimeError(msg)
    if not settings.public_url.startswith("https://"):
        msg = "DIANMING_PUBLIC_URL must begin with https:// in production"
        raise RuntimeError(msg)


def settings_clock(settings: Settings) -> Clock:
    """The server's clock, shifted by `clock_file` in demonstrations."""
    return now if settings.clock_file is None else shifted_clock(settings.clock_file)


def open_app_context(settings: Settings) -> AppContext:
    """Create the context that the settings describe. Connections open at their first use."""
    check_production_settings(settings)
    return AppContext(
        settings=settings,
        database=Database.connect(settings.database_url, settings.pool_size),
        redis=open_redis(settings.redis_url),
        keys=KeyRing.load(settings.keys_file, settings.template_cipher),
        evidence=EvidenceStore.local(settings.evidence_dir),
        clock=settings_clock(settings),
    )
