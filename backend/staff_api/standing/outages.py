"""Outages, and the measured availability of the service that speaks for or against them (reading 8)."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backend.core.availability import availability
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.core.web.schema_types import Line, Moment, Paragraph, Schema
from backend.roll_call.facts_for_standing import tolerated_gap
from backend.roll_call.oversight import access_roll_call
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id
from backend.standing.outages.queries import (
    OutageSearch,
    OutageState,
    OutageView,
    outage_for,
    outages_page,
)
from backend.standing.outages.service import (
    DecideOutage,
    DeclareOutage,
    decide_outage,
    declare_outage,
    end_outage,
)

router = APIRouter(prefix="/v1", tags=["中断 · outages"])


class OutageIn(Schema):
    """What was out for everybody below a unit; without an end it still goes on."""

    org_id: UUID
    what: Line = Field(examples=["校园网出口故障，学生无法上网"])
    starts_at: Moment = Field(examples=["2026-10-12T08:00:00+08:00"])
    ends_at: Moment | None = Field(default=None, examples=["2026-10-12T09:30:00+08:00"])


class OutageEndIn(Schema):
    """When the outage was over; now, if nothing is said."""

    ends_at: Moment | None = Field(default=None, examples=["2026-10-12T09:30:00+08:00"])


class OutageDecisionIn(Schema):
    """The superior's answer."""

    approved: bool
    opinion: Paragraph = Field(examples=["运营商故障通报属实"])


class OutageDecisionOut(BaseModel):
    """The superior's answer."""

    approved: bool
    opinion: str = Field(examples=["运营商故障通报属实"])
    decided_at: datetime


class OutageOut(BaseModel):
    """An outage and what became of it; nobody is excused by one that is not approved."""

    id: UUID
    org_id: UUID
    what: str = Field(examples=["校园网出口故障，学生无法上网"])
    starts_at: datetime
    ends_at: datetime | None = Field(description="未结束时为空 · null while it lasts")
    lapses_at: datetime = Field(
        description="未登记结束的最迟计至此时 · it counts until then at most, if no end is recorded"
    )
    declared_at: datetime
    state: OutageState = Field(examples=["waiting"])
    decision: OutageDecisionOut | None

    @classmethod
    def of(cls, view: OutageView) -> Self:
        row, decision = view.outage, view.decision
        answer = (
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
            decision=answer,
        )


class AvailabilityOut(BaseModel):
    """The marks that the service left, one a minute, in the part of a window that is over."""

    opens_at: datetime
    until: datetime = Field(description="时段已过去的部分 · the end of the window, or now")
    minutes: int = Field(description="时段分钟数 · minutes of the window", examples=[60])
    marked: int = Field(description="有可用记录的分钟数 · minutes with a mark", examples=[51])
    longest_gap_seconds: int = Field(examples=[540])
    tolerated_gap_seconds: int = Field(examples=[300])
    complete: bool = Field(
        description="空缺是否在允许范围内 · whether the gaps are tolerated", examples=[False]
    )


@router.post("/outages", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_outage(caller: StaffCaller, body: OutageIn) -> OutageOut:
    """申报系统或网络中断 · Declare an outage of the own unit or one below it."""
    command = DeclareOutage(body.org_id, body.what, body.starts_at, body.ends_at)
    async with caller.transaction() as session:
        view = await declare_outage(session, caller.actor, command, caller.at)
    return OutageOut.of(view)


@router.get("/outages", responses=documented(401, 422))
async def list_outages(
    caller: StaffCaller,
    state: OutageState | None = None,
    org_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[OutageOut]:
    """中断申报（新的在前） · Outages of the units below and of those above that reach down here; newest first."""
    search = OutageSearch(state, org_id)
    async with caller.transaction() as session:
        rows = await outages_page(session, caller.actor, search, position_id(cursor), limit + 1)
    return page_of(rows, limit, OutageOut.of, lambda view: view.outage.id)


@router.get("/outages/{outage_id}", responses=documented(401, 404, 422))
async def get_outage(caller: StaffCaller, outage_id: UUID) -> OutageOut:
    """查看中断申报 · One outage."""
    async with caller.transaction() as session:
        view = await outage_for(session, caller.actor, outage_id)
    return OutageOut.of(view)


@router.post("/outages/{outage_id}/end", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_end(caller: StaffCaller, outage_id: UUID, body: OutageEndIn) -> OutageOut:
    """登记中断结束（由申报单位） · Record when it was over, by the unit that declared it."""
    async with caller.transaction() as session:
        view = await end_outage(session, caller.actor, outage_id, body.ends_at, caller.at)
    return OutageOut.of(view)


@router.post("/outages/{outage_id}/decision", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_decision(caller: StaffCaller, outage_id: UUID, body: OutageDecisionIn) -> OutageOut:
    """审核中断申报（由申报单位的上级） · Approve or refuse, once, by a superior of the declaring unit."""
    command = DecideOutage(outage_id, body.approved, body.opinion)
    async with caller.transaction() as session:
        view = await decide_outage(session, caller.actor, command, caller.at)
    return OutageOut.of(view)


@router.get("/roll-calls/{roll_call_id}/availability", responses=documented(401, 404, 422))
async def get_availability(caller: StaffCaller, roll_call_id: UUID) -> AvailabilityOut:
    """核验时段内服务可用性记录 · Whether the service could be reached through the window."""
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        until = max(roll_call.opens_at, min(roll_call.deadline, caller.at))
        found = await availability(session, (roll_call.opens_at, until))
    tolerated = tolerated_gap(roll_call)
    return AvailabilityOut(
        opens_at=roll_call.opens_at,
        until=until,
        minutes=found.minutes,
        marked=found.marked,
        longest_gap_seconds=int(found.longest_gap.total_seconds()),
        tolerated_gap_seconds=int(tolerated.total_seconds()),
        complete=found.longest_gap <= tolerated,
    )
