"""The keys of what is kept of faces: a school's under the root key, a student's under the school's."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.keys import KeyRing
from backend.identity.tables import SchoolTemplateKey, TemplateKey
from biometrics.templates.sealing import (
    Cipher,
    DataKey,
    KeyEncryptionKey,
    TemplateUnreadable,
    WrappedKey,
    new_data_key,
    new_school_key,
    open_data_key,
    open_school_key,
)

ROOT = "template-root"
"""The purpose in the key file."""

_LOCK = func.hashtextextended("dianming template-root", 0)


def root_key(keys: KeyRing, version: str) -> KeyEncryptionKey:
    """A version of the root key; raises TemplateUnreadable if the key file does not have it any more."""
    try:
        return KeyEncryptionKey(version, keys.version(ROOT, version))
    except KeyError as error:
        raise TemplateUnreadable from error


async def hold_root(session: AsyncSession) -> None:
    """Keep the versions of the root key as they are until this transaction has ended."""
    await session.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))


async def hold_root_alone(session: AsyncSession) -> None:
    """Wait for whoever holds the root key, and keep all others out until this transaction has ended."""
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


async def school_key(session: AsyncSession, keys: KeyRing, school_id: UUID) -> KeyEncryptionKey | None:
    """The school's key; None for a school where nobody ever enrolled. Raises TemplateUnreadable."""
    row = await session.scalar(select(SchoolTemplateKey).where(SchoolTemplateKey.school_id == school_id))
    return None if row is None else opened_school(row, keys)


def opened_school(row: SchoolTemplateKey, keys: KeyRing) -> KeyEncryptionKey:
    """A stored key of a school, opened with its version of the root; raises TemplateUnreadable."""
    wrapped = WrappedKey(row.root_version, row.sealed)
    return open_school_key(wrapped, str(row.school_id), root_key(keys, row.root_version))


async def add_data_key(
    session: AsyncSession, keys: KeyRing, school_id: UUID, student_id: UUID, at: datetime
) -> DataKey:
    """A fresh data key for a student who has none, kept wrapped under the school's, which the first one makes."""
    school = await school_key(session, keys, school_id) or await _first_key(session, keys, school_id, at)
    wrapped = new_data_key(str(student_id), school, Cipher(keys.template_cipher))
    row = TemplateKey(student_id=student_id, school_id=school_id, sealed=wrapped.sealed, created_at=at)
    session.add(row)
    await session.flush()
    return open_data_key(wrapped, str(student_id), school)


async def _first_key(session: AsyncSession, keys: KeyRing, school_id: UUID, at: datetime) -> KeyEncryptionKey:
    """A new key of a school, under the newest root; another enrolment of the same moment may be first."""
    await hold_root(session)
    keys.refresh()
    root = root_key(keys, keys.current[ROOT])
    wrapped = new_school_key(str(school_id), root, Cipher(keys.template_cipher))
    row = {
        "school_id": school_id,
        "root_version": wrapped.kek_id,
        "sealed": wrapped.sealed,
        "created_at": at,
        "wrapped_at": at,
    }
    await session.execute(insert(SchoolTemplateKey).values(row).on_conflict_do_nothing())
    key = await school_key(session, keys, school_id)
    assert key is not None
    return key


async def data_key(session: AsyncSession, keys: KeyRing, student_id: UUID) -> DataKey | None:
    """The student's data key; None if there is none, or none any more. Raises TemplateUnreadable."""
    found = (await data_keys(session, keys, [student_id])).get(student_id)
    if isinstance(found, TemplateUnreadable):
        raise found
    return found


async def data_keys(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, DataKey | TemplateUnreadable]:
    """The data keys of these students, or why one does not open; without those who have none."""
    rows = await session.execute(
        select(TemplateKey, SchoolTemplateKey)
        .join(SchoolTemplateKey, SchoolTemplateKey.school_id == TemplateKey.school_id)
        .where(TemplateKey.student_id.in_(student_ids))
    )
    found: dict[UUID, DataKey | TemplateUnreadable] = {}
    for row, school in rows:
        try:
            found[row.student_id] = opened(row.sealed, row.student_id, opened_school(school, keys))
        except TemplateUnreadable as error:
            found[row.student_id] = error
    return found


def opened(sealed: bytes, student_id: UUID, school: KeyEncryptionKey) -> DataKey:
    """A stored data key, opened with its school's; raises TemplateUnreadable."""
    return open_data_key(WrappedKey(school.id, sealed), str(student_id), school)


async def wrapped_by_others(
    session: AsyncSession, version: str, after: UUID | None, limit: int
) -> Sequence[SchoolTemplateKey]:
    """Schools' keys that another version of the root wraps, in the order of their schools, locked."""
    query = (
        select(SchoolTemplateKey)
        .where(SchoolTemplateKey.root_version != version)
        .order_by(SchoolTemplateKey.school_id)
        .limit(limit)
        .with_for_update()
    )
    if after is not None:
        query = query.where(SchoolTemplateKey.school_id > after)
    return (await session.scalars(query)).all()


async def schools_by_version(session: AsyncSession) -> dict[str, int]:
    """How many schools' keys each version of the root wraps."""
    rows = await session.execute(
        select(SchoolTemplateKey.root_version, func.count()).group_by(SchoolTemplateKey.root_version)
    )
    return {row[0]: row[1] for row in rows}
