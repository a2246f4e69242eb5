"""Find the accounts and authorities that took part in the matter under appeal.

These are the accounts that launched, decided, determined, answered, attested or reviewed; none of them may decide the
appeal (invariant 9).
"""

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

CHECK_PREFIX = "check:"
_AUTHORITIES = text("SELECT definer.authorities_of_accounts(CAST(:accounts AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Parties:
    """Accounts that took part, and authorities that took part through an account or as launcher."""

    accounts: frozenset[UUID]
    units: frozenset[UUID]


async def load_parties(session: AsyncSession, student_id: UUID, target: str, target_id: str) -> Parties:
    """The parties to a roll call's result, to a change, or to the changes that decide gaokao eligibility."""
    if target == "check":
        return await _parties_to_roll_calls(session, student_id, [UUID(target_id)], set())
    entries = select(StandingEntry).where(StandingEntry.student_id == student_id)
    if target == "change":
        entries = entries.where(StandingEntry.id == UUID(target_id))
    return await _parties_to_changes(session, student_id, (await session.scalars(entries)).all(), target)


async def load_earlier_deciders(session: AsyncSession, appeal: AppealFiled) -> frozenset[UUID]:
    """The accounts that decided the same matter at the levels below."""
    deciders: set[UUID] = set()
    previous = appeal.previous
    while previous is not None:
        deciders.add((await session.get_one(AppealDecided, previous)).decided_by)
        previous = (await session.get_one(AppealFiled, previous)).previous
    return frozenset(deciders)


async def _parties_to_changes(
    session: AsyncSession, student_id: UUID, entries: Iterable[StandingEntry], target: str
) -> Parties:
    accounts = {entry.acting_account for entry in entries if entry.acting_account is not None}
    prompts = [entry.prompt_id for entry in entries if entry.prompt_id is not None]
    deciders = select(PromptDecision.decided_by).where(PromptDecision.prompt_id.in_(prompts))
    answerers = (
        select(DismissalAnswer.answered_by)
        .join(PromptDecision, PromptDecision.id == DismissalAnswer.decision_id)
        .where(PromptDecision.prompt_id.in_(prompts))
    )
    accounts |= await _load_accounts(session, deciders, answerers)
    if target == "gaokao":
        reviewers = select(ChangeRequestStep.decided_by).where(ChangeRequestStep.student_id == student_id)
        accounts |= await _load_accounts(session, reviewers)
    roll_call_ids = await load_cited_roll_calls(session, prompts)
    return await _parties_to_roll_calls(session, student_id, roll_call_ids, accounts)


async def load_cited_roll_calls(session: AsyncSession, prompt_ids: Collection[UUID]) -> set[UUID]:
    """The roll calls in the evidence of prompts."""
    evidence = await session.scalars(select(PromptRecord.evidence).where(PromptRecord.id.in_(prompt_ids)))
    return {
        UUID(key.removeprefix(CHECK_PREFIX))
        for keys in evidence
        for key in keys
        if str(key).startswith(CHECK_PREFIX)
    }


async def _parties_to_roll_calls(
    session: AsyncSession, student_id: UUID, roll_call_ids: Collection[UUID], other_accounts: set[UUID]
) -> Parties:
    claim_deciders = (
        select(ClaimDecision.decided_by)
        .join(ReasonClaimRecord, ReasonClaimRecord.id == ClaimDecision.claim_id)
        .where(ReasonClaimRecord.roll_call_id.in_(roll_call_ids), ReasonClaimRecord.student_id == student_id)
    )
    accounts = other_accounts | await _load_accounts(
        session,
        select(RollCall.launched_by).where(RollCall.id.in_(roll_call_ids)),
        select(OutcomeEntry.acting_account).where(
            OutcomeEntry.roll_call_id.in_(roll_call_ids),
            OutcomeEntry.student_id == student_id,
            OutcomeEntry.acting_account.is_not(None),
        ),
        select(Attestation.attested_by).where(
            Attestation.roll_call_id.in_(roll_call_ids), Attestation.student_id == student_id
        ),
        select(AttestationReview.reviewed_by).where(
            AttestationReview.roll_call_id.in_(roll_call_ids), AttestationReview.student_id == student_id
        ),
        claim_deciders,
    )
    launchers = await session.scalars(select(RollCall.launcher_id).where(RollCall.id.in_(roll_call_ids)))
    authorities = await session.scalars(_AUTHORITIES, {"accounts": [str(account) for account in accounts]})
    return Parties(frozenset(accounts), frozenset(launchers) | frozenset(authorities))


async def _load_accounts(session: AsyncSession, *queries: Select[UUID] | Select[UUID | None]) -> set[UUID]:
    return set(await session.scalars(union(*queries)))
