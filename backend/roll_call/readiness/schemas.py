"""Request and response schemas of rehearsal readiness."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.bulk_schemas import Ids
from backend.core.web.schema_types import Schema
from backend.roll_call.readiness.cohorts import Cohort
from backend.roll_call.readiness.queries import CohortTotals, SchoolReadiness
from backend.roll_call.readiness.reminders import cohort_words

CohortCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]


class RehearsalCohortOut(BaseModel):
    """A cohort with the deadline of its rehearsal, and how many schools have completed it."""

    code: str = Field(examples=["cohort_2022"])
    zh: str = Field(examples=["2022级新生"])
    en: str = Field(examples=["the intake of 2022"])
    deadline: date = Field(examples=["2022-10-31"])
    is_overdue: bool = Field(description="截止日已过 · the deadline has passed")
    schools: int = Field(description="有这批学生的学校 · schools with such students", examples=[500])
    rehearsed: int = Field(
        description="已完成联调测试的学校 · schools with a settled rehearsal", examples=[420]
    )

    @classmethod
    def of(cls, cohort: Cohort, totals: CohortTotals, today: date) -> Self:
        """Build the response for a cohort."""
        zh, en = cohort_words(cohort)
        return cls(
            code=cohort.code,
            zh=zh,
            en=en,
            deadline=cohort.deadline,
            is_overdue=today > cohort.deadline,
            schools=totals.schools,
            rehearsed=totals.rehearsed,
        )


class RehearsalReadinessOut(BaseModel):
    """A school and one cohort of it."""

    school_id: UUID
    school_name: str = Field(examples=["郑州市第一职业学校"])
    superior_name: str | None = Field(description="主管单位 · the unit above", examples=["郑州市"])
    students: int = Field(description="全日制在校学生 · full-time students in school", examples=[620])
    rehearsed_at: datetime | None = Field(
        description="最近一次结算的联调测试；null 表示尚未完成 · the newest settled rehearsal; null: none yet"
    )
    reminded_at: datetime | None = Field(description="最近一次督促 · the newest reminder")

    @classmethod
    def of(cls, row: SchoolReadiness) -> Self:
        """Build the response for a school."""
        return cls(
            school_id=row.school_id,
            school_name=row.school_name,
            superior_name=row.superior_name,
            students=row.students,
            rehearsed_at=row.rehearsed_at,
            reminded_at=row.reminded_at,
        )


class RehearsalRemindersIn(Schema):
    """The schools to remind."""

    cohort: CohortCode = Field(examples=["enrolled"])
    school_ids: Ids
