"""Acts on many prompts at once, with one result for each: only those that are not adverse to a student.

Decisions, refusals and reversals are made one by one, each with its own reasons.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.bulk import RowResult, act_on_each
from backend.standing.prompts.case import require_registrar, require_superior_role
from backend.standing.prompts.decisions import AnswerDismissal, answer_dismissal
from backend.standing.prompts.deliveries import receive_prompt
from backend.standing.prompts.errors import NoDismissalPending
from backend.standing.store.tables import DismissalAnswer, PromptDecision, PromptDelivered, PromptRecord


async def receive_prompts(
    session: AsyncSession, actor: Actor, prompt_ids: Sequence[UUID], at: datetime
) -> list[RowResult]:
    """Confirm the receipt of each prompt as the registrar. Raises `NotPermitted` for all of them."""
    require_registrar(actor)
    found = select(PromptDelivered.prompt_id).where(PromptDelivered.prompt_id.in_(prompt_ids))
    received = set(await session.scalars(found))

    async def receive(prompt_id: UUID) -> bool:
        await receive_prompt(session, actor, prompt_id, at)
        return prompt_id not in received

    ordered = await _order_by_student(session, PromptRecord, prompt_ids)
    results = await act_on_each(session, ordered, receive)
    return [results[each] for each in dict.fromkeys(prompt_ids)]


async def acknowledge_dismissals(
    session: AsyncSession, actor: Actor, decision_ids: Sequence[UUID], opinion: str, at: datetime
) -> list[RowResult]:
    """Accept each dismissal as the superior (reading 10). Raises `NotPermitted` for all of them."""
    require_superior_role(actor)
    found = select(DismissalAnswer.decision_id).where(
        DismissalAnswer.decision_id.in_(decision_ids), DismissalAnswer.accepted
    )
    accepted = set(await session.scalars(found))

    async def acknowledge(decision_id: UUID) -> bool:
        command = AnswerDismissal(decision_id, accepted=True, opinion=opinion)
        try:
            await answer_dismissal(session, actor, command, at)
        except NoDismissalPending:
            if decision_id in accepted:
                return False
            raise
        return True

    ordered = await _order_by_student(session, PromptDecision, decision_ids)
    results = await act_on_each(session, ordered, acknowledge)
    return [results[each] for each in dict.fromkeys(decision_ids)]


async def _order_by_student(
    session: AsyncSession, table: type[PromptRecord] | type[PromptDecision], ids: Collection[UUID]
) -> list[UUID]:
    """The ids in the order in which every transaction locks students; unknown ones last."""
    rows = await session.execute(
        select(table.id).where(table.id.in_(ids)).order_by(table.student_id, table.id)
    )
    known = list(rows.scalars())
    return [*known, *sorted(set(ids).difference(known))]
