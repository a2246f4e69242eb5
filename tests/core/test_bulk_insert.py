"""Inserting many rows by one statement: values of every type are stored unchanged."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticSerializationError
from sqlalchemy import select

from backend.core.bulk_insert import RawJson, insert_rows
from backend.core.database import Database
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
DOCUMENTS = st.dictionaries(
    TEXTS, st.none() | st.integers(-(2**53), 2**53) | TEXTS | st.lists(TEXTS), max_size=3
)


def row(**changes: object) -> dict[str, object]:
    plain = {
        "id": uuid4(),
        "at": datetime(2026, 5, 20, 2, tzinfo=UTC),
        "acting_account": None,
        "action": "test.bulk",
        "subject_type": "test",
        "subject_id": "1",
        "org_path": "p410000",
        "before": None,
        "after": None,
    }
    return plain | changes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subject_id=TEXTS, after=st.none() | DOCUMENTS, micro=st.integers(0, 10**12), hours=st.integers(-12, 14)
)
async def test_values_of_every_type_are_stored_unchanged(
    owner: Database, subject_id: str, after: dict[str, object] | None, micro: int, hours: int
) -> None:
    at = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=hours))) + timedelta(microseconds=micro)
    given_row = row(subject_id=subject_id, after=after, at=at, acting_account=uuid4())
    async with owner.transaction(Scope.none()) as session:
        ((inserted_id,),) = await insert_rows(session, AuditEntry, [given_row], returning=("id",))
        assert isinstance(inserted_id, UUID)
        stored = await session.get_one(AuditEntry, inserted_id)
        assert {name: getattr(stored, name) for name in given_row} == given_row
        await session.rollback()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=DOCUMENTS, after=DOCUMENTS)
async def test_raw_json_is_stored_as_it_is(
    owner: Database, before: dict[str, object], after: dict[str, object]
) -> None:
    values = {"before": RawJson(json.dumps(before)), "after": RawJson(json.dumps(after, ensure_ascii=False))}
    async with owner.transaction(Scope.none()) as session:
        ((inserted_id,),) = await insert_rows(session, AuditEntry, [row(**values)], returning=("id",))
        stored = await session.get_one(AuditEntry, inserted_id)
        assert (stored.before, stored.after) == (before, after)
        await session.rollback()


async def test_conflicting_rows_are_neither_inserted_nor_returned(owner: Database) -> None:
    first, second = row(), row()
    async with owner.transaction(Scope.none()) as session:
        await insert_rows(session, AuditEntry, [first])
        inserted = await insert_rows(
            session, AuditEntry, [first, second], on_conflict="ON CONFLICT DO NOTHING", returning=("id",)
        )
        assert [each for (each,) in inserted] == [second["id"]]
        stored = await session.scalars(select(AuditEntry.id).where(AuditEntry.action == "test.bulk"))
        assert set(stored) >= {first["id"], second["id"]}
        await session.rollback()


async def test_no_rows_execute_no_statement(owner: Database) -> None:
    async with owner.transaction(Scope.none()) as session:
        assert await insert_rows(session, AuditEntry, [], returning=("id",)) == []


async def test_unserialisable_value_raises_an_error(owner: Database) -> None:
    async with owner.transaction(Scope.none()) as session:
        with pytest.raises(PydanticSerializationError, match="object"):
            await insert_rows(session, AuditEntry, [row(after={"for": object()})])
