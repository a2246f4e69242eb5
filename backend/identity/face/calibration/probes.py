"""Probes of rehearsals: stored when a check-in is verified, labelled by the counselor who was there, then learned from.

A probe is the mean descriptor of a burst, encrypted with the student's data key; no picture is kept for it. It is stored
only for students whose consent covers it, and deleted with their key.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity.face.calibration.tables import FaceCalibrationProbe, RehearsalConfirmation
from backend.identity.face.template_keys import load_data_keys
from backend.people.tables import Consent, Student
from backend.policy import PolicyAt
from biometrics.engines.base import Descriptor, EngineKey
from biometrics.templates.sealing import (
    Binding,
    Cipher,
    DataKey,
    TemplateUnreadable,
    open_record,
    seal_record,
)
from biometrics.templates.template import parse_selfie, serialise_selfie

SEALING_PURPOSE = "calibration"
CONSENT = "face_template_storage"
"""The consent whose current text mentions probes of rehearsals."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RehearsalProbe:
    """What one check-in of a rehearsal showed."""

    student_id: UUID
    school_id: UUID
    class_id: UUID
    roll_call_id: UUID
    submission_id: UUID
    descriptor: Descriptor
    day: date


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """A probe with its student, as a counselor sees it."""

    probe: FaceCalibrationProbe
    student: Student


async def store_probes(
    session: AsyncSession, keys: KeyRing, probes: Sequence[RehearsalProbe], policy: PolicyAt, at: datetime
) -> int:
    """Store the probes of students with a data key and a consent that covers them; returns their number."""
    covered = await _covered_by_consent(session, {each.student_id for each in probes}, policy)
    data_keys = await load_data_keys(session, keys, covered)
    rows = []
    for probe in probes:
        key = data_keys.get(probe.student_id)
        if key is None or isinstance(key, TemplateUnreadable):
            continue
        binding = Binding(str(probe.student_id), probe.descriptor.engine, SEALING_PURPOSE)
        sealed = seal_record(
            serialise_selfie(probe.descriptor, []), binding, key, Cipher(keys.template_cipher)
        )
        rows.append(
            {
                "id": new_id(),
                "school_id": probe.school_id,
                "student_id": probe.student_id,
                "class_id": probe.class_id,
                "roll_call_id": probe.roll_call_id,
                "submission_id": probe.submission_id,
                "engine_id": probe.descriptor.engine.id,
                "engine_version": probe.descriptor.engine.version,
                "sealed": sealed,
                "day": probe.day,
                "at": at,
            }
        )
    if rows:
        await session.execute(insert(FaceCalibrationProbe).on_conflict_do_nothing(), rows)
    return len(rows)


async def _covered_by_consent(
    session: AsyncSession, student_ids: Collection[UUID], policy: PolicyAt
) -> set[UUID]:
    """The students whose newest answer about the template agrees to the current text, which mentions probes."""
    current = next(
        str(row["version"]) for row in policy.table("consent.versions") if row["purpose"] == CONSENT
    )
    newest = (
        select(Consent.student_id, Consent.granted, Consent.text_version)
        .where(Consent.student_id.in_(student_ids), Consent.kind == CONSENT)
        .ext(distinct_on(Consent.student_id))
        .order_by(Consent.student_id, Consent.at.desc(), Consent.id.desc())
    )
    return {
        row.student_id for row in await session.execute(newest) if row.granted and row.text_version == current
    }


async def load_class_probes(session: AsyncSession, roll_call_id: UUID, class_id: UUID) -> Sequence[ProbeRow]:
    """The probes of a class in a rehearsal, by student and time."""
    query = (
        select(FaceCalibrationProbe, Student)
        .join(Student, Student.id == FaceCalibrationProbe.student_id)
        .where(FaceCalibrationProbe.roll_call_id == roll_call_id, FaceCalibrationProbe.class_id == class_id)
        .order_by(Student.name, Student.id, FaceCalibrationProbe.at)
    )
    return [ProbeRow(*row) for row in await session.execute(query)]


def confirmed_of_engine(engine: EngineKey) -> tuple[ColumnElement[bool], ...]:
    """The SQL conditions for probes of an engine that a counselor confirmed."""
    return (
        FaceCalibrationProbe.confirmation_id.is_not(None),
        FaceCalibrationProbe.engine_id == engine.id,
        FaceCalibrationProbe.engine_version == engine.version,
    )


def open_probe(row: FaceCalibrationProbe, key: DataKey | TemplateUnreadable | None) -> Descriptor | None:
    """The descriptor of a probe; None, logged, if the row or the student's key cannot be read."""
    engine = EngineKey(row.engine_id, row.engine_version)
    if isinstance(key, TemplateUnreadable) or key is None:
        log.warning("data key unreadable", student=str(row.student_id))
        return None
    try:
        binding = Binding(str(row.student_id), engine, SEALING_PURPOSE)
        return parse_selfie(open_record(row.sealed, binding, key), engine).descriptor
    except TemplateUnreadable as error:
        log.warning("probe unreadable", probe=str(row.id), code=error.code)
        return None


async def delete_probes(session: AsyncSession, student_ids: Collection[UUID]) -> None:
    """Delete every probe of these students, with their keys."""
    await session.execute(
        delete(FaceCalibrationProbe).where(FaceCalibrationProbe.student_id.in_(student_ids))
    )


async def delete_oldest_probes(session: AsyncSession, student_ids: Collection[UUID], most: int) -> None:
    """Keep only the newest probes of each student: of those that were confirmed, and of those that wait for it."""
    waits = FaceCalibrationProbe.confirmation_id.is_(None)
    place = func.row_number().over(
        partition_by=(FaceCalibrationProbe.student_id, waits),
        order_by=(FaceCalibrationProbe.at.desc(), FaceCalibrationProbe.id.desc()),
    )
    ranked = (
        select(FaceCalibrationProbe.id, place.label("place"))
        .where(FaceCalibrationProbe.student_id.in_(student_ids))
        .subquery()
    )
    older = select(ranked.c.id).where(ranked.c.place > most)
    await session.execute(delete(FaceCalibrationProbe).where(FaceCalibrationProbe.id.in_(older)))


async def has_confirmed_rehearsal(session: AsyncSession, school_id: UUID) -> bool:
    """Whether a rehearsal of the school was confirmed with at least one student.

    The probes may be gone meanwhile; the confirmation stays.
    """
    confirmed = exists().where(
        RehearsalConfirmation.school_id == school_id, RehearsalConfirmation.confirmed > 0
    )
    return bool(await session.scalar(select(confirmed)))
