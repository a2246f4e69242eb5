"""Response schemas for guardians."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.appeal.schemas import AgainstIn
from backend.core.web.schema_types import LongText, OneOf, Schema
from backend.guardian.access import GuardianAccess
from backend.guardian.queries import GuardedStudent, Miss
from backend.people.attachment_schemas import AttachmentIds
from backend.roll_call.reason_texts import OUTCOME_REASONS, reason
from backend.roll_call.rules import NotCountedReason, RollCallKind
from backend.standing.claims.queries import ClaimState
from backend.standing.claims.schemas import Code
from backend.standing.student_view.counting import NOT_COUNTED


class GuardianClaimIn(Schema):
    """A justified reason for a missed roll call, with files."""

    reason_code: Code = Field(
        description="目录代码，见 GET /v1/guardian/justified-reasons · a code of the catalogue",
        examples=["illness"],
    )
    text: LongText | None = Field(default=None, examples=["当天发烧就诊，附病历"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class GuardianStatementIn(Schema):
    """A statement on a prompt."""

    text: LongText = Field(examples=["孩子当天在医院，附病历"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class GuardianAppealIn(Schema):
    """An appeal: what it is against, and its grounds."""

    against: AgainstIn
    text: LongText = Field(examples=["孩子当天在校上课，任课老师可以证明。"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class CounselorContactOut(BaseModel):
    """The counselor to call."""

    name: str = Field(examples=["李老师"])
    phone: str | None = Field(examples=["13800000000"])


class GuardianOut(BaseModel):
    """The guardian of the link, and what the link allows."""

    name: str = Field(examples=["张大山"])
    relation: str | None = Field(examples=["父亲"])
    expires_at: datetime = Field(description="链接失效时间 · when the link stops working")
    may_act: bool = Field(
        description="学生未满十八周岁，可代为申报理由、陈述意见、提出申诉 · the student is a minor: the guardian may claim, state"
        " and appeal"
    )


class GuardedStudentOut(BaseModel):
    """The student of the link, with school, class and counselor."""

    name: str = Field(examples=["张三"])
    school_name: str = Field(examples=["郑州市第一职业学校"])
    class_name: str = Field(examples=["2024级1班"])
    counselor: CounselorContactOut | None = Field(
        description="班级尚无辅导员时为空 · null: the class has none"
    )
    guardian: GuardianOut
    server_time: datetime

    @classmethod
    def of(cls, student: GuardedStudent, access: GuardianAccess, at: datetime) -> Self:
        counselor = student.counselor
        return cls(
            name=student.name,
            school_name=student.school_name,
            class_name=student.class_name,
            counselor=CounselorContactOut(name=counselor.name, phone=counselor.phone) if counselor else None,
            guardian=GuardianOut(
                name=access.name,
                relation=access.relation,
                expires_at=access.expires_at,
                may_act=access.may_act,
            ),
            server_time=at,
        )


class MissOut(BaseModel):
    """A missed roll call, why, whether it counts, and the state of the student's claim of a justified reason."""

    roll_call_id: UUID
    title: str = Field(examples=["十月学籍核验"])
    kind: Annotated[str, OneOf(RollCallKind)] = Field(examples=["spot_check"])
    opens_at: datetime
    closes_at: datetime
    reason: Annotated[str, OneOf(OUTCOME_REASONS)] = Field(examples=["no_check_in"])
    reason_zh: str
    reason_en: str
    counts: bool | None = Field(
        description="是否计入次数；null 表示尚未统计 · whether it counts; null: not assessed yet"
    )
    not_counted_reason: Annotated[str, OneOf(NotCountedReason)] | None = Field(examples=[None])
    not_counted_zh: str | None
    not_counted_en: str | None
    claim: ClaimState | None = Field(
        description="正当理由申报的状态；null 表示未申报 · state of the claim; null: none was filed",
        examples=[None],
    )

    @classmethod
    def of(cls, miss: Miss) -> Self:
        roll_call, outcome = miss.view.roll_call, miss.view.outcome
        assert outcome is not None
        sentence = reason(outcome.reason)
        why = miss.counting.why if miss.counting else None
        words = NOT_COUNTED[why] if why else None
        return cls(
            roll_call_id=roll_call.id,
            title=roll_call.title,
            kind=roll_call.kind,
            opens_at=roll_call.opens_at,
            closes_at=roll_call.deadline,
            reason=outcome.reason,
            reason_zh=sentence.zh,
            reason_en=sentence.en,
            counts=miss.counting.why is None if miss.counting else None,
            not_counted_reason=why,
            not_counted_zh=words.zh if words else None,
            not_counted_en=words.en if words else None,
            claim=miss.claim,
        )
