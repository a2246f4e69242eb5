"""Posting as events come gives what the rules derive from all of them at once, and nothing is ever taken back."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.aid.ledger_service import StoredChange, StudentLedger
from backend.aid.rules import Account, AidChange, AidKind, Award, Instalment, Payment
from backend.core.clock import LEGAL_ZONE

pytestmark = [pytest.mark.clause("HN334-4.1d"), pytest.mark.clause("R13")]

START = datetime(2025, 9, 1, 8, tzinfo=LEGAL_ZONE)
MONTHS = tuple(date(2025, month, 1) for month in (9, 10, 11))
PATH = "p410000.c410100.s4100000001"


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that will ever be recorded of a student; each instant is a turn of its own."""

    awards: list[Award]
    payments: list[Payment]
    changes: list[AidChange]

    def known(self, at: datetime) -> StudentLedger:
        """What is on file at an instant."""
        books = StudentLedger(
            awards=[award for award in self.awards if award.approved_at <= at],
            payments=[payment for payment in self.payments if payment.paid_at <= at],
        )
        for change in self.changes:
            assert change.released_at is not None
            if change.released_at > at:
                continue
            undone = change.reversed_at is not None and change.reversed_at <= at
            seen = AidChange(
                change.change_id,
                change.term,
                change.released_at,
                change.reversed_by if undone else None,
                change.reversed_at if undone else None,
            )
            books.changes.append(StoredChange(seen, change.released_at))
        return books

    def turns(self) -> list[datetime]:
        instants = {award.approved_at for award in self.awards}
        instants |= {payment.paid_at for payment in self.payments}
        for change in self.changes:
            instants |= {at for at in (change.released_at, change.reversed_at) if at is not None}
        return sorted(instants)


@st.composite
def lives(draw: st.DrawFn) -> Life:
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
        undone = after(released) if draw(st.booleans()) else None
        term = draw(st.sampled_from(["T", "U"]))
        changes.append(AidChange(f"c{number}", term, released, f"r{number}" if undone else None, undone))
    return Life(awards, payments, changes)


@given(lives())
def test_what_was_posted_step_by_step_is_what_follows_from_everything(life: Life) -> None:
    posted: set[str] = set()
    for at in life.turns():
        derived = {posting.posting_id for posting in life.known(at).accounts(PATH, at).postings}
        assert posted <= derived, "a stored posting lost its basis"
        posted |= derived
    end = START + timedelta(days=30)
    whole = life.known(end).accounts(PATH, end)
    assert posted == {posting.posting_id for posting in whole.postings}
    assert len(posted) == len(whole.postings), "two postings share an id"
    assert sum(whole.balance(account) for account in Account) == 0


@pytest.mark.clause("HN334-4.2")
@given(lives())
def test_with_every_change_reversed_the_balances_are_those_of_a_term_without_changes(life: Life) -> None:
    end = START + timedelta(days=30)
    undone = [
        AidChange(each.change_id, each.term, each.released_at, f"r{each.change_id}", end)
        for each in life.changes
    ]
    restored = Life(life.awards, life.payments, undone).known(end).accounts(PATH, end)
    never = Life(life.awards, life.payments, []).known(end).accounts(PATH, end)
    for account in Account:
        assert restored.balance(account) == never.balance(account)
    assert sum(each.fen for each in restored.discrepancies) == sum(each.fen for each in never.discrepancies)
