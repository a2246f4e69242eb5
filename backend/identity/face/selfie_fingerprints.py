"""Fingerprints of accepted selfies, to detect a picture that is submitted again.

A fingerprint holds the mean face descriptor of a burst and a perceptual hash of each frame, but no picture. It is
encrypted with the student's data key and becomes unreadable when that key is shredded.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity.face.template_keys import load_data_keys
from backend.identity.tables import FaceEnrolment, SelfieRecord, TemplateKey
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.policy.installed import policy_at
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

SEALING_PURPOSE = "re-use"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SelfieFingerprint:
    """The fingerprint of an accepted check-in, or of the enrolment if `submission_id` is None."""

    submission_id: UUID | None
    descriptor: Descriptor
    hashes: tuple[int, ...]
    """Perceptual hashes (`Fingerprint.phash`), one per frame."""
    at: datetime


async def load_selfie_fingerprints(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, list[SelfieFingerprint]]:
    """The fingerprints of each of these students, newest first. Unreadable ones are logged and left out."""
    data_keys = await _load_readable_keys(session, keys, student_ids)
    rows = await session.scalars(
        select(SelfieRecord)
        .where(SelfieRecord.student_id.in_(data_keys))
        .order_by(SelfieRecord.at.desc(), SelfieRecord.id.desc())
    )
    fingerprints: dict[UUID, list[SelfieFingerprint]] = {student_id: [] for student_id in student_ids}
    for row in rows:
        fingerprint = _open_row(row, data_keys[row.student_id])
        if fingerprint is not None:
            fingerprints[row.student_id].append(fingerprint)
    return fingerprints


async def _load_readable_keys(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, DataKey]:
    readable = {}
    for student_id, key in (await load_data_keys(session, keys, student_ids)).items():
        if isinstance(key, TemplateUnreadable):
            log.warning("data key unreadable", student=str(student_id), code=key.code)
        else:
            readable[student_id] = key
    return readable


def _open_row(row: SelfieRecord, key: DataKey) -> SelfieFingerprint | None:
    engine = EngineKey(row.engine_id, row.engine_version)
    try:
        selfie = parse_selfie(
            open_record(row.sealed, Binding(key.student_id, engine, SEALING_PURPOSE), key), engine
        )
    except TemplateUnreadable as error:
        log.warning("selfie fingerprint unreadable", record=str(row.id), code=error.code)
        return None
    return SelfieFingerprint(row.submission_id, selfie.descriptor, selfie.hashes, row.at)


@dataclass(frozen=True, slots=True)
class AcceptedSelfie:
    """The face data of an accepted submission."""

    student_id: UUID
    submission_id: UUID
    descriptor: Descriptor
    hashes: Sequence[int]


async def store_selfie_fingerprints(
    session: AsyncSession, keys: KeyRing, selfies: Sequence[AcceptedSelfie], at: datetime
) -> set[UUID]:
    """Store the fingerprints of accepted submissions, each once, and delete all but the newest few of each student.

    Returns the students for whom they were stored: without a data key, which only enrolled students have, nothing is.
    """
    records = [
        _NewRecord(each.student_id, each.descriptor, each.hashes, submission_id=each.submission_id)
        for each in selfies
    ]
    stored_for = await _store(session, keys, records, at)
    if stored_for:
        await _delete_oldest(session, stored_for, at)
    return stored_for


async def store_enrolment_fingerprint(
    session: AsyncSession,
    keys: KeyRing,
    enrolment: FaceEnrolment,
    descriptor: Descriptor,
    hashes: Sequence[int],
    at: datetime,
) -> None:
    """Store the fingerprint of an enrolment's shots, for as long as its template exists."""
    await _store(
        session, keys, [_NewRecord(enrolment.student_id, descriptor, hashes, enrolment_id=enrolment.id)], at
    )


async def replace_enrolment_fingerprint(
    session: AsyncSession,
    keys: KeyRing,
    enrolment: FaceEnrolment,
    descriptor: Descriptor,
    hashes: Sequence[int],
    at: datetime,
) -> None:
    """Replace the fingerprint of an enrolment by one of another engine."""
    await session.execute(delete(SelfieRecord).where(SelfieRecord.enrolment_id == enrolment.id))
    await store_enrolment_fingerprint(session, keys, enrolment, descriptor, hashes, at)


@dataclass(frozen=True, slots=True)
class _NewRecord:
    """A fingerprint of a check-in or an enrolment before it is encrypted."""

    student_id: UUID
    descriptor: Descriptor
    hashes: Sequence[int]
    submission_id: UUID | None = None
    enrolment_id: UUID | None = None


async def _store(
    session: AsyncSession, keys: KeyRing, records: Sequence[_NewRecord], at: datetime
) -> set[UUID]:
    data_keys = await _load_readable_keys(session, keys, {each.student_id for each in records})
    if not data_keys:
        return set()
    query = select(TemplateKey.student_id, TemplateKey.school_id).where(TemplateKey.student_id.in_(data_keys))
    schools = {row.student_id: row.school_id for row in await session.execute(query)}
    rows = [
        {
            "id": new_id(),
            "school_id": schools[record.student_id],
            "student_id": record.student_id,
            "enrolment_id": record.enrolment_id,
            "submission_id": record.submission_id,
            "engine_id": record.descriptor.engine.id,
            "engine_version": record.descriptor.engine.version,
            "sealed": _seal(record, data_keys[record.student_id], Cipher(keys.template_cipher)),
            "at": at,
        }
        for record in records
        if record.student_id in schools
    ]
    await session.execute(insert(SelfieRecord).on_conflict_do_nothing(), rows)
    return set(schools)


def _seal(record: _NewRecord, key: DataKey, cipher: Cipher) -> bytes:
    binding = Binding(str(record.student_id), record.descriptor.engine, SEALING_PURPOSE)
    return seal_record(serialise_selfie(record.descriptor, record.hashes), binding, key, cipher)


async def _delete_oldest(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> None:
    paths = await session.scalars(
        select(OrgUnit.path)
        .join(TemplateKey, TemplateKey.school_id == OrgUnit.id)
        .where(TemplateKey.student_id.in_(student_ids))
        .distinct()
    )
    [division] = {division_of(path) for path in paths}
    max_records = policy_at(legal_day(at), division).integer("retention.selfies")
    place = func.row_number().over(
        partition_by=SelfieRecord.student_id, order_by=(SelfieRecord.at.desc(), SelfieRecord.id.desc())
    )
    ranked = (
        select(SelfieRecord.id, place.label("place"))
        .where(SelfieRecord.student_id.in_(student_ids), SelfieRecord.submission_id.is_not(None))
        .subquery()
    )
    older = select(ranked.c.id).where(ranked.c.place > max_records)
    await session.execute(delete(SelfieRecord).where(SelfieRecord.id.in_(older)))
