"""Face templates at rest: sealed under a data key of the student's own, opened for a check, shredded on demand."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Select, delete, exists, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity import tables
from backend.identity.tables import FaceEnrolment, KeptSelfie, SchoolTemplateKey, TemplateKey
from backend.identity.template_keys import add_data_key, opened, opened_school, school_key
from backend.people.tables import Student
from biometrics.engine import EngineKey
from biometrics.matching import FaceTemplate
from biometrics.sealing import Binding, Cipher, KeyEncryptionKey, TemplateUnreadable
from biometrics.template import seal, unseal

PURPOSE = "roll-call"
_SHUFFLED = text("md5(CAST(face_template.student_id AS text))")
"""An order that nobody chooses and that stays the same, so that whatever was computed can be computed again."""

log = structlog.get_logger()


async def active_template(session: AsyncSession, keys: KeyRing, student_id: UUID) -> FaceTemplate | None:
    """The student's template, opened; None without one. Raises TemplateUnreadable for altered rows."""
    active = (
        select(tables.FaceTemplate, TemplateKey.sealed, SchoolTemplateKey)
        .join(TemplateKey, TemplateKey.student_id == tables.FaceTemplate.student_id)
        .join(SchoolTemplateKey, SchoolTemplateKey.school_id == TemplateKey.school_id)
        .where(tables.FaceTemplate.student_id == student_id, tables.FaceTemplate.status == "active")
    )
    found = (await session.execute(active)).one_or_none()
    if found is None:
        return None
    row, sealed_key, school = found
    return unseal(row.sealed, _binding(row), opened(sealed_key, student_id, opened_school(school, keys)))


def _binding(row: tables.FaceTemplate) -> Binding:
    return Binding(str(row.student_id), EngineKey(row.engine_id, row.engine_version), row.purpose)


async def school_templates(
    session: AsyncSession,
    keys: KeyRing,
    school_id: UUID,
    engine: EngineKey,
    limit: int,
    *,
    but_not: UUID | None = None,
) -> list[FaceTemplate]:
    """At most `limit` active templates of one engine and school, of other students than `but_not`.

    The same ones whenever the school's templates are the same: a sample in an order that nobody chose. Those that do
    not open are left out, with a line in the log. A student's own scope sees no other student's template.
    """
    return await _open_all(session, keys, _active(engine, but_not, limit), school_id)


async def class_templates(
    session: AsyncSession,
    keys: KeyRing,
    class_id: UUID,
    engine: EngineKey,
    limit: int,
    *,
    but_not: UUID | None = None,
) -> list[FaceTemplate]:
    """The same for the students of one class."""
    school_id = await session.scalar(select(Student.school_id).where(Student.class_id == class_id).limit(1))
    if school_id is None:
        return []
    of_class = _active(engine, but_not, limit).join(Student, Student.id == tables.FaceTemplate.student_id)
    return await _open_all(session, keys, of_class.where(Student.class_id == class_id), school_id)


Sealed = Select[tables.FaceTemplate, bytes]


def _active(engine: EngineKey, but_not: UUID | None, limit: int) -> Sealed:
    query = (
        select(tables.FaceTemplate, TemplateKey.sealed)
        .join(TemplateKey, TemplateKey.student_id == tables.FaceTemplate.student_id)
        .where(
            tables.FaceTemplate.status == "active",
            tables.FaceTemplate.engine_id == engine.id,
            tables.FaceTemplate.engine_version == engine.version,
        )
        .order_by(_SHUFFLED)
        .limit(limit)
    )
    return query if but_not is None else query.where(tables.FaceTemplate.student_id != but_not)


async def _open_all(
    session: AsyncSession, keys: KeyRing, query: Sealed, school_id: UUID
) -> list[FaceTemplate]:
    school = await school_key(session, keys, school_id)
    if school is None:
        return []
    rows = (await session.execute(query.where(tables.FaceTemplate.school_id == school_id))).all()
    found = [_opened(row, sealed_key, school) for row, sealed_key in rows]
    return [template for template in found if template is not None]


def _opened(row: tables.FaceTemplate, sealed_key: bytes, school: KeyEncryptionKey) -> FaceTemplate | None:
    try:
        return unseal(row.sealed, _binding(row), opened(sealed_key, row.student_id, school))
    except TemplateUnreadable as error:
        log.warning("template unreadable", template=str(row.id), code=error.code)
        return None


async def ever_enrolled(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student has, or had, a template: the next one needs two persons' approval."""
    ever = select(exists().where(tables.FaceTemplate.student_id == student_id))
    return bool(await session.scalar(ever))


async def store_template(
    session: AsyncSession, keys: KeyRing, enrolment: FaceEnrolment, template: FaceTemplate, at: datetime
) -> None:
    """Seal and keep a template; the unique index refuses a second active one."""
    key = await add_data_key(session, keys, enrolment.school_id, enrolment.student_id, at)
    binding = Binding(str(enrolment.student_id), template.engine, PURPOSE)
    session.add(
        tables.FaceTemplate(
            id=new_id(),
            school_id=enrolment.school_id,
            student_id=enrolment.student_id,
            enrolment_id=enrolment.id,
            engine_id=template.engine.id,
            engine_version=template.engine.version,
            purpose=PURPOSE,
            sealed=seal(template, binding, key, Cipher(keys.template_cipher)),
            status="active",
            created_at=at,
        )
    )


async def shred(session: AsyncSession, student_ids: Sequence[UUID], at: datetime) -> None:
    """Delete the students' data keys, which turns all that was sealed under them into noise, and say so on the rows."""
    await session.execute(delete(TemplateKey).where(TemplateKey.student_id.in_(student_ids)))
    await session.execute(delete(KeptSelfie).where(KeptSelfie.student_id.in_(student_ids)))
    await session.execute(
        update(tables.FaceTemplate)
        .where(tables.FaceTemplate.student_id.in_(student_ids), tables.FaceTemplate.status == "active")
        .values(status="shredded", ended_at=at)
    )
