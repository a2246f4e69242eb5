"""Wire schemas of activation: a student's steps, and a school's readiness."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.actor import Actor
from backend.core.web.schema_types import OneOf
from backend.identity.accounts.activation import STEPS
from backend.identity.accounts.own_profile import OwnProfile
from backend.identity.accounts.readiness import Readiness
from backend.identity.devices.schemas import DeviceOut
from backend.identity.tables import DeviceKey
from backend.people.queries import StudentRow

StepName = Annotated[str, OneOf(STEPS)]


class OwnCounselorOut(BaseModel):
    """The counselor of the own class, and how to reach them."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str = Field(examples=["李老师"])
    phone: str | None = Field(examples=["13800000000"])


class CapabilitiesOut(BaseModel):
    """What the student can do now."""

    may_check_in: bool = Field(
        description="能否用手机核验（已采集人脸、激活完成、须参加核验） · can check in by phone when a roll call is open"
    )
    is_verified: bool = Field(
        description="是否须参加核验（全日制在读） · takes part in roll calls: full-time and in school"
    )
    has_device: bool
    has_face: bool = Field(description="已采集人脸 · a face is enrolled")
    has_guardian: bool = Field(
        description="名册中有可联系的监护人 · the roster has a guardian with a phone number"
    )
    needs_guardian: bool = Field(
        description="未成年，同意须监护人签名 · consents need the name of a guardian, because of the age"
    )


class UploadLimitsOut(BaseModel):
    """Limits of uploads; those of a check-in are in its challenge."""

    model_config = ConfigDict(from_attributes=True)

    attachment_bytes: int = Field(examples=[5_000_000])
    attachments_per_subject: int = Field(description="每项最多附件数 · files of one request", examples=[5])
    face_pictures_min: int = Field(examples=[3])
    face_pictures_max: int = Field(examples=[5])
    request_bytes: int = Field(
        description="一次提交的总字节数 · the whole body of one request", examples=[20_000_000]
    )


class StudentMeOut(BaseModel):
    """The student with school, class and counselor, the own activation steps (HN334-3.1), and what is possible now."""

    account_id: UUID
    student_id: UUID
    name: str = Field(examples=["张三"])
    school_id: UUID
    school_name: str = Field(examples=["郑州市第一职业学校"])
    class_id: UUID
    class_name: str = Field(examples=["2024级1班"])
    counselor: OwnCounselorOut | None = Field(description="班级尚无辅导员时为空 · null: the class has none")
    done: list[StepName] = Field(examples=[["account", "record_check"]])
    open: list[StepName] = Field(examples=[["location_consent", "face", "portrait"]])
    activated: bool
    verification_route: Literal["face", "non_face"] = Field(
        description="核验方式，可随时更改 · how the student is verified; it can be changed at any time"
    )
    cool_down_until: datetime | None = Field(
        description="换绑后此前签到需二次核验 · check-ins before this instant need a second check"
    )
    capabilities: CapabilitiesOut
    limits: UploadLimitsOut
    server_time: datetime


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


def student_me_out(actor: Actor, profile: OwnProfile, request_bytes: int, at: datetime) -> StudentMeOut:
    """The own profile as the API returns it."""
    student, device, limits = profile.student, profile.device, profile.limits
    return StudentMeOut(
        account_id=actor.account_id,
        student_id=student.id,
        name=student.name,
        school_id=student.school_id,
        school_name=profile.school.name,
        class_id=student.class_id,
        class_name=profile.school_class.name,
        counselor=OwnCounselorOut.model_validate(profile.counselor) if profile.counselor else None,
        done=[step for step in STEPS if step not in profile.open_steps],
        open=profile.open_steps,
        activated=not profile.open_steps,
        verification_route=profile.route,
        cool_down_until=device.cool_down_until if device else None,
        capabilities=CapabilitiesOut(
            may_check_in=profile.may_check_in,
            is_verified=profile.is_verified,
            has_device=device is not None,
            has_face=profile.has_face,
            has_guardian=profile.has_guardian,
            needs_guardian=profile.needs_guardian,
        ),
        limits=UploadLimitsOut(
            attachment_bytes=limits.attachment_bytes,
            attachments_per_subject=limits.attachments_per_subject,
            face_pictures_min=limits.face_pictures_min,
            face_pictures_max=limits.face_pictures_max,
            request_bytes=request_bytes,
        ),
        server_time=at,
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
