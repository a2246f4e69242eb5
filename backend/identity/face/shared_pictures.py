"""Finds a picture that was enrolled for two students: the same file or pixels, or a near duplicate.

Such a picture is refused, and the registrars of both schools learn of it (`review.shared_picture_reports`). Pictures are
compared, not faces. Equal pictures are found in the whole province. Near duplicates are found in the school, and only if
several shots are alike, because two students in front of one wall can produce one by chance.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, LargeBinary, bindparam, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity.events import SharedPictureFound
from backend.identity.tables import PictureFingerprint
from backend.org.tables import OrgUnit
from backend.policy import PolicyAt
from biometrics.pictures.fingerprints import Fingerprint
from biometrics.pictures.quality import Reason

SHARED_PICTURE = Reason(
    "picture_of_other_student",
    "这张照片已用于另一名学生，不能再用。请本人现场拍摄；学校管理员已收到提醒。如有疑问请联系学校管理员。",
    "This picture was already sent for another student. Take pictures of yourself, now. The registrar has been told; ask the registrar if you think this is wrong.",
)


class Source(StrEnum):
    """What a picture was sent for."""

    ENROLMENT = "face_enrolment"
    PORTRAIT = "portrait"


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A decoded picture: the SHA-256 of its file (hex), and the hashes of its pixels."""

    file_sha256: str
    fingerprint: Fingerprint

    @classmethod
    def of(cls, data: bytes, fingerprint: Fingerprint) -> "SentPicture":
        return cls(hashlib.sha256(data).hexdigest(), fingerprint)


@dataclass(frozen=True, slots=True)
class PictureSet:
    """The pictures of one enrolment, or the one picture of a portrait."""

    school_id: UUID
    student_id: UUID
    source: Source
    source_id: UUID
    pictures: Sequence[SentPicture]


@dataclass(frozen=True, slots=True)
class SharedWith:
    """Another student for whom the pictures were sent before. `same` is False if they are only near duplicates."""

    student_id: UUID
    school_id: UUID
    school_path: str
    same: bool


_FIND = text(
    "SELECT * FROM definer.find_shared_pictures(:school, :student, :files, :pixels, :hashes, :max_bits)"
).bindparams(
    bindparam("files", type_=ARRAY(LargeBinary)),
    bindparam("pixels", type_=ARRAY(LargeBinary)),
    bindparam("hashes", type_=ARRAY(BigInteger)),
)


async def find_shared(
    session: AsyncSession, keys: KeyRing, sent: PictureSet, policy: PolicyAt
) -> list[SharedWith]:
    """Other students with these pictures, by student id. Locks them against parallel enrolments of the same picture."""
    if not sent.pictures:
        return []
    rows = await session.execute(
        _FIND,
        {
            "school": sent.school_id,
            "student": sent.student_id,
            "files": [_file_index(keys, each) for each in sent.pictures],
            "pixels": [_pixel_index(keys, each) for each in sent.pictures],
            "hashes": [_signed(each.fingerprint.phash) for each in sent.pictures],
            "max_bits": policy.integer("verification.reuse.max_hash_bits"),
        },
    )
    by_student = defaultdict(list)
    for row in rows:
        by_student[row.student_id].append(row)
    # A portrait is one picture; a person looks at a near duplicate of it.
    needed = min(policy.integer("verification.face.shared_shots"), len(sent.pictures))
    return [
        SharedWith(student_id, found[0].school_id, found[0].school_path, same=any(row.same for row in found))
        for student_id, found in sorted(by_student.items())
        if any(row.same for row in found) or len(found) >= needed
    ]


async def store_picture_fingerprints(
    session: AsyncSession, keys: KeyRing, sent: PictureSet, at: datetime
) -> None:
    """Store the hashes of accepted pictures, against which those of other students are compared."""
    session.add_all(
        PictureFingerprint(
            id=new_id(),
            school_id=sent.school_id,
            student_id=sent.student_id,
            source=sent.source,
            source_id=sent.source_id,
            position=position,
            file_index=_file_index(keys, picture),
            pixel_index=_pixel_index(keys, picture),
            phash=_signed(picture.fingerprint.phash),
            at=at,
        )
        for position, picture in enumerate(sent.pictures)
    )


async def delete_picture_fingerprints(
    session: AsyncSession,
    source: Source,
    *,
    student_ids: Sequence[UUID] = (),
    source_ids: Sequence[UUID] = (),
) -> None:
    """Delete the hashes of these students, or of these enrolments or portraits."""
    await session.execute(
        delete(PictureFingerprint).where(
            PictureFingerprint.source == source,
            PictureFingerprint.student_id.in_(student_ids) | PictureFingerprint.source_id.in_(source_ids),
        )
    )


async def emit_shared(
    session: AsyncSession, sent: PictureSet, others: Sequence[SharedWith], at: datetime
) -> None:
    """Emit an event for the school of each student concerned."""
    path = await session.scalar(select(OrgUnit.path).where(OrgUnit.id == sent.school_id))
    assert path is not None
    for other in others:
        own = SharedPictureFound(
            school_id=sent.school_id,
            path=path,
            student_id=sent.student_id,
            other_school_id=other.school_id,
            other_student_id=other.student_id,
            source=sent.source,
            source_id=sent.source_id,
            kind="same" if other.same else "near_duplicate",
            sent_by_other=False,
        )
        await outbox.emit(session, own, at)
        if other.school_id != sent.school_id:
            theirs = replace(
                own,
                school_id=other.school_id,
                path=other.school_path,
                student_id=other.student_id,
                other_school_id=sent.school_id,
                other_student_id=sent.student_id,
                sent_by_other=True,
            )
            await outbox.emit(session, theirs, at)


def _file_index(keys: KeyRing, picture: SentPicture) -> bytes:
    return keys.keyed_hash(f"picture-file:{picture.file_sha256}")


def _pixel_index(keys: KeyRing, picture: SentPicture) -> bytes:
    return keys.keyed_hash(f"picture-pixels:{picture.fingerprint.sha256}")


def _signed(phash: int) -> int:
    """A 64-bit hash as PostgreSQL's signed bigint with the same bits."""
    return phash - (1 << 64) if phash >> 63 else phash
