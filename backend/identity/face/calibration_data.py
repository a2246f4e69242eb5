"""What a deployment already holds that tells how well its own people are told apart: numbers, no pictures.

Of every enrolled student there is the template and, sealed beside it, what each accepted check-in showed. One student's
are genuine, two students' are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy import func, select, text

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.face.selfie_records import earlier_selfies
from backend.identity.face.templates import active_template
from backend.identity.tables import FaceTemplate
from backend.org.paths import path_of
from biometrics.engines.base import EngineKey, Vector
from biometrics.errors import BiometricsError
from biometrics.matching.calibration import Ints
from biometrics.matching.scoring import Vectors

_SHUFFLED = text("md5(CAST(face_template.student_id AS text))")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Several descriptors of each of some people, who are only numbers here."""

    vectors: Vectors
    person: Ints


async def deployment_samples(app_context: AppContext, engine: EngineKey, most: int) -> Samples:
    """Templates and accepted check-ins of at most `most` students, the same ones each time, school by school."""
    province = path_of("province", app_context.settings.province_code, None)
    chosen = (
        select(FaceTemplate.school_id, func.array_agg(FaceTemplate.student_id))
        .where(
            FaceTemplate.id.in_(
                select(FaceTemplate.id)
                .where(
                    FaceTemplate.status == "active",
                    FaceTemplate.engine_id == engine.id,
                    FaceTemplate.engine_version == engine.version,
                )
                .order_by(_SHUFFLED)
                .limit(most)
            )
        )
        .group_by(FaceTemplate.school_id)
        .order_by(FaceTemplate.school_id)
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        schools = (await session.execute(chosen)).all()
    found = [
        await _of_student(app_context, engine, school_id, student_id)
        for school_id, students in schools
        for student_id in sorted(students)
    ]
    return samples_of([own for own in found if own])


def samples_of(people: Sequence[Sequence[Vector]]) -> Samples:
    """The descriptors of some people, numbered as they come."""
    person = [number for number, own in enumerate(people) for _ in own]
    vectors = [vector for own in people for vector in own]
    return Samples(np.array(vectors, dtype=np.float64), np.array(person, dtype=np.int64))


async def _of_student(
    app_context: AppContext, engine: EngineKey, school_id: UUID, student_id: UUID
) -> list[Vector]:
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        try:
            template = await active_template(session, app_context.keys, student_id)
        except BiometricsError:
            return []
        seen = (await earlier_selfies(session, app_context.keys, [student_id]))[student_id]
    if template is None:
        return []
    checks = [each.descriptor for each in seen if each.submission_id is not None]
    return [template.mean, *(each.vector for each in checks if each.engine == engine)]
