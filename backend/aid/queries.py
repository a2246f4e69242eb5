"""Queries: applications, the aid of one student, and the balance of each school and term."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.filings import FilingView, require_aid_role, select_filings
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
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.org.paths import division_of
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.people.queries import classes_of_counselor
from backend.people.tables import Student
from backend.policy.installed import policy_at

ApplicationState = Literal["pending", "approved", "refused"]

# --- applications ---


@dataclass(frozen=True, slots=True)
class ApplicationView:
    """An application with its decision."""

    application: AidApplication
    decision: AidDecision | None

    @property
    def state(self) -> str:
        return self.decision.outcome if self.decision else "pending"


@dataclass(frozen=True, slots=True)
class ApplicationSearch:
    """Filters for applications; None means any."""

    state: ApplicationState | None = None
    term_code: str | None = None
    class_id: UUID | None = None
    school_id: UUID | None = None
    unit_id: UUID | None = None


ApplicationSort = Literal["filed_at", "-filed_at"]
APPLICATION_SORTS = ListSorts(AidApplication.id, {"filed_at": AidApplication.id}, default="-filed_at")
"""An id begins with the time."""


def _select_applications() -> Select[*tuple[Any, ...]]:
    return select(AidApplication, AidDecision).outerjoin(
        AidDecision, AidDecision.application_id == AidApplication.id
    )


async def get_application(session: AsyncSession, application_id: UUID) -> ApplicationView:
    """Return one application in the tenant scope; raises `NotFound`."""
    row = (
        await session.execute(_select_applications().where(AidApplication.id == application_id))
    ).one_or_none()
    if row is None:
        raise NotFound
    return ApplicationView(*row)


async def load_application(session: AsyncSession, actor: Actor, application_id: UUID) -> ApplicationView:
    """Return one application to a registrar or an authority above the school; raises `NotFound`."""
    require_aid_role(actor)
    return await get_application(session, application_id)


async def list_applications(
    session: AsyncSession, actor: Actor, search: ApplicationSearch, request: PageRequest
) -> ListPage[ApplicationView]:
    """A page of the applications. Raises `NotFound` for a unit of others."""
    require_aid_role(actor)
    schools = await load_school_scope(session, actor, search.unit_id)
    page = _select_applications().where(is_of_schools(AidApplication.school_id, schools))
    if search.state == "pending":
        page = page.where(AidDecision.application_id.is_(None))
    elif search.state is not None:
        page = page.where(AidDecision.outcome == search.state)
    if search.term_code is not None:
        page = page.where(AidApplication.term_code == search.term_code)
    if search.school_id is not None:
        page = page.where(AidApplication.school_id == search.school_id)
    if search.class_id is not None:
        in_class = select(Student.id).where(Student.class_id == search.class_id)
        page = page.where(AidApplication.student_id.in_(in_class))
    found = await load_page(session, page, APPLICATION_SORTS, request)
    return found.with_rows([ApplicationView(*row) for row in found.rows])


# --- one student ---


@dataclass(frozen=True, slots=True)
class InstalmentView:
    """An instalment with its balances; `overdue` if the payment interval after its month has passed."""

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
    instalments: tuple[InstalmentView, ...]


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment and the part of it that exceeds the amount due."""

    payment: AidPayment
    overpaid: int


@dataclass(frozen=True, slots=True)
class StudentAid:
    """Everything stored about one student's aid, oldest first. `path` is the school's."""

    path: str
    applications: tuple[ApplicationView, ...]
    awards: tuple[AwardView, ...]
    payments: tuple[PaymentView, ...]
    postings: tuple[AidPosting, ...]
    filings: tuple[FilingView, ...]


async def get_student_aid(session: AsyncSession, actor: Actor, student_id: UUID, at: datetime) -> StudentAid:
    """Return one student's aid to the student, a counselor of the class, a registrar or an authority.

    Raises `NotFound` for everyone else.
    """
    query = (
        select(Student.id, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == Student.school_id)
        .where(Student.id == student_id)
    )
    if actor.role == "counselor":
        query = query.where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    student = (await session.execute(query)).one_or_none()
    if student is None:
        raise NotFound
    postings = (
        await session.scalars(
            select(AidPosting)
            .where(AidPosting.student_id == student_id)
            .order_by(AidPosting.at, AidPosting.id)
        )
    ).all()
    applications = _select_applications().where(AidApplication.student_id == student_id)
    filings = select_filings().where(AidFiling.student_id == student_id).order_by(AidFiling.id)
    return StudentAid(
        path=student.path,
        applications=tuple(
            ApplicationView(*row) for row in await session.execute(applications.order_by(AidApplication.id))
        ),
        awards=await _load_awards(session, student_id, postings, student.path, at),
        payments=await _load_payments(session, student_id, postings),
        postings=tuple(postings),
        filings=tuple(FilingView(*row) for row in await session.execute(filings)),
    )


async def _load_awards(
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
    instalments: dict[AidAward, list[InstalmentView]] = defaultdict(list)
    for award, instalment in rows:
        due, paid, withdrawn = (
            balance[award.id, instalment.month, account.value]
            for account in (Account.DUE, Account.PAID, Account.WITHDRAWN)
        )
        overdue = due > 0 and instalment.month <= last
        instalments[award].append(
            InstalmentView(instalment.month, instalment.fen, due, paid, withdrawn, overdue)
        )
    return tuple(AwardView(award, tuple(views)) for award, views in instalments.items())


def _last_overdue_month(path: str, at: datetime) -> date:
    """Return the newest month whose instalment should have been paid by now (MOE15-1.2)."""
    today = legal_day(at)
    interval = policy_at(today, division_of(path)).integer("aid.payment_interval")
    return months_of_term(date(today.year - 1, 1, 1), today)[-1 - interval]


async def _load_payments(
    session: AsyncSession, student_id: UUID, postings: Sequence[AidPosting]
) -> tuple[PaymentView, ...]:
    paid: dict[str, int] = defaultdict(int)
    for posting in postings:
        paid[posting.cause] += posting.fen
    rows = await session.scalars(
        select(AidPayment).where(AidPayment.student_id == student_id).order_by(AidPayment.at, AidPayment.id)
    )
    return tuple(PaymentView(row, row.fen - paid[f"payment:{row.id}"]) for row in rows)


# --- balances ---


@dataclass(frozen=True, slots=True)
class Balance:
    """The accounts of one school and term, in fen. `budget` is the source of all aid, so its balance is negative."""

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
    def overpaid(self) -> int:
        """Return what was paid beyond the amounts due."""
        return self.payments - self.paid

    @property
    def balanced(self) -> bool:
        """Return whether the accounts sum to zero, every award is posted, and only `budget` is negative."""
        return (
            self.budget + self.due + self.paid + self.withdrawn == 0
            and self.budget == -self.granted
            and min(self.due, self.paid, self.withdrawn, self.overpaid) >= 0
        )


@dataclass(frozen=True, slots=True)
class BalanceSearch:
    """Filters for balances; None means any."""

    term_code: str | None = None
    school_id: UUID | None = None


async def list_balances(
    session: AsyncSession,
    actor: Actor,
    search: BalanceSearch,
    at: datetime,
    after: tuple[UUID, str] | None,
    limit: int,
) -> Sequence[Balance]:
    """Return at most `limit` balances, ordered by school and term, after the key `after`."""
    require_aid_role(actor)
    key = (AidAward.school_id, AidAward.term_code)
    page = select(*key, func.count()).group_by(*key).order_by(*key).limit(limit)
    if search.term_code is not None:
        page = page.where(AidAward.term_code == search.term_code)
    if search.school_id is not None:
        page = page.where(AidAward.school_id == search.school_id)
    if after is not None:
        page = page.where(tuple_(*key) > tuple_(literal(after[0]), literal(after[1])))
    award_counts = {(school, term): count for school, term, count in await session.execute(page)}
    if not award_counts:
        return []
    last = _last_overdue_month(actor.org_path, at)
    accounts = await _sum_by_term(session, list(award_counts), AidPosting, _account_sums(last))
    granted = await _sum_by_term(session, list(award_counts), AidInstalment, (func.sum(AidInstalment.fen),))
    payments = await _sum_by_term(session, list(award_counts), AidPayment, (func.sum(AidPayment.fen),))
    balances = []
    for school_and_term, count in award_counts.items():
        budget, due, paid, withdrawn, overdue = accounts[school_and_term]
        balances.append(
            Balance(
                *school_and_term,
                awards=count,
                granted=granted[school_and_term][0],
                budget=budget,
                due=due,
                overdue=overdue,
                paid=paid,
                withdrawn=withdrawn,
                payments=payments[school_and_term][0],
            )
        )
    return balances


Sums = dict[tuple[UUID, str], tuple[int, ...]]


def _account_sums(last: date) -> tuple[ColumnElement[Any], ...]:
    """Return the balance of each account in the order of `Account`, then the overdue part of `due`."""

    def signed_fen(account: Account) -> ColumnElement[int]:
        return case(
            (AidPosting.target == account.value, AidPosting.fen),
            (AidPosting.source == account.value, -AidPosting.fen),
            else_=0,
        )

    overdue = func.sum(signed_fen(Account.DUE)).filter(AidPosting.month <= last)
    balances = (func.sum(signed_fen(account)) for account in Account)
    return (*balances, overdue)


async def _sum_by_term(
    session: AsyncSession,
    keys: Sequence[tuple[UUID, str]],
    table: type[AidPosting] | type[AidInstalment] | type[AidPayment],
    columns: Sequence[ColumnElement[Any]],
) -> Sums:
    """Sum columns of a table by the school and term of the award; 0 where there are no rows."""
    group = (AidAward.school_id, AidAward.term_code)
    rows = await session.execute(
        select(*group, *(func.coalesce(column, 0).cast(BigInteger) for column in columns))
        .join_from(table, AidAward, and_(AidAward.id == table.award_id))
        .where(tuple_(*group).in_(keys))
        .group_by(*group)
    )
    sums: Sums = {key: (0,) * len(columns) for key in keys}
    return sums | {(school, term): tuple(row) for school, term, *row in rows}
