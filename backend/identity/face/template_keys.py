"""The key hierarchy of face data: the root key wraps a key per school, which wraps a data key per student.

The keys of the pictures hang below the same school's key (`identity/pictures/keys.py`).
"""

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

ROOT_KEY_PURPOSE = "template-root"
"""The purpose of the root key in the key file."""

_ROOT_KEY_LOCK = func.hashtextextended("dianming template-root", 0)


def get_root_key(keys: KeyRing, version: str) -> KeyEncryptionKey:
    """A version of the root key; raises `TemplateUnreadable` if it is no longer in the key file."""
    try:
        return KeyEncryptionKey(version, keys.version(ROOT_KEY_PURPOSE, version))
    except KeyError as error:
        raise TemplateUnreadable from error


async def lock_root_key_shared(session: AsyncSession) -> None:
    """Prevent the removal of a root key version until the end of the transaction (shared advisory lock)."""
    await session.execute(select(func.pg_advisory_xact_lock_shared(_ROOT_KEY_LOCK)))


async def lock_root_key_exclusive(session: AsyncSession) -> None:
    """Exclude all other users of the root key until the end of the transaction (exclusive advisory lock)."""
    await session.execute(select(func.pg_advisory_xact_lock(_ROOT_KEY_LOCK)))


async def load_school_key(session: AsyncSession, keys: KeyRing, school_id: UUID) -> KeyEncryptionKey | None:
    """The school's key; None for a school without any enrolment. Raises `TemplateUnreadable`."""
    row = await session.scalar(select(SchoolTemplateKey).where(SchoolTemplateKey.school_id == school_id))
    return None if row is None else unwrap_school_key(row, keys)


def unwrap_school_key(row: SchoolTemplateKey, keys: KeyRing) -> KeyEncryptionKey:
    """Unwrap a school's stored key with its version of the root key; raises `TemplateUnreadable`."""
    wrapped = WrappedKey(row.root_version, row.sealed)
    return open_school_key(wrapped, str(row.school_id), get_root_key(keys, row.root_version))


async def create_data_key(
    session: AsyncSession, keys: KeyRing, school_id: UUID, student_id: UUID, at: datetime
) -> DataKey:
    """Create and store a data key for a student who has none; the school's first student creates the school's key."""
    school = await ensure_school_key(session, keys, school_id, at)
    wrapped = new_data_key(str(student_id), school, Cipher(keys.template_cipher))
    row = TemplateKey(student_id=student_id, school_id=school_id, sealed=wrapped.sealed, created_at=at)
    session.add(row)
    await session.flush()
    return open_data_key(wrapped, str(student_id), school)


async def ensure_school_key(
    session: AsyncSession, keys: KeyRing, school_id: UUID, at: datetime
) -> KeyEncryptionKey:
    """The school's key, created if the school has none. Raises `TemplateUnreadable`."""
    existing = await load_school_key(session, keys, school_id)
    return existing or await _create_school_key(session, keys, school_id, at)


async def _create_school_key(
    session: AsyncSession, keys: KeyRing, school_id: UUID, at: datetime
) -> KeyEncryptionKey:
    """Create a school's key under the newest root key, or load the one that a parallel enrolment created."""
    await lock_root_key_shared(session)
    keys.refresh()
    root = get_root_key(keys, keys.current[ROOT_KEY_PURPOSE])
    wrapped = new_school_key(str(school_id), root, Cipher(keys.template_cipher))
    row = {
        "school_id": school_id,
        "root_version": wrapped.kek_id,
        "sealed": wrapped.sealed,
        "created_at": at,
        "wrapped_at": at,
    }
    await session.execute(insert(SchoolTemplateKey).values(row).on_conflict_do_nothing())
    key = await load_school_key(session, keys, school_id)
    assert key is not None
    return key


async def load_data_key(session: AsyncSession, keys: KeyRing, student_id: UUID) -> DataKey | None:
    """The student's data key; None if there is none or it was shredded. Raises `TemplateUnreadable`."""
    key = (await load_data_keys(session, keys, [student_id])).get(student_id)
    if isinstance(key, TemplateUnreadable):
        raise key
    return key


async def load_data_keys(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, DataKey | TemplateUnreadable]:
    """The data keys of these students, or the error for an unreadable key; students without a key are left out."""
    rows = await session.execute(
        select(TemplateKey, SchoolTemplateKey)
        .join(SchoolTemplateKey, SchoolTemplateKey.school_id == TemplateKey.school_id)
        .where(TemplateKey.student_id.in_(student_ids))
    )
    data_keys: dict[UUID, DataKey | TemplateUnreadable] = {}
    for row, school in rows:
        try:
            data_keys[row.student_id] = unwrap_data_key(
                row.sealed, row.student_id, unwrap_school_key(school, keys)
            )
        except TemplateUnreadable as error:
            data_keys[row.student_id] = error
    return data_keys


def unwrap_data_key(sealed: bytes, student_id: UUID, school: KeyEncryptionKey) -> DataKey:
    """Unwrap a stored data key with its school's key; raises `TemplateUnreadable`."""
    return open_data_key(WrappedKey(school.id, sealed), str(student_id), school)


async def lock_keys_to_rewrap(
    session: AsyncSession, version: str, after: UUID | None, limit: int
) -> Sequence[SchoolTemplateKey]:
    """Schools' keys wrapped under another version than this, locked and ordered by school."""
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


async def count_schools_by_root_version(session: AsyncSession) -> dict[str, int]:
    """The number of schools' keys wrapped under each version of the root key."""
    rows = await session.execute(
        select(SchoolTemplateKey.root_version, func.count()).group_by(SchoolTemplateKey.root_version)
    )
    return {row[0]: row[1] for row in rows}
