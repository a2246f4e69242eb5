"""The ledger of standing as both APIs show it."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.standing.engine.facts import Status
from backend.standing.ledger.queries import EntryView, Ledger


class StatusOut(BaseModel):
    """National code of the standing (01 在读 …), and the study form."""

    standing: str = Field(examples=["01"])
    study_form: str = Field(description="full_time or part_time", examples=["full_time"])

    @classmethod
    def of(cls, status: Status) -> Self:
        return cls(standing=status.standing, study_form=status.study_form)


class TraceRefOut(BaseModel):
    """By which rule of which law an entry came about."""

    rule: str = Field(examples=["change.expiry"])
    clause: str = Field(examples=["HN334-4.1b"])
    policy_version: str = Field(examples=["9f2c…"])


class StandingEntryOut(BaseModel):
    """One change of the record, with the status before and after it."""

    id: UUID
    student_id: UUID
    school_id: UUID
    at: datetime = Field(description="生效时间 · when it took effect")
    recorded_at: datetime
    cause: str = Field(
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
    reverses: UUID | None = Field(description="所恢复的异动 · the entry that this one undoes")
    reversed: bool = Field(description="是否已被恢复原状 · whether a later entry undid it", examples=[False])
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
    """A student's status, whether the record is locked, and every change in order."""

    student_id: UUID
    status: StatusOut
    locked: bool = Field(
        description="核验异动后已锁定，再次异动须逐级报省批准 · a further change must climb to the province",
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
