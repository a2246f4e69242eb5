"""Aid as both APIs show it. Amounts are whole fen (1 yuan = 100 fen)."""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.aid.queries import Application, AwardView, StudentAid
from backend.aid.rules import AidKind
from backend.aid.withdrawals import Filing, change_words

KIND = "国家助学金 grant, 免学费 tuition_waiver"


class AidApplicationOut(BaseModel):
    """An application and its answer."""

    id: UUID
    student_id: UUID
    kind: AidKind = Field(description=KIND)
    term_code: str = Field(examples=["2026-autumn"])
    filed_at: datetime
    state: str = Field(description="pending, approved, refused", examples=["pending"])
    reasons: str | None = Field(description="审批意见 · what the answer says", examples=[None])
    decided_at: datetime | None

    @classmethod
    def of(cls, found: Application) -> Self:
        """The application as it stands."""
        return cls(
            id=found.application.id,
            student_id=found.application.student_id,
            kind=AidKind(found.application.kind),
            term_code=found.application.term_code,
            filed_at=found.application.filed_at,
            state=found.state,
            reasons=found.decision.reasons if found.decision else None,
            decided_at=found.decision.decided_at if found.decision else None,
        )


class InstalmentOut(BaseModel):
    """What one month pays, and where its fen stand: due, paid, or withdrawn."""

    month: date = Field(description="当月第一天 · first day of the month", examples=["2026-09-01"])
    fen: int = Field(examples=[23000])
    due_fen: int = Field(description="待发放", examples=[23000])
    paid_fen: int = Field(description="已发放", examples=[0])
    withdrawn_fen: int = Field(description="已撤回", examples=[0])
    overdue: bool = Field(description="应发未发 · ought to be paid by now", examples=[False])


class AwardOut(BaseModel):
    """Approved aid of one kind and term."""

    id: UUID
    kind: AidKind = Field(description=KIND)
    term_code: str = Field(examples=["2026-autumn"])
    approved_at: datetime
    instalments: list[InstalmentOut]

    @classmethod
    def of(cls, view: AwardView) -> Self:
        """The award with its instalments."""
        return cls(
            id=view.award.id,
            kind=AidKind(view.award.kind),
            term_code=view.award.term_code,
            approved_at=view.award.approved_at,
            instalments=[
                InstalmentOut(
                    month=part.month,
                    fen=part.fen,
                    due_fen=part.due,
                    paid_fen=part.paid,
                    withdrawn_fen=part.withdrawn,
                    overdue=part.overdue,
                )
                for part in view.parts
            ],
        )


class PaymentOut(BaseModel):
    """A payment that was recorded."""

    id: UUID
    award_id: UUID
    month: date
    fen: int = Field(examples=[23000])
    paid_on: date
    reference: str | None = Field(examples=["代发批次20261015"])
    recorded_at: datetime
    beyond_due_fen: int = Field(description="超出应发的部分 · paid with nothing due", examples=[0])


class AidMovedOut(BaseModel):
    """A withdrawal of unpaid aid, or what undid it, and why."""

    id: UUID
    kind: str = Field(description="撤回 withdrawal, 恢复 reinstatement", examples=["withdrawal"])
    change_id: UUID = Field(description="所依据的学籍异动，可据此申诉 · the change, to appeal against")
    term_code: str = Field(examples=["2026-autumn"])
    fen: int = Field(examples=[92000])
    filed_at: datetime
    acknowledged_at: datetime | None
    why_zh: str = Field(examples=["学习形式变更为非全日制"])
    why_en: str

    @classmethod
    def of(cls, found: Filing, path: str) -> Self:
        """The filing in the words of its day."""
        zh, en = change_words(found.entry, path)
        return cls(
            id=found.filing.id,
            kind=found.filing.kind,
            change_id=found.filing.change_id,
            term_code=found.filing.term_code,
            fen=found.filing.fen,
            filed_at=found.filing.filed_at,
            acknowledged_at=found.acknowledgement.at if found.acknowledgement else None,
            why_zh=zh,
            why_en=en,
        )


class MyAidOut(BaseModel):
    """What a student gets, when, and what was withdrawn and why; oldest first."""

    applications: list[AidApplicationOut]
    awards: list[AwardOut]
    payments: list[PaymentOut]
    moved: list[AidMovedOut] = Field(description="撤回与恢复 · withdrawals, and what undid them")

    @classmethod
    def of(cls, aid: StudentAid) -> Self:
        """All that is on file."""
        return cls(**parts_of(aid))


def parts_of(aid: StudentAid) -> dict[str, list[BaseModel]]:
    """The lists that both APIs show of a student's aid."""
    return {
        "applications": [AidApplicationOut.of(each) for each in aid.applications],
        "awards": [AwardOut.of(each) for each in aid.awards],
        "payments": [
            PaymentOut(
                id=each.payment.id,
                award_id=each.payment.award_id,
                month=each.payment.month,
                fen=each.payment.fen,
                paid_on=each.payment.paid_on,
                reference=each.payment.reference,
                recorded_at=each.payment.at,
                beyond_due_fen=each.beyond_due,
            )
            for each in aid.payments
        ],
        "moved": [AidMovedOut.of(each, aid.path) for each in aid.filings],
    }
