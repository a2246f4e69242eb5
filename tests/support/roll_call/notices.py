"""Delivers events of a roll call and counts the notices that follow."""

from uuid import UUID

from sqlalchemy import func, select

from backend.events import deliver
from backend.notice.tables import Notice, NoticeMessage
from backend.roll_call.tables import RollCall
from tests.support.roll_call.scenario import RollCallScenario


async def deliver_events(scenario: RollCallScenario, name: str, roll_call: RollCall) -> None:
    """Deliver every event of this name to its consumers."""
    for event in await scenario.load_events(name, roll_call.id):
        await deliver(scenario.app_context, str(event.id))


async def count_notices(scenario: RollCallScenario, kind: str, roll_call: RollCall) -> dict[UUID, int]:
    """Number of notices of a kind by recipient: student id, or account id for staff."""
    recipient = func.coalesce(Notice.student_id, Notice.account_id)
    async with scenario.owner_transaction() as session:
        rows = await session.execute(
            select(recipient, func.count())
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.kind == kind, NoticeMessage.group_id == roll_call.id)
            .group_by(recipient)
        )
        return {row[0]: row[1] for row in rows}
