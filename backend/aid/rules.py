"""The rules of aid as pure functions: eligibility, the amounts of a term, and a ledger that always balances.

Amounts are whole fen (1 yuan = 100 fen). HN334-4.1d withdraws exactly the unpaid part; HN334-4.2 reinstates it with
counter-entries; MOE19-3.5 defines eligibility.
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
    """The facts that decide eligibility on one day. `standing` is the national code."""

    study_form: str
    standing: str
    degree_track: bool
    formally_registered: bool
    compulsory_education_duplicate: bool


def find_ineligibility_reasons(applicant: Applicant) -> tuple[str, ...]:
    """Return every reason why the student is not eligible, in a fixed order; empty if eligible."""
    reasons = {
        "part_time": applicant.study_form != FULL_TIME,
        "non_degree": not applicant.degree_track,
        "not_formally_registered": not applicant.formally_registered,
        "not_in_school": applicant.standing not in ACTIVE_STANDINGS,
        "compulsory_education_duplicate": applicant.compulsory_education_duplicate,
    }
    return tuple(reason for reason, applies in reasons.items() if applies)


# --- amounts ---


class AidKind(StrEnum):
    GRANT = "grant"
    TUITION_WAIVER = "tuition_waiver"


@dataclass(frozen=True, slots=True)
class Instalment:
    """An amount that is paid at once. `month` is the first day of the month; a waiver has one instalment per term."""

    kind: AidKind
    month: date
    fen: int


def instalments(kind: AidKind, law: PolicyAt, months: Sequence[date]) -> tuple[Instalment, ...]:
    """Return the instalments of a term: one per month for a grant, one in the first month for a waiver.

    `law` is the law of the term's first day. A remainder is spread over the first months, one fen each, so that no
    fen is lost.
    """
    terms = law.integer("aid.terms_per_year")
    if kind is AidKind.TUITION_WAIVER:
        return (Instalment(kind, months[0], law.integer("aid.tuition_waiver.base_per_year") // terms),)
    amount, remainder = divmod(law.integer("aid.grant.average_per_year") // terms, len(months))
    return tuple(
        Instalment(kind, month, amount + (number < remainder)) for number, month in enumerate(months)
    )


def months_of_term(starts_on: date, ends_on: date) -> tuple[date, ...]:
    """Return the first day of each calendar month that the term overlaps."""
    months, month = [], starts_on.replace(day=1)
    while month <= ends_on:
        months.append(month)
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return tuple(months)


# --- the ledger ---


class Account(StrEnum):
    """An account of the ledger. Every posting moves fen from one account to another, so the accounts sum to zero."""

    BUDGET = "budget"
    DUE = "due"
    """Awarded and not paid yet."""
    PAID = "paid"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Award:
    """An approved application with the instalments of one student and term."""

    award_id: str
    term: str
    kind: AidKind
    approved_at: datetime
    instalments: tuple[Instalment, ...]


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that was paid out for an instalment."""

    payment_id: str
    award_id: str
    month: date
    paid_at: datetime
    fen: int


@dataclass(frozen=True, slots=True)
class Posting:
    """A ledger entry: `fen` > 0 moves from `source` to `target`. `cause` is the key of the fact that caused it."""

    posting_id: str
    at: datetime
    award_id: str
    month: date
    source: Account
    target: Account
    fen: int
    cause: str


@dataclass(frozen=True, slots=True)
class Overpayment:
    """The part of a payment that exceeds the amount due, such as a payment after the withdrawal. Never netted."""

    payment_id: str
    fen: int


@dataclass(frozen=True, slots=True)
class AidAccounts:
    """All postings of a student in order, and the overpayments."""

    postings: tuple[Posting, ...]
    overpayments: tuple[Overpayment, ...]

    def balance(self, account: Account, award_ids: Iterable[str] | None = None) -> int:
        """Return the balance of an account in fen, of the given awards or of all."""
        selected = None if award_ids is None else frozenset(award_ids)
        postings = (item for item in self.postings if selected is None or item.award_id in selected)
        return sum(
            item.fen * ((item.target is account) - (item.source is account))
            for item in postings
            if account in {item.source, item.target}
        )


@dataclass(frozen=True, slots=True)
class AidChange:
    """A standing change that withdraws the unpaid aid of its term at `released_at`, until it is reversed."""

    change_id: str
    term: str
    released_at: datetime | None
    reversed_by: str | None
    reversed_at: datetime | None


def find_aid_changes(assessment: Assessment, terms: Sequence[SchoolTerm]) -> tuple[AidChange, ...]:
    """Return the changes of an assessment that affect aid.

    The term of a change is the one it falls in; between two terms it is the term of its prompt.
    """
    released = {release.change_id: release.at for release in assessment.aid}
    reversals = {entry.reverses: entry for entry in assessment.ledger if entry.reverses is not None}
    term_of_prompt = {prompt.prompt_id: prompt.term for prompt in assessment.prompts}
    changes = []
    for entry in assessment.ledger:
        if entry.cause in SANCTIONS and entry.prompt_id is not None:
            terms_of_day = (term.code for term in terms if term.covers(legal_day(entry.at)))
            term = next(terms_of_day, term_of_prompt[entry.prompt_id])
            reversal = reversals.get(entry.entry_id)
            changes.append(
                AidChange(
                    entry.entry_id,
                    term,
                    released.get(entry.entry_id),
                    reversal.entry_id if reversal else None,
                    reversal.at if reversal else None,
                )
            )
    return tuple(changes)


def compute_accounts(
    awards: Iterable[Award],
    payments: Iterable[Payment],
    changes: Iterable[AidChange],
    kinds: Sequence[str],
    as_of: datetime,
) -> AidAccounts:
    """Derive all postings up to `as_of`, in the order of events; `kinds` is `aid.withdrawal.kinds`."""
    ledger = _LedgerBuilder(kinds)
    events: list[tuple[datetime, int, str, Callable[[], None]]] = [
        *((award.approved_at, 0, award.award_id, partial(ledger.grant, award)) for award in awards),
        *((item.paid_at, 1, item.payment_id, partial(ledger.pay, item)) for item in payments),
    ]
    for change in changes:
        if change.released_at is not None:
            events.append((change.released_at, 2, change.change_id, partial(ledger.withdraw, change)))
        if change.reversed_at is not None:
            events.append((change.reversed_at, 3, change.change_id, partial(ledger.reinstate, change)))
    for at, _, _, post in sorted(events, key=lambda event: event[:3]):
        if at <= as_of:
            post()
    return ledger.build()


class _LedgerBuilder:
    """Derives postings from events that are applied in order."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = frozenset(kinds)
        self._awards: dict[str, Award] = {}
        self._postings: list[Posting] = []
        self._due: dict[tuple[str, date], int] = {}
        self._overpayments: list[Payment] = []
        self._withheld: dict[AidChange, dict[tuple[str, date], int]] = {}
        """What each change in force withholds, in the order in which the changes were released."""

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
        self._apply_overpayments(award.approved_at)

    def pay(self, payment: Payment) -> None:
        """Pay up to the amount due. The rest is an overpayment until more becomes due."""
        key = (payment.award_id, payment.month)
        payable = min(payment.fen, self._due.get(key, 0))
        self._post(
            payment.paid_at, key, (Account.DUE, Account.PAID), payable, f"payment:{payment.payment_id}"
        )
        if payable < payment.fen:
            self._overpayments.append(replace(payment, fen=payment.fen - payable))

    def withdraw(self, change: AidChange) -> None:
        """Withdraw exactly the unpaid part of the term's aid (HN334-4.1d)."""
        assert change.released_at is not None
        withheld = self._withheld[change] = {}
        for award_id, month in sorted(self._due):
            award = self._awards[award_id]
            if award.term == change.term and award.kind in self._kinds:
                unpaid = self._due[award_id, month]
                accounts = (Account.DUE, Account.WITHDRAWN)
                cause = f"change:{change.change_id}"
                self._post(change.released_at, (award_id, month), accounts, unpaid, cause)
                withheld[award_id, month] = unpaid

    def reinstate(self, change: AidChange) -> None:
        """Post counter-entries for what the change withheld, unless another change in force withholds it (HN334-4.2).

        The other change then withholds that part too, and its own reversal gives it back (reading 24).
        """
        assert change.reversed_at is not None
        withheld = self._withheld.pop(change, {})
        other = next((each for each in self._withheld if each.term == change.term), None)
        if other is not None:
            rest = self._withheld[other]
            for key, fen in withheld.items():
                rest[key] = rest.get(key, 0) + fen
            return
        for key, fen in sorted(withheld.items()):
            accounts = (Account.WITHDRAWN, Account.DUE)
            self._post(change.reversed_at, key, accounts, fen, f"reversal:{change.reversed_by}")
        self._apply_overpayments(change.reversed_at)

    def _apply_overpayments(self, at: datetime) -> None:
        """Pay earlier overpayments from what is due now."""
        overpayments, self._overpayments = self._overpayments, []
        for payment in overpayments:
            self.pay(replace(payment, paid_at=at))

    def build(self) -> AidAccounts:
        return AidAccounts(
            tuple(self._postings),
            tuple(Overpayment(payment.payment_id, payment.fen) for payment in self._overpayments),
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
