"""A change withdraws exactly what is unpaid of its term, a reversal brings it back, and the books always balance."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from backend.aid.rules import AidKind, aid_changes
from backend.aid.tables import AidPayment, AidPosting
from backend.aid.withdrawals import lines_of
from backend.core.ids import new_id
from backend.leave.rules import SchoolTerm
from backend.org.terms import all_terms_of
from backend.standing.store.tables import AidReleaseRecord, ReasonClaimRecord, ReplayDifference, StandingEntry
from tests.support.aid import AidDesk

pytestmark = pytest.mark.clause("HN334-4.1d")


async def test_exactly_the_unpaid_part_of_the_term_is_withdrawn(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.award(AidKind.TUITION_WAIVER)
    await desk.pay(desk.line(parts[0].month, parts[0].fen), desk.line(parts[1].month, 10_000, line=1))
    before = await desk.balance()
    await desk.change()
    after = await desk.balance()
    assert (after["due"], after["paid"]) == (0, before["paid"])
    assert after["withdrawn"] == before["due"]
    assert sum(after.values()) == 0


async def test_the_withdrawal_is_filed_once_with_every_instalment_and_what_was_paid_untouched(
    desk: AidDesk,
) -> None:
    parts = await desk.award()
    await desk.pay(desk.line(parts[0].month, parts[0].fen))
    entry = await desk.change()
    await desk.settle()
    [filing] = await desk.filings()
    assert (filing.kind, filing.change_id, filing.entry_id) == ("withdrawal", entry.id, entry.id)
    assert filing.fen == sum(part.fen for part in parts[1:])
    async with desk.registry.as_worker() as session:
        lines = (await lines_of(session, [filing]))[filing.id]
    assert [(line.granted, line.paid, line.fen) for line in lines] == [
        (parts[0].fen, parts[0].fen, 0),
        *((part.fen, 0, part.fen) for part in parts[1:]),
    ]
    assert len(await desk.registry.events("AidWithdrawn")) == 1


async def test_a_student_without_aid_has_nothing_filed(desk: AidDesk) -> None:
    await desk.change()
    assert await desk.filings() == []
    assert len(await desk.registry.events("AidReleased")) == 1


async def test_everything_was_paid_so_nothing_is_withdrawn(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.pay(*(desk.line(part.month, part.fen, line=n) for n, part in enumerate(parts)))
    await desk.change()
    assert await desk.filings() == []
    assert (await desk.balance())["withdrawn"] == 0


async def test_what_is_paid_after_the_withdrawal_is_listed_and_never_netted_off(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.change()
    withdrawn = (await desk.balance())["withdrawn"]
    done = await desk.pay(desk.line(parts[1].month, 5_000))
    assert [each.fen for each in done.beyond_due] == [5_000]
    assert [each.beyond_due for each in (await desk.aid()).payments] == [5_000]
    after = await desk.balance()
    assert (after["withdrawn"], after["paid"]) == (withdrawn, 0)
    [balance] = await desk.school_balances()
    assert (balance.beyond_due, balance.balanced) == (5_000, True)


async def test_a_deadline_that_is_over_withdraws_before_a_payment_is_recorded(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.prompt()
    desk.registry.pass_time(days=12)
    done = await desk.pay(desk.line(parts[0].month, parts[0].fen))
    assert [each.fen for each in done.beyond_due] == [parts[0].fen]
    assert (await desk.balance())["paid"] == 0
    assert len(await desk.filings()) == 1


async def test_a_deadline_that_is_over_withdraws_even_if_the_release_was_never_told(desk: AidDesk) -> None:
    await desk.award()
    await desk.prompt()
    await desk.expire()
    assert await desk.filings() == []
    parts = (await desk.aid()).awards[0].parts
    done = await desk.pay(desk.line(parts[0].month, parts[0].fen))
    assert len(done.beyond_due) == 1
    assert len(await desk.filings()) == 1


@pytest.mark.clause("R12")
async def test_a_blocker_holds_the_withdrawal_back(desk: AidDesk) -> None:
    await desk.award()
    prompt = await desk.prompt()
    async with desk.registry.stage.arrange() as session:
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
                filed_at=desk.registry.at + timedelta(hours=1),
            )
        )
    desk.registry.pass_time(days=12)
    await desk.registry.recompute()
    await desk.registry.run_events("AidReleased")
    assert await desk.registry.rows(AidReleaseRecord) == []
    assert await desk.filings() == []
    assert (await desk.balance())["withdrawn"] == 0


@pytest.mark.clause("HN334-4.2")
async def test_a_reversal_restores_the_balances_of_a_change_that_never_was(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.pay(desk.line(parts[0].month, 12_345))
    never = await desk.balance()
    entry = await desk.change()
    await desk.reverse(entry)
    assert await desk.balance() == never
    withdrawal, reinstatement = await desk.filings()
    assert (withdrawal.kind, reinstatement.kind) == ("withdrawal", "reinstatement")
    assert withdrawal.fen == reinstatement.fen
    assert reinstatement.entry_id != entry.id
    assert len(await desk.registry.events("AidReinstated")) == 1


@pytest.mark.clause("HN334-4.2")
async def test_a_payment_that_was_beyond_its_due_is_let_in_by_the_reversal(desk: AidDesk) -> None:
    parts = await desk.award()
    entry = await desk.change()
    await desk.pay(desk.line(parts[1].month, parts[1].fen))
    await desk.reverse(entry)
    assert [each.beyond_due for each in (await desk.aid()).payments] == [0]
    assert (await desk.balance())["paid"] == parts[1].fen


async def test_settling_again_and_again_changes_nothing(desk: AidDesk) -> None:
    await desk.award()
    entry = await desk.change()
    await desk.reverse(entry)
    before = await desk.registry.rows(AidPosting)
    for _ in range(2):
        await desk.settle()
        await desk.registry.run_events("AidReleased", "StandingChanged")
    assert {row.id for row in await desk.registry.rows(AidPosting)} == {row.id for row in before}
    assert len(await desk.filings()) == 2


async def test_what_is_stored_is_what_the_rules_derive_from_the_picture(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.pay(desk.line(parts[0].month, parts[0].fen + 1))
    entry = await desk.change()
    await desk.reverse(entry)
    derived, stored = await desk.derived()
    assert derived == stored
    assessment = await desk.registry.recompute()
    async with desk.registry.as_worker() as session:
        views = (await all_terms_of(session, [desk.registry.school.id]))[desk.registry.school.id]
    terms = [SchoolTerm(view.code, view.starts_on, view.ends_on, ()) for view in views]
    [change] = aid_changes(assessment, terms)
    [released] = await desk.registry.rows(AidReleaseRecord)
    assert (change.change_id, change.released_at) == (str(entry.id), released.at)
    [filing, _] = await desk.filings()
    assert filing.term_code == change.term


async def test_a_posting_that_no_longer_follows_is_noted_and_nothing_is_rewritten(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.pay(desk.line(parts[0].month, parts[0].fen))
    async with desk.registry.stage.arrange() as session:
        await session.execute(text("DELETE FROM aid_payment WHERE student_id = :id"), {"id": desk.pupil.id})
    before = {row.id for row in await desk.registry.rows(AidPosting)}
    await desk.settle()
    await desk.settle()
    [difference] = await desk.registry.rows(ReplayDifference)
    assert difference.differences[0]["kind"] == "aid_posting_without_basis"
    assert {row.id for row in await desk.registry.rows(AidPosting)} == before


async def test_a_payment_and_the_withdrawal_at_once_leave_books_that_balance(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.prompt()
    await desk.expire()
    await asyncio.gather(
        desk.settle(),
        desk.pay(desk.line(parts[0].month, parts[0].fen)),
        desk.settle(),
        desk.pay(desk.line(parts[1].month, parts[1].fen)),
    )
    derived, stored = await desk.derived()
    assert derived == stored
    after = await desk.balance()
    assert sum(after.values()) == 0
    assert (after["due"], after["paid"]) == (0, 0)
    assert len(await desk.filings()) == 1


@pytest.mark.parametrize(
    ("source", "target", "fen"), [("due", "paid", 10**6), ("due", "withdrawn", 10**6), ("budget", "due", 1)]
)
async def test_the_database_refuses_a_posting_that_would_not_balance(
    desk: AidDesk, source: str, target: str, fen: int
) -> None:
    [part, *_] = await desk.award()
    with pytest.raises(IntegrityError, match="does not balance"):
        async with desk.registry.stage.arrange() as session:
            session.add(_posting(part, source, target, fen, desk.registry.at))


@pytest.mark.parametrize(
    ("source", "target", "fen"), [("paid", "due", 1), ("due", "due", 1), ("due", "paid", 0)]
)
async def test_the_database_refuses_a_posting_between_no_accounts_or_of_nothing(
    desk: AidDesk, source: str, target: str, fen: int
) -> None:
    [part, *_] = await desk.award()
    with pytest.raises(IntegrityError, match="ck_aid_posting"):
        async with desk.registry.stage.arrange() as session:
            session.add(_posting(part, source, target, fen, desk.registry.at))


def _posting(part: object, source: str, target: str, fen: int, at: datetime) -> AidPosting:
    own = {name: getattr(part, name) for name in ("award_id", "month", "school_id", "student_id")}
    moved = {"source": source, "target": target, "fen": fen}
    return AidPosting(id=new_id(), cause="by hand", at=at, posted_at=at, **moved, **own)


async def test_the_ledger_can_be_neither_changed_nor_deleted_by_the_application(desk: AidDesk) -> None:
    await desk.award()
    for statement in ("UPDATE aid_posting SET fen = 1", "DELETE FROM aid_payment"):
        with pytest.raises(Exception, match="permission denied"):
            async with desk.registry.transaction(desk.registry.registrar) as session:
                await session.execute(text(statement))


async def test_the_change_of_a_classmate_moves_nobody_elses_aid(desk: AidDesk) -> None:
    other = desk.registry.school.students[1]
    await desk.award(pupil=other)
    await desk.award()
    await desk.change()
    async with desk.registry.as_worker() as session:
        targets = set(
            await session.scalars(select(AidPosting.target).where(AidPosting.student_id == other.id))
        )
    assert targets == {"due"}
    assert await desk.registry.rows(AidPayment) == []
    assert len(await desk.registry.rows(StandingEntry)) == 1
