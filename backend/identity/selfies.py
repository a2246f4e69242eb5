"""Records of the pictures that were taken for a student's own, to notice one that is sent again.

A record holds the mean descriptor of a burst and a hash of each frame, no picture. It is sealed under the student's
data key and goes with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity.tables import FaceEnrolment, KeptSelfie, TemplateKey
from backend.identity.template_keys import data_key
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.policy import load_policies
from biometrics.engine import Descriptor, EngineKey
from biometrics.sealing import Binding, Cipher, DataKey, TemplateUnreadable, open_record, seal_record
from biometrics.template import parse_selfie, serialise_selfie

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


async def earlier_selfies(session: AsyncSession, keys: KeyRing, student_id: UUID) -> list[EarlierSelfie]:
    """The student's records, the newest first; those that do not open are left out, with a line in the log."""
    key = await _key(session, keys, student_id)
    if key is None:
        return []
    rows = await session.scalars(
        select(KeptSelfie)
        .where(KeptSelfie.student_id == student_id)
        .order_by(KeptSelfie.at.desc(), KeptSelfie.id.desc())
    )
    found = [_opened(row, key) for row in rows]
    return [selfie for selfie in found if selfie is not None]


async def _key(session: AsyncSession, keys: KeyRing, student_id: UUID) -> DataKey | None:
    try:
        return await data_key(session, keys, student_id)
    except TemplateUnreadable as error:
        log.warning("data key unreadable", student=str(student_id), code=error.code)
        return None


def _opened(row: KeptSelfie, key: DataKey) -> EarlierSelfie | None:
    engine = EngineKey(row.engine_id, row.engine_version)
    try:
        kept = parse_selfie(open_record(row.sealed, Binding(key.student_id, engine, PURPOSE), key), engine)
    except TemplateUnreadable as error:
        log.warning("selfie unreadable", selfie=str(row.id), code=error.code)
        return None
    return EarlierSelfie(row.submission_id, kept.descriptor, kept.hashes, row.at)


async def keep_selfie(
    session: AsyncSession,
    keys: KeyRing,
    student_id: UUID,
    submission_id: UUID,
    descriptor: Descriptor,
    hashes: Sequence[int],
    at: datetime,
) -> bool:
    """Keep what an accepted submission showed, once, and of the student's no more than the newest few.

    False for a student without a data key, who is not or no longer enrolled: nothing is kept then.
    """
    source = {"submission_id": submission_id}
    kept = await _keep(session, keys, student_id, source, descriptor, hashes, at)
    if kept:
        await _forget_oldest(session, student_id, at)
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
    await _keep(session, keys, enrolment.student_id, {"enrolment_id": enrolment.id}, descriptor, hashes, at)


async def _keep(
    session: AsyncSession,
    keys: KeyRing,
    student_id: UUID,
    source: dict[str, UUID],
    descriptor: Descriptor,
    hashes: Sequence[int],
    at: datetime,
) -> bool:
    key = await _key(session, keys, student_id)
    if key is None:
        return False
    engine = descriptor.engine
    binding = Binding(str(student_id), engine, PURPOSE)
    school_id = await session.scalar(
        select(TemplateKey.school_id).where(TemplateKey.student_id == student_id)
    )
    row = {
        "id": new_id(),
        "school_id": school_id,
        "student_id": student_id,
        "engine_id": engine.id,
        "engine_version": engine.version,
        "sealed": seal_record(
            serialise_selfie(descriptor, hashes), binding, key, Cipher(keys.template_cipher)
        ),
        "at": at,
    }
    await session.execute(insert(KeptSelfie).values(row | source).on_conflict_do_nothing())
    return True


async def _forget_oldest(session: AsyncSession, student_id: UUID, at: datetime) -> None:
    path = await session.scalar(
        select(OrgUnit.path)
        .join(TemplateKey, TemplateKey.school_id == OrgUnit.id)
        .where(TemplateKey.student_id == student_id)
    )
    assert path is not None
    newest = load_policies().at(legal_day(at), division_of(path)).integer("retention.selfies")
    of_check_ins = (KeptSelfie.student_id == student_id, KeptSelfie.submission_id.is_not(None))
    older = (
        select(KeptSelfie.id)
        .where(*of_check_ins)
        .order_by(KeptSelfie.at.desc(), KeptSelfie.id.desc())
        .offset(newest)
    )
    await session.execute(delete(KeptSelfie).where(KeptSelfie.id.in_(older)))
