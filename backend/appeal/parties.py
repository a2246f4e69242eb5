"""Who had a hand in what is appealed against: launchers, deciders, determiners, answerers, attesters."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select, text, union
from sqlalchemy.ext.asyncio import AsyncSession

from backend.roll_call.tables import Attestation, AttestationReview, OutcomeEntry, RollCall
from backend.standing.store.tables import (
    AppealDecided,
    AppealFiled,
    ChangeRequestStep,
    ClaimDecision,
    DismissalAnswer,
    PromptDecision,
    PromptRecord,
    ReasonClaimRecord,
    StandingEntry,
)

CHECK = "check:"
_AUTHORITIES = text("SELECT definer.authorities_of(CAST(:accounts AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Parties:
    """Accounts that took part, and the authorities that did through them or by launching."""

    accounts: frozenset[UUID]
    units: frozenset[UUID]


async def parties_to(session: AsyncSession, student_id: UUID, target: str, target_id: str) -> Parties:
    """Of a roll call's result, a change, or the changes that eligibility for a gaokao fails on."""
    if target == "check":
        return await _of_checks(session, student_id, [UUID(target_id)], set())
    entries = select(StandingEntry).where(StandingEntry.student_id == student_id)
    if target == "change":
        entries = entries.where(StandingEntry.id == UUID(target_id))
    return await _of_changes(session, student_id, (await session.scalars(entries)).all(), target)


async def earlier_deciders(session: AsyncSession, appeal: AppealFiled) -> frozenset[UUID]:
    """Who decided on the same matter at the levels below."""
    found: set[UUID] = set()
    previous = appeal.previous
    while previous is not None:
        found.add((await session.get_one(AppealDecided, previous)).decided_by)
        previous = (await session.get_one(AppealFiled, previous)).previous
    return frozenset(found)


async def _of_changes(
    session: AsyncSession, student_id: UUID, entries: Iterable[StandingEntry], target: str
) -> Parties:
    accounts = {entry.acting_account for entry in entries if entry.acting_account is not None}
    prompts = [entry.prompt_id for entry in entries if entry.prompt_id is not None]
    decided = select(PromptDecision.decided_by).where(PromptDecision.prompt_id.in_(prompts))
    answered = (
        select(DismissalAnswer.answered_by)
        .join(PromptDecision, PromptDecision.id == DismissalAnswer.decision_id)
        .where(PromptDecision.prompt_id.in_(prompts))
    )
    accounts |= await _accounts(session, decided, answered)
    if target == "gaokao":
        agreed = select(ChangeRequestStep.decided_by).where(ChangeRequestStep.student_id == student_id)
        accounts |= await _accounts(session, agreed)
    evidence = await session.scalars(select(PromptRecord.evidence).where(PromptRecord.id.in_(prompts)))
    checks = {
        UUID(key.removeprefix(CHECK)) for keys in evidence for key in keys if str(key).startswith(CHECK)
    }
    return await _of_checks(session, student_id, checks, accounts)


async def _of_checks(
    session: AsyncSession, student_id: UUID, checks: Collection[UUID], others: set[UUID]
) -> Parties:
    claimed = (
        select(ClaimDecision.decided_by)
        .join(ReasonClaimRecord, ReasonClaimRecord.id == ClaimDecision.claim_id)
        .where(ReasonClaimRecord.roll_call_id.in_(checks), ReasonClaimRecord.student_id == student_id)
    )
    accounts = others | await _accounts(
        session,
        select(RollCall.launched_by).where(RollCall.id.in_(checks)),
        select(OutcomeEntry.acting_account).where(
            OutcomeEntry.roll_call_id.in_(checks),
            OutcomeEntry.student_id == student_id,
            OutcomeEntry.acting_account.is_not(None),
        ),
        select(Attestation.attested_by).where(
            Attestation.roll_call_id.in_(checks), Attestation.student_id == student_id
        ),
        select(AttestationReview.reviewed_by).where(
            AttestationReview.roll_call_id.in_(checks), AttestationReview.student_id == student_id
        ),
        claimed,
    )
    launchers = await session.scalars(select(RollCall.launcher_id).where(RollCall.id.in_(checks)))
    behind = await session.scalars(_AUTHORITIES, {"accounts": [str(account) for account in accounts]})
    return Parties(frozenset(accounts), frozenset(launchers) | frozenset(behind))


async def _accounts(session: AsyncSession, *asked: Select[UUID] | Select[UUID | None]) -> set[UUID]:
    return set(await session.scalars(union(*asked)))
