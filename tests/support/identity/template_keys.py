"""Removing the template keys of other tests for a while, because a rotation covers all schools of the province."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import make_transient

from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.identity.pictures.tables import PictureKeyRecord
from backend.identity.tables import SchoolTemplateKey, TemplateKey
from tests.support.province import PROVINCE_PATH

_PROVINCE = Scope.wide(PROVINCE_PATH)


@asynccontextmanager
async def without_existing_keys(owner: Database) -> AsyncIterator[None]:
    """Remove all keys of templates and pictures; restore them on exit, without those created meanwhile."""
    async with owner.transaction(_PROVINCE) as session:
        schools = (await session.scalars(select(SchoolTemplateKey))).all()
        students = (await session.scalars(select(TemplateKey))).all()
        pictures = (await session.scalars(select(PictureKeyRecord))).all()
        await _clear(session)
    yield
    async with owner.transaction(_PROVINCE) as session:
        await _clear(session)
        for rows in (schools, students, pictures):
            for row in rows:
                make_transient(row)
            session.add_all(rows)
            await session.flush()


async def _clear(session: AsyncSession) -> None:
    await session.execute(delete(TemplateKey))
    await session.execute(delete(PictureKeyRecord))
    await session.execute(delete(SchoolTemplateKey))
