"""Schemas of the student's own standing."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from backend.core.web.schema_types import OneOf
from backend.leave.schemas import LeaveDaysOut
from backend.standing.explanations.phrases import WARNINGS
from backend.standing.prompts.schemas import LabelledStatusOut, PromptOut
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


def _warning(warning: Mapping[str, Any]) -> StandingWarningOut:
    words = WARNINGS[warning["code"]]
    return StandingWarningOut(code=warning["code"], zh=words.zh, en=words.en, term_code=warning["term"])
