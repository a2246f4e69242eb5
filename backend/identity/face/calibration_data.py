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
from backend.identity.face.selfie_fingerprints import load_selfie_fingerprints
from backend.identity.face.templates import load_active_template
from backend.identity.tables import FaceTemplateRecord
from backend.org.paths import build_unit_path
from biometrics.engines.base import EngineKey, Vector
from biometrics.errors import BiometricsError
from biometrics.matching.calibration import Ints
from biometrics.matching.scoring import Vectors

_SAMPLE_ORDER = text("md5(CAST(face_template.student_id AS text))")


@dataclass(frozen=True, slots=True, eq=False)
class FaceSamples:
    """Several descriptors of each of some people; a person is only a number here."""

    vectors: Vectors
    person: Ints


async def load_deployment_samples(
    app_context: AppContext, engine: EngineKey, max_students: int
) -> FaceSamples:
    """Descriptors of templates and accepted check-ins of at most `max_students` students, read school by school.

    The sample is reproducible.
    """
    province = build_unit_path("province", app_context.settings.province_code, None)
    sampled = (
        select(FaceTemplateRecord.school_id, func.array_agg(FaceTemplateRecord.student_id))
        .where(
            FaceTemplateRecord.id.in_(
                select(FaceTemplateRecord.id)
                .where(
                    FaceTemplateRecord.status == "active",
                    FaceTemplateRecord.engine_id == engine.id,
                    FaceTemplateRecord.engine_version == engine.version,
                )
                .order_by(_SAMPLE_ORDER)
                .limit(max_students)
            )
        )
        .group_by(FaceTemplateRecord.school_id)
        .order_by(FaceTemplateRecord.school_id)
    )
    async with app_context.database.transaction(Scope.wide(province)) as session:
        schools = (await session.execute(sampled)).all()
    people = [
        await _load_student_descriptors(app_context, engine, school_id, student_id)
        for school_id, students in schools
        for student_id in sorted(students)
    ]
    return build_samples([descriptors for descriptors in people if descriptors])


def build_samples(people: Sequence[Sequence[Vector]]) -> FaceSamples:
    """The samples of these people, numbered in their order."""
    person = [number for number, descriptors in enumerate(people) for _ in descriptors]
    vectors = [vector for descriptors in people for vector in descriptors]
    return FaceSamples(np.array(vectors, dtype=np.float64), np.array(person, dtype=np.int64))


async def _load_student_descriptors(
    app_context: AppContext, engine: EngineKey, school_id: UUID, student_id: UUID
) -> list[Vector]:
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        try:
            template = await load_active_template(session, app_context.keys, student_id)
        except BiometricsError:
            return []
        fingerprints = (await load_selfie_fingerprints(session, app_context.keys, [student_id]))[student_id]
    if template is None:
        return []
    check_ins = [each.descriptor for each in fingerprints if each.submission_id is not None]
    return [template.mean, *(each.vector for each in check_ins if each.engine == engine)]
