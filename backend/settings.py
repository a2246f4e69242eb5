"""Settings of a process, read once from `DIANMING_*` environment variables."""

import re
from functools import cached_property, lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_CHECKOUT = Path(__file__).resolve().parents[1]
_LOOPBACK_TWINS = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}


class Settings(BaseSettings):
    """The kind of deployment, and the addresses and limits of what it uses."""

    model_config = SettingsConfigDict(env_prefix="DIANMING_", extra="ignore")

    env: Literal["development", "test", "production"] = "development"
    database_url: str = Field(description="SQLAlchemy URL of the application's role, which owns no table")
    owner_database_url: str | None = Field(
        default=None, description="URL of the tables' owner; for migrations only"
    )
    redis_url: str = Field(description="redis:// or unix:// URL; losing Redis loses no data")
    evidence_dir: Path = Field(description="folder of the local evidence store")
    keys_file: Path = Field(description="JSON file with the keys of the deployment, mode 0600")
    public_url: str = Field(
        default="http://127.0.0.1:8000", description="URL under which clients reach the API (DPoP htu)"
    )
    trusted_proxies: str = Field(
        default="",
        description="addresses or networks of the proxies in front of the API, separated by commas; only they may name"
        " the client's address (X-Forwarded-For). Empty: addresses are neither known nor limited",
    )
    province_code: str = Field(default="410000", description="division code of the province")
    gateway_url: str = Field(default="http://127.0.0.1:8009", description="SMS and real-name gateway")
    gateway_access_key: str = "demo"
    gateway_secret: str = "demo-secret"  # noqa: S105 - the fake gateway's published secret
    test_engine: bool = Field(
        default=False, description="accept the test-pattern face engine; never in production"
    )
    face_demonstration: bool = Field(
        default=False,
        description="learn face thresholds from fewer people, and take signals of motion as advice; never in production",
    )
    template_cipher: Literal["aes-256-gcm", "sm4-gcm"] = Field(
        default="aes-256-gcm",
        description="cipher of new face templates and pictures and their keys; stored ones name their own",
    )
    face_landmark_model: Literal["dlib-68", "none"] = Field(
        default="dlib-68",
        description="landmark model that recognises the actions of a challenge; dlib-68 excludes commercial use (300-W)",
    )
    face_engine: Path | None = Field(
        default=None,
        description="YAML file of a face engine with the operator's own ONNX models; new enrolments use it",
    )
    clock_file: Path | None = Field(
        default=None, description="file with the seconds added to the clock; demonstrations only"
    )
    clock_bar: bool = Field(
        default=False,
        description="a bar on the web pages moves the clock of `clock_file`; demonstrations only",
    )
    api_processes: int = Field(
        default=1, ge=1, le=64, description="server processes that share the port of the API"
    )
    face_processes: int = Field(default=1, ge=1, le=64, description="face engine processes of a worker")
    verification_batch_size: int = Field(
        default=16, ge=1, le=500, description="submissions of one school that a worker claims at a time"
    )
    verification_lease_seconds: int = Field(
        default=30,
        ge=2,
        le=3600,
        description="seconds after which the submissions of an unresponsive worker go to another",
    )
    verification_max_attempts: int = Field(
        default=5, ge=1, le=100, description="attempts after which a submission becomes a dead letter"
    )
    pool_size: int = Field(default=10, ge=1, description="database connections that a process keeps open")
    intake_max_queue: int = Field(
        default=2000,
        ge=0,
        description="envelopes that may wait in a process; more are rejected with a retry token. 2000 are a few"
        " seconds of work, and 4 MB of ordinary envelopes (130 MB of the largest)",
    )
    intake_max_wait_seconds: float = Field(
        default=4.0,
        gt=0,
        description="estimated seconds of waiting above which new envelopes are rejected with a retry token; phones"
        " and their users give up after about ten",
    )
    intake_jitter_seconds: int = Field(
        default=20,
        ge=1,
        description="seconds over which the retries of rejected envelopes are spread; its sum with intake_max_wait_seconds must stay"
        " well below the grace period for frames",
    )
    retry_token_ttl_seconds: int = Field(
        default=1800,
        ge=60,
        description="seconds for which a retry token keeps the time of the rejected attempt: the length of the shortest"
        " window, in which every student can be served once",
    )
    web_dir: Path | None = Field(
        default=None, description="folder of the built web apps; default: web/dist of the checkout"
    )
    api_documents: bool = Field(
        default=False, description="serve the API documents (/staff/docs, /mobile/docs) in production too"
    )
    request_body_limit: int = Field(default=8 * 1024 * 1024, description="largest accepted body, in bytes")

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        """Check each network; a wildcard would trust every client."""
        return ",".join(str(ip_network(part.strip())) for part in value.split(",") if part.strip())

    @property
    def proxy_networks(self) -> tuple[str, ...]:
        """The networks in `trusted_proxies`."""
        return tuple(part for part in self.trusted_proxies.split(",") if part)

    @property
    def web_directory(self) -> Path:
        """The folder of the built web apps."""
        return self.web_dir or _CHECKOUT / "web" / "dist"

    @property
    def serves_documents(self) -> bool:
        """Whether the API serves its OpenAPI documents and their pages."""
        return self.env != "production" or self.api_documents

    @cached_property
    def accepted_urls(self) -> tuple[str, ...]:
        """The addresses that `htu` of a DPoP proof may begin with: `public_url` and, in development, its loopback twin."""
        url = self.public_url.rstrip("/")
        twins = _LOOPBACK_TWINS if self.env == "development" else {}
        parts = urlsplit(url)
        twin = twins.get(parts.hostname or "")
        if twin is None:
            return (url,)
        port = "" if parts.port is None else f":{parts.port}"
        return (url, parts._replace(netloc=twin + port).geturl())

    @cached_property
    def passkey_host(self) -> str | None:
        """The host that passkeys are for (RP ID): that of `public_url`; None if it has no name but an IP address.

        In development it is `localhost` also for 127.0.0.1, since browsers refuse passkeys for addresses.
        """
        hosts = [urlsplit(url).hostname or "" for url in self.accepted_urls]
        return next((host for host in hosts if host and not _IP_ADDRESS.fullmatch(host)), None)

    @cached_property
    def web_origins(self) -> tuple[str, ...]:
        """The origins of the deployment's own pages, as browsers write them (RFC 6454): scheme, host and port."""
        return tuple(_origin_of(url) for url in self.accepted_urls)


_IP_ADDRESS = re.compile(r"[0-9.]+|.*:.*")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_default = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"


class SettingsInvalid(Exception):
    """The environment is incomplete or invalid. The message names every wrong variable."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once. Raises `SettingsInvalid`."""
    try:
        return Settings()
    except ValidationError as error:
        problems = ", ".join(
            f"DIANMING_{str(item['loc'][0]).upper()} ({item['msg']})" for item in error.errors()
        )
        raise SettingsInvalid(problems) from error
