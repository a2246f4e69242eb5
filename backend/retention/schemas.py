"""Schemas of the API for retention runs."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.web.schema_types import OneOf
from backend.retention.tables import RetentionRun
from backend.retention.tasks import KINDS


class RetentionRunOut(BaseModel):
    """One run over one kind. A run that deleted nothing has no oldest and newest item."""

    id: UUID
    kind: Annotated[str, OneOf([each.name for each in KINDS])] = Field(
        examples=["frames"],
        description="frames, frames_not_looked_at, enrolment_shots, portraits, templates, unconfirmed_probes, picture_keys, envelopes,"
        " attester_positions 或 picture_views · what was deleted",
    )
    items: int = Field(
        examples=[128],
        description="核验、采集、证件照、学生、现场核验、查看记录或演练特征的数量 · check-ins, enrolments, portraits, students,"
        " attestations, views or probes",
    )
    files: int = Field(examples=[1024], description="删除的图片数 · deleted pictures")
    size_bytes: int | None = Field(
        examples=[52428800], description="图片字节数，未知为空 · size of the pictures; null if unknown"
    )
    oldest: datetime | None = Field(description="最早一项的形成时间 · creation time of the oldest item")
    newest: datetime | None = Field(description="最晚一项的形成时间 · creation time of the newest item")
    started_at: datetime
    finished_at: datetime

    @classmethod
    def of(cls, row: RetentionRun) -> Self:
        """Built from its row, without the organisation."""
        return cls.model_validate(row, from_attributes=True)


class KindTotalOut(BaseModel):
    """What was deleted of one kind in the period of the summary."""

    model_config = ConfigDict(from_attributes=True)

    kind: Annotated[str, OneOf([each.name for each in KINDS])] = Field(examples=["frames"])
    runs: int = Field(examples=[720])
    items: int = Field(examples=[1280])
    files: int = Field(examples=[10240])
    size_bytes: int | None = Field(examples=[524288000])
    last_run_at: datetime


class RetentionSummaryOut(BaseModel):
    """When retention runs next, and what it deleted of each kind since `since`."""

    next_run_at: datetime
    since: datetime
    kinds: list[KindTotalOut]
