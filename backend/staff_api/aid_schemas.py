"""Schema types of aid for staff. Amounts are whole fen (1 yuan = 100 fen)."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from backend.aid.applications import Answer
from backend.aid.exports import Export
from backend.aid.payments import PaymentsRecorded
from backend.aid.queries import Balance, StudentAid
from backend.aid.rules import AidKind
from backend.aid.schemas import KIND, AidMovedOut, MyAidOut, parts_of
from backend.aid.withdrawals import Filing, FilingLine
from backend.core.web.schema_types import Line, Paragraph, Schema
from backend.exchange.aid_payments.reader import LONGEST_REFERENCE, MOST_FEN
from backend.staff_api.organisation.rosters import FindingOut

Day = Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2100, 1, 1))]


def _first_of_month(day: date) -> date:
    if day.day != 1:
        msg = "a month is named by its first day"
        raise ValueError(msg)
    return day


Month = Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2100, 1, 1)), AfterValidator(_first_of_month)]


class AidApplicationsIn(Schema):
    """For everybody of a class, or of the whole school if none is named."""

    kind: AidKind = Field(description=KIND, examples=["grant"])
    class_id: UUID | None = Field(default=None, examples=[None])


class PassedOut(BaseModel):
    """A student for whom nothing was filed, and why."""

    student_id: UUID
    code: str = Field(examples=["aid_ineligible"])
    zh: str = Field(examples=["学习形式不是全日制。"])
    en: str


class AidApplicationsOut(BaseModel):
    """What became of applications for many."""

    filed: list[UUID]
    passed: list[PassedOut]


class AidDecisionIn(Schema):
    """The answer to an application; a refusal says why."""

    outcome: Answer = Field(examples=["approved"])
    reasons: Paragraph | None = Field(default=None, examples=["材料齐全，同意"])


class PaymentIn(Schema):
    """One payment that was made."""

    student_id: UUID
    kind: AidKind = Field(description=KIND, examples=["grant"])
    month: Month = Field(description="所发月份的第一天 · first day of the month", examples=["2026-09-01"])
    fen: int = Field(description="金额（分） · in fen", gt=0, le=MOST_FEN, examples=[23000])
    paid_on: Day = Field(description="发放日期", examples=["2026-09-15"])
    reference: Annotated[Line, Field(max_length=LONGEST_REFERENCE)] | None = Field(
        default=None,
        description="凭证号；同日两笔须以此区分 · tells apart two payments of one day",
        examples=["代发批次20260915"],
    )


class PaymentsIn(Schema):
    """Payments, recorded all together or not at all."""

    payments: list[PaymentIn] = Field(min_length=1, max_length=500)


class BeyondDueOut(BaseModel):
    """A payment with more than was due: listed for a person to look into, never netted off."""

    payment_id: UUID
    student_id: UUID
    fen: int = Field(examples=[23000])


class PaymentsOut(BaseModel):
    """What became of the payments: recorded now, or known from before."""

    recorded: list[UUID]
    known: int = Field(examples=[0])
    beyond_due: list[BeyondDueOut]

    @classmethod
    def of(cls, done: PaymentsRecorded) -> Self:
        """The report."""
        return cls(
            recorded=list(done.recorded),
            known=done.known,
            beyond_due=[
                BeyondDueOut(payment_id=each.payment_id, student_id=each.student_id, fen=each.fen)
                for each in done.beyond_due
            ],
        )


class PaymentFileOut(BaseModel):
    """A file as it was read and, unless it was a dry run, what was recorded."""

    dry_run: bool
    file_sha256: str
    rows: int = Field(examples=[620])
    findings: list[FindingOut]
    report: PaymentsOut | None


class PostingOut(BaseModel):
    """One entry of the ledger: fen move from one account to another."""

    id: UUID
    at: datetime
    award_id: UUID
    month: date
    source: str = Field(description="budget, due, paid, withdrawn", examples=["due"])
    target: str = Field(examples=["paid"])
    fen: int = Field(examples=[23000])
    cause: str = Field(examples=["payment:01890a5d-ac96-774b-bcce-b302099a8057"])


class StudentAidOut(MyAidOut):
    """All that is on file about a student's aid, with the ledger."""

    postings: list[PostingOut]
    balances: dict[str, int] = Field(
        description="各账户余额，合计为零 · the accounts, which sum to nothing",
        examples=[{"budget": -115000, "due": 115000, "paid": 0, "withdrawn": 0}],
    )

    @classmethod
    def of(cls, aid: StudentAid) -> Self:
        """With every posting."""
        balances = dict.fromkeys(("budget", "due", "paid", "withdrawn"), 0)
        for posting in aid.postings:
            balances[posting.source] -= posting.fen
            balances[posting.target] += posting.fen
        postings = [
            PostingOut(
                id=each.id,
                at=each.at,
                award_id=each.award_id,
                month=each.month,
                source=each.source,
                target=each.target,
                fen=each.fen,
                cause=each.cause,
            )
            for each in aid.postings
        ]
        return cls(**parts_of(aid), postings=postings, balances=balances)


class FilingOut(AidMovedOut):
    """A filing with the aid office, and how far it has come."""

    student_id: UUID
    school_id: UUID
    name: str = Field(examples=["某某"])
    state: str = Field(description="filed, exported, acknowledged", examples=["filed"])
    exported_at: datetime | None
    reference: str | None = Field(description="资助部门编号", examples=[None])
    age_days: int | None = Field(description="未签收天数 · days without acknowledgement", examples=[3])

    @classmethod
    def listed(cls, found: Filing, path: str, at: datetime) -> Self:
        """The filing as it stands at the instant."""
        moved = AidMovedOut.of(found, path).model_dump()
        return cls(
            **moved,
            student_id=found.filing.student_id,
            school_id=found.filing.school_id,
            name=found.student.name,
            state=found.state.value,
            exported_at=found.exported_at,
            reference=found.acknowledgement.reference if found.acknowledgement else None,
            age_days=found.age(at),
        )


class FilingLineOut(BaseModel):
    """One instalment of the term. What was paid stays untouched."""

    award_id: UUID
    kind: AidKind
    month: date
    granted_fen: int = Field(description="核定", examples=[23000])
    paid_fen: int = Field(description="已发放（不变）", examples=[0])
    fen: int = Field(description="撤回或恢复", examples=[23000])

    @classmethod
    def of(cls, line: FilingLine) -> Self:
        """The line."""
        return cls(
            award_id=line.award_id,
            kind=AidKind(line.kind),
            month=line.month,
            granted_fen=line.granted,
            paid_fen=line.paid,
            fen=line.fen,
        )


class FilingDetailOut(FilingOut):
    """A filing with its lines."""

    lines: list[FilingLineOut]


class AcknowledgementIn(Schema):
    """The aid office's own number for the filing."""

    reference: Line = Field(examples=["郑资助撤〔2026〕0123号"])


class ExportIn(Schema):
    """What the file is for, and which filings; none named means all that were never sent."""

    purpose: Line = Field(examples=["报送市资助中心办理撤回"])
    filing_ids: list[UUID] = Field(default=[], max_length=500)


class ExportOut(BaseModel):
    """A file that was asked for, who answers for it, and whether another has approved it."""

    id: UUID
    purpose: str = Field(examples=["报送市资助中心办理撤回"])
    owner: str = Field(description="导出责任人", examples=["王老师"])
    filings: int = Field(examples=[3])
    requested_at: datetime
    approved_at: datetime | None

    @classmethod
    def of(cls, found: Export) -> Self:
        """The export as it stands."""
        return cls(
            id=found.export.id,
            purpose=found.export.purpose,
            owner=found.owner,
            filings=found.filings,
            requested_at=found.export.requested_at,
            approved_at=found.approval.at if found.approval else None,
        )


class DuplicateIn(Schema):
    """What a check of the duplicate lists found."""

    duplicate: bool = Field(description="与义务教育学籍重复 · also on a roll of compulsory education")
    evidence: Paragraph = Field(examples=["查重名单第17行，已与初中学校电话核实"])


class DuplicateOut(BaseModel):
    """A finding on double standing."""

    id: UUID
    student_id: UUID
    duplicate: bool
    evidence: str
    at: datetime


class BalanceOut(BaseModel):
    """Where the aid of a school and term stands. The four accounts sum to nothing."""

    school_id: UUID
    term_code: str = Field(examples=["2026-autumn"])
    awards: int = Field(examples=[618])
    budget_fen: int = Field(description="拨出（负数）", examples=[-71070000])
    due_fen: int = Field(description="待发放", examples=[56856000])
    overdue_fen: int = Field(description="其中应发未发 · of it, ought to be paid by now", examples=[0])
    paid_fen: int = Field(description="已发放", examples=[14214000])
    withdrawn_fen: int = Field(description="已撤回", examples=[0])
    beyond_due_fen: int = Field(description="超出应发的发放 · paid with nothing due", examples=[0])
    balanced: bool

    @classmethod
    def of(cls, balance: Balance) -> Self:
        """The balance."""
        return cls(
            school_id=balance.school_id,
            term_code=balance.term_code,
            awards=balance.awards,
            budget_fen=balance.budget,
            due_fen=balance.due,
            overdue_fen=balance.overdue,
            paid_fen=balance.paid,
            withdrawn_fen=balance.withdrawn,
            beyond_due_fen=balance.beyond_due,
            balanced=balance.balanced,
        )
