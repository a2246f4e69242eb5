"""Posting step by step gives the same postings as deriving them at once, and no posting is ever revoked."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.aid.ledger import StoredChange, StudentLedger
from backend.aid.rules import Account, AidChange, AidKind, Award, Instalment, Payment
from backend.core.clock import LEGAL_ZONE

pytestmark = [pytest.mark.clause("HN334-4.1d"), pytest.mark.clause("R13")]

START = datetime(2025, 9, 1, 8, tzinfo=LEGAL_ZONE)
MONTHS = tuple(date(2025, month, 1) for month in (9, 10, 11))
PATH = "p410000.c410100.s4100000001"


@dataclass(frozen=True, slots=True)
class History:
    """Everything recorded about a student, each fact at an instant of its own."""

    awards: list[Award]
    payments: list[Payment]
    changes: list[AidChange]

    def ledger_at(self, at: datetime) -> StudentLedger:
        """Return the ledger with the facts recorded until an instant."""
        ledger = StudentLedger(
            awards=[award for award in self.awards if award.approved_at <= at],
            payments=[payment for payment in self.payments if payment.paid_at <= at],
        )
        for change in self.changes:
            assert change.released_at is not None
            if change.released_at > at:
                continue
            is_reversed = change.reversed_at is not None and change.reversed_at <= at
            known_change = AidChange(
                change.change_id,
                change.term,
                change.released_at,
                change.reversed_by if is_reversed else None,
                change.reversed_at if is_reversed else None,
            )
            ledger.changes.append(StoredChange(known_change, change.released_at))
        return ledger

    def instants(self) -> list[datetime]:
        instants = {award.approved_at for award in self.awards}
        instants |= {payment.paid_at for payment in self.payments}
        for change in self.changes:
            instants |= {at for at in (change.released_at, change.reversed_at) if at is not None}
        return sorted(instants)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Awards first; payments, changes and reversals in any order after them, no two at once."""
    hours = iter(draw(st.permutations(range(4, 24))))

    def after(earliest: datetime) -> datetime:
        return max(START + timedelta(hours=next(hours)), earliest + timedelta(minutes=1))

    awards = [
        Award(
            f"a{number}",
            draw(st.sampled_from(["T", "U"])),
            kind,
            START + timedelta(hours=number),
            tuple(Instalment(kind, month, draw(st.integers(1, 300))) for month in MONTHS),
        )
        for number, kind in enumerate(draw(st.lists(st.sampled_from(AidKind), min_size=1, max_size=3)))
    ]
    payments = [
        Payment(
            f"p{number}",
            draw(st.sampled_from(awards)).award_id,
            draw(st.sampled_from(MONTHS)),
            after(START),
            draw(st.integers(1, 400)),
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    changes = []
    for number in range(draw(st.integers(0, 3))):
        released = after(START)
        reversed_at = after(released) if draw(st.booleans()) else None
        term = draw(st.sampled_from(["T", "U"]))
        changes.append(
            AidChange(f"c{number}", term, released, f"r{number}" if reversed_at else None, reversed_at)
        )
    return History(awards, payments, changes)


@given(histories())
def test_stepwise_postings_equal_postings_derived_at_once(history: History) -> None:
    stored: set[str] = set()
    for at in history.instants():
        derived = {posting.posting_id for posting in history.ledger_at(at).accounts(PATH, at).postings}
        assert stored <= derived, "a stored posting no longer follows"
        stored |= derived
    end = START + timedelta(days=30)
    at_once = history.ledger_at(end).accounts(PATH, end)
    assert stored == {posting.posting_id for posting in at_once.postings}
    assert len(stored) == len(at_once.postings), "two postings share an id"
    assert sum(at_once.balance(account) for account in Account) == 0


@pytest.mark.clause("HN334-4.2")
@given(histories())
def test_reversing_every_change_restores_the_balances(history: History) -> None:
    end = START + timedelta(days=30)
    reversed_changes = [
        AidChange(each.change_id, each.term, each.released_at, f"r{each.change_id}", end)
        for each in history.changes
    ]
    with_reversals = (
        History(history.awards, history.payments, reversed_changes).ledger_at(end).accounts(PATH, end)
    )
    without_changes = History(history.awards, history.payments, []).ledger_at(end).accounts(PATH, end)
    for account in Account:
        assert with_reversals.balance(account) == without_changes.balance(account)
    assert sum(each.fen for each in with_reversals.overpayments) == sum(
        each.fen for each in without_changes.overpayments
    )
