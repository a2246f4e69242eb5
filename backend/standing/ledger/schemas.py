"""Schemas of the standing ledger in both APIs."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.web.schema_types import OneOf
from backend.people.categories import StandingCode, StudyFormCode
from backend.standing.engine.facts import Status
from backend.standing.engine.ledger import Cause
from backend.standing.ledger.queries import EntryView, Ledger, StatusOn


class StatusOut(BaseModel):
    """The national code of the standing (01 在读 …) and the study form."""

    standing: StandingCode = Field(examples=["01"])
    study_form: StudyFormCode = Field(description="full_time or part_time", examples=["full_time"])

    @classmethod
    def of(cls, status: Status) -> Self:
        return cls(standing=status.standing, study_form=status.study_form)


class TraceRefOut(BaseModel):
    """The rule and the law behind an entry."""

    rule: str = Field(examples=["change.expiry"])
    clause: str = Field(examples=["HN334-4.1b"])
    policy_version: str = Field(examples=["9f2c…"])


class StandingEntryOut(BaseModel):
    """One change of the record, with the status before and after it."""

    id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    at: datetime = Field(description="生效时间 · when it took effect")
    recorded_at: datetime
    cause: Annotated[str, OneOf(Cause)] = Field(
        description="decision 处理, expiry 到期自动执行, appeal 申诉恢复, reversal 撤回, edit 其他异动",
        examples=["decision"],
    )
    outcome: str = Field(examples=["part_time"])
    change_kind: str | None = Field(
        description="异动类别代码，恢复原状时为空 · code of the kind; null for a restoration", examples=["L1"]
    )
    before: StatusOut
    after: StatusOut
    prompt_id: UUID | None
    request_id: UUID | None
    reverses: UUID | None = Field(description="所恢复的异动 · the entry that this one reverses")
    reversed: bool = Field(
        description="是否已被恢复原状 · whether a later entry reversed it", examples=[False]
    )
    trace: TraceRefOut

    @classmethod
    def of(cls, view: EntryView) -> Self:
        entry = view.entry
        return cls(
            id=entry.id,
            student_id=entry.student_id,
            school_id=entry.school_id,
            at=entry.at,
            recorded_at=entry.recorded_at,
            cause=entry.cause,
            outcome=entry.outcome,
            change_kind=view.change_kind,
            before=StatusOut(standing=entry.standing_before, study_form=entry.study_form_before),
            after=StatusOut(standing=entry.standing_after, study_form=entry.study_form_after),
            prompt_id=entry.prompt_id,
            request_id=view.request_id,
            reverses=entry.reverses,
            reversed=view.reversed,
            trace=TraceRefOut(
                rule=entry.trace["rule"], clause=entry.trace["clause"], policy_version=entry.policy_version
            ),
        )


class LedgerOut(BaseModel):
    """A student's status, the lock, and every change in order."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    status: StatusOut
    locked: bool = Field(
        description="核验异动后已锁定，再次异动须逐级报省批准 · a further change needs approval up to the province",
        examples=[False],
    )
    locked_by: UUID | None = Field(description="锁定学籍的异动 · the entry that locks the record")
    entries: list[StandingEntryOut]

    @classmethod
    def of(cls, ledger: Ledger) -> Self:
        return cls(
            student_id=ledger.student_id,
            status=StatusOut.of(ledger.status),
            locked=ledger.locked_by is not None,
            locked_by=ledger.locked_by,
            entries=[StandingEntryOut.of(view) for view in ledger.entries],
        )


class StatusOnOut(StatusOut):
    """The status at the end of a legal day, reproduced from the ledger."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    on: date
    since_entry: UUID | None = Field(
        description="形成该状态的异动，建档以来未变则为空 · the entry that set it; null: unchanged since entry"
    )

    @classmethod
    def of_day(cls, day: StatusOn) -> Self:
        return cls(
            standing=day.status.standing,
            study_form=day.status.study_form,
            student_id=day.student_id,
            on=day.on,
            since_entry=day.since_entry,
        )


class StandingFeedOut(BaseModel):
    """One page of the feed. Pass `since` in the next request, now or later."""

    items: list[StandingEntryOut]
    since: str | None = Field(
        description="下次请求的 since · where to continue; null if nothing was read yet",
        examples=["WyI0MiJd"],
    )
    more: bool = Field(description="是否还有未取的 · whether more items are available", examples=[False])


class ConversionsOut(BaseModel):
    """How many students of a school were changed to part-time in a term, by cause (reading 15)."""

    model_config = ConfigDict(from_attributes=True)

    school_id: UUID
    school_name: str = Field(examples=["郑州市某职业学校"])
    term: str = Field(examples=["2026-autumn"])
    students: int = Field(description="转为非全日制的学生数 · students changed to part-time", examples=[12])
    by_decision: int = Field(examples=[3])
    by_expiry: int = Field(examples=[8])
    by_edit: int = Field(examples=[1])
    restored: int = Field(description="其中已恢复原状的次数 · how many of these were reversed", examples=[1])
    full_time: int = Field(description="现有全日制在读人数 · full-time students now", examples=[1188])
    share: float | None = Field(
        description="占原全日制学生的比例 · share of those who were full-time", examples=[0.0101]
    )
