"""What a change of the face engine means for the people enrolled: whose template is whose, and what is left to redo it.

A template is judged by the engine that made it and by no other. Of the pictures behind it only the shots of the enrolment
can make one again, while retention keeps them: the ID portrait is a single picture, and check-ins leave numbers only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.tables import FaceEnrolment, FaceTemplate
from backend.org.tables import OrgUnit
from biometrics.engines.base import EngineKey


@dataclass(frozen=True, slots=True)
class SchoolTemplates:
    """Active templates that one engine made in one school."""

    school_id: UUID
    school: str
    engine: EngineKey
    templates: int
    shots_kept: int
    """Those of them whose enrolment shots retention still keeps."""


async def templates_by_engine(session: AsyncSession) -> list[SchoolTemplates]:
    """By school and engine, as far as the session's scope reaches."""
    counted = (
        select(
            OrgUnit.id,
            OrgUnit.name,
            FaceTemplate.engine_id,
            FaceTemplate.engine_version,
            func.count(),
            func.count().filter(FaceEnrolment.shots_gone_at.is_(None)),
        )
        .join(OrgUnit, OrgUnit.id == FaceTemplate.school_id)
        .join(FaceEnrolment, FaceEnrolment.id == FaceTemplate.enrolment_id)
        .where(FaceTemplate.status == "active")
        .group_by(OrgUnit.id, FaceTemplate.engine_id, FaceTemplate.engine_version)
        .order_by(OrgUnit.code, FaceTemplate.engine_id, FaceTemplate.engine_version)
    )
    rows = (await session.execute(counted)).all()
    return [
        SchoolTemplates(school_id, name, EngineKey(engine_id, version), templates, kept)
        for school_id, name, engine_id, version, templates, kept in rows
    ]


async def students_without_judge(session: AsyncSession, enabled: Sequence[EngineKey]) -> list[UUID]:
    """Students whose template no enabled engine can judge, school by school."""
    made_by = tuple_(FaceTemplate.engine_id, FaceTemplate.engine_version)
    unjudged = (
        select(FaceTemplate.student_id)
        .where(FaceTemplate.status == "active", made_by.not_in([(key.id, key.version) for key in enabled]))
        .order_by(FaceTemplate.school_id, FaceTemplate.student_id)
    )
    return list(await session.scalars(unjudged))
