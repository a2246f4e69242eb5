"""The delivery of a prompt to its school, from which the working days run (HN334-4.1b, reading 7).

A prompt is delivered when a registrar of the school first receives it: its notice was fetched in the app or reported
delivered by SMS, the registrar said so, or the superior proves it otherwise (送达回证), so that nobody stalls by not
looking. Reading a prompt writes nothing. The first delivery counts.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.identity.tables import Account
from backend.org.calendars import working_calendar
from backend.standing.engine.prompts import compute_deadline
from backend.standing.prompts.case import (
    PromptCase,
    apply_and_verify,
    must_be_registrar,
    must_be_superior,
    must_be_superior_side,
    open_prompt_case,
)
from backend.standing.prompts.errors import REFUSALS, DeliveryTimeInvalid, DeliveryTooOld
from backend.standing.store.tables import PromptDelivered

PROMPT_RAISED = "prompt_raised"
"""The kind of the notice that tells registrars of a prompt; its group is the prompt's id."""

OtherWay = Literal["written", "in_person", "post"]
"""How a superior delivered outside the system: 书面签收, 当面送达, 邮寄送达."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a prompt reached the school: how, to whom or by whose word, and what proves it."""

    how: str
    account_id: UUID | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RecordDelivery:
    """A superior's proof of a delivery outside the system; `note` names the document."""

    prompt_id: UUID
    how: OtherWay
    received_at: datetime
    note: str


async def receive_prompt(
    session: AsyncSession, actor: Actor, prompt_id: UUID, at: datetime
) -> PromptDelivered:
    """The registrar confirms the receipt; repeating it changes nothing. Raises why the prompt is closed."""
    must_be_registrar(actor)
    case = await open_prompt_case(session, prompt_id, at)
    delivered = await _deliver(session, case, Receipt("receipt", actor.account_id), case.held.at)
    if delivered is None:
        raise REFUSALS[f"prompt_{case.prompt.state}"]
    return delivered


async def record_delivery(
    session: AsyncSession, actor: Actor, command: RecordDelivery, at: datetime
) -> PromptDelivered:
    """The superior records a delivery in another way. An earlier one stays.

    Raises `DeliveryTimeInvalid`, `DeliveryTooOld`, and why the prompt is closed.
    """
    must_be_superior_side(actor)
    case = await open_prompt_case(session, command.prompt_id, at)
    must_be_superior(actor, case.held.subject.path)
    if not case.prompt.raised_at <= command.received_at <= case.held.at:
        raise DeliveryTimeInvalid
    if await _over_already(session, case, command.received_at):
        raise DeliveryTooOld
    receipt = Receipt(command.how, actor.account_id, command.note)
    delivered = await _deliver(session, case, receipt, command.received_at)
    if delivered is None:
        raise REFUSALS[f"prompt_{case.prompt.state}"]
    return delivered


@dataclass(frozen=True, slots=True)
class PromptNotice:
    """The first receipt of a prompt's notice by an account, as the room of notices tells it."""

    prompt_id: UUID
    account_id: UUID
    channel: str
    received_at: datetime


async def deliver_prompt(session: AsyncSession, receipt: PromptNotice, at: datetime) -> None:
    """The notice delivers the prompt if it reached a registrar of its school; under the school's scope."""
    registrar = await session.get(Account, receipt.account_id)
    if registrar is None or registrar.kind != "registrar":
        return
    case = await open_prompt_case(session, receipt.prompt_id, at)
    if registrar.school_id != case.held.subject.school_id:
        return
    counted = min(max(receipt.received_at, case.prompt.raised_at), case.held.at)
    if await _over_already(session, case, counted):
        counted = case.held.at  # we learned of it too late to count from then
    await _deliver(session, case, Receipt(receipt.channel, receipt.account_id), counted)


async def _over_already(session: AsyncSession, case: PromptCase, received_at: datetime) -> bool:
    """Whether a deadline counted from then would have ended by now: nothing may come about in the past."""
    now, calendar = case.held.at, await working_calendar(session)
    due = compute_deadline(received_at, case.law, calendar, case.facts.calendar_loads, now)
    return due.at is not None and due.at <= now


async def _deliver(
    session: AsyncSession, case: PromptCase, receipt: Receipt, received_at: datetime
) -> PromptDelivered | None:
    known = await session.scalar(select(PromptDelivered).where(PromptDelivered.prompt_id == case.prompt_id))
    if known is not None or not case.prompt.is_open:
        return known
    delivered = PromptDelivered(
        prompt_id=case.prompt_id,
        **case.whose,
        at=received_at,
        how=receipt.how,
        note=receipt.note,
        acting_account=receipt.account_id,
    )
    session.add(delivered)
    await session.flush()
    after = {
        "how": receipt.how,
        "received_at": delivered.at.isoformat(),
        "by": str(receipt.account_id or ""),
        "note": receipt.note,
    }
    act = audit.Act("prompt.delivered", "prompt", str(case.prompt_id), case.held.subject.path, after=after)
    audit.record(session, act, case.held.at)
    await apply_and_verify(session, case)
    return delivered
