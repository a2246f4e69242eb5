"""Reading aid: applications, what one student gets and when, and the balance of every school and term."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.rules import Account, months_of_term
from backend.aid.tables import (
    AidApplication,
    AidAward,
    AidDecision,
    AidFiling,
    AidInstalment,
    AidPayment,
    AidPosting,
)
from backend.aid.withdrawals import Filing, filings, must_handle_aid
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.people.queries import classes_of_counselor
from backend.people.tables import Student
from backend.policy.installed import policy_at

ApplicationState = Literal["pending", "approved", "refused"]

# --- applications ---


@dataclass(frozen=True, slots=True)
class Application:
    """An application with its answer."""

    application: AidApplication
    decision: AidDecision | None

    @property
    def state(self) -> str:
        return self.decision.outcome if self.decision else "pending"


@dataclass(frozen=True, slots=True)
class ApplicationSearch:
    """Which applications; what is not given narrows nothing."""

    state: ApplicationState | None = None
    term_code: str | None = None
    class_id: UUID | None = None
    school_id: UUID | None = None


def _applications() -> Select[*tuple[Any, ...]]:
    return select(AidApplication, AidDecision).outerjoin(
        AidDecision, AidDecision.application_id == AidApplication.id
    )


async def application_of(session: AsyncSession, application_id: UUID) -> Application:
    """One application that the scope admits; raises `NotFound`."""
    found = (await session.execute(_applications().where(AidApplication.id == application_id))).one_or_none()
    if found is None:
        raise NotFound
    return Application(*found)


async def applications_page(
    session: AsyncSession, actor: Actor, search: ApplicationSearch, before: UUID | None, limit: int
) -> Sequence[Application]:
    """At most `limit` applications, newest first, older than the id `before`."""
    must_handle_aid(actor)
    page = _applications().order_by(AidApplication.id.desc()).limit(limit)
    if search.state == "pending":
        page = page.where(AidDecision.application_id.is_(None))
    elif search.state is not None:
        page = page.where(AidDecision.outcome == search.state)
    if search.term_code is not None:
        page = page.where(AidApplication.term_code == search.term_code)
    if search.school_id is not None:
        page = page.where(AidApplication.school_id == search.school_id)
    if search.class_id is not None:
        own = select(Student.id).where(Student.class_id == search.class_id)
        page = page.where(AidApplication.student_id.in_(own))
    if before is not None:
        page = page.where(AidApplication.id < before)
    return [Application(*row) for row in await session.execute(page)]


# --- one student ---


@dataclass(frozen=True, slots=True)
class PartOfAward:
    """An instalment and where its fen stand; `overdue`: its month and the interval of paying are over."""

    month: date
    fen: int
    due: int
    paid: int
    withdrawn: int
    overdue: bool


@dataclass(frozen=True, slots=True)
class AwardView:
    """An award with its instalments."""

    award: AidAward
    parts: tuple[PartOfAward, ...]


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment, and what of it found nothing due to pay."""

    payment: AidPayment
    beyond_due: int


@dataclass(frozen=True, slots=True)
class StudentAid:
    """All that is on file about one student's aid, oldest first. `path` is the school's."""

    path: str
    applications: tuple[Application, ...]
    awards: tuple[AwardView, ...]
    payments: tuple[PaymentView, ...]
    postings: tuple[AidPosting, ...]
    filings: tuple[Filing, ...]


async def student_aid(session: AsyncSession, actor: Actor, student_id: UUID, at: datetime) -> StudentAid:
    """One student's aid, for the student, a counselor of the class, and those who handle aid; else `NotFound`."""
    wanted = (
        select(Student.id, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == Student.school_id)
        .where(Student.id == student_id)
    )
    if actor.role == "counselor":
        wanted = wanted.where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    student = (await session.execute(wanted)).one_or_none()
    if student is None:
        raise NotFound
    postings = (
        await session.scalars(
            select(AidPosting)
            .where(AidPosting.student_id == student_id)
            .order_by(AidPosting.at, AidPosting.id)
        )
    ).all()
    applications = _applications().where(AidApplication.student_id == student_id)
    theirs = filings().where(AidFiling.student_id == student_id).order_by(AidFiling.id)
    return StudentAid(
        path=student.path,
        applications=tuple(
            Application(*row) for row in await session.execute(applications.order_by(AidApplication.id))
        ),
        awards=await _awards(session, student_id, postings, student.path, at),
        payments=await _payments(session, student_id, postings),
        postings=tuple(postings),
        filings=tuple(Filing(*row) for row in await session.execute(theirs)),
    )


async def _awards(
    session: AsyncSession, student_id: UUID, postings: Sequence[AidPosting], path: str, at: datetime
) -> tuple[AwardView, ...]:
    balance: dict[tuple[UUID, date, str], int] = defaultdict(int)
    for posting in postings:
        balance[posting.award_id, posting.month, posting.source] -= posting.fen
        balance[posting.award_id, posting.month, posting.target] += posting.fen
    rows = await session.execute(
        select(AidAward, AidInstalment)
        .join(AidInstalment, AidInstalment.award_id == AidAward.id)
        .where(AidAward.student_id == student_id)
        .order_by(AidAward.term_starts_on, AidAward.kind, AidInstalment.month)
    )
    last = _last_overdue_month(path, at)
    parts: dict[AidAward, list[PartOfAward]] = defaultdict(list)
    for award, part in rows:
        due, paid, withdrawn = (
            balance[award.id, part.month, account.value]
            for account in (Account.DUE, Account.PAID, Account.WITHDRAWN)
        )
        overdue = due > 0 and part.month <= last
        parts[award].append(PartOfAward(part.month, part.fen, due, paid, withdrawn, overdue))
    return tuple(AwardView(award, tuple(found)) for award, found in parts.items())


def _last_overdue_month(path: str, at: datetime) -> date:
    """The newest month whose instalment ought to be paid by now (MOE15-1.2)."""
    today = legal_day(at)
    interval = policy_at(today, division_of(path)).integer("aid.payment_interval")
    return months_of_term(date(today.year - 1, 1, 1), today)[-1 - interval]


async def _payments(
    session: AsyncSession, student_id: UUID, postings: Sequence[AidPosting]
) -> tuple[PaymentView, ...]:
    settled: dict[str, int] = defaultdict(int)
    for posting in postings:
        settled[posting.cause] += posting.fen
    rows = await session.scalars(
        select(AidPayment).where(AidPayment.student_id == student_id).order_by(AidPayment.at, AidPayment.id)
    )
    return tuple(PaymentView(row, row.fen - settled[f"payment:{row.id}"]) for row in rows)


# --- the balance ---


@dataclass(frozen=True, slots=True)
class Balance:
    """Where the aid of one school and term stands, in fen. `budget` is what went out of it, so it is negative."""

    school_id: UUID
    term_code: str
    awards: int
    granted: int
    budget: int
    due: int
    overdue: int
    paid: int
    withdrawn: int
    payments: int

    @property
    def beyond_due(self) -> int:
        """Paid out with nothing due: to be returned, or to be looked into."""
        return self.payments - self.paid

    @property
    def balanced(self) -> bool:
        """The accounts sum to nothing, every grant is posted, and none of them is below zero."""
        return (
            self.budget + self.due + self.paid + self.withdrawn == 0
            and self.budget == -self.granted
            and min(self.due, self.paid, self.withdrawn, self.beyond_due) >= 0
        )


@dataclass(frozen=True, slots=True)
class BalanceSearch:
    """Which balances; what is not given narrows nothing."""

    term_code: str | None = None
    school_id: UUID | None = None


async def balances(
    session: AsyncSession,
    actor: Actor,
    search: BalanceSearch,
    at: datetime,
    after: tuple[UUID, str] | None,
    limit: int,
) -> Sequence[Balance]:
    """At most `limit` balances by school and term, behind the key `after`."""
    must_handle_aid(actor)
    key = (AidAward.school_id, AidAward.term_code)
    page = select(*key, func.count()).group_by(*key).order_by(*key).limit(limit)
    if search.term_code is not None:
        page = page.where(AidAward.term_code == search.term_code)
    if search.school_id is not None:
        page = page.where(AidAward.school_id == search.school_id)
    if after is not None:
        page = page.where(tuple_(*key) > tuple_(literal(after[0]), literal(after[1])))
    counted = {(school, term): count for school, term, count in await session.execute(page)}
    if not counted:
        return []
    last = _last_overdue_month(actor.org_path, at)
    accounts = await _sums(session, list(counted), AidPosting, _account_sums(last))
    granted = await _sums(session, list(counted), AidInstalment, (func.sum(AidInstalment.fen),))
    paid = await _sums(session, list(counted), AidPayment, (func.sum(AidPayment.fen),))
    found = []
    for each, count in counted.items():
        budget, due, gone, withdrawn, overdue = accounts[each]
        found.append(
            Balance(
                *each,
                awards=count,
                granted=granted[each][0],
                budget=budget,
                due=due,
                overdue=overdue,
                paid=gone,
                withdrawn=withdrawn,
                payments=paid[each][0],
            )
        )
    return found


Sums = dict[tuple[UUID, str], tuple[int, ...]]


def _account_sums(last: date) -> tuple[ColumnElement[Any], ...]:
    """The balance of each account in the order of `Account`, then what is due and overdue."""

    def moved(account: Account) -> ColumnElement[int]:
        return case(
            (AidPosting.target == account.value, AidPosting.fen),
            (AidPosting.source == account.value, -AidPosting.fen),
            else_=0,
        )

    overdue = func.sum(moved(Account.DUE)).filter(AidPosting.month <= last)
    every = (func.sum(moved(account)) for account in Account)
    return (*every, overdue)


async def _sums(
    session: AsyncSession,
    keys: Sequence[tuple[UUID, str]],
    table: type[AidPosting] | type[AidInstalment] | type[AidPayment],
    columns: Sequence[ColumnElement[Any]],
) -> Sums:
    """Sums over the rows of a table by the school and term of their award; nothing where there are none."""
    key = (AidAward.school_id, AidAward.term_code)
    rows = await session.execute(
        select(*key, *(func.coalesce(column, 0).cast(BigInteger) for column in columns))
        .join_from(table, AidAward, and_(AidAward.id == table.award_id))
        .where(tuple_(*key).in_(keys))
        .group_by(*key)
    )
    found: Sums = {each: (0,) * len(columns) for each in keys}
    return found | {(school, term): tuple(sums) for school, term, *sums in rows}
