"""What a decision on a prompt would do to standing and aid, for the person who decides (HN334-4.1b to 4.1d).

The standing comes from the engine (`standing.prompts.preview`), the amounts from the rules of aid: nothing here is
calculated in another way than by the decision itself.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.ledger import StoredChange, StudentLedger, load_ledgers
from backend.aid.rules import AidKind, find_aid_changes
from backend.core.actor import Actor
from backend.standing.engine.assess import Assessment
from backend.standing.engine.ledger import LedgerEntry
from backend.standing.prompts.preview import OutcomePreview, PromptPreview, preview_decisions


@dataclass(frozen=True, slots=True)
class AidPart:
    """Equal unpaid instalments of one kind of aid that would be withdrawn. Amounts in fen."""

    kind: AidKind
    instalments: int
    fen_each: int


@dataclass(frozen=True, slots=True)
class DecisionEffect:
    """An outcome with the ledger entry it would write, if any, and the aid it would withdraw.

    `aid_waits_for`: what keeps the aid from being withdrawn at once; `aid` is then what is withdrawn later.
    """

    preview: OutcomePreview
    entry: LedgerEntry | None
    locks: bool
    aid: tuple[AidPart, ...]
    aid_waits_for: tuple[str, ...]


async def preview_effects(
    session: AsyncSession, actor: Actor, prompt_id: UUID, at: datetime
) -> tuple[PromptPreview, list[DecisionEffect]]:
    """The effects of every outcome of a prompt. Raises the errors of `preview_decisions`."""
    preview = await preview_decisions(session, actor, prompt_id, at)
    student = preview.student
    ledger = (await load_ledgers(session, [student]))[student.student_id]
    return preview, [_describe(preview, each, ledger) for each in preview.outcomes]


def _describe(preview: PromptPreview, outcome: OutcomePreview, ledger: StudentLedger) -> DecisionEffect:
    after = outcome.after
    known = {entry.entry_id for entry in preview.before.ledger}
    written = [entry for entry in after.ledger if entry.entry_id not in known] if after else []
    if after is None or not written:
        return DecisionEffect(outcome, None, locks=False, aid=(), aid_waits_for=())
    [entry] = written
    release = next((each for each in after.aid if each.change_id == entry.entry_id), None)
    waits_for = release.blockers if release is not None and release.at is None else ()
    return DecisionEffect(
        outcome,
        entry,
        locks=after.lock.locked_by == entry.entry_id,
        aid=_find_withdrawn(preview, after, ledger, entry, preview.at if waits_for else None),
        aid_waits_for=waits_for,
    )


def _find_withdrawn(
    preview: PromptPreview,
    after: Assessment,
    ledger: StudentLedger,
    entry: LedgerEntry,
    supposed_release: datetime | None,
) -> tuple[AidPart, ...]:
    """The postings that the entry would cause, as equal instalments of each kind.

    `supposed_release`: when to suppose that the aid is released, if it waits.
    """
    instants = {each.entry_id: each.at for each in after.ledger}
    changes = []
    for change in find_aid_changes(after, preview.facts.terms):
        released_at = change.released_at
        if change.change_id == entry.entry_id:
            released_at = released_at or supposed_release
        supposed = replace(change, released_at=released_at)
        changes.append(StoredChange(supposed, instants[change.change_id]))
    supposed_ledger = StudentLedger(ledger.awards, ledger.payments, changes)
    kinds = {award.award_id: award.kind for award in ledger.awards}
    cause = f"change:{entry.entry_id}"
    parts = Counter(
        (kinds[posting.award_id], posting.fen)
        for posting in supposed_ledger.accounts(preview.student.path, preview.at).postings
        if posting.cause == cause
    )
    return tuple(AidPart(kind, count, fen) for (kind, fen), count in sorted(parts.items(), reverse=True))
