"""Create staff accounts that receive notices, and load sent notices."""

from uuid import UUID

from sqlalchemy import select

from backend.core.ids import new_id
from backend.identity.tables import Account
from backend.notice.tables import Notice, NoticeMessage
from tests.support.province import SampleUnit
from tests.support.standing.scenario import StandingScenario


async def create_superior_account(scenario: StandingScenario, unit: SampleUnit | None = None) -> UUID:
    """Create an active account of the authority directly above the school, or of the given one."""
    authority = unit or scenario.roll_call_scenario.world.city
    account_id = new_id()
    async with scenario.roll_call_scenario.owner_transaction() as session:
        session.add(
            Account(
                id=account_id,
                kind="province" if authority.kind == "province" else "bureau",
                org_id=authority.id,
                org_path=authority.path,
                login=f"t{account_id.hex}",
                display_name="某某",
                status="active",
                password_hash="-",
                totp_sealed=b"-",
                created_at=scenario.at,
            )
        )
    return account_id


async def load_notices(
    scenario: StandingScenario, linked_id: object
) -> list[tuple[str, UUID | None, NoticeMessage]]:
    """Kind, recipient (account or student) and message of every notice whose links contain the id."""
    async with scenario.roll_call_scenario.owner_transaction() as session:
        rows = await session.execute(
            select(NoticeMessage, Notice)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .order_by(NoticeMessage.id)
        )
        return [
            (message.kind, notice.account_id or notice.student_id, message)
            for message, notice in rows
            if str(linked_id) in message.data.values()
        ]
