"""Wire schemas of phone changes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import LongText, Schema
from backend.identity.phone_changes.queries import PhoneChangeView
from backend.identity.phone_changes.rules import PhoneChangeState
from backend.identity.tables import PhoneChange
from backend.people.identifiers import mask

MobileNumber = Annotated[str, StringConstraints(pattern=r"^1[3-9][0-9]{9}$")]


class PhoneChangeIn(Schema):
    """A number that the school proposes for a student who has bound a phone."""

    student_id: UUID
    phone: MobileNumber = Field(
        description="手机号，接收短信验证码 · receives codes by SMS", examples=["13900000000"]
    )
    reasons: LongText = Field(examples=["学生更换手机号，原号码已停用，监护人到校核实"])


class PhoneChangeDecisionIn(Schema):
    """A superior approves or refuses; the school withdraws."""

    outcome: Literal[PhoneChangeState.APPROVED, PhoneChangeState.REFUSED, PhoneChangeState.WITHDRAWN]
    reasons: LongText = Field(
        description="如何核实 · how it was verified", examples=["已致电新号码，并与学生本人当面核实"]
    )


class PhoneChangeAnswerIn(Schema):
    """The student's answer on the bound phone."""

    outcome: Literal[PhoneChangeState.CONFIRMED, PhoneChangeState.REFUSED]


class OwnPhoneChangeOut(BaseModel):
    """A proposed number, as the student reads it. Numbers are masked."""

    id: UUID
    state: PhoneChangeState
    old_phone: str | None = Field(examples=["138******00"])
    new_phone: str = Field(examples=["139******00"])
    proposed_at: datetime
    decided_at: datetime | None

    @classmethod
    def of(cls, change: PhoneChange) -> "OwnPhoneChangeOut":
        return cls(
            id=change.id,
            state=PhoneChangeState(change.state),
            old_phone=mask(change.old_phone) if change.old_phone else None,
            new_phone=mask(change.new_phone),
            proposed_at=change.proposed_at,
            decided_at=change.decided_at,
        )


class PhoneChangeOut(BaseModel):
    """A proposed number, as staff read it: in full, because the decider must call it."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    student_id: UUID
    student_name: str = Field(examples=["张三"])
    class_name: str = Field(examples=["2024级1班"])
    state: PhoneChangeState
    old_phone: str | None = Field(examples=["13800000000"])
    new_phone: str = Field(examples=["13900000000"])
    reasons: str | None = Field(description="花名册导入的为空 · null for a roster import")
    proposed_by: UUID | None
    proposed_at: datetime
    decided_by: UUID | None
    decided_by_name: str | None = Field(default=None, examples=["王老师"])
    decided_at: datetime | None
    decision_reasons: str | None

    @classmethod
    def of(cls, view: PhoneChangeView) -> "PhoneChangeOut":
        change = view.change
        return cls(
            id=change.id,
            school_id=change.school_id,
            student_id=change.student_id,
            student_name=view.student_name,
            class_name=view.class_name,
            state=PhoneChangeState(change.state),
            old_phone=change.old_phone,
            new_phone=change.new_phone,
            reasons=change.reasons,
            proposed_by=change.proposed_by,
            proposed_at=change.proposed_at,
            decided_by=change.decided_by,
            decided_at=change.decided_at,
            decision_reasons=change.decision_reasons,
        )
