"""Face templates at rest: sealed under a data key of the student's own, opened for a check, shredded on demand."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Select, delete, exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity import tables
from backend.identity.face.template_keys import add_data_key, opened, opened_school, school_key
from backend.identity.tables import FaceEnrolment, SchoolTemplateKey, SelfieRecord, TemplateKey
from backend.people.tables import Student
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import FaceTemplate
from biometrics.templates.sealing import Binding, Cipher, KeyEncryptionKey, TemplateUnreadable
from biometrics.templates.template import seal, unseal

PURPOSE = "roll-call"
_SHUFFLED = text("md5(CAST(face_template.student_id AS text))")
"""An order that nobody chooses and that stays the same, so that whatever was computed can be computed again."""

log = structlog.get_logger()


async def active_template(session: AsyncSession, keys: KeyRing, student_id: UUID) -> FaceTemplate | None:
    """The student's template, opened; None without one. Raises TemplateUnreadable for altered rows."""
    found = (await active_templates(session, keys, [student_id])).get(student_id)
    if isinstance(found, TemplateUnreadable):
        raise found
    return found


async def active_templates(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, FaceTemplate | TemplateUnreadable]:
    """The templates of these students, or why one does not open; without those who have none."""
    active = (
        select(tables.FaceTemplate, TemplateKey.sealed, SchoolTemplateKey)
        .join(TemplateKey, TemplateKey.student_id == tables.FaceTemplate.student_id)
        .join(SchoolTemplateKey, SchoolTemplateKey.school_id == TemplateKey.school_id)
        .where(tables.FaceTemplate.student_id.in_(student_ids), tables.FaceTemplate.status == "active")
    )
    found: dict[UUID, FaceTemplate | TemplateUnreadable] = {}
    for row, sealed_key, school in await session.execute(active):
        try:
            key = opened(sealed_key, row.student_id, opened_school(school, keys))
            found[row.student_id] = unseal(row.sealed, _binding(row), key)
        except TemplateUnreadable as error:
            found[row.student_id] = error
    return found


def _binding(row: tables.FaceTemplate) -> Binding:
    return Binding(str(row.student_id), EngineKey(row.engine_id, row.engine_version), row.purpose)


Templates = dict[UUID, FaceTemplate]
"""By student, in an order that nobody chose and that stays the same."""


async def school_templates(
    session: AsyncSession, keys: KeyRing, school_id: UUID, engine: EngineKey, limit: int
) -> Templates:
    """At most `limit` active templates of one engine and school.

    The same ones whenever the school's templates are the same: a sample in an order that nobody chose. Those that do
    not open are left out, with a line in the log. A student's own scope sees no other student's template.
    """
    school = await school_key(session, keys, school_id)
    if school is None:
        return {}
    own = _active(engine).where(tables.FaceTemplate.school_id == school_id)
    rows = (await session.execute(own.order_by(_SHUFFLED).limit(limit))).all()
    found = [(row.student_id, _opened(row, sealed_key, school)) for row, sealed_key in rows]
    return {student_id: template for student_id, template in found if template is not None}


async def class_templates(
    session: AsyncSession,
    keys: KeyRing,
    school_id: UUID,
    class_ids: Collection[UUID],
    engine: EngineKey,
    limit: int,
) -> dict[UUID, Templates]:
    """The same for some classes of the school: at most `limit` of each, by class."""
    school = await school_key(session, keys, school_id)
    if school is None:
        return {}
    place = func.row_number().over(partition_by=Student.class_id, order_by=_SHUFFLED)
    ranked = (
        select(tables.FaceTemplate.id, Student.class_id, place.label("place"))
        .join(Student, Student.id == tables.FaceTemplate.student_id)
        .where(Student.class_id.in_(class_ids), *_usable(engine))
        .subquery()
    )
    own = (
        _active(engine)
        .add_columns(ranked.c.class_id)
        .join(ranked, ranked.c.id == tables.FaceTemplate.id)
        .where(ranked.c.place <= limit, tables.FaceTemplate.school_id == school_id)
        .order_by(ranked.c.place)
    )
    found: dict[UUID, Templates] = defaultdict(dict)
    for row, sealed_key, class_id in await session.execute(own):
        template = _opened(row, sealed_key, school)
        if template is not None:
            found[class_id][row.student_id] = template
    return found


def _usable(engine: EngineKey) -> tuple[ColumnElement[bool], ...]:
    return (
        tables.FaceTemplate.status == "active",
        tables.FaceTemplate.engine_id == engine.id,
        tables.FaceTemplate.engine_version == engine.version,
    )


def _active(engine: EngineKey) -> Select[tables.FaceTemplate, bytes]:
    return (
        select(tables.FaceTemplate, TemplateKey.sealed)
        .join(TemplateKey, TemplateKey.student_id == tables.FaceTemplate.student_id)
        .where(*_usable(engine))
    )


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
    await session.execute(delete(SelfieRecord).where(SelfieRecord.student_id.in_(student_ids)))
    await session.execute(
        update(tables.FaceTemplate)
        .where(tables.FaceTemplate.student_id.in_(student_ids), tables.FaceTemplate.status == "active")
        .values(status="shredded", ended_at=at)
    )
