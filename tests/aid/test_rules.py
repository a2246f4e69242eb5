"""Properties of the pure rules: eligibility, amounts, and a ledger that always balances."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.aid.rules import (
    Account,
    AidChange,
    AidKind,
    Applicant,
    Award,
    Instalment,
    Payment,
    compute_accounts,
    find_ineligibility_reasons,
    instalments,
    months_of_term,
)
from backend.core.clock import LEGAL_ZONE
from backend.policy import load_policies

LAW = load_policies()
START = datetime(2025, 9, 1, tzinfo=LEGAL_ZONE)
END = START + timedelta(days=400)
KINDS = ("grant", "tuition_waiver")
INSTANTS = st.integers(0, 130).map(lambda days: START + timedelta(days=days))
MONTHS = tuple(date(2025, month, 1) for month in (9, 10, 11, 12))


@pytest.mark.clause("MOE19-3.5")
@pytest.mark.parametrize("conditions", list(product([True, False], repeat=5)))
def test_each_missing_condition_is_a_reason(conditions: tuple[bool, ...]) -> None:
    full_time, in_school, degree, registered, single = conditions
    applicant = Applicant(
        "full_time" if full_time else "part_time", "01" if in_school else "02", degree, registered, not single
    )
    assert len(find_ineligibility_reasons(applicant)) == conditions.count(False)


@pytest.mark.clause("MOE19-3.5")
@pytest.mark.parametrize("standing", ["02", "03", "04", "06", "07", "10", "11", "14", "15", "99"])
def test_irregular_standing_is_ineligible(standing: str) -> None:
    assert find_ineligibility_reasons(Applicant("full_time", standing, True, True, False)) == (
        "not_in_school",
    )


@pytest.mark.clause("MOE15-1.2")
@given(st.integers(1, 12))
def test_term_is_split_by_month_without_losing_a_fen(number: int) -> None:
    months = tuple(date(2025, month, 1) for month in range(1, number + 1))
    law = LAW.at(date(2025, 9, 1), "410100")
    parts = [part.fen for part in instalments(AidKind.GRANT, law, months)]
    assert sum(parts) == law.integer("aid.grant.average_per_year") // law.integer("aid.terms_per_year")
    assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [(date(2025, 9, 1), date(2026, 1, 18), 5), (date(2026, 3, 1), date(2026, 7, 5), 5)],
)
def test_months_of_a_term_are_those_it_overlaps(first: date, last: date, count: int) -> None:
    assert len(months_of_term(first, last)) == count


@st.composite
def facts(
    draw: st.DrawFn,
) -> tuple[list[Award], list[Payment], list[AidChange]]:
    awards = [
        Award(
            f"a{number}",
            draw(st.sampled_from(["T", "U"])),
            draw(st.sampled_from(AidKind)),
            draw(INSTANTS),
            tuple(Instalment(AidKind.GRANT, month, draw(st.integers(1, 50_000))) for month in MONTHS),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    payments = [
        Payment(
            f"p{number}",
            draw(st.sampled_from(awards)).award_id,
            draw(st.sampled_from(MONTHS)),
            draw(INSTANTS),
            draw(st.integers(1, 60_000)),
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    changes = []
    for number in range(draw(st.integers(0, 2))):
        released = draw(INSTANTS)
        reversed_after = draw(st.sampled_from([None, 0, 30]))
        changes.append(
            AidChange(
                f"c{number}",
                draw(st.sampled_from(["T", "U"])),
                released,
                None if reversed_after is None else f"r{number}",
                None if reversed_after is None else released + timedelta(days=reversed_after),
            )
        )
    return awards, payments, changes


@pytest.mark.clause("HN334-4.1d")
@given(facts(), INSTANTS)
def test_ledger_balances_and_no_account_is_negative(
    drawn_facts: tuple[list[Award], list[Payment], list[AidChange]], as_of: datetime
) -> None:
    accounts = compute_accounts(*drawn_facts, KINDS, as_of)
    assert sum(accounts.balance(account) for account in Account) == 0
    for account in (Account.DUE, Account.PAID, Account.WITHDRAWN):
        assert accounts.balance(account) >= 0
    assert all(posting.fen > 0 for posting in accounts.postings)


@pytest.mark.clause("HN334-4.1d")
@given(facts())
def test_withdrawal_takes_exactly_the_unpaid_amount(
    drawn_facts: tuple[list[Award], list[Payment], list[AidChange]],
) -> None:
    accounts = compute_accounts(*drawn_facts, KINDS, END)
    due: dict[tuple[str, date], int] = {}
    for item in accounts.postings:
        key = (item.award_id, item.month)
        if item.target is Account.WITHDRAWN:
            assert item.fen == due[key]
        due[key] = due.get(key, 0) + item.fen * ((item.target is Account.DUE) - (item.source is Account.DUE))


@pytest.mark.clause("HN334-4.2")
@pytest.mark.clause("R24")
@given(facts(), st.booleans())
def test_reversing_one_of_two_changes_gives_nothing_back(
    drawn_facts: tuple[list[Award], list[Payment], list[AidChange]], first: bool
) -> None:
    awards, payments, _ = drawn_facts
    changes = [AidChange(f"c{number}", "T", END + timedelta(days=number), None, None) for number in (0, 1)]
    undone, kept = changes if first else reversed(changes)
    undone = replace(undone, reversed_by="r", reversed_at=END + timedelta(days=2))
    both = replace(kept, reversed_by="s", reversed_at=END + timedelta(days=3))
    in_term = [award.award_id for award in awards if award.term == "T"]
    as_of = END + timedelta(days=4)
    one = compute_accounts(awards, payments, [undone, kept], KINDS, as_of)
    assert one.balance(Account.DUE, in_term) == 0
    none = compute_accounts(awards, payments, [undone, both], KINDS, as_of)
    without = compute_accounts(awards, payments, [], KINDS, as_of)
    assert [none.balance(each) for each in Account] == [without.balance(each) for each in Account]


@pytest.mark.clause("HN334-4.2")
@given(facts())
def test_reversed_change_leaves_balances_without_the_change(
    drawn_facts: tuple[list[Award], list[Payment], list[AidChange]],
) -> None:
    awards, payments, changes = drawn_facts
    reversed_changes = [
        AidChange(item.change_id, item.term, item.released_at, "r", END)
        for item in changes
        if item.released_at
    ]
    with_reversal, without_change = (
        compute_accounts(awards, payments, reversed_changes, KINDS, END),
        compute_accounts(awards, payments, [], KINDS, END),
    )
    for account in (Account.DUE, Account.PAID, Account.WITHDRAWN):
        assert with_reversal.balance(account) == without_change.balance(account)


def test_order_of_payments_does_not_matter() -> None:
    award = Award("a", "T", AidKind.GRANT, START, (Instalment(AidKind.GRANT, MONTHS[0], 100),))
    payments = [Payment(str(n), "a", MONTHS[0], START + timedelta(days=n), 60) for n in (2, 1)]
    forwards = compute_accounts([award], payments, [], KINDS, END)
    backwards = compute_accounts([award], payments[::-1], [], KINDS, END)
    assert forwards == backwards
    assert [item.payment_id for item in forwards.overpayments] == ["2"]


def test_kind_not_named_by_law_is_not_withdrawn() -> None:
    award = Award(
        "a", "T", AidKind.TUITION_WAIVER, START, (Instalment(AidKind.TUITION_WAIVER, MONTHS[0], 100),)
    )
    change = AidChange("c", "T", START, None, None)
    assert compute_accounts([award], [], [change], ("grant",), END).balance(Account.DUE) == 100
