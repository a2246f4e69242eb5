"""API schemas of licences, inspections and measures."""

from datetime import date, datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from backend.core.web.schema_types import Day, LongText, Schema, ShortText
from backend.registration.rules import Refusal
from backend.registration.schools.queries import Qualification, QualificationFile
from backend.registration.schools.rules import Conclusion, Ground, MeasureKind
from backend.registration.schools.service import RecordInspection, RecordLicence, RecordStep, TakeMeasure

StepKind = Literal["published", "mended"]


def _refuse(zh: str, en: str) -> PydanticCustomError:
    return PydanticCustomError("fields_contradict", "{en}", {"zh": zh, "en": en})


class LicenceIn(Schema):
    """A licence; both days are included."""

    number: ShortText = Field(examples=["教民141010060000018号"])
    issued_by: ShortText = Field(examples=["郑州市教育局"])
    covers: LongText = Field(examples=["中等职业学历教育；经新郑市教育局批准的新郑校区"])
    valid_from: Day = Field(examples=["2024-01-01"])
    valid_until: Day = Field(examples=["2027-12-31"])

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.valid_until < self.valid_from:
            raise _refuse("有效期止不能早于有效期起", "the last day is before the first")
        return self

    def as_command(self) -> RecordLicence:
        return RecordLicence(self.number, self.issued_by, self.covers, self.valid_from, self.valid_until)


class LicenceRevocationIn(Schema):
    """The revocation of a licence."""

    revoked_on: Day = Field(examples=["2026-06-01"])
    reasons: LongText = Field(examples=["未经批准设立校外办学点。"])


class InspectionIn(Schema):
    """An annual inspection. A failed one names the last day to mend, a passed one does not."""

    year: int = Field(ge=2000, le=2100, examples=[2026])
    conclusion: Conclusion
    findings: LongText = Field(examples=["生均教学设备值不足。"])
    inspected_on: Day = Field(examples=["2026-01-15"])
    mend_by: Day | None = Field(default=None, examples=["2026-03-31"])

    @model_validator(mode="after")
    def _check_mending(self) -> Self:
        if (self.conclusion is Conclusion.FAILED) != (self.mend_by is not None):
            raise _refuse(
                "不合格须填整改期限，合格不填",
                "a failed inspection has a last day to mend, a passed one none",
            )
        return self

    def as_command(self) -> RecordInspection:
        return RecordInspection(self.year, self.conclusion, self.findings, self.inspected_on, self.mend_by)


class InspectionStepIn(Schema):
    """The publication of an inspection, or that the school mended what was found."""

    kind: StepKind
    day: Day = Field(examples=["2026-02-10"])
    note: LongText = Field(examples=["市教育局网站通知公告栏"])

    def as_command(self) -> RecordStep:
        return RecordStep(self.kind, self.day, self.note)


class MeasureIn(Schema):
    """A measure, or the lifting of the one in force. A plan cut names its percentage, other kinds do not."""

    kind: MeasureKind
    ground: Ground = Ground.INSPECTION
    reasons: LongText = Field(examples=["年检不合格，逾期未整改。"])
    plan_percent: int | None = Field(default=None, ge=1, le=99, examples=[None])
    mend_by: Day | None = Field(default=None, examples=["2026-09-30"])

    @model_validator(mode="after")
    def _check_percentage(self) -> Self:
        if (self.kind is MeasureKind.PLAN_CUT) != (self.plan_percent is not None):
            raise _refuse(
                "缩减招生计划须填缩减比例，其他处理不填",
                "a plan cut names its percentage, other measures none",
            )
        return self

    def as_command(self) -> TakeMeasure:
        return TakeMeasure(self.kind, self.ground, self.reasons, self.plan_percent, self.mend_by)


class QualificationOut(BaseModel):
    """The qualification of a school today, with the inspection of a year."""

    school_id: UUID
    school_name: str = Field(examples=["郑州市第一职业学校"])
    licence_until: date | None = Field(
        description="现行资质的有效期止 · last day of the licence in force", examples=["2027-12-31"]
    )
    year: int = Field(examples=[2026])
    conclusion: Conclusion | None
    mend_by: date | None = Field(examples=[None])
    mended_on: date | None = Field(examples=[None])
    published_on: date | None = Field(examples=["2026-02-10"])
    due_on: date | None = Field(
        description="应完成并公布的最后一日，春季学期未设置时为空 · last day for inspection and publication; null without a"
        " spring term",
        examples=["2026-02-23"],
    )
    is_overdue: bool
    measure: MeasureKind | None
    refusal: Refusal | None = Field(
        description="不能注册新生的原因 · why the school may not register new students"
    )

    @classmethod
    def of(cls, found: Qualification) -> Self:
        return cls.model_validate(found, from_attributes=True)


class LicenceOut(BaseModel):
    """A licence on file."""

    id: UUID
    number: str
    issued_by: str
    covers: str
    valid_from: date
    valid_until: date
    revoked_on: date | None
    revocation_reasons: str | None
    at: datetime


class InspectionOut(BaseModel):
    """An inspection on file, with what came after it."""

    id: UUID
    year: int
    conclusion: Conclusion
    findings: str
    inspected_on: date
    mend_by: date | None
    published_on: date | None
    publication: str | None
    mended_on: date | None
    mending: str | None
    at: datetime


class MeasureOut(BaseModel):
    """A measure on file."""

    id: UUID
    kind: MeasureKind
    ground: Ground
    plan_percent: int | None
    mend_by: date | None
    reasons: str
    at: datetime


class QualificationFileOut(QualificationOut):
    """Everything on file about a school, the newest last."""

    next_measure: MeasureKind | None
    licences: list[LicenceOut]
    inspections: list[InspectionOut]
    measures: list[MeasureOut]

    @classmethod
    def of_file(cls, file: QualificationFile) -> Self:
        rows = file.rows
        described = QualificationOut.of(file.qualification).model_dump()
        licences = []
        for licence in rows.licences:
            revocation = rows.revocations.get(licence.id)
            revoked = {
                "revoked_on": revocation.revoked_on if revocation else None,
                "revocation_reasons": revocation.reasons if revocation else None,
            }
            licences.append(LicenceOut.model_validate(_columns(licence) | revoked))
        inspections = []
        for inspection in rows.inspections:
            steps: dict[str, object] = {}
            for kind, day, note in (
                ("published", "published_on", "publication"),
                ("mended", "mended_on", "mending"),
            ):
                step = rows.steps.get((inspection.id, kind))
                steps |= {day: step.day if step else None, note: step.note if step else None}
            inspections.append(InspectionOut.model_validate(_columns(inspection) | steps))
        return cls(
            **described,
            next_measure=file.next_measure,
            licences=licences,
            inspections=inspections,
            measures=[MeasureOut.model_validate(_columns(each)) for each in rows.measures],
        )


def _columns(row: object) -> dict[str, object]:
    """The columns of a table row by name."""
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}
