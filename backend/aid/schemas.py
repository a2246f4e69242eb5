"""API schemas of awards, payments, the ledger and balances. Amounts are whole fen (1 yuan = 100 fen)."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from backend.aid.application_schemas import KIND_DESCRIPTION, AidApplicationOut
from backend.aid.filing_schemas import FilingSummaryOut
from backend.aid.payments import MAX_PAYMENT_FEN, MAX_REFERENCE_LENGTH, PaymentResult
from backend.aid.queries import AwardView, Balance, StudentAid
from backend.aid.rules import Account, AidKind
from backend.core.web.schema_types import Day, OneOf, Schema, ShortText


def _require_first_of_month(day: date) -> date:
    if day.day != 1:
        raise PydanticCustomError(
            "month_not_first_day", "a month is given as its first day", {"zh": "月份用当月第一天表示"}
        )
    return day


FirstOfMonth = Annotated[Day, AfterValidator(_require_first_of_month)]


class InstalmentOut(BaseModel):
    """The amount of one month and its balances."""

    month: date = Field(description="当月第一天 · first day of the month", examples=["2026-09-01"])
    fen: int = Field(examples=[23000])
    due_fen: int = Field(description="待发放", examples=[23000])
    paid_fen: int = Field(description="已发放", examples=[0])
    withdrawn_fen: int = Field(description="已撤回", examples=[0])
    overdue: bool = Field(description="应发未发 · should have been paid by now", examples=[False])


class AwardOut(BaseModel):
    """Approved aid of one kind and term."""

    id: UUID
    kind: AidKind = Field(description=KIND_DESCRIPTION)
    term_code: str = Field(examples=["2026-autumn"])
    approved_at: datetime
    instalments: list[InstalmentOut]

    @classmethod
    def from_view(cls, view: AwardView) -> Self:
        return cls(
            id=view.award.id,
            kind=AidKind(view.award.kind),
            term_code=view.award.term_code,
            approved_at=view.award.approved_at,
            instalments=[
                InstalmentOut(
                    month=instalment.month,
                    fen=instalment.fen,
                    due_fen=instalment.due,
                    paid_fen=instalment.paid,
                    withdrawn_fen=instalment.withdrawn,
                    overdue=instalment.overdue,
                )
                for instalment in view.instalments
            ],
        )


class PaymentOut(BaseModel):
    """A recorded payment."""

    id: UUID
    award_id: UUID
    month: date
    fen: int = Field(examples=[23000])
    paid_on: date
    reference: str | None = Field(examples=["代发批次20261015"])
    recorded_at: datetime
    beyond_due_fen: int = Field(description="超出应发的部分 · overpayment", examples=[0])


class MyAidOut(BaseModel):
    """A student's applications, awards, payments and withdrawals, oldest first."""

    applications: list[AidApplicationOut]
    awards: list[AwardOut]
    payments: list[PaymentOut]
    moved: list[FilingSummaryOut] = Field(description="撤回与恢复 · withdrawals and reinstatements")

    @classmethod
    def from_aid(cls, aid: StudentAid) -> Self:
        return cls(**_shared_fields(aid))


def _shared_fields(aid: StudentAid) -> dict[str, list[BaseModel]]:
    """Return the fields of `MyAidOut`, which `StudentAidOut` extends."""
    return {
        "applications": [AidApplicationOut.from_view(each) for each in aid.applications],
        "awards": [AwardOut.from_view(each) for each in aid.awards],
        "payments": [
            PaymentOut(
                id=each.payment.id,
                award_id=each.payment.award_id,
                month=each.payment.month,
                fen=each.payment.fen,
                paid_on=each.payment.paid_on,
                reference=each.payment.reference,
                recorded_at=each.payment.at,
                beyond_due_fen=each.overpaid,
            )
            for each in aid.payments
        ],
        "moved": [FilingSummaryOut.from_view(each, aid.path) for each in aid.filings],
    }


class PaymentIn(Schema):
    """A payment to record."""

    student_id: UUID
    kind: AidKind = Field(description=KIND_DESCRIPTION, examples=["grant"])
    month: FirstOfMonth = Field(
        description="所发月份的第一天 · first day of the month", examples=["2026-09-01"]
    )
    fen: int = Field(description="金额（分） · amount in fen", gt=0, le=MAX_PAYMENT_FEN, examples=[23000])
    paid_on: Day = Field(description="发放日期", examples=["2026-09-15"])
    reference: Annotated[ShortText, Field(max_length=MAX_REFERENCE_LENGTH)] | None = Field(
        default=None,
        description="凭证号；同日两笔须以此区分 · distinguishes two payments of one day",
        examples=["代发批次20260915"],
    )


class PaymentsIn(Schema):
    """Payments to record, all or none."""

    payments: list[PaymentIn] = Field(min_length=1, max_length=500)


class OverpaymentOut(BaseModel):
    """The part of a payment that exceeds the amount due. Staff must examine it; it is never netted."""

    payment_id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    fen: int = Field(examples=[23000])


class PaymentsOut(BaseModel):
    """The new payments, the number of known ones, and the overpayments."""

    recorded: list[UUID]
    known: int = Field(examples=[0])
    beyond_due: list[OverpaymentOut]

    @classmethod
    def from_result(cls, result: PaymentResult) -> Self:
        return cls(
            recorded=list(result.recorded),
            known=result.known,
            beyond_due=[
                OverpaymentOut.model_validate(each, from_attributes=True) for each in result.overpayments
            ],
        )


class PostingOut(BaseModel):
    """A ledger entry: fen move from one account to another."""

    id: UUID
    at: datetime
    award_id: UUID
    month: date
    source: Annotated[str, OneOf(Account)] = Field(
        description="budget, due, paid, withdrawn", examples=["due"]
    )
    target: Annotated[str, OneOf(Account)] = Field(examples=["paid"])
    fen: int = Field(examples=[23000])
    cause: str = Field(examples=["payment:01890a5d-ac96-774b-bcce-b302099a8057"])


class StudentAidOut(MyAidOut):
    """A student's aid with the ledger."""

    postings: list[PostingOut]
    balances: dict[str, int] = Field(
        description="各账户余额，合计为零 · balances of the accounts; they sum to zero",
        examples=[{"budget": -115000, "due": 115000, "paid": 0, "withdrawn": 0}],
    )

    @classmethod
    def from_aid(cls, aid: StudentAid) -> Self:
        balances = dict.fromkeys(("budget", "due", "paid", "withdrawn"), 0)
        for posting in aid.postings:
            balances[posting.source] -= posting.fen
            balances[posting.target] += posting.fen
        postings = [PostingOut.model_validate(each, from_attributes=True) for each in aid.postings]
        return cls(**_shared_fields(aid), postings=postings, balances=balances)


class BalanceOut(BaseModel):
    """The balances of a school and term. The four accounts sum to zero."""

    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    term_code: str = Field(examples=["2026-autumn"])
    awards: int = Field(examples=[618])
    budget_fen: int = Field(description="拨出（负数）", examples=[-71070000])
    due_fen: int = Field(description="待发放", examples=[56856000])
    overdue_fen: int = Field(description="其中应发未发 · overdue part of it", examples=[0])
    paid_fen: int = Field(description="已发放", examples=[14214000])
    withdrawn_fen: int = Field(description="已撤回", examples=[0])
    beyond_due_fen: int = Field(description="超出应发的发放 · overpayments", examples=[0])
    balanced: bool

    @classmethod
    def from_balance(cls, balance: Balance) -> Self:
        return cls(
            school_id=balance.school_id,
            term_code=balance.term_code,
            awards=balance.awards,
            budget_fen=balance.budget,
            due_fen=balance.due,
            overdue_fen=balance.overdue,
            paid_fen=balance.paid,
            withdrawn_fen=balance.withdrawn,
            beyond_due_fen=balance.overpaid,
            balanced=balance.balanced,
        )
