"""Wire schemas of attestations: card codes, sites, reasons, limits, reviews."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from backend.core.web.bulk_schemas import Ids, RowOut, count_outcomes, row_fields
from backend.core.web.schema_types import LongText, OneOf, Schema, ShortText
from backend.roll_call.attestation.card_codes import IssuedCode
from backend.roll_call.attestation.limits import AttestationLimit
from backend.roll_call.attestation.queries import AttestationView
from backend.roll_call.attestation.reasons import AttestationReason
from backend.roll_call.attestation.review import SampledAttestation
from geo.datum import Datum


class AttestationReasonOut(BaseModel):
    """A reason to choose from. `needs_text`: it is accepted only with a text."""

    code: Annotated[str, OneOf(AttestationReason)] = Field(examples=["phone_broken"])
    zh: str = Field(examples=["手机损坏"])
    en: str = Field(examples=["phone broken"])
    needs_text: bool = Field(examples=[False])


class AttestationLimitOut(BaseModel):
    """How many students may be attested in this roll call. Looks of the school count too."""

    limit: int = Field(description="名额 · the limit of the policy", examples=[20])
    used: int = Field(description="已用 · attested so far", examples=[2])
    left: int = Field(description="剩余 · still possible", examples=[18])

    @classmethod
    def of(cls, limit: AttestationLimit) -> Self:
        return cls(limit=limit.limit, used=limit.used, left=limit.left)


class ClassAttestationLimitOut(AttestationLimitOut):
    """The limit of one class."""

    class_id: UUID
    class_name: str | None = Field(default=None, examples=["2024级1班"])

    @classmethod
    def of_class(cls, class_id: UUID, limit: AttestationLimit) -> Self:
        return cls(class_id=class_id, limit=limit.limit, used=limit.used, left=limit.left)


class AttestationLimitsOut(BaseModel):
    """The limits that apply to the caller: an attestation needs one left in both."""

    own: AttestationLimitOut | None = Field(
        description="本人名额；学校管理员不办理现场核验，为空 · one's own limit; null for a registrar, who cannot attest"
    )
    classes: list[ClassAttestationLimitOut]


class AttesterPositionIn(Schema):
    """Where the counselor's browser is now. All fields are required; the datum is never guessed."""

    lon: float = Field(description="degrees in the datum", examples=[113.5312])
    lat: float = Field(description="degrees in the datum", examples=[34.8203])
    accuracy_m: float = Field(description="radius of the 95 % circle in metres", examples=[18.0])
    datum: Datum = Field(examples=["wgs84"])
    age_s: float = Field(description="seconds since the position was taken", examples=[1.0])


class AttestIn(Schema):
    """A counselor sees the student on a filed site and enters the code of the student's card."""

    student_id: UUID
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")] = Field(examples=["20481357"])
    site_version_id: UUID
    reason_code: AttestationReason = Field(
        default=AttestationReason.OTHER,
        description="原因代码，见 GET /v1/attestation-reasons；other 须写明 reason · a code of that list; `other` needs `reason`",
        examples=["phone_broken"],
    )
    reason: ShortText | None = Field(
        default=None, description="补充说明 · more about the reason", examples=["手机损坏"]
    )
    position: AttesterPositionIn

    @model_validator(mode="after")
    def _require_reason(self) -> Self:
        if self.reason_code is AttestationReason.OTHER and self.reason is None:
            raise PydanticCustomError(
                "reason_missing",
                "choose a reason, or write one",
                {"zh": "请选择原因，或写明原因"},
            )
        return self


class AttestationOut(BaseModel):
    """A recorded attestation. Whether it is sampled for review is told to the reviewing side only."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    site_version_id: UUID
    at: datetime


class ListedAttestationOut(BaseModel):
    """An attestation in the list of a roll call."""

    student_id: UUID
    student_name: str = Field(examples=["王小明"])
    class_id: UUID
    class_name: str = Field(examples=["24电商1班"])
    site_version_id: UUID
    site_name: str | None = Field(examples=["主校区"])
    reason_code: Annotated[str, OneOf(AttestationReason)] = Field(examples=["phone_broken"])
    reason: str = Field(examples=["手机损坏"])
    attested_by: UUID
    attested_by_name: str | None = Field(examples=["李老师"])
    at: datetime

    @classmethod
    def of(cls, view: AttestationView) -> Self:
        """Build the response for an attestation."""
        row = view.attestation
        return cls(
            student_id=row.student_id,
            student_name=view.student_name,
            class_id=row.class_id,
            class_name=view.class_name,
            site_version_id=row.site_version_id,
            site_name=view.site_name,
            reason_code=row.reason_code,
            reason=row.reason,
            attested_by=row.attested_by,
            attested_by_name=view.attester_name,
            at=row.at,
        )


class AttestationSampleOut(BaseModel):
    """A sampled attestation for the reviewing side, with its review and its escalation."""

    roll_call_id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    class_id: UUID
    class_name: str | None = Field(default=None, examples=["2024级1班"])
    site_version_id: UUID
    reason: str = Field(examples=["手机损坏"])
    attested_by: UUID
    attested_by_name: str | None = Field(default=None, examples=["王老师"])
    session_id: UUID = Field(description="sign-in session of the attester")
    position: dict[str, Any] = Field(description="where the attester was, and the evaluation")
    at: datetime
    state: Literal["open", "overdue", "reviewed"]
    overdue_since: datetime | None
    upheld: bool | None = Field(description="the result of the review; null until there is one")
    reviewed_by: UUID | None
    reviewed_by_name: str | None = Field(default=None, examples=["王老师"])

    @classmethod
    def of(cls, sample: SampledAttestation) -> Self:
        """Build the response for a sample."""
        row, review, escalation = sample.attestation, sample.review, sample.escalation
        return cls(
            roll_call_id=row.roll_call_id,
            student_id=row.student_id,
            school_id=row.school_id,
            class_id=row.class_id,
            site_version_id=row.site_version_id,
            reason=row.reason,
            attested_by=row.attested_by,
            session_id=row.session_id,
            position=row.position,
            at=row.at,
            state=sample.state,
            overdue_since=escalation.due_at if escalation else None,
            upheld=review.upheld if review else None,
            reviewed_by=review.reviewed_by if review else None,
        )


class ReviewIn(Schema):
    """Whether the reviewer confirms the attestation, and why."""

    upheld: bool
    note: LongText = Field(examples=["已视频核对本人在校"])


class ReviewOut(BaseModel):
    """A recorded review."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    upheld: bool
    at: datetime


class CodeOut(BaseModel):
    """A new card code. It is returned only once."""

    code: str = Field(examples=["20481357"])


class RollCallSiteOut(BaseModel):
    """A fence frozen for this roll call."""

    site_version_id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    site_name: str | None = Field(examples=["主校区"])


class CardCodesIn(Schema):
    """The students whose cards get new codes."""

    student_ids: Ids


class CardCodeRowOut(RowOut):
    """The result for one student, with the new code."""

    code: str | None = Field(description="只显示一次 · shown only once", examples=["20481357"])


class CardCodesOut(BaseModel):
    """One result a student, in the order of the request."""

    rows: list[CardCodeRowOut]
    done: int = Field(examples=[1])
    unchanged: int = Field(examples=[0])
    refused: int = Field(examples=[0])

    @classmethod
    def of_codes(cls, issued: Iterable[IssuedCode]) -> Self:
        rows = [CardCodeRowOut(**row_fields(each.row), code=each.code) for each in issued]
        return cls(rows=rows, **count_outcomes(rows))
