"""Retention of enrolment data: shots, portraits, and the templates of students who are off the roll."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.identity.consents import revoked_face_consent_since
from backend.identity.face.calibration.tables import FaceCalibrationProbe
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.face.shared_pictures import Source, delete_picture_fingerprints
from backend.identity.face.templates import shred_face_data
from backend.identity.tables import FaceEnrolment, Portrait, TemplateKey
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind
from backend.retention.legal_holds import has_open_case
from backend.roll_call.looks.conditions import is_unanswered
from backend.roll_call.tables import LookRequest
from backend.standing.store.tables import StandingEntry


async def find_expired_shots(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Enrolments that were decided long enough ago, or whose student revoked a consent about the face since.

    Only their photographs are deleted, not their templates.
    """
    decided = FaceEnrolment.decided_at <= at - policy.duration("retention.enrolment_shots")
    revoked = revoked_face_consent_since(
        FaceEnrolment.student_id.expression, FaceEnrolment.submitted_at.expression
    )
    rows = await session.scalars(
        select(FaceEnrolment)
        .where(
            FaceEnrolment.shots_deleted_at.is_(None),
            or_(decided, and_(FaceEnrolment.decided_at.is_not(None), revoked)),
        )
        .order_by(FaceEnrolment.decided_at)
        .limit(limit)
    )
    return [
        Expired(
            row.id,
            row.submitted_at,
            pictures=tuple(EnrolmentRef(row.id, row.school_id, row.student_id).pictures(row.shots)),
            files=row.shots,
        )
        for row in rows
    ]


async def mark_shots_deleted(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Record on the enrolments that their pictures were deleted."""
    marked = await session.scalars(
        update(FaceEnrolment)
        .where(FaceEnrolment.id.in_(ids), FaceEnrolment.shots_deleted_at.is_(None))
        .values(shots_deleted_at=at)
        .returning(FaceEnrolment.id)
    )
    return marked.all()


async def find_expired_portraits(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Portraits refused or replaced long enough ago, and those of students who are off the roll.

    A portrait that a person compares in an open look is kept until the look has ended.
    """
    open_look = exists().where(
        LookRequest.portrait_id == Portrait.id, LookRequest.expires_at > at, is_unanswered()
    )
    spare = and_(
        Portrait.status.in_(["refused", "replaced"]),
        Portrait.decided_at <= at - policy.duration("retention.spare_portraits"),
    )
    left_school = and_(
        Portrait.status != "pending", Portrait.student_id.in_(select_students_off_the_roll(policy, at))
    )
    rows = await session.scalars(
        select(Portrait)
        .where(Portrait.picture_deleted_at.is_(None), or_(spare, left_school), ~open_look)
        .order_by(Portrait.decided_at)
        .limit(limit)
    )
    return [
        Expired(
            row.id,
            row.submitted_at,
            keys=(row.evidence_key,),
            pictures=(PortraitRef.of(row).picture,),
            files=1,
        )
        for row in rows
    ]


async def mark_portraits_deleted(
    session: AsyncSession, ids: Sequence[UUID], at: datetime
) -> Collection[UUID]:
    """Record on the portraits that their pictures were deleted."""
    await delete_picture_fingerprints(session, Source.PORTRAIT, source_ids=ids)
    marked = await session.scalars(
        update(Portrait)
        .where(Portrait.id.in_(ids), Portrait.picture_deleted_at.is_(None))
        .values(picture_deleted_at=at)
        .returning(Portrait.id)
    )
    return marked.all()


async def find_expired_templates(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Students who are off the roll and still have a data key."""
    rows = await session.scalars(
        select(TemplateKey)
        .where(TemplateKey.student_id.in_(select_students_off_the_roll(policy, at)))
        .order_by(TemplateKey.created_at)
        .limit(limit)
    )
    return [Expired(row.student_id, row.created_at) for row in rows]


async def shred_templates(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Delete the students' data keys, with an audit record for each."""
    rows = await session.execute(
        select(TemplateKey.student_id, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == TemplateKey.school_id)
        .where(TemplateKey.student_id.in_(ids))
    )
    paths = {row[0]: row[1] for row in rows}
    await shred_face_data(session, list(paths), at)
    for student_id, path in paths.items():
        act = audit.Act(
            "face_template.shred", "student", str(student_id), path, after={"why": "off the roll"}
        )
        audit.record(session, act, at)
    return list(paths)


async def find_unconfirmed_probes(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Probes of rehearsals that no counselor has confirmed, so that nothing is learned from them."""
    rows = await session.execute(
        select(FaceCalibrationProbe.id, FaceCalibrationProbe.at)
        .where(
            FaceCalibrationProbe.confirmation_id.is_(None),
            FaceCalibrationProbe.at <= at - policy.duration("retention.face_probes_unconfirmed"),
        )
        .order_by(FaceCalibrationProbe.at)
        .limit(limit)
    )
    return [Expired(*row) for row in rows]


async def delete_unconfirmed_probes(
    session: AsyncSession, ids: Sequence[UUID], _at: datetime
) -> Collection[UUID]:
    """Delete the probes, unless they were confirmed since they were found."""
    deleted = await session.scalars(
        delete(FaceCalibrationProbe)
        .where(FaceCalibrationProbe.id.in_(ids), FaceCalibrationProbe.confirmation_id.is_(None))
        .returning(FaceCalibrationProbe.id)
    )
    return deleted.all()


def select_students_off_the_roll(policy: PolicyAt, at: datetime) -> Select[UUID]:
    """Students whose record ended so long ago that no appeal is possible, and who have no open case."""
    recently = select(StandingEntry.student_id).where(
        StandingEntry.student_id == Student.id,
        StandingEntry.at > at - policy.duration("retention.after_leaving"),
    )
    return select(Student.id).where(
        Student.standing.in_(policy.texts("retention.ended_standings")),
        ~recently.exists(),
        ~has_open_case(Student.id.expression, policy, at),
    )


SHOTS = RetentionKind("enrolment_shots", find_expired_shots, mark_shots_deleted)
PORTRAITS = RetentionKind("portraits", find_expired_portraits, mark_portraits_deleted)
TEMPLATES = RetentionKind("templates", find_expired_templates, shred_templates)
PROBES = RetentionKind("unconfirmed_probes", find_unconfirmed_probes, delete_unconfirmed_probes)
