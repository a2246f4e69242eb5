"""Schemas of the student's own standing."""

from collections.abc import Mapping
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.web.schema_types import OneOf
from backend.leave.schemas import LeaveDaysOut
from backend.standing.explanations.phrases import WARNINGS
from backend.standing.prompts.schemas import LabelledStatusOut, PromptOut
from backend.standing.student_view.near_limits import WarnedStudent
from backend.standing.student_view.queries import OwnStanding


class MissesOut(BaseModel):
    """The misses of the term, and the limits at which a prompt is raised."""

    consecutive: int = Field(examples=[1])
    cumulative: int = Field(examples=[1])
    consecutive_limit: int = Field(examples=[2])
    cumulative_limit: int = Field(examples=[4])


class StandingWarningOut(BaseModel):
    """A current warning: what will happen if nothing changes."""

    code: Annotated[str, OneOf(WARNINGS)] = Field(examples=["one_more_miss"])
    zh: str
    en: str
    term_code: str = Field(examples=["2026-autumn"])


class WarnedStudentOut(BaseModel):
    """A student near a limit, with the warnings."""

    student_id: UUID
    student_name: str = Field(examples=["李明"])
    class_id: UUID
    class_name: str = Field(examples=["2024级1班"])
    warnings: list[StandingWarningOut]

    @classmethod
    def of(cls, student: WarnedStudent) -> Self:
        return cls(
            student_id=student.student_id,
            student_name=student.student_name,
            class_id=student.class_id,
            class_name=student.class_name,
            warnings=[_warning(each) for each in student.warnings],
        )


class OwnStandingOut(BaseModel):
    """The student's standing: status, counts, warnings and open prompts."""

    status: LabelledStatusOut
    term_code: str | None = Field(examples=["2026-autumn"])
    misses: MissesOut | None
    leave: LeaveDaysOut | None
    locked: bool = Field(description="学籍异动已锁定 · further changes need the province's approval")
    warnings: list[StandingWarningOut]
    prompts: list[PromptOut] = Field(description="未结束的提示 · open prompts")

    @classmethod
    def of(cls, standing: OwnStanding) -> Self:
        misses = standing.misses and MissesOut(
            consecutive=standing.misses.consecutive,
            cumulative=standing.misses.cumulative,
            consecutive_limit=standing.law.consecutive,
            cumulative_limit=standing.law.cumulative,
        )
        return cls(
            status=LabelledStatusOut.of(standing.status.standing, standing.status.study_form),
            term_code=standing.term_code,
            misses=misses,
            leave=LeaveDaysOut.of(standing.leave) if standing.leave else None,
            locked=standing.locked,
            warnings=[_warning(each) for each in standing.warnings],
            prompts=[PromptOut.of(row) for row in standing.prompts],
        )


class TermHistoryOut(BaseModel):
    """The roll calls of a term: roll_calls = exempt + present + missed + excused + undetermined + open."""

    model_config = ConfigDict(from_attributes=True)

    term_code: str = Field(examples=["2026-autumn"])
    roll_calls: int = Field(
        description="通知过本人的核验 · roll calls addressed to the student", examples=[6]
    )
    exempt: int = Field(examples=[0])
    present: int = Field(examples=[4])
    missed: int = Field(examples=[1])
    counted: int = Field(
        description="其中计入次数的未按时核验 · misses that count towards a prompt", examples=[1]
    )
    excused: int = Field(examples=[1])
    undetermined: int = Field(examples=[0])
    open: int = Field(description="尚无结果 · without a result yet", examples=[0])


def _warning(warning: Mapping[str, Any]) -> StandingWarningOut:
    words = WARNINGS[warning["code"]]
    return StandingWarningOut(code=warning["code"], zh=words.zh, en=words.en, term_code=warning["term"])
