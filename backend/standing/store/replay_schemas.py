"""API schemas of differences between the stored standing and the facts."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import LongText, OneOf, Schema
from backend.standing.store.comparison import DIFFERENCE_KINDS
from backend.standing.store.replay_queries import DifferenceState, DifferenceView

FoundBy = Literal["replay", "assessment"]


class DifferenceKindOut(BaseModel):
    """What differs, and in which stored row."""

    kind: Annotated[str, OneOf(list(DIFFERENCE_KINDS))] = Field(examples=["prompt_differs"])
    zh: str = Field(examples=["提示的内容不同"])
    en: str
    row_id: str = Field(description="所存记录的编号 · id of the stored row")

    @classmethod
    def of(cls, difference: dict[str, Any]) -> Self:
        kind = difference["kind"]
        zh, en = DIFFERENCE_KINDS[kind]
        return cls(kind=kind, zh=zh, en=en, row_id=str(difference["id"]))


class DifferenceReviewIn(Schema):
    """What a person found when looking at a difference."""

    note: LongText = Field(examples=["导入时学校代码填错，已在学校更正。"])


class ReplayDifferenceOut(BaseModel):
    """A student whose recorded facts give another result than the stored one. Nothing was changed."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    found_by: Annotated[str, OneOf(FoundBy)] = Field(
        description="replay 每夜推算、assessment 重新计算 · by the nightly replay, or by an assessment",
        examples=["replay"],
    )
    found_at: datetime
    differences: list[DifferenceKindOut]
    state: Annotated[str, OneOf(DifferenceState)] = Field(
        description="open 待查看、reviewed 已查看 · open, or reviewed by a person", examples=["open"]
    )
    note: str | None = Field(description="查看人写明的情况 · what the person found", examples=[None])
    reviewed_by: UUID | None
    reviewed_by_name: str | None = Field(default=None, examples=["王老师"])
    reviewed_at: datetime | None

    @classmethod
    def of(cls, view: DifferenceView) -> Self:
        row, review = view.difference, view.review
        return cls(
            id=row.id,
            school_id=row.school_id,
            student_id=row.student_id,
            found_by=row.found_by,
            found_at=row.found_at,
            differences=[DifferenceKindOut.of(each) for each in row.differences],
            state=view.state,
            note=review.note if review else None,
            reviewed_by=review.reviewed_by if review else None,
            reviewed_at=review.at if review else None,
        )
