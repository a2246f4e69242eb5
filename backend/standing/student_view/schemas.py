"""The student's own standing on the wire."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, Field

from backend.leave.schemas import LeaveDaysOut
from backend.standing.explanations.phrases import CAUTIONS
from backend.standing.prompts.schemas import PromptOut, StatusOut
from backend.standing.student_view.queries import OwnStanding


class MissesOut(BaseModel):
    """Missed checks of the term, and the limits at which a prompt is raised."""

    consecutive: int = Field(examples=[1])
    cumulative: int = Field(examples=[1])
    consecutive_limit: int = Field(examples=[2])
    cumulative_limit: int = Field(examples=[4])


class CautionOut(BaseModel):
    """A warning that holds: what will follow if nothing changes."""

    code: str = Field(examples=["one_more_miss"])
    zh: str
    en: str
    term_code: str = Field(examples=["2026-autumn"])


class OwnStandingOut(BaseModel):
    """The student's standing at a glance."""

    status: StatusOut
    term_code: str | None = Field(examples=["2026-autumn"])
    misses: MissesOut | None
    leave: LeaveDaysOut | None
    locked: bool = Field(description="学籍异动已锁定 · further changes need the province's approval")
    warnings: list[CautionOut]
    prompts: list[PromptOut] = Field(description="未结束的提示 · open prompts")

    @classmethod
    def of(cls, found: OwnStanding) -> Self:
        misses = found.misses and MissesOut(
            consecutive=found.misses.consecutive,
            cumulative=found.misses.cumulative,
            consecutive_limit=found.law.consecutive,
            cumulative_limit=found.law.cumulative,
        )
        return cls(
            status=StatusOut.of(found.status.standing, found.status.study_form),
            term_code=found.term_code,
            misses=misses,
            leave=LeaveDaysOut.of(found.leave) if found.leave else None,
            locked=found.locked,
            warnings=[_caution(each) for each in found.warnings],
            prompts=[PromptOut.of(row) for row in found.prompts],
        )


def _caution(warning: Mapping[str, Any]) -> CautionOut:
    words = CAUTIONS[warning["code"]]
    return CautionOut(code=warning["code"], zh=words.zh, en=words.en, term_code=warning["term"])
