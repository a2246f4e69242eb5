"""Wire schemas of devices: registering a phone, and the phone bound to a student."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self, cast
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from backend.core.web.schema_types import OneOf, Schema, ShortText
from backend.identity.devices.cool_down import CoolDownActKind
from backend.identity.devices.objections import ObjectionView
from backend.identity.devices.tables import RebindingObjection
from backend.identity.tables import Registration


class RegistrationIn(Schema):
    """Name and number on the identity document. Spaces, full-width forms and the kind of middle dot do not matter."""

    name: ShortText = Field(examples=["张三"])
    id_number: ShortText = Field(examples=["11010519491231002X"])


class RegistrationOut(BaseModel):
    """The same answer for every request, whether or not the person is on a roster."""

    registration_id: UUID
    expires_in: int = Field(
        description="验证码有效秒数 · seconds for which the code can be used", examples=[300]
    )


class ConfirmationIn(Schema):
    """The code from the SMS, the code that staff gave in person, or both."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] | None = Field(
        default=None, examples=["493027"]
    )
    in_person_code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z2-9]{10}$")] | None = Field(
        default=None, description="当面绑定码 · the code that staff gave in person", examples=["7KQ2MZP4XA"]
    )

    @model_validator(mode="after")
    def _require_a_code(self) -> Self:
        if self.code is None and self.in_person_code is None:
            raise PydanticCustomError("code_missing", "send a code", {"zh": "请填写短信验证码或当面绑定码"})
        return self


class RegistrationStateOut(BaseModel):
    """How far a registration is. A person who is not on a roster gets `open`."""

    state: Literal["open", "check_needed", "confirmed"] = Field(
        description="check_needed：验证码已通过，还需人脸或当面绑定码 · the code was right, a face or a code given in person is needed"
    )
    face: Literal["pending", "matched", "refused"] | None
    face_reasons: list[dict[str, Any]] = Field(
        description="人脸未通过的原因 · reasons against the pictures: code, zh, en"
    )


class BindingCodeIn(Schema):
    """How staff checked in person who the student is."""

    identity_check: ShortText = Field(examples=["当面核对身份证原件与本人"])


class BindingCodeOut(BaseModel):
    """The code, shown only once; the student enters it on the new phone."""

    code: str = Field(examples=["7KQ2MZP4XA"])
    expires_at: datetime


class ObjectionIn(Schema):
    """What the owner of the old phone says; optional."""

    note: ShortText | None = Field(default=None, examples=["不是我换的手机"])


class ObjectionOut(BaseModel):
    """An objection to a new phone."""

    id: UUID
    at: datetime
    state: Literal["open", "upheld", "dismissed"]


class StaffObjectionOut(ObjectionOut):
    """An objection as staff see it."""

    student_id: UUID
    student_name: str = Field(examples=["张三"])
    class_name: str = Field(examples=["2024级1班"])
    note: str | None
    reason: str | None = Field(description="处理理由 · reason of the decision")
    decided_at: datetime | None


class ObjectionDecisionIn(Schema):
    """The decision after the student was seen in person; `upheld` revokes the new phone."""

    outcome: Literal["upheld", "dismissed"]
    reason: ShortText = Field(examples=["当面核对，新手机不是本人的"])


class CoolDownActOut(BaseModel):
    """What the student did on a new phone during its cool-down."""

    kind: Annotated[str, OneOf(CoolDownActKind)] = Field(
        examples=["appeal"],
        description="consent_revoked、non_face_route、reason_claim、statement、appeal、appeal_message",
    )
    subject_id: UUID | None
    at: datetime


class DeviceOut(BaseModel):
    """The student's active phone; check-ins before `cool_down_until` need a second check."""

    thumbprint: str = Field(description="RFC 7638", examples=["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"])
    bound_at: datetime
    cool_down_until: datetime | None


class RevocationIn(Schema):
    """Why the phone is revoked."""

    reason: ShortText = Field(examples=["手机丢失"])


def registration_state_out(row: Registration | None) -> RegistrationStateOut:
    """The state of a registration as the API returns it; a decoy looks like one that was not confirmed."""
    if row is None:
        return RegistrationStateOut(state="open", face=None, face_reasons=[])
    waits = "open" if row.sms_confirmed_at is None else "check_needed"
    return RegistrationStateOut(
        state="confirmed" if row.confirmed_at is not None else cast("Literal['open', 'check_needed']", waits),
        face=cast("Literal['pending', 'matched', 'refused'] | None", row.face_status),
        face_reasons=row.face_reasons,
    )


def objection_out(row: RebindingObjection) -> ObjectionOut:
    """A new objection as the API returns it to the old phone."""
    return ObjectionOut(id=row.id, at=row.at, state="open")


def staff_objection_out(view: ObjectionView) -> StaffObjectionOut:
    """An objection as the staff API returns it."""
    decision = view.decision
    state = "open" if decision is None else decision.outcome
    return StaffObjectionOut(
        id=view.objection.id,
        at=view.objection.at,
        state=cast("Literal['open', 'upheld', 'dismissed']", state),
        student_id=view.objection.student_id,
        student_name=view.student_name,
        class_name=view.class_name,
        note=view.objection.note,
        reason=None if decision is None else decision.reason,
        decided_at=None if decision is None else decision.at,
    )
