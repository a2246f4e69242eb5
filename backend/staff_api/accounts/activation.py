"""The registrar's desk during activation: counselors' classes, readiness, students' steps, phones, corrections."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from backend.core.keys import KeyRing
from backend.core.pagination import Cursor, Limit, Page, encode_cursor, instant_position
from backend.core.web.problems import documented
from backend.core.web.schema_types import Line, Paragraph, Schema
from backend.identity.accounts.activation import STEPS, activation_gaps
from backend.identity.accounts.readiness import Readiness, readiness_page
from backend.identity.devices.service import RevokeDevice, active_device, revoke_device
from backend.identity.student_record import DecideCorrection, claimed_value, corrections, decide_correction
from backend.people.counselors import AssignClasses, assign_classes
from backend.people.queries import student_row
from backend.people.tables import RecordCheck
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id

router = APIRouter(prefix="/v1", tags=["激活 · activation desk"])

CheckStatus = Literal["open", "accepted", "declined"]
CorrectionStatus = Annotated[CheckStatus, Query(description="申请状态 · status of the requests")]


class ClassesIn(Schema):
    """Classes to hand to the counselor."""

    class_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)]


class ReadinessOut(BaseModel):
    """Counts over the full-time students in school; ready when each has an active counselor (HN334-3.2)."""

    school_id: UUID
    school_name: str = Field(examples=["郑州市某某中等专业学校"])
    ready: bool
    full_time: int = Field(examples=[1200])
    without_counselor: int = Field(examples=[0])
    with_phone: int = Field(examples=[1100])
    activated: int = Field(examples=[1050])


class DeviceOut(BaseModel):
    """The phone that speaks for a student; check-ins before `cool_down_until` need a second check."""

    thumbprint: str = Field(description="RFC 7638", examples=["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"])
    bound_at: datetime
    cool_down_until: datetime | None


class StudentActivationOut(BaseModel):
    """Which steps a student has taken (HN334-3.1)."""

    student_id: UUID
    name: str = Field(examples=["张三"])
    class_name: str = Field(examples=["2024级1班"])
    done: list[str] = Field(examples=[["account", "record_check"]])
    open: list[str] = Field(examples=[["location_consent", "face", "portrait"]])
    device: DeviceOut | None


class RevocationIn(Schema):
    """Why the phone no longer speaks for the student."""

    reason: Line = Field(examples=["手机丢失"])


class CorrectionOut(BaseModel):
    """What a student says is wrong in the record."""

    id: UUID
    student_id: UUID
    student_name: str = Field(examples=["张三"])
    class_name: str = Field(examples=["2024级1班"])
    field: str = Field(examples=["phone"])
    claimed: str = Field(examples=["13900000000"])
    note: str | None
    status: str = Field(examples=["open"])
    at: datetime
    decided_at: datetime | None
    decided_note: str | None


class DecisionIn(Schema):
    """The registrar's answer."""

    decision: Literal["accepted", "declined"]
    note: Paragraph | None = Field(default=None, examples=["已与户口簿核对"])


def _readiness(row: Readiness) -> ReadinessOut:
    return ReadinessOut(
        school_id=row.school_id,
        school_name=row.school_name,
        ready=row.ready,
        full_time=row.full_time,
        without_counselor=row.without_counselor,
        with_phone=row.with_phone,
        activated=row.activated,
    )


def _correction(check: RecordCheck, student_name: str, class_name: str, keys: KeyRing) -> CorrectionOut:
    return CorrectionOut(
        id=check.id,
        student_id=check.student_id,
        student_name=student_name,
        class_name=class_name,
        field=check.field or "",
        claimed=claimed_value(check, keys) or "",
        note=check.note,
        status=check.status,
        at=check.at,
        decided_at=check.decided_at,
        decided_note=check.decided_note,
    )


@router.post(
    "/counselors/{counselor_id}/classes", status_code=204, responses=documented(401, 403, 404, 409, 422)
)
async def assign(counselor_id: UUID, body: ClassesIn, caller: StaffCaller) -> Response:
    """分配班级 · Give classes to a counselor; whoever had them before is relieved."""
    command = AssignClasses(counselor_id, frozenset(body.class_ids))
    async with caller.transaction() as session:
        await assign_classes(session, caller.actor, command, caller.at)
    return Response(status_code=204)


@router.get("/readiness", responses=documented(401, 422))
async def readiness(caller: StaffCaller, cursor: Cursor = None, limit: Limit = 50) -> Page[ReadinessOut]:
    """准备情况 · Which schools are ready for roll calls; a school sees itself."""
    async with caller.transaction() as session:
        rows = await readiness_page(session, caller.actor, position_id(cursor), limit + 1)
    return page_of(rows, limit, _readiness, lambda row: row.school_id)


@router.get("/students/{student_id}/activation", responses=documented(401, 403, 404, 422))
async def student_activation(student_id: UUID, caller: StaffCaller) -> StudentActivationOut:
    """学生激活进度 · Which steps a student has taken, and the bound phone."""
    async with caller.transaction() as session:
        row = await student_row(session, caller.actor, caller.app_context.keys, student_id)
        gaps = await activation_gaps(session, student_id)
        device = await active_device(session, student_id)
    bound = device and DeviceOut(
        thumbprint=device.jkt, bound_at=device.bound_at, cool_down_until=device.cool_down_until
    )
    return StudentActivationOut(
        student_id=student_id,
        name=row.name,
        class_name=row.class_name,
        done=[step for step in STEPS if step not in gaps],
        open=gaps,
        device=bound,
    )


@router.post(
    "/students/{student_id}/device/revocation", status_code=204, responses=documented(401, 403, 404, 409, 422)
)
async def revoke(student_id: UUID, body: RevocationIn, caller: StaffCaller) -> Response:
    """解绑学生手机 · Revoke a student's phone; it is refused at its next request."""
    async with caller.transaction() as session:
        await revoke_device(session, caller.actor, RevokeDevice(student_id, body.reason), caller.at)
    return Response(status_code=204)


@router.get("/record-corrections", responses=documented(401, 403, 422))
async def list_corrections(
    caller: StaffCaller, status: CorrectionStatus = "open", cursor: Cursor = None, limit: Limit = 50
) -> Page[CorrectionOut]:
    """学籍信息更正申请 · What students say is wrong, oldest first; a counselor sees the own classes."""
    async with caller.transaction() as session:
        rows = await corrections(session, caller.actor, status, instant_position(cursor), limit + 1)
    shown = rows[:limit]
    following = None
    if len(rows) > limit:
        last = shown[-1][0]
        following = encode_cursor(last.at.isoformat(), str(last.id))
    return Page(items=[_correction(*row, caller.app_context.keys) for row in shown], next_cursor=following)


@router.post("/record-corrections/{check_id}/decision", responses=documented(401, 403, 404, 409, 422))
async def decide(check_id: UUID, body: DecisionIn, caller: StaffCaller) -> CorrectionOut:
    """处理更正申请 · Accept or decline; contact data change at once, the legal record only by the roster."""
    command = DecideCorrection(check_id, body.decision, body.note)
    async with caller.transaction() as session:
        check = await decide_correction(session, caller.actor, caller.app_context.keys, command, caller.at)
        row = await student_row(session, caller.actor, caller.app_context.keys, check.student_id)
    return _correction(check, row.name, row.class_name, caller.app_context.keys)
