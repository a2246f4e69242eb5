"""Schemas of the student's own standing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.web.schema_types import OneOf
from backend.leave.schemas import LeaveDaysOut
from backend.roll_call.reason_texts import OUTCOME_REASONS, closed_reason
from backend.roll_call.rules import Duty, Outcome, RollCallKind
from backend.roll_call.student_queries import StudentRollCall
from backend.standing.explanations.phrases import WARNINGS
from backend.standing.prompts.schemas import LabelledStatusOut, PromptOut
from backend.standing.student_view.counting import MissCounting
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


class StudentRollCallResultOut(BaseModel):
    """A roll call of one student with the result, for the staff of the school."""

    roll_call_id: UUID
    title: str = Field(examples=["十月学籍核验"])
    kind: Annotated[str, OneOf(RollCallKind)] = Field(examples=["spot_check"])
    launcher_id: UUID
    launcher_name: str | None = Field(default=None, examples=["郑州市教育局"])
    term_code: str = Field(examples=["2026-autumn"])
    opens_at: datetime
    closes_at: datetime
    voided: bool
    duty: Annotated[str, OneOf(Duty)]
    outcome: Annotated[str, OneOf(Outcome)] | None = Field(
        description="尚无结果时为空 · null: no result yet", examples=["missed"]
    )
    reason: Annotated[str, OneOf(OUTCOME_REASONS)] | None
    reason_zh: str | None
    reason_en: str | None
    counts_as_miss: bool | None = Field(
        description="未按时核验是否计入次数；null 表示没有未核验或尚未统计 · null: no miss, or not assessed yet",
        examples=[True],
    )
    not_counted_zh: str | None
    not_counted_en: str | None

    @classmethod
    def of(cls, given: StudentRollCall, counting: MissCounting | None) -> Self:
        roll_call, entry = given.roll_call, given.outcome
        texts = closed_reason(entry.reason) if entry else None
        words = counting.words if counting else None
        return cls(
            roll_call_id=roll_call.id,
            title=roll_call.title,
            kind=roll_call.kind,
            launcher_id=roll_call.launcher_id,
            term_code=roll_call.term_code,
            opens_at=roll_call.opens_at,
            closes_at=roll_call.deadline,
            voided=given.voided,
            duty=given.obligation.duty,
            outcome=entry.outcome if entry else None,
            reason=entry.reason if entry else None,
            reason_zh=texts.zh if texts else None,
            reason_en=texts.en if texts else None,
            counts_as_miss=counting.why is None if counting else None,
            not_counted_zh=words.zh if words else None,
            not_counted_en=words.en if words else None,
        )
