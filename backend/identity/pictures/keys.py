"""The key of a student's pictures, wrapped by the school's key (`face/template_keys.py`)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.keys import KeyRing
from backend.identity.face.template_keys import ensure_school_key, get_root_key
from backend.identity.pictures.tables import PictureKeyRecord
from backend.identity.tables import SchoolTemplateKey
from biometrics.templates.sealing import (
    Cipher,
    PictureKey,
    PictureUnreadable,
    TemplateUnreadable,
    WrappedKey,
    new_picture_key,
    open_picture_key,
    open_school_key,
)


@dataclass(frozen=True, slots=True)
class StoredPictureKey:
    """A student's picture key as stored, with the stored key of the school that wraps it."""

    student_id: UUID
    school_id: UUID
    sealed: bytes
    root_version: str
    school_sealed: bytes

    def unwrap(self, keys: KeyRing) -> PictureKey:
        """Unwrap both keys. Raises `PictureUnreadable`."""
        school = WrappedKey(self.root_version, self.school_sealed)
        try:
            school_key = open_school_key(school, str(self.school_id), get_root_key(keys, self.root_version))
        except TemplateUnreadable as error:
            raise PictureUnreadable from error
        return open_picture_key(WrappedKey(school_key.id, self.sealed), str(self.student_id), school_key)


async def ensure_picture_key(
    session: AsyncSession, keys: KeyRing, school_id: UUID, student_id: UUID, at: datetime
) -> PictureKey:
    """The key of the student's pictures, created before the first one. Raises `PictureUnreadable`.

    Of two transactions that create it at once, the second uses the key of the first.
    """
    existing = await load_picture_key(session, keys, student_id)
    if existing is not None:
        return existing
    try:
        school = await ensure_school_key(session, keys, school_id, at)
    except TemplateUnreadable as error:
        raise PictureUnreadable from error
    wrapped = new_picture_key(str(student_id), school, Cipher(keys.template_cipher))
    row = {"student_id": student_id, "school_id": school_id, "sealed": wrapped.sealed, "created_at": at}
    await session.execute(insert(PictureKeyRecord).values(row).on_conflict_do_nothing())
    key = await load_picture_key(session, keys, student_id)
    assert key is not None
    return key


async def load_picture_key(session: AsyncSession, keys: KeyRing, student_id: UUID) -> PictureKey | None:
    """The key of the student's pictures; None if there is none or it was shredded. Raises `PictureUnreadable`."""
    key = (await load_picture_keys(session, keys, [student_id])).get(student_id)
    if isinstance(key, PictureUnreadable):
        raise key
    return key


async def load_picture_keys(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, PictureKey | PictureUnreadable]:
    """The keys of these students, or the error for an unreadable key; students without a key are left out."""
    loaded: dict[UUID, PictureKey | PictureUnreadable] = {}
    for student_id, stored in (await load_stored_keys(session, student_ids)).items():
        try:
            loaded[student_id] = stored.unwrap(keys)
        except PictureUnreadable as error:
            loaded[student_id] = error
    return loaded


async def load_stored_keys(
    session: AsyncSession, student_ids: Collection[UUID]
) -> dict[UUID, StoredPictureKey]:
    """The keys of these students as stored, in one query; students without a key are left out."""
    rows = await session.execute(
        select(
            PictureKeyRecord.student_id,
            PictureKeyRecord.school_id,
            PictureKeyRecord.sealed,
            SchoolTemplateKey.root_version,
            SchoolTemplateKey.sealed,
        )
        .join(SchoolTemplateKey, SchoolTemplateKey.school_id == PictureKeyRecord.school_id)
        .where(PictureKeyRecord.student_id.in_(student_ids))
    )
    return {row[0]: StoredPictureKey(*row) for row in rows}


async def shred_picture_keys(session: AsyncSession, student_ids: Collection[UUID]) -> None:
    """Delete the students' keys: all their pictures become unreadable, also in copies and backups of the files."""
    await session.execute(delete(PictureKeyRecord).where(PictureKeyRecord.student_id.in_(student_ids)))
