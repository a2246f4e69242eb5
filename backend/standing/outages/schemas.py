"""Request and response schemas of outages and of the service's availability for the staff API."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import LongText, Schema, ShortText, Timestamp
from backend.standing.outages.queries import OutageState, OutageView


class OutageIn(Schema):
    """An outage for everyone below a unit. Without an end it is still ongoing."""

    org_id: UUID
    what: ShortText = Field(examples=["校园网出口故障，学生无法上网"])
    starts_at: Timestamp = Field(examples=["2026-10-12T08:00:00+08:00"])
    ends_at: Timestamp | None = Field(default=None, examples=["2026-10-12T09:30:00+08:00"])


class OutageEndIn(Schema):
    """The end of the outage; the default is now."""

    ends_at: Timestamp | None = Field(default=None, examples=["2026-10-12T09:30:00+08:00"])


class OutageDecisionIn(Schema):
    """The decision of the superior."""

    approved: bool
    opinion: LongText = Field(examples=["运营商故障通报属实"])


class OutageDecisionOut(BaseModel):
    """The decision of the superior."""

    approved: bool
    opinion: str = Field(examples=["运营商故障通报属实"])
    decided_at: datetime


class OutageOut(BaseModel):
    """An outage and its state. It excuses misses only once it is approved."""

    id: UUID
    org_id: UUID
    org_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    what: str = Field(examples=["校园网出口故障，学生无法上网"])
    starts_at: datetime
    ends_at: datetime | None = Field(description="未结束时为空 · null while it lasts")
    lapses_at: datetime = Field(
        description="未登记结束的最迟计至此时 · the latest end that counts if none is recorded"
    )
    declared_at: datetime
    state: OutageState = Field(examples=["waiting"])
    decision: OutageDecisionOut | None

    @classmethod
    def of(cls, view: OutageView) -> Self:
        row, decision = view.outage, view.decision
        decision_out = (
            OutageDecisionOut(approved=decision.approved, opinion=decision.opinion, decided_at=decision.at)
            if decision
            else None
        )
        return cls(
            id=row.id,
            org_id=row.org_id,
            what=row.what,
            starts_at=row.starts_at,
            ends_at=view.ends_at,
            lapses_at=row.lapses_at,
            declared_at=row.declared_at,
            state=view.state,
            decision=decision_out,
        )


class OutageAvailabilityOut(BaseModel):
    """What the service recorded about itself in the time of an outage. It does not see the networks of the units."""

    starts_at: datetime
    until: datetime = Field(
        description="中断结束、最迟计至的时间或现在，取最早者 · the end of the outage, the latest end that counts, or now,"
        " whichever is first"
    )
    minutes: int = Field(description="时段分钟数 · minutes of the period", examples=[90])
    marked: int = Field(description="有可用记录的分钟数 · minutes with a heartbeat", examples=[84])
    longest_gap_seconds: int = Field(examples=[240])
    overloaded_seconds: int = Field(
        description="因过载拒绝过请求的秒数 · seconds in which requests were rejected under load",
        examples=[12],
    )
    rejected: int = Field(description="被拒绝的请求数 · rejected requests", examples=[430])


class AvailabilityOut(BaseModel):
    """The service's heartbeats, one per minute, in the part of a window that is over."""

    opens_at: datetime
    until: datetime = Field(description="时段已过去的部分 · the end of the window, or now")
    minutes: int = Field(description="时段分钟数 · minutes of the window", examples=[60])
    marked: int = Field(description="有可用记录的分钟数 · minutes with a heartbeat", examples=[51])
    longest_gap_seconds: int = Field(examples=[540])
    tolerated_gap_seconds: int = Field(examples=[300])
    complete: bool = Field(
        description="空缺是否在允许范围内 · whether every gap is within the tolerance", examples=[False]
    )
