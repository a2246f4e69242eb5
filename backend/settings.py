"""Settings of a process, read once from `DIANMING_*` environment variables."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the outside is, and which kind of deployment this is."""

    model_config = SettingsConfigDict(env_prefix="DIANMING_", extra="ignore")

    env: Literal["development", "test", "production"] = "development"
    database_url: str = Field(description="SQLAlchemy URL of the application role, which owns nothing")
    owner_database_url: str | None = Field(default=None, description="URL of the owner; migrations only")
    redis_url: str = Field(description="redis:// or unix:// URL; losing it loses no data")
    evidence_dir: Path = Field(description="folder of the local evidence store")
    keys_file: Path = Field(description="JSON file of the deployment's keys, mode 0600")
    public_url: str = Field(
        default="http://127.0.0.1:8000", description="how clients reach the API (DPoP htu)"
    )
    province_code: str = Field(default="410000", description="division code of the deploying province")
    gateway_url: str = Field(default="http://127.0.0.1:8009", description="SMS and real-name gateway")
    gateway_access_key: str = "demo"
    gateway_secret: str = "demo-secret"  # noqa: S105 - the fake gateway's published secret
    test_engine: bool = Field(
        default=False, description="admit the test-pattern face engine; never in production"
    )
    template_cipher: Literal["aes-256-gcm", "sm4-gcm"] = Field(
        default="aes-256-gcm",
        description="cipher of new face templates and their keys; old ones name their own",
    )
    face_contours: Literal["dlib-68", "none"] = Field(
        default="dlib-68",
        description="model of outlines that reads the actions of a challenge; dlib-68 excludes commercial use (300-W)",
    )
    face_engine: Path | None = Field(
        default=None,
        description="YAML of an engine made of the operator's own ONNX models; it enrols from then on",
    )
    clock_file: Path | None = Field(
        default=None, description="seconds added to the clock; demonstrations only"
    )
    api_processes: int = Field(
        default=1, ge=1, le=64, description="server processes that share the API's port"
    )
    face_processes: int = Field(default=1, ge=1, le=64, description="face engines a worker runs in parallel")
    verification_batch: int = Field(
        default=16, ge=1, le=500, description="submissions of one school that a worker takes at a time"
    )
    verification_lease: int = Field(
        default=30,
        ge=2,
        le=3600,
        description="seconds after which a silent worker's submissions go to another",
    )
    verification_attempts: int = Field(
        default=5, ge=1, le=100, description="attempts after which a submission is a dead letter"
    )
    pool_size: int = Field(default=10, ge=1, description="database connections kept by a process")
    intake_queue: int = Field(
        default=2000,
        ge=0,
        description="envelopes that may wait in a process; whoever comes beyond is asked to come back. 2000 are"
        " seconds of work, and 4 MB of ordinary envelopes (130 MB of the largest)",
    )
    intake_wait: float = Field(
        default=4.0,
        gt=0,
        description="seconds that an envelope may have to wait before newcomers are asked to come back: a phone, and"
        " whoever holds it, gives an answer up after about ten",
    )
    intake_spread: int = Field(
        default=20,
        ge=1,
        description="seconds over which those who were asked to come back do so, each at an instant of their own;"
        " together with intake_wait well below the time in which frames may follow",
    )
    intake_attempt_life: int = Field(
        default=1800,
        ge=60,
        description="seconds for which an attempt that was turned away keeps its instant: as long as the shortest"
        " window, in which everyone could be served once",
    )
    request_body_limit: int = Field(default=8 * 1024 * 1024, description="bytes of the largest accepted body")


class SettingsInvalid(Exception):
    """The environment does not describe a deployment; the message names every variable that is wrong."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process; raises `SettingsInvalid`."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = ", ".join(
            f"DIANMING_{str(item['loc'][0]).upper()} ({item['msg']})" for item in error.errors()
        )
        raise SettingsInvalid(wrong) from error
