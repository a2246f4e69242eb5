"""Face templates at rest: sealed under a data key of the student's own, opened for a check, shredded on demand."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity import tables
from backend.identity.tables import FaceEnrolment, TemplateKey
from biometrics.engine import EngineKey
from biometrics.matching import FaceTemplate
from biometrics.template import Binding, KeyEncryptionKey, WrappedKey, new_data_key, seal, unseal

PURPOSE = "roll-call"
_ROOT = "template-root"


def _kek(keys: KeyRing, version: str) -> KeyEncryptionKey:
    return KeyEncryptionKey(version, keys.secrets[_ROOT, version])


async def active_template(session: AsyncSession, keys: KeyRing, student_id: UUID) -> FaceTemplate | None:
    """The student's template, opened; None without one. Raises TemplateUnreadable for altered rows."""
    active = (
        select(tables.FaceTemplate, TemplateKey)
        .join(TemplateKey, TemplateKey.student_id == tables.FaceTemplate.student_id)
        .where(tables.FaceTemplate.student_id == student_id, tables.FaceTemplate.status == "active")
    )
    found = (await session.execute(active)).one_or_none()
    if found is None:
        return None
    row, key = found
    binding = Binding(str(student_id), EngineKey(row.engine_id, row.engine_version), row.purpose)
    return unseal(row.sealed, binding, WrappedKey(key.kek_id, key.sealed), _kek(keys, key.kek_id))


async def ever_enrolled(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student has, or had, a template: the next one needs two persons' approval."""
    ever = select(exists().where(tables.FaceTemplate.student_id == student_id))
    return bool(await session.scalar(ever))


async def store_template(
    session: AsyncSession, keys: KeyRing, enrolment: FaceEnrolment, template: FaceTemplate, at: datetime
) -> None:
    """Seal and keep a template; the unique index refuses a second active one."""
    kek = _kek(keys, keys.current[_ROOT])
    student = str(enrolment.student_id)
    wrapped = new_data_key(student, kek)
    session.add(
        TemplateKey(
            student_id=enrolment.student_id,
            school_id=enrolment.school_id,
            kek_id=wrapped.kek_id,
            sealed=wrapped.sealed,
            created_at=at,
        )
    )
    session.add(
        tables.FaceTemplate(
            id=new_id(),
            school_id=enrolment.school_id,
            student_id=enrolment.student_id,
            enrolment_id=enrolment.id,
            engine_id=template.engine.id,
            engine_version=template.engine.version,
            purpose=PURPOSE,
            sealed=seal(template, Binding(student, template.engine, PURPOSE), wrapped, kek),
            status="active",
            created_at=at,
        )
    )


async def shred(session: AsyncSession, student_id: UUID, at: datetime) -> None:
    """Delete the student's data key, which turns every sealed template into noise, and say so on the rows."""
    await session.execute(delete(TemplateKey).where(TemplateKey.student_id == student_id))
    await session.execute(
        update(tables.FaceTemplate)
        .where(tables.FaceTemplate.student_id == student_id, tables.FaceTemplate.status == "active")
        .values(status="shredded", ended_at=at)
    )
