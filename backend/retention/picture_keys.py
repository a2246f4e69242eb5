"""Retention of the keys of pictures: deleted with the last picture of a student who is off the roll (crypto-shredding)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.identity.pictures.keys import shred_picture_keys
from backend.identity.pictures.tables import PictureKeyRecord
from backend.identity.tables import FaceEnrolment, Portrait
from backend.org.tables import OrgUnit
from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind
from backend.retention.faces import select_students_off_the_roll
from backend.roll_call.tables import RollCall, Submission


async def find_expired_picture_keys(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Students who are off the roll, and of whom no picture is kept any more.

    Copies of the files, in backups for instance, become unreadable with the key.
    """
    rows = await session.scalars(
        select(PictureKeyRecord)
        .where(
            PictureKeyRecord.student_id.in_(select_students_off_the_roll(policy, at)),
            ~_has_pictures(PictureKeyRecord.student_id.expression),
        )
        .order_by(PictureKeyRecord.created_at)
        .limit(limit)
    )
    return [Expired(row.student_id, row.created_at) for row in rows]


def _has_pictures(student_id: SQLColumnExpression[UUID]) -> ColumnElement[bool]:
    """Whether a portrait, a shot or a frame of the student is kept."""
    portrait = exists().where(Portrait.student_id == student_id, Portrait.picture_deleted_at.is_(None))
    shots = exists().where(FaceEnrolment.student_id == student_id, FaceEnrolment.shots_deleted_at.is_(None))
    # By roll call, because the index of submissions begins with it.
    frames = exists().where(
        RollCall.id == Submission.roll_call_id,
        RollCall.term_code == Submission.term_code,
        Submission.student_id == student_id,
        Submission.frames_deleted_at.is_(None),
    )
    return portrait | shots | frames


async def shred_expired_picture_keys(
    session: AsyncSession, ids: Sequence[UUID], at: datetime
) -> Collection[UUID]:
    """Delete the students' keys, with an audit record for each."""
    rows = await session.execute(
        select(PictureKeyRecord.student_id, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == PictureKeyRecord.school_id)
        .where(PictureKeyRecord.student_id.in_(ids))
    )
    paths = {row[0]: row[1] for row in rows}
    await shred_picture_keys(session, list(paths))
    for student_id, path in paths.items():
        act = audit.Act("picture_key.shred", "student", str(student_id), path, after={"why": "off the roll"})
        audit.record(session, act, at)
    return list(paths)


PICTURE_KEYS = RetentionKind("picture_keys", find_expired_picture_keys, shred_expired_picture_keys)
