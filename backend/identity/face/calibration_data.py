"""Face descriptors of a deployment, to calibrate the match thresholds on its own students. No pictures are read.

Each enrolled student has a template and a descriptor of each accepted check-in. Two descriptors of one student make a
genuine pair, of two students an impostor pair.
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

_SAMPLE_ORDER = text("md5(CAST(face_template.student_id AS text))")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Several descriptors of each of some people; a person is only a number here."""

    vectors: Vectors
    person: Ints


async def deployment_samples(app_context: AppContext, engine: EngineKey, max_students: int) -> Samples:
    """Descriptors of templates and accepted check-ins of at most `max_students` students, read school by school.

    The sample is reproducible.
    """
    province = path_of("province", app_context.settings.province_code, None)
    sampled = (
        select(FaceTemplate.school_id, func.array_agg(FaceTemplate.student_id))
        .where(
            FaceTemplate.id.in_(
                select(FaceTemplate.id)
                .where(
                    FaceTemplate.status == "active",
                    FaceTemplate.engine_id == engine.id,
                    FaceTemplate.engine_version == engine.version,
                )
                .order_by(_SAMPLE_ORDER)
                .limit(max_students)
            )
        )
        .group_by(FaceTemplate.school_id)
        .order_by(FaceTemplate.school_id)
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        schools = (await session.execute(sampled)).all()
    people = [
        await _load_student_descriptors(app_context, engine, school_id, student_id)
        for school_id, students in schools
        for student_id in sorted(students)
    ]
    return samples_of([descriptors for descriptors in people if descriptors])


def samples_of(people: Sequence[Sequence[Vector]]) -> Samples:
    """The samples of these people, numbered in their order."""
    person = [number for number, descriptors in enumerate(people) for _ in descriptors]
    vectors = [vector for descriptors in people for vector in descriptors]
    return Samples(np.array(vectors, dtype=np.float64), np.array(person, dtype=np.int64))


async def _load_student_descriptors(
    app_context: AppContext, engine: EngineKey, school_id: UUID, student_id: UUID
) -> list[Vector]:
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        try:
            template = await active_template(session, app_context.keys, student_id)
        except BiometricsError:
            return []
        fingerprints = (await earlier_selfies(session, app_context.keys, [student_id]))[student_id]
    if template is None:
        return []
    check_ins = [each.descriptor for each in fingerprints if each.submission_id is not None]
    return [template.mean, *(each.vector for each in check_ins if each.engine == engine)]
