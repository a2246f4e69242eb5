"""Stored face templates: encrypted with the student's own data key, decrypted for a check, shredded on demand."""

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
from backend.identity.face.calibration.probes import delete_probes
from backend.identity.face.shared_pictures import Source, delete_picture_fingerprints
from backend.identity.face.template_keys import (
    create_data_key,
    load_data_key,
    load_school_key,
    unwrap_data_key,
    unwrap_school_key,
)
from backend.identity.tables import FaceEnrolment, SchoolTemplateKey, SelfieRecord, TemplateKey
from backend.people.tables import Student
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import FaceTemplate
from biometrics.templates.sealing import Binding, Cipher, KeyEncryptionKey, TemplateUnreadable
from biometrics.templates.template import seal_template, unseal_template

SEALING_PURPOSE = "roll-call"
_SAMPLE_ORDER = text("md5(CAST(face_template.student_id AS text))")
"""A pseudo-random but stable order, so that samples can be reproduced."""

log = structlog.get_logger()


async def load_active_template(session: AsyncSession, keys: KeyRing, student_id: UUID) -> FaceTemplate | None:
    """The student's decrypted template; None without one. Raises `TemplateUnreadable` for altered rows."""
    template = (await load_active_templates(session, keys, [student_id])).get(student_id)
    if isinstance(template, TemplateUnreadable):
        raise template
    return template


async def load_active_templates(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, FaceTemplate | TemplateUnreadable]:
    """The templates of these students, or the error for an unreadable one; students without one are left out."""
    active = (
        select(tables.FaceTemplateRecord, TemplateKey.sealed, SchoolTemplateKey)
        .join(TemplateKey, TemplateKey.student_id == tables.FaceTemplateRecord.student_id)
        .join(SchoolTemplateKey, SchoolTemplateKey.school_id == TemplateKey.school_id)
        .where(
            tables.FaceTemplateRecord.student_id.in_(student_ids),
            tables.FaceTemplateRecord.status == "active",
        )
    )
    templates: dict[UUID, FaceTemplate | TemplateUnreadable] = {}
    for row, sealed_key, school in await session.execute(active):
        try:
            key = unwrap_data_key(sealed_key, row.student_id, unwrap_school_key(school, keys))
            templates[row.student_id] = unseal_template(row.sealed, _binding(row), key)
        except TemplateUnreadable as error:
            templates[row.student_id] = error
    return templates


def _binding(row: tables.FaceTemplateRecord) -> Binding:
    return Binding(str(row.student_id), EngineKey(row.engine_id, row.engine_version), row.purpose)


TemplatesByStudent = dict[UUID, FaceTemplate]
"""Templates by student, in the stable sample order."""


async def load_school_templates(
    session: AsyncSession, keys: KeyRing, school_id: UUID, engine: EngineKey, limit: int
) -> TemplatesByStudent:
    """A reproducible sample of at most `limit` active templates of one engine and school.

    Unreadable templates are logged and left out. A student's own scope sees no other student's template.
    """
    school = await load_school_key(session, keys, school_id)
    if school is None:
        return {}
    own = _select_active(engine).where(tables.FaceTemplateRecord.school_id == school_id)
    rows = (await session.execute(own.order_by(_SAMPLE_ORDER).limit(limit))).all()
    templates = [(row.student_id, _unseal_or_log(row, sealed_key, school)) for row, sealed_key in rows]
    return {student_id: template for student_id, template in templates if template is not None}


async def load_class_templates(
    session: AsyncSession,
    keys: KeyRing,
    school_id: UUID,
    class_ids: Collection[UUID],
    engine: EngineKey,
    limit: int,
) -> dict[UUID, TemplatesByStudent]:
    """A reproducible sample of at most `limit` active templates of each of some classes, by class."""
    school = await load_school_key(session, keys, school_id)
    if school is None:
        return {}
    place = func.row_number().over(partition_by=Student.class_id, order_by=_SAMPLE_ORDER)
    ranked = (
        select(tables.FaceTemplateRecord.id, Student.class_id, place.label("place"))
        .join(Student, Student.id == tables.FaceTemplateRecord.student_id)
        .where(Student.class_id.in_(class_ids), *_active_conditions(engine))
        .subquery()
    )
    own = (
        _select_active(engine)
        .add_columns(ranked.c.class_id)
        .join(ranked, ranked.c.id == tables.FaceTemplateRecord.id)
        .where(ranked.c.place <= limit, tables.FaceTemplateRecord.school_id == school_id)
        .order_by(ranked.c.place)
    )
    by_class: dict[UUID, TemplatesByStudent] = defaultdict(dict)
    for row, sealed_key, class_id in await session.execute(own):
        template = _unseal_or_log(row, sealed_key, school)
        if template is not None:
            by_class[class_id][row.student_id] = template
    return by_class


def _active_conditions(engine: EngineKey) -> tuple[ColumnElement[bool], ...]:
    return (
        tables.FaceTemplateRecord.status == "active",
        tables.FaceTemplateRecord.engine_id == engine.id,
        tables.FaceTemplateRecord.engine_version == engine.version,
    )


def _select_active(engine: EngineKey) -> Select[tables.FaceTemplateRecord, bytes]:
    return (
        select(tables.FaceTemplateRecord, TemplateKey.sealed)
        .join(TemplateKey, TemplateKey.student_id == tables.FaceTemplateRecord.student_id)
        .where(*_active_conditions(engine))
    )


def _unseal_or_log(
    row: tables.FaceTemplateRecord, sealed_key: bytes, school: KeyEncryptionKey
) -> FaceTemplate | None:
    try:
        return unseal_template(row.sealed, _binding(row), unwrap_data_key(sealed_key, row.student_id, school))
    except TemplateUnreadable as error:
        log.warning("template unreadable", template=str(row.id), code=error.code)
        return None


async def has_ever_enrolled(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student has or had a template. Another one needs the approval of two persons."""
    ever = select(exists().where(tables.FaceTemplateRecord.student_id == student_id))
    return bool(await session.scalar(ever))


async def has_active_template(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student has a template to check in with."""
    active = exists().where(
        tables.FaceTemplateRecord.student_id == student_id, tables.FaceTemplateRecord.status == "active"
    )
    return bool(await session.scalar(select(active)))


async def store_template(
    session: AsyncSession, keys: KeyRing, enrolment: FaceEnrolment, template: FaceTemplate, at: datetime
) -> None:
    """Encrypt and store a template; a unique index prevents a second active one.

    It is only proposed if the enrolment is in review, because it replaces an earlier face.
    """
    key = await load_data_key(session, keys, enrolment.student_id) or await create_data_key(
        session, keys, enrolment.school_id, enrolment.student_id, at
    )
    binding = Binding(str(enrolment.student_id), template.engine, SEALING_PURPOSE)
    session.add(
        tables.FaceTemplateRecord(
            id=new_id(),
            school_id=enrolment.school_id,
            student_id=enrolment.student_id,
            enrolment_id=enrolment.id,
            engine_id=template.engine.id,
            engine_version=template.engine.version,
            purpose=SEALING_PURPOSE,
            sealed=seal_template(template, binding, key, Cipher(keys.template_cipher)),
            status="proposed" if enrolment.status == "review" else "active",
            created_at=at,
        )
    )


async def shred_face_data(session: AsyncSession, student_ids: Sequence[UUID], at: datetime) -> None:
    """Delete the students' data keys (crypto-shredding) and mark their templates as shredded.

    All data encrypted with these keys become unreadable, also in backups and copies. The hashes of the shots are deleted.
    """
    await session.execute(delete(TemplateKey).where(TemplateKey.student_id.in_(student_ids)))
    await session.execute(delete(SelfieRecord).where(SelfieRecord.student_id.in_(student_ids)))
    await delete_probes(session, student_ids)
    await delete_picture_fingerprints(session, Source.ENROLMENT, student_ids=student_ids)
    await session.execute(
        update(tables.FaceTemplateRecord)
        .where(
            tables.FaceTemplateRecord.student_id.in_(student_ids),
            tables.FaceTemplateRecord.status.in_(("active", "proposed")),
        )
        .values(status="shredded", ended_at=at)
    )


async def activate_proposed_template(session: AsyncSession, enrolment: FaceEnrolment, at: datetime) -> bool:
    """End the active template, if there is one, and activate the one that the enrolment proposed.

    False, without a change, if the proposed one was shredded meanwhile.
    """
    record = tables.FaceTemplateRecord
    proposed = (record.enrolment_id == enrolment.id, record.status == "proposed")
    if not await session.scalar(select(exists().where(*proposed))):
        return False
    active = (record.student_id == enrolment.student_id, record.status == "active")
    await _end_template(session, enrolment, "replaced", at, *active)
    await session.execute(update(record).where(*proposed).values(status="active"))
    return True


async def replace_template_by_same_shots(
    session: AsyncSession,
    keys: KeyRing,
    enrolment: FaceEnrolment,
    template_id: UUID,
    template: FaceTemplate,
    at: datetime,
) -> bool:
    """End an active template and store the one that another engine made of the same shots.

    False, without a change, if that template is no longer the active one.
    """
    record = tables.FaceTemplateRecord
    active = (record.id == template_id, record.enrolment_id == enrolment.id, record.status == "active")
    if enrolment.status != "accepted" or not await session.scalar(select(exists().where(*active))):
        return False
    await _end_template(session, enrolment, "replaced", at, *active)
    await store_template(session, keys, enrolment, template, at)
    return True


async def refuse_proposed_template(session: AsyncSession, enrolment: FaceEnrolment, at: datetime) -> None:
    """Delete the content of the template that the enrolment proposed, and the hashes of its shots."""
    record = tables.FaceTemplateRecord
    await _end_template(
        session, enrolment, "refused", at, record.enrolment_id == enrolment.id, record.status == "proposed"
    )
    await session.execute(delete(SelfieRecord).where(SelfieRecord.enrolment_id == enrolment.id))
    await delete_picture_fingerprints(session, Source.ENROLMENT, source_ids=[enrolment.id])


_ERASE_ENDED = text("SELECT definer.erase_ended_templates(:student)")


async def _end_template(
    session: AsyncSession,
    enrolment: FaceEnrolment,
    status: str,
    at: datetime,
    *conditions: ColumnElement[bool],
) -> None:
    """End templates of the student and delete their content."""
    await session.execute(
        update(tables.FaceTemplateRecord).where(*conditions).values(status=status, ended_at=at)
    )
    await session.execute(_ERASE_ENDED, {"student": enrolment.student_id})
