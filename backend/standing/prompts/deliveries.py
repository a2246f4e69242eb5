"""Record the delivery of a prompt to its school, which starts the working days (HN334-4.1b, reading 7).

A prompt counts as delivered once a registrar of the school receives it: the app fetched its notice, the carrier
reported the SMS as delivered, the registrar confirmed the receipt, or the superior proved a delivery by other means
(送达回证), so that a school cannot stall by not looking. Reading a prompt is not a delivery. The first delivery counts.
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
from backend.notice.events import NoticeReceived
from backend.org.calendar_years import get_working_calendar
from backend.standing.engine.prompts import compute_deadline
from backend.standing.prompts.case import (
    PromptCase,
    apply_and_verify,
    open_prompt_case,
    require_registrar,
    require_superior,
    require_superior_role,
)
from backend.standing.prompts.errors import OBJECTION_ERRORS, DeliveryTimeInvalid, DeliveryTooOld
from backend.standing.store.tables import PromptDelivered

PROMPT_RAISED = "prompt_raised"
"""The kind of the notice to registrars about a new prompt; its group is the prompt's id."""

OfflineMethod = Literal["written", "in_person", "post"]
"""How a superior delivered outside the system: signed for in writing 书面签收, in person 当面送达, by post 邮寄送达."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a prompt reached the school, the account that received or recorded it, and the proof."""

    how: str
    account_id: UUID | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RecordDelivery:
    """A delivery outside the system, recorded by the superior; `note` names the document that proves it."""

    prompt_id: UUID
    how: OfflineMethod
    received_at: datetime
    note: str


async def receive_prompt(
    session: AsyncSession, actor: Actor, prompt_id: UUID, at: datetime
) -> PromptDelivered:
    """Confirm the receipt as the registrar; idempotent. Raises the error of the prompt's state if it is closed."""
    require_registrar(actor)
    case = await open_prompt_case(session, prompt_id, at)
    delivered = await _insert_delivery(session, case, Delivery("receipt", actor.account_id), case.at)
    if delivered is None:
        raise OBJECTION_ERRORS[f"prompt_{case.prompt.state}"]
    return delivered


async def record_delivery(
    session: AsyncSession, actor: Actor, command: RecordDelivery, at: datetime
) -> PromptDelivered:
    """Record a delivery outside the system as the superior. An earlier delivery on record stays in effect.

    Raises `DeliveryTimeInvalid`, `DeliveryTooOld`, and the error of the prompt's state if it is closed.
    """
    require_superior_role(actor)
    case = await open_prompt_case(session, command.prompt_id, at)
    require_superior(actor, case.school_path)
    if not case.prompt.raised_at <= command.received_at <= case.at:
        raise DeliveryTimeInvalid
    if await _has_passed_deadline(session, case, command.received_at):
        raise DeliveryTooOld
    delivery = Delivery(command.how, actor.account_id, command.note)
    delivered = await _insert_delivery(session, case, delivery, command.received_at)
    if delivered is None:
        raise OBJECTION_ERRORS[f"prompt_{case.prompt.state}"]
    return delivered


async def deliver_prompt_by_notice(session: AsyncSession, event: NoticeReceived, at: datetime) -> None:
    """Record the delivery if a prompt's notice reached a registrar of its school. Runs in the school's scope.

    The notice of a prompt has the prompt's id as its `group_id`.
    """
    if event.kind != PROMPT_RAISED:
        return
    registrar = await session.get(Account, event.account_id)
    if registrar is None or registrar.kind != "registrar":
        return
    case = await open_prompt_case(session, event.group_id, at)
    if registrar.school_id != case.locked.subject.school_id:
        return
    delivered_at = min(max(event.received_at, case.prompt.raised_at), case.at)
    if await _has_passed_deadline(session, case, delivered_at):
        delivered_at = case.at  # reported too late: the deadline would end in the past
    await _insert_delivery(session, case, Delivery(event.channel, event.account_id), delivered_at)


async def _has_passed_deadline(session: AsyncSession, case: PromptCase, received_at: datetime) -> bool:
    """Whether the deadline of a delivery at `received_at` is over by now. No effect may lie in the past."""
    now, calendar = case.at, await get_working_calendar(session)
    due = compute_deadline(received_at, None, case.law, calendar, case.facts.calendar_loads, now)
    return due.at is not None and due.at <= now


async def _insert_delivery(
    session: AsyncSession, case: PromptCase, delivery: Delivery, received_at: datetime
) -> PromptDelivered | None:
    """Insert the first delivery and return it, or the earlier one; None if the prompt is closed without any."""
    existing = await session.scalar(
        select(PromptDelivered).where(PromptDelivered.prompt_id == case.prompt_id)
    )
    if existing is not None or not case.prompt.is_open:
        return existing
    delivered = PromptDelivered(
        prompt_id=case.prompt_id,
        **case.owner_columns,
        at=received_at,
        how=delivery.how,
        note=delivery.note,
        acting_account=delivery.account_id,
    )
    session.add(delivered)
    await session.flush()
    after = {
        "how": delivery.how,
        "received_at": delivered.at.isoformat(),
        "by": str(delivery.account_id or ""),
        "note": delivery.note,
    }
    act = audit.Act("prompt.delivered", "prompt", str(case.prompt_id), case.school_path, after=after)
    audit.record(session, act, case.at)
    await apply_and_verify(session, case)
    return delivered
