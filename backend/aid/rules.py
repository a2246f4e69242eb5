"""The rules of aid, pure: who is eligible, what a term pays, and a ledger that always balances.

Amounts are whole fen. HN334-4.1d withdraws exactly what has not been paid; HN334-4.2 brings it back by a
counter-entry; MOE19-3.5 says whom aid is for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import partial

from backend.core.clock import legal_day
from backend.leave.rules import SchoolTerm
from backend.policy import PolicyAt
from backend.roll_call.rules import ACTIVE_STANDINGS
from backend.standing.engine.assess import Assessment
from backend.standing.engine.ids import derived_id
from backend.standing.engine.ledger import SANCTIONS

FULL_TIME = "full_time"

# --- eligibility (MOE19-3.5, HRSS28-3.2) ---


@dataclass(frozen=True, slots=True)
class Applicant:
    """What eligibility looks at, as it is on one day. `standing` is the national code."""

    study_form: str
    standing: str
    degree_track: bool
    formally_registered: bool
    compulsory_education_duplicate: bool


def ineligibility(applicant: Applicant) -> tuple[str, ...]:
    """Every reason why aid is not for this student, in a fixed order; empty if it is."""
    reasons = {
        "part_time": applicant.study_form != FULL_TIME,
        "non_degree": not applicant.degree_track,
        "not_formally_registered": not applicant.formally_registered,
        "not_in_school": applicant.standing not in ACTIVE_STANDINGS,
        "compulsory_education_duplicate": applicant.compulsory_education_duplicate,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


# --- amounts ---


class AidKind(StrEnum):
    GRANT = "grant"
    TUITION_WAIVER = "tuition_waiver"


@dataclass(frozen=True, slots=True)
class Instalment:
    """One amount of one term that is paid at once. `month` is its first day; a waiver is paid by the term."""

    kind: AidKind
    month: date
    fen: int


def instalments(kind: AidKind, law: PolicyAt, months: Sequence[date]) -> tuple[Instalment, ...]:
    """What a term pays, by the law of its first day: a grant by month, a waiver in one sum in the first month.

    A sum that the months do not divide is split so that no fen is lost: the earlier months carry one fen more.
    """
    terms = law.integer("aid.terms_per_year")
    if kind is AidKind.TUITION_WAIVER:
        return (Instalment(kind, months[0], law.integer("aid.tuition_waiver.base_per_year") // terms),)
    each, over = divmod(law.integer("aid.grant.average_per_year") // terms, len(months))
    return tuple(Instalment(kind, month, each + (number < over)) for number, month in enumerate(months))


def months_of_term(starts_on: date, ends_on: date) -> tuple[date, ...]:
    """The first day of each calendar month that the term touches."""
    found, month = [], starts_on.replace(day=1)
    while month <= ends_on:
        found.append(month)
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return tuple(found)


# --- the ledger ---


class Account(StrEnum):
    """Where an amount of aid stands. Every entry moves it from one account to another, so their sum never changes."""

    BUDGET = "budget"
    DUE = "due"
    """Granted and not paid yet."""
    PAID = "paid"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Award:
    """An approved application: what a term pays to one student."""

    award_id: str
    term: str
    kind: AidKind
    approved_at: datetime
    instalments: tuple[Instalment, ...]


@dataclass(frozen=True, slots=True)
class Payment:
    """An instalment that was paid out."""

    payment_id: str
    award_id: str
    month: date
    paid_at: datetime
    fen: int


@dataclass(frozen=True, slots=True)
class Posting:
    """One entry: `fen` > 0 moves from `source` to `target`. `cause` names the fact or the standing entry behind it."""

    posting_id: str
    at: datetime
    award_id: str
    month: date
    source: Account
    target: Account
    fen: int
    cause: str


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A payment beyond what was due, such as one paid out after its withdrawal: listed, never netted off."""

    payment_id: str
    fen: int


@dataclass(frozen=True, slots=True)
class AidAccounts:
    """All postings of a student, in order, and what did not fit."""

    postings: tuple[Posting, ...]
    discrepancies: tuple[Discrepancy, ...]

    def balance(self, account: Account, kinds: Iterable[str] | None = None) -> int:
        """Fen on an account, of the awards named or of all."""
        wanted = None if kinds is None else frozenset(kinds)
        moved = (item for item in self.postings if wanted is None or item.award_id in wanted)
        return sum(
            item.fen * ((item.target is account) - (item.source is account))
            for item in moved
            if account in {item.source, item.target}
        )


@dataclass(frozen=True, slots=True)
class AidChange:
    """A standing change as aid sees it: from `released_at` its term's unpaid aid is withdrawn, until it is reversed."""

    change_id: str
    term: str
    released_at: datetime | None
    reversed_by: str | None
    reversed_at: datetime | None


def aid_changes(assessment: Assessment, terms: Sequence[SchoolTerm]) -> tuple[AidChange, ...]:
    """The changes of a student's picture. "This term" is that of the change, or of its prompt between two terms."""
    released = {release.change_id: release.at for release in assessment.aid}
    reversals = {entry.reverses: entry for entry in assessment.ledger if entry.reverses is not None}
    term_of_prompt = {prompt.prompt_id: prompt.term for prompt in assessment.prompts}
    found = []
    for entry in assessment.ledger:
        if entry.cause in SANCTIONS and entry.prompt_id is not None:
            during = (term.code for term in terms if term.covers(legal_day(entry.at)))
            term = next(during, term_of_prompt[entry.prompt_id])
            undone = reversals.get(entry.entry_id)
            found.append(
                AidChange(
                    entry.entry_id,
                    term,
                    released.get(entry.entry_id),
                    undone.entry_id if undone else None,
                    undone.at if undone else None,
                )
            )
    return tuple(found)


def aid_accounts(
    awards: Iterable[Award],
    payments: Iterable[Payment],
    changes: Iterable[AidChange],
    kinds: Sequence[str],
    as_of: datetime,
) -> AidAccounts:
    """Post everything known at the instant, in the order of events; `kinds` is `aid.withdrawal.kinds`."""
    accounts = _Accounts(kinds)
    events: list[tuple[datetime, int, str, Callable[[], None]]] = [
        *((award.approved_at, 0, award.award_id, partial(accounts.grant, award)) for award in awards),
        *((item.paid_at, 1, item.payment_id, partial(accounts.pay, item)) for item in payments),
    ]
    for change in changes:
        if change.released_at is not None:
            events.append((change.released_at, 2, change.change_id, partial(accounts.withdraw, change)))
        if change.reversed_at is not None:
            events.append((change.reversed_at, 3, change.change_id, partial(accounts.reinstate, change)))
    for at, _, _, post in sorted(events, key=lambda event: event[:3]):
        if at <= as_of:
            post()
    return accounts.closed()


class _Accounts:
    """The books while they are being written."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = frozenset(kinds)
        self._awards: dict[str, Award] = {}
        self._postings: list[Posting] = []
        self._due: dict[tuple[str, date], int] = {}
        self._excess: list[Payment] = []

    def grant(self, award: Award) -> None:
        self._awards[award.award_id] = award
        for part in award.instalments:
            self._post(
                award.approved_at,
                (award.award_id, part.month),
                (Account.BUDGET, Account.DUE),
                part.fen,
                f"award:{award.award_id}",
            )
        self._settle_waiting(award.approved_at)

    def pay(self, payment: Payment) -> None:
        """Pay what is due; what is paid beyond it is kept apart until it becomes due, if ever."""
        key = (payment.award_id, payment.month)
        fits = min(payment.fen, self._due.get(key, 0))
        self._post(payment.paid_at, key, (Account.DUE, Account.PAID), fits, f"payment:{payment.payment_id}")
        if fits < payment.fen:
            self._excess.append(replace(payment, fen=payment.fen - fits))

    def withdraw(self, change: AidChange) -> None:
        """Exactly the unpaid part of the term's aid (HN334-4.1d)."""
        assert change.released_at is not None
        for award_id, month in sorted(self._due):
            award = self._awards[award_id]
            if award.term == change.term and award.kind in self._kinds:
                unpaid = self._due[award_id, month]
                accounts = (Account.DUE, Account.WITHDRAWN)
                cause = f"change:{change.change_id}"
                self._post(change.released_at, (award_id, month), accounts, unpaid, cause)

    def reinstate(self, change: AidChange) -> None:
        """Counter-entries to the withdrawal, to the fen."""
        assert change.reversed_at is not None
        withdrawn = [item for item in self._postings if item.cause == f"change:{change.change_id}"]
        for item in withdrawn:
            accounts = (Account.WITHDRAWN, Account.DUE)
            key = (item.award_id, item.month)
            self._post(change.reversed_at, key, accounts, item.fen, f"reversal:{change.reversed_by}")
        self._settle_waiting(change.reversed_at)

    def _settle_waiting(self, at: datetime) -> None:
        """What was paid beyond its due is paid, once it is due after all."""
        waiting, self._excess = self._excess, []
        for payment in waiting:
            self.pay(replace(payment, paid_at=at))

    def closed(self) -> AidAccounts:
        return AidAccounts(
            tuple(self._postings),
            tuple(Discrepancy(payment.payment_id, payment.fen) for payment in self._excess),
        )

    def _post(
        self, at: datetime, key: tuple[str, date], accounts: tuple[Account, Account], fen: int, cause: str
    ) -> None:
        if fen == 0:
            return
        source, target = accounts
        self._due[key] = self._due.get(key, 0) + fen * ((target is Account.DUE) - (source is Account.DUE))
        posting_id = derived_id("posting", (key, source, target, fen, cause))
        self._postings.append(Posting(posting_id, at, *key, source, target, fen, cause))
