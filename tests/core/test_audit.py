"""The audit chain reveals any change made outside the application."""

import pytest
from sqlalchemy import text

from backend.core import audit
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from tests.support.province import PROVINCE_PATH

PROVINCE = Scope.wide(PROVINCE_PATH, new_id())


async def record_acts(database: Database, *names: str) -> None:
    async with database.transaction(PROVINCE) as session:
        for name in names:
            audit.record(session, audit.Act(name, "thing", "1", PROVINCE_PATH, after={"中": 1}), now())


async def seal(database: Database) -> int:
    async with database.transaction(PROVINCE) as session:
        return await audit.seal(session, now())


async def first_broken_link(database: Database) -> int | None:
    async with database.transaction(PROVINCE) as session:
        return await audit.first_broken_link(session)


async def test_every_entry_is_sealed_once_and_the_chain_is_intact(database: Database) -> None:
    await record_acts(database, "first", "second")
    assert await seal(database) >= 2
    assert await seal(database) == 0
    await record_acts(database, "third")
    assert await seal(database) == 1
    assert await first_broken_link(database) is None


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_entry SET action = 'harmless' WHERE id = :id",
        "UPDATE audit_entry SET after = '{\"x\": 2}' WHERE id = :id",
        "UPDATE audit_entry SET acting_account = NULL WHERE id = :id",
        "DELETE FROM audit_entry WHERE id = :id",
    ],
)
async def test_changed_or_deleted_entry_breaks_the_chain(
    database: Database, owner: Database, tampering: str
) -> None:
    await record_acts(database, "before", "target", "after")
    await seal(database)
    async with owner.transaction(PROVINCE) as session:
        row = (
            await session.execute(
                text(
                    "SELECT e.id, s.seq FROM audit_entry e JOIN audit_seal s ON s.entry_id = e.id"
                    " WHERE e.action = 'target' ORDER BY s.seq DESC LIMIT 1"
                )
            )
        ).one()
        await session.execute(text(tampering), {"id": row.id})
        assert await audit.first_broken_link(session) == row.seq
        await session.rollback()


async def test_rolled_back_act_leaves_no_audit_entry(database: Database) -> None:
    name = f"undone-{new_id()}"
    with pytest.raises(RuntimeError):
        async with database.transaction(PROVINCE) as session:
            audit.record(session, audit.Act(name, "thing", "1", PROVINCE_PATH), now())
            await session.flush()
            raise RuntimeError
    async with database.transaction(PROVINCE) as session:
        assert (
            await session.scalar(text("SELECT count(*) FROM audit_entry WHERE action = :n"), {"n": name}) == 0
        )
