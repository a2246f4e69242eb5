"""Records of the pictures that were taken for a student's own, to notice one that is sent again.

A record holds the mean descriptor of a burst and a hash of each frame, no picture. It is sealed under the student's
data key and goes with it.
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
from backend.identity.face.template_keys import data_keys
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

PURPOSE = "re-use"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EarlierSelfie:
    """What an accepted check-in showed, or the shots of the enrolment where `submission_id` is None."""

    submission_id: UUID | None
    descriptor: Descriptor
    hashes: tuple[int, ...]
    """Perceptual hashes (`Fingerprint.phash`), one a frame."""
    at: datetime


async def earlier_selfies(
    session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]
) -> dict[UUID, list[EarlierSelfie]]:
    """The records of each of these students, the newest first; those that do not open are left out, with a line in
    the log.
    """
    opened = await _keys(session, keys, student_ids)
    rows = await session.scalars(
        select(SelfieRecord)
        .where(SelfieRecord.student_id.in_(opened))
        .order_by(SelfieRecord.at.desc(), SelfieRecord.id.desc())
    )
    found: dict[UUID, list[EarlierSelfie]] = {student_id: [] for student_id in student_ids}
    for row in rows:
        selfie = _opened(row, opened[row.student_id])
        if selfie is not None:
            found[row.student_id].append(selfie)
    return found


async def _keys(session: AsyncSession, keys: KeyRing, student_ids: Collection[UUID]) -> dict[UUID, DataKey]:
    found = {}
    for student_id, key in (await data_keys(session, keys, student_ids)).items():
        if isinstance(key, TemplateUnreadable):
            log.warning("data key unreadable", student=str(student_id), code=key.code)
        else:
            found[student_id] = key
    return found


def _opened(row: SelfieRecord, key: DataKey) -> EarlierSelfie | None:
    engine = EngineKey(row.engine_id, row.engine_version)
    try:
        kept = parse_selfie(open_record(row.sealed, Binding(key.student_id, engine, PURPOSE), key), engine)
    except TemplateUnreadable as error:
        log.warning("selfie unreadable", selfie=str(row.id), code=error.code)
        return None
    return EarlierSelfie(row.submission_id, kept.descriptor, kept.hashes, row.at)


@dataclass(frozen=True, slots=True)
class Shown:
    """What an accepted submission showed."""

    student_id: UUID
    submission_id: UUID
    descriptor: Descriptor
    hashes: Sequence[int]


async def keep_selfies(
    session: AsyncSession, keys: KeyRing, shown: Sequence[Shown], at: datetime
) -> set[UUID]:
    """Keep what accepted submissions showed, each once, and of a student's no more than the newest few.

    Returns whose were kept: nothing is of a student without a data key, who is not or no longer enrolled.
    """
    sources = [
        _Source(each.student_id, each.descriptor, each.hashes, submission_id=each.submission_id)
        for each in shown
    ]
    kept = await _keep(session, keys, sources, at)
    if kept:
        await _forget_oldest(session, kept, at)
    return kept


async def keep_enrolment(
    session: AsyncSession,
    keys: KeyRing,
    enrolment: FaceEnrolment,
    descriptor: Descriptor,
    hashes: Sequence[int],
    at: datetime,
) -> None:
    """Keep what the shots of an enrolment showed, as long as its template."""
    await _keep(
        session, keys, [_Source(enrolment.student_id, descriptor, hashes, enrolment_id=enrolment.id)], at
    )


@dataclass(frozen=True, slots=True)
class _Source:
    student_id: UUID
    descriptor: Descriptor
    hashes: Sequence[int]
    submission_id: UUID | None = None
    enrolment_id: UUID | None = None


async def _keep(session: AsyncSession, keys: KeyRing, sources: Sequence[_Source], at: datetime) -> set[UUID]:
    opened = await _keys(session, keys, {source.student_id for source in sources})
    if not opened:
        return set()
    of = select(TemplateKey.student_id, TemplateKey.school_id).where(TemplateKey.student_id.in_(opened))
    schools = {row.student_id: row.school_id for row in await session.execute(of)}
    rows = [
        {
            "id": new_id(),
            "school_id": schools[source.student_id],
            "student_id": source.student_id,
            "enrolment_id": source.enrolment_id,
            "submission_id": source.submission_id,
            "engine_id": source.descriptor.engine.id,
            "engine_version": source.descriptor.engine.version,
            "sealed": _sealed(source, opened[source.student_id], Cipher(keys.template_cipher)),
            "at": at,
        }
        for source in sources
        if source.student_id in schools
    ]
    await session.execute(insert(SelfieRecord).on_conflict_do_nothing(), rows)
    return set(schools)


def _sealed(source: _Source, key: DataKey, cipher: Cipher) -> bytes:
    binding = Binding(str(source.student_id), source.descriptor.engine, PURPOSE)
    return seal_record(serialise_selfie(source.descriptor, source.hashes), binding, key, cipher)


async def _forget_oldest(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> None:
    paths = await session.scalars(
        select(OrgUnit.path)
        .join(TemplateKey, TemplateKey.school_id == OrgUnit.id)
        .where(TemplateKey.student_id.in_(student_ids))
        .distinct()
    )
    [division] = {division_of(path) for path in paths}
    newest = policy_at(legal_day(at), division).integer("retention.selfies")
    place = func.row_number().over(
        partition_by=SelfieRecord.student_id, order_by=(SelfieRecord.at.desc(), SelfieRecord.id.desc())
    )
    ranked = (
        select(SelfieRecord.id, place.label("place"))
        .where(SelfieRecord.student_id.in_(student_ids), SelfieRecord.submission_id.is_not(None))
        .subquery()
    )
    older = select(ranked.c.id).where(ranked.c.place > newest)
    await session.execute(delete(SelfieRecord).where(SelfieRecord.id.in_(older)))
