"""Reports for a change of the face engine: which templates each engine made, and which could be made again.

A template can only be used by the engine that made it. A new one can only be made from the shots of the enrolment, while
retention keeps them (`reembedding`): the ID portrait is a single picture, and check-ins leave descriptors only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.tables import FaceEnrolment, FaceTemplateRecord
from backend.org.tables import OrgUnit
from biometrics.engines.base import EngineKey


@dataclass(frozen=True, slots=True)
class SchoolTemplates:
    """The active templates of one engine in one school."""

    school_id: UUID
    school: str
    engine: EngineKey
    templates: int
    shots_kept: int
    """Templates whose enrolment shots are still stored."""


async def count_templates_by_engine(session: AsyncSession) -> list[SchoolTemplates]:
    """Count active templates by school and engine within the session's scope."""
    counted = (
        select(
            OrgUnit.id,
            OrgUnit.name,
            FaceTemplateRecord.engine_id,
            FaceTemplateRecord.engine_version,
            func.count(),
            func.count().filter(FaceEnrolment.shots_deleted_at.is_(None)),
        )
        .join(OrgUnit, OrgUnit.id == FaceTemplateRecord.school_id)
        .join(FaceEnrolment, FaceEnrolment.id == FaceTemplateRecord.enrolment_id)
        .where(FaceTemplateRecord.status == "active")
        .group_by(OrgUnit.id, FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
        .order_by(OrgUnit.code, FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
    )
    rows = (await session.execute(counted)).all()
    return [
        SchoolTemplates(school_id, name, EngineKey(engine_id, version), templates, kept)
        for school_id, name, engine_id, version, templates, kept in rows
    ]


async def load_students_without_engine(session: AsyncSession, enabled: Sequence[EngineKey]) -> list[UUID]:
    """Students whose template was made by none of the enabled engines, ordered by school."""
    made_by = tuple_(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
    without_engine = (
        select(FaceTemplateRecord.student_id)
        .where(
            FaceTemplateRecord.status == "active", made_by.not_in([(key.id, key.version) for key in enabled])
        )
        .order_by(FaceTemplateRecord.school_id, FaceTemplateRecord.student_id)
    )
    return list(await session.scalars(without_engine))
