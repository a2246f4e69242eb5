"""Staff accounts that notices find, and what has reached whom."""

from uuid import UUID

from sqlalchemy import select

from backend.core.ids import new_id
from backend.identity.tables import Account
from backend.notice.tables import Notice, NoticeMessage
from tests.support.province import Unit
from tests.support.standing.scenario import Registry


async def superior_account(registry: Registry, unit: Unit | None = None) -> UUID:
    """An active account of the authority right above the school, or of another one."""
    authority = unit or registry.stage.world.city
    account_id = new_id()
    async with registry.stage.arrange() as session:
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
                failed_attempts=0,
                created_at=registry.at,
            )
        )
    return account_id


async def notices(registry: Registry, about: object) -> list[tuple[str, UUID | None, NoticeMessage]]:
    """Kind, recipient (account or student) and message of every notice whose links lead to the thing."""
    async with registry.stage.arrange() as session:
        rows = await session.execute(
            select(NoticeMessage, Notice)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .order_by(NoticeMessage.id)
        )
        return [
            (message.kind, notice.account_id or notice.student_id, message)
            for message, notice in rows
            if str(about) in message.data.values()
        ]
