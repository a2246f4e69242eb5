"""Templates and confirmed probes of a school, decrypted for learning or for the school's report."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import numpy as np
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.core.keys import KeyRing
from backend.identity.face.calibration.policy import age_groups
from backend.identity.face.calibration.probes import confirmed_of_engine, open_probe
from backend.identity.face.calibration.rules import group_of
from backend.identity.face.calibration.tables import FaceCalibrationProbe
from backend.identity.face.template_keys import load_data_keys
from backend.identity.face.templates import load_active_templates
from backend.identity.tables import FaceTemplateRecord
from backend.people.tables import Student
from backend.policy import PolicyAt
from biometrics.engines.base import EngineKey, Vector
from biometrics.matching.decision import FaceTemplate
from biometrics.matching.learned_thresholds import LabelledFaces
from biometrics.matching.scoring import Population, ScoringConfig, centre_vectors

_SAMPLE_ORDER = text("md5(CAST(face_calibration_probe.student_id AS text))")
"""A pseudo-random but stable order, so that learning can be repeated."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledPerson:
    """One student's template with the probes of other legal days than that of the enrolment."""

    school_id: UUID
    group: str
    template: Vector
    probes: tuple[Vector, ...]


async def load_school_samples(
    session: AsyncSession,
    keys: KeyRing,
    school_id: UUID,
    engine: EngineKey,
    policy: PolicyAt,
    *,
    day: date,
    limit: int,
) -> list[SampledPerson]:
    """At most `limit` people of a school with a template and a confirmed probe of the engine; groups as of `day`."""
    query = (
        select(FaceCalibrationProbe.student_id)
        .where(FaceCalibrationProbe.school_id == school_id, *confirmed_of_engine(engine))
        .group_by(FaceCalibrationProbe.student_id)
        .order_by(_SAMPLE_ORDER)
        .limit(limit)
    )
    student_ids = list(await session.scalars(query))
    templates = await load_active_templates(session, keys, student_ids)
    probes = await _load_probes(session, keys, student_ids, engine)
    students = await session.execute(
        select(Student.id, Student.sex, Student.birth_date).where(Student.id.in_(student_ids))
    )
    details = {row.id: row for row in students}
    bands = age_groups(policy)
    people = []
    for student_id in student_ids:
        template, student = templates.get(student_id), details.get(student_id)
        shown = probes.get(student_id, ())
        if isinstance(template, FaceTemplate) and template.engine == engine and student and shown:
            group = group_of(student.sex, student.birth_date, day, bands)
            people.append(SampledPerson(school_id, group, template.mean, tuple(shown)))
    return people


async def _load_probes(
    session: AsyncSession, keys: KeyRing, student_ids: list[UUID], engine: EngineKey
) -> dict[UUID, list[Vector]]:
    """Confirmed probes of another legal day than that of the active template's enrolment."""
    enrolled = await session.execute(
        select(FaceTemplateRecord.student_id, FaceTemplateRecord.created_at).where(
            FaceTemplateRecord.student_id.in_(student_ids), FaceTemplateRecord.status == "active"
        )
    )
    enrolled_on = {row.student_id: legal_day(row.created_at) for row in enrolled}
    data_keys = await load_data_keys(session, keys, student_ids)
    rows = await session.scalars(
        select(FaceCalibrationProbe)
        .where(FaceCalibrationProbe.student_id.in_(student_ids), *confirmed_of_engine(engine))
        .order_by(FaceCalibrationProbe.student_id, FaceCalibrationProbe.at)
    )
    probes: dict[UUID, list[Vector]] = {}
    for row in rows:
        if row.day == enrolled_on.get(row.student_id):
            continue
        descriptor = open_probe(row, data_keys.get(row.student_id))
        if descriptor is not None:
            probes.setdefault(row.student_id, []).append(descriptor.vector)
    return probes


def build_faces(
    people: list[SampledPerson], population: Population, scoring: ScoringConfig
) -> tuple[LabelledFaces, list[UUID]]:
    """The people as the learner takes them, centred as scores are, with their schools in the order of their numbers."""
    schools = sorted({each.school_id for each in people})
    number = {school_id: place for place, school_id in enumerate(schools)}
    probes = [vector for each in people for vector in each.probes]
    owner = [place for place, each in enumerate(people) for _ in each.probes]
    empty = np.zeros((0, population.centre.size))
    templates = np.stack([each.template for each in people]) if people else empty
    faces = LabelledFaces(
        centre_vectors(templates, population, scoring),
        np.array([number[each.school_id] for each in people], dtype=np.int64),
        [each.group for each in people],
        centre_vectors(np.stack(probes) if probes else empty, population, scoring),
        np.array(owner, dtype=np.int64),
    )
    return faces, schools


async def count_sampled_people(session: AsyncSession) -> dict[EngineKey, int]:
    """The number of people with an active template and a confirmed probe of its engine, within the scope."""
    counted = (
        select(
            FaceCalibrationProbe.engine_id,
            FaceCalibrationProbe.engine_version,
            func.count(FaceCalibrationProbe.student_id.distinct()),
        )
        .join(
            FaceTemplateRecord,
            (FaceTemplateRecord.student_id == FaceCalibrationProbe.student_id)
            & (FaceTemplateRecord.engine_id == FaceCalibrationProbe.engine_id)
            & (FaceTemplateRecord.engine_version == FaceCalibrationProbe.engine_version),
        )
        .where(FaceCalibrationProbe.confirmation_id.is_not(None), FaceTemplateRecord.status == "active")
        .group_by(FaceCalibrationProbe.engine_id, FaceCalibrationProbe.engine_version)
    )
    return {EngineKey(id_, version): people for id_, version, people in await session.execute(counted)}
