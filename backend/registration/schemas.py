"""API schemas of registrations, cut-offs and permissions."""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import Day, LongText, Schema
from backend.people.categories import Programme, StudyForm
from backend.policy.schemas import CitationOut, PlaceOut
from backend.registration.queries import RegistrationCalendar, RegistrationRow, SeasonCutOff
from backend.registration.rules import Basis
from backend.registration.tables import CarryOverPermission

SEASON_PATTERN = r"^[12][0-9]{3}-(spring|autumn)$"


class CutOffOut(BaseModel):
    """The last day of a season's registration; the day itself is in time. `programme` null: all others."""

    season: str = Field(examples=["2026-autumn"])
    programme: Programme | None
    last_day: date = Field(examples=["2026-11-20"])
    is_open: bool
    place: PlaceOut
    citation: CitationOut

    @classmethod
    def of(cls, found: SeasonCutOff) -> Self:
        return cls(
            season=found.season.code,
            programme=Programme(found.programme) if found.programme else None,
            last_day=found.cut_off.day,
            is_open=found.is_open,
            place=PlaceOut.of(found.cut_off.citation.place),
            citation=CitationOut.of(found.cut_off.citation.reference),
        )


class RegistrationCalendarOut(BaseModel):
    """The cut-offs in force at the place of a unit: of several instruments the earliest day."""

    place: str = Field(examples=["410100"])
    today: date
    season: str = Field(description="当前招生季 · the present season", examples=["2026-autumn"])
    record_working_days: int = Field(
        description="入学后建立电子档案的工作日数 · working days for the electronic record", examples=[20]
    )
    cut_offs: list[CutOffOut]

    @classmethod
    def of(cls, calendar: RegistrationCalendar) -> Self:
        return cls(
            place=calendar.place,
            today=calendar.today,
            season=calendar.season.code,
            record_working_days=calendar.record_working_days,
            cut_offs=[CutOffOut.of(each) for each in calendar.cut_offs],
        )


class RegistrationOut(BaseModel):
    """How a student came onto the roll. `record_due_on` is null for students who were registered before."""

    student_id: UUID
    student_name: str = Field(examples=["李明"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    class_name: str = Field(examples=["2026级数控1班"])
    programme: Programme
    study_form: StudyForm
    season: str = Field(examples=["2026-autumn"])
    basis: Basis
    entered_on: date = Field(examples=["2026-09-01"])
    recorded_on: date = Field(examples=["2026-09-10"])
    record_due_on: date | None = Field(examples=["2026-09-29"])
    is_late: bool
    cut_off_on: date = Field(examples=["2026-11-20"])
    instrument: str = Field(examples=["MOE19"])
    article: str = Field(examples=["二、（三）"])
    at: datetime

    @classmethod
    def of(cls, row: RegistrationRow) -> Self:
        found = row.registration
        return cls(
            student_id=found.student_id,
            student_name=row.student_name,
            school_id=found.school_id,
            class_name=row.class_name,
            programme=Programme(row.programme),
            study_form=StudyForm(row.study_form),
            season=found.season,
            basis=Basis(found.basis),
            entered_on=found.entered_on,
            recorded_on=found.recorded_on,
            record_due_on=found.record_due_on,
            is_late=row.is_late,
            cut_off_on=found.cut_off_on,
            instrument=found.instrument,
            article=found.article,
            at=found.at,
        )


class SchoolRegistrationsOut(BaseModel):
    """The registrations of a school in a season."""

    school_id: UUID
    school_name: str = Field(examples=["郑州市第一职业学校"])
    new: int = Field(examples=[412])
    carried_over: int = Field(examples=[0])
    transferred: int = Field(examples=[3])
    late: int = Field(
        description="逾期建立电子档案的人数 · students whose electronic record was late", examples=[7]
    )


class CarryOverPermissionIn(Schema):
    """Permit a school to add students who were registered before."""

    until: Day = Field(description="最后一日，含当日 · the last day", examples=["2026-12-10"])
    reasons: LongText = Field(examples=["学校漏导2024级机电2班，已核对学籍系统。"])


class CarryOverPermissionOut(BaseModel):
    """A permission; after `until` it ends by itself."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    until: date
    reasons: str
    granted_by: UUID
    granted_by_name: str | None = Field(default=None, examples=["王芳"])
    at: datetime

    @classmethod
    def of(cls, row: CarryOverPermission) -> Self:
        return cls(
            id=row.id,
            school_id=row.school_id,
            until=row.until,
            reasons=row.reasons,
            granted_by=row.granted_by,
            at=row.at,
        )
