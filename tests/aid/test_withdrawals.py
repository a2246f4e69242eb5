"""A change withdraws the unpaid aid of its term, a reversal reinstates it, and the ledger always balances."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from backend.aid.filings import load_filing_lines
from backend.aid.rules import AidKind, find_aid_changes
from backend.aid.tables import AidPayment, AidPosting
from backend.core.ids import new_id
from backend.leave.rules import SchoolTerm
from backend.org.terms import get_all_terms
from backend.standing.store.tables import AidReleaseRecord, ReasonClaimRecord, ReplayDifference, StandingEntry
from tests.support.aid import AidScenario
from tests.support.appeal import AppealScenario
from tests.support.standing.change_requests import ChangeRequestScenario

pytestmark = pytest.mark.clause("HN334-4.1d")


async def test_exactly_the_unpaid_part_of_the_term_is_withdrawn(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.award(AidKind.TUITION_WAIVER)
    await aid.pay(
        aid.payment_line(parts[0].month, parts[0].fen), aid.payment_line(parts[1].month, 10_000, line=1)
    )
    before = await aid.load_account_balances()
    await aid.execute_change()
    after = await aid.load_account_balances()
    assert (after["due"], after["paid"]) == (0, before["paid"])
    assert after["withdrawn"] == before["due"]
    assert sum(after.values()) == 0


async def test_withdrawal_is_filed_once_with_every_instalment(
    aid: AidScenario,
) -> None:
    parts = await aid.award()
    await aid.pay(aid.payment_line(parts[0].month, parts[0].fen))
    entry = await aid.execute_change()
    await aid.post()
    [filing] = await aid.load_filings()
    assert (filing.kind, filing.change_id, filing.entry_id) == ("withdrawal", entry.id, entry.id)
    assert filing.fen == sum(part.fen for part in parts[1:])
    async with aid.standing_scenario.as_worker() as session:
        lines = (await load_filing_lines(session, [filing]))[filing.id]
    assert [(line.granted, line.paid, line.fen) for line in lines] == [
        (parts[0].fen, parts[0].fen, 0),
        *((part.fen, 0, part.fen) for part in parts[1:]),
    ]
    assert len(await aid.standing_scenario.events("AidWithdrawn")) == 1


async def test_change_of_a_student_without_aid_files_nothing(aid: AidScenario) -> None:
    await aid.execute_change()
    assert await aid.load_filings() == []
    assert len(await aid.standing_scenario.events("AidReleased")) == 1


async def test_nothing_is_withdrawn_if_everything_was_paid(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.pay(*(aid.payment_line(part.month, part.fen, line=n) for n, part in enumerate(parts)))
    await aid.execute_change()
    assert await aid.load_filings() == []
    assert (await aid.load_account_balances())["withdrawn"] == 0


async def test_payment_after_the_withdrawal_is_an_overpayment(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.execute_change()
    withdrawn = (await aid.load_account_balances())["withdrawn"]
    result = await aid.pay(aid.payment_line(parts[1].month, 5_000))
    assert [each.fen for each in result.overpayments] == [5_000]
    assert [each.overpaid for each in (await aid.load_aid()).payments] == [5_000]
    after = await aid.load_account_balances()
    assert (after["withdrawn"], after["paid"]) == (withdrawn, 0)
    [balance] = await aid.list_school_balances()
    assert (balance.overpaid, balance.balanced) == (5_000, True)


async def test_due_withdrawal_is_posted_before_a_payment(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.deliver_prompt()
    aid.standing_scenario.pass_time(days=12)
    result = await aid.pay(aid.payment_line(parts[0].month, parts[0].fen))
    assert [each.fen for each in result.overpayments] == [parts[0].fen]
    assert (await aid.load_account_balances())["paid"] == 0
    assert len(await aid.load_filings()) == 1


async def test_due_withdrawal_is_posted_if_the_event_is_not_delivered(aid: AidScenario) -> None:
    await aid.award()
    await aid.deliver_prompt()
    await aid.expire_prompt()
    assert await aid.load_filings() == []
    parts = (await aid.load_aid()).awards[0].instalments
    result = await aid.pay(aid.payment_line(parts[0].month, parts[0].fen))
    assert len(result.overpayments) == 1
    assert len(await aid.load_filings()) == 1


@pytest.mark.clause("R12")
async def test_blocker_prevents_the_withdrawal(aid: AidScenario) -> None:
    await aid.award()
    prompt = await aid.deliver_prompt()
    async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
        session.add(
            ReasonClaimRecord(
                id=new_id(),
                roll_call_id=prompt.evidence[0].partition(":")[2],
                school_id=prompt.school_id,
                student_id=prompt.student_id,
                reason="illness",
                text="",
                leave_id=None,
                filed_by=new_id(),
                filed_at=aid.standing_scenario.at + timedelta(hours=1),
            )
        )
    aid.standing_scenario.pass_time(days=12)
    await aid.standing_scenario.recompute()
    await aid.standing_scenario.run_events("AidReleased")
    assert await aid.standing_scenario.rows(AidReleaseRecord) == []
    assert await aid.load_filings() == []
    assert (await aid.load_account_balances())["withdrawn"] == 0


@pytest.mark.clause("HN334-4.2")
async def test_reversal_restores_the_balances_before_the_change(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.pay(aid.payment_line(parts[0].month, 12_345))
    before = await aid.load_account_balances()
    entry = await aid.execute_change()
    await aid.reverse_change(entry)
    assert await aid.load_account_balances() == before
    withdrawal, reinstatement = await aid.load_filings()
    assert (withdrawal.kind, reinstatement.kind) == ("withdrawal", "reinstatement")
    assert withdrawal.fen == reinstatement.fen
    assert reinstatement.entry_id != entry.id
    assert len(await aid.standing_scenario.events("AidReinstated")) == 1


@pytest.mark.clause("HN334-4.2")
@pytest.mark.clause("R24")
async def test_reversing_one_of_two_changes_keeps_the_aid_withdrawn(aid: AidScenario) -> None:
    scenario = aid.standing_scenario
    await aid.award()
    before = await aid.load_account_balances()
    first = await aid.execute_change()
    withdrawn = await aid.load_account_balances()
    changes = ChangeRequestScenario(scenario)
    await changes.change("L2", changes.bureau, changes.province)
    assert await scenario.status() == ("01", "full_time")
    scenario.set_clock(days=1)
    await scenario.run_misses(2)
    await scenario.recompute()
    await changes.decide()
    await scenario.run_events("AidReleased")
    assert await scenario.status() == ("01", "part_time")
    await aid.reverse_change(first)
    assert await aid.load_account_balances() == withdrawn
    assert [filing.kind for filing in await aid.load_filings()] == ["withdrawal"]
    appeals = AppealScenario(scenario)
    [second] = [entry for entry in await appeals.load_entries() if entry.cause == "decision"]
    appeal = await appeals.against_change(second.id)
    await appeals.decide(appeal)
    await scenario.run_events("StandingChanged")
    assert await aid.load_account_balances() == before
    assert [filing.kind for filing in await aid.load_filings()] == ["withdrawal", "reinstatement"]
    assert await scenario.rows(ReplayDifference) == []


@pytest.mark.clause("HN334-4.2")
async def test_reversal_turns_an_overpayment_into_a_payment(aid: AidScenario) -> None:
    parts = await aid.award()
    entry = await aid.execute_change()
    await aid.pay(aid.payment_line(parts[1].month, parts[1].fen))
    await aid.reverse_change(entry)
    assert [each.overpaid for each in (await aid.load_aid()).payments] == [0]
    assert (await aid.load_account_balances())["paid"] == parts[1].fen


async def test_posting_again_changes_nothing(aid: AidScenario) -> None:
    await aid.award()
    entry = await aid.execute_change()
    await aid.reverse_change(entry)
    before = await aid.standing_scenario.rows(AidPosting)
    for _ in range(2):
        await aid.post()
        await aid.standing_scenario.run_events("AidReleased", "StandingChanged")
    assert {row.id for row in await aid.standing_scenario.rows(AidPosting)} == {row.id for row in before}
    assert len(await aid.load_filings()) == 2


async def test_stored_postings_match_the_assessment(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.pay(aid.payment_line(parts[0].month, parts[0].fen + 1))
    entry = await aid.execute_change()
    await aid.reverse_change(entry)
    derived, stored = await aid.load_posting_ids()
    assert derived == stored
    assessment = await aid.standing_scenario.recompute()
    async with aid.standing_scenario.as_worker() as session:
        views = (await get_all_terms(session, [aid.standing_scenario.school.id]))[
            aid.standing_scenario.school.id
        ]
    terms = [SchoolTerm(view.code, view.starts_on, view.ends_on, ()) for view in views]
    [change] = find_aid_changes(assessment, terms)
    [released] = await aid.standing_scenario.rows(AidReleaseRecord)
    assert (change.change_id, change.released_at) == (str(entry.id), released.at)
    [filing, _] = await aid.load_filings()
    assert filing.term_code == change.term


async def test_unfounded_posting_is_reported_and_kept(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.pay(aid.payment_line(parts[0].month, parts[0].fen))
    async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(text("DELETE FROM aid_payment WHERE student_id = :id"), {"id": aid.pupil.id})
    before = {row.id for row in await aid.standing_scenario.rows(AidPosting)}
    await aid.post()
    await aid.post()
    [difference] = await aid.standing_scenario.rows(ReplayDifference)
    assert difference.differences[0]["kind"] == "aid_posting_without_basis"
    assert {row.id for row in await aid.standing_scenario.rows(AidPosting)} == before


async def test_concurrent_payment_and_withdrawal_balance(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.deliver_prompt()
    await aid.expire_prompt()
    await asyncio.gather(
        aid.post(),
        aid.pay(aid.payment_line(parts[0].month, parts[0].fen)),
        aid.post(),
        aid.pay(aid.payment_line(parts[1].month, parts[1].fen)),
    )
    derived, stored = await aid.load_posting_ids()
    assert derived == stored
    after = await aid.load_account_balances()
    assert sum(after.values()) == 0
    assert (after["due"], after["paid"]) == (0, 0)
    assert len(await aid.load_filings()) == 1


@pytest.mark.parametrize(
    ("source", "target", "fen"), [("due", "paid", 10**6), ("due", "withdrawn", 10**6), ("budget", "due", 1)]
)
async def test_database_rejects_an_unbalanced_posting(
    aid: AidScenario, source: str, target: str, fen: int
) -> None:
    [part, *_] = await aid.award()
    with pytest.raises(IntegrityError, match="does not balance"):
        async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
            session.add(_posting(part, source, target, fen, aid.standing_scenario.at))


@pytest.mark.parametrize(
    ("source", "target", "fen"), [("paid", "due", 1), ("due", "due", 1), ("due", "paid", 0)]
)
async def test_database_rejects_invalid_accounts_and_amounts(
    aid: AidScenario, source: str, target: str, fen: int
) -> None:
    [part, *_] = await aid.award()
    with pytest.raises(IntegrityError, match="ck_aid_posting"):
        async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
            session.add(_posting(part, source, target, fen, aid.standing_scenario.at))


def _posting(part: object, source: str, target: str, fen: int, at: datetime) -> AidPosting:
    key = {name: getattr(part, name) for name in ("award_id", "month", "school_id", "student_id")}
    moved = {"source": source, "target": target, "fen": fen}
    return AidPosting(id=new_id(), cause="by hand", at=at, posted_at=at, **moved, **key)


async def test_application_cannot_update_or_delete_the_ledger(aid: AidScenario) -> None:
    await aid.award()
    for statement in ("UPDATE aid_posting SET fen = 1", "DELETE FROM aid_payment"):
        with pytest.raises(Exception, match="permission denied"):
            async with aid.standing_scenario.transaction(aid.standing_scenario.registrar) as session:
                await session.execute(text(statement))


async def test_change_does_not_affect_the_aid_of_a_classmate(aid: AidScenario) -> None:
    other = aid.standing_scenario.school.students[1]
    await aid.award(pupil=other)
    await aid.award()
    await aid.execute_change()
    async with aid.standing_scenario.as_worker() as session:
        targets = set(
            await session.scalars(select(AidPosting.target).where(AidPosting.student_id == other.id))
        )
    assert targets == {"due"}
    assert await aid.standing_scenario.rows(AidPayment) == []
    assert len(await aid.standing_scenario.rows(StandingEntry)) == 1
