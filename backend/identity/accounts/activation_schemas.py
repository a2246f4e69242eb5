"""Wire schemas of activation: a student's steps, and a school's readiness."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import OneOf
from backend.identity.accounts.activation import STEPS
from backend.identity.accounts.readiness import Readiness
from backend.identity.devices.schemas import DeviceOut
from backend.identity.tables import DeviceKey
from backend.people.queries import StudentRow
from backend.people.tables import Student

StepName = Annotated[str, OneOf(STEPS)]


class StudentMeOut(BaseModel):
    """The student's own activation steps (HN334-3.1)."""

    account_id: UUID
    student_id: UUID
    name: str = Field(examples=["张三"])
    done: list[StepName] = Field(examples=[["account", "record_check"]])
    open: list[StepName] = Field(examples=[["location_consent", "face", "portrait"]])
    activated: bool
    verification_route: Literal["face", "non_face"] = Field(
        description="核验方式，可随时更改 · how the student is verified; it can be changed at any time"
    )
    cool_down_until: datetime | None = Field(
        description="换绑后此前签到需二次核验 · check-ins before this instant need a second check"
    )


class StudentActivationOut(BaseModel):
    """A student's activation steps and bound phone, as staff see them (HN334-3.1)."""

    student_id: UUID
    name: str = Field(examples=["张三"])
    class_name: str = Field(examples=["2024级1班"])
    done: list[StepName] = Field(examples=[["account", "record_check"]])
    open: list[StepName] = Field(examples=[["location_consent", "face", "portrait"]])
    device: DeviceOut | None


class ReadinessOut(BaseModel):
    """Counts of the full-time students in school; ready when each has an active counselor (HN334-3.2)."""

    school_id: UUID
    school_name: str = Field(examples=["郑州市某某中等专业学校"])
    ready: bool
    full_time: int = Field(examples=[1200])
    without_counselor: int = Field(examples=[0])
    with_phone: int = Field(examples=[1100])
    activated: int = Field(examples=[1050])


def student_me_out(
    account_id: UUID,
    student: Student,
    open_steps: list[str],
    route: Literal["face", "non_face"],
    device: DeviceKey | None,
) -> StudentMeOut:
    """The own activation as the API returns it."""
    return StudentMeOut(
        account_id=account_id,
        student_id=student.id,
        name=student.name,
        done=[step for step in STEPS if step not in open_steps],
        open=open_steps,
        activated=not open_steps,
        verification_route=route,
        cool_down_until=device.cool_down_until if device else None,
    )


def student_activation_out(
    student: StudentRow, open_steps: list[str], device: DeviceKey | None
) -> StudentActivationOut:
    """A student's activation as the staff API returns it."""
    bound = device and DeviceOut(
        thumbprint=device.jkt, bound_at=device.bound_at, cool_down_until=device.cool_down_until
    )
    return StudentActivationOut(
        student_id=student.id,
        name=student.name,
        class_name=student.class_name,
        done=[step for step in STEPS if step not in open_steps],
        open=open_steps,
        device=bound,
    )


def readiness_out(row: Readiness) -> ReadinessOut:
    """A school's readiness as the API returns it."""
    return ReadinessOut.model_validate(row, from_attributes=True)
