"""What enrolling left: shots, portraits, and the templates of those who are off the roll."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.identity.face.picture_refs import EnrolmentRef
from backend.identity.face.templates import shred
from backend.identity.tables import FaceEnrolment, Portrait, TemplateKey
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy import PolicyAt
from backend.retention.deletion import Due, Kind
from backend.retention.legal_holds import held_by_a_case
from backend.standing.store.tables import StandingEntry


async def due_shots(session: AsyncSession, law: PolicyAt, at: datetime, limit: int) -> Sequence[Due]:
    """Enrolments that were judged a while ago: the template is kept, the photographs are not."""
    found = await session.scalars(
        select(FaceEnrolment)
        .where(
            FaceEnrolment.shots_gone_at.is_(None),
            FaceEnrolment.decided_at <= at - law.duration("retention.enrolment_shots"),
        )
        .order_by(FaceEnrolment.decided_at)
        .limit(limit)
    )
    return [
        Due(
            row.id,
            row.submitted_at,
            tuple(EnrolmentRef(row.id, row.school_id, row.student_id).shot_keys(row.shots)),
            files=row.shots,
        )
        for row in found
    ]


async def mark_shots(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Say on the enrolments that their pictures are gone."""
    gone = await session.scalars(
        update(FaceEnrolment)
        .where(FaceEnrolment.id.in_(ids), FaceEnrolment.shots_gone_at.is_(None))
        .values(shots_gone_at=at)
        .returning(FaceEnrolment.id)
    )
    return gone.all()


async def due_portraits(session: AsyncSession, law: PolicyAt, at: datetime, limit: int) -> Sequence[Due]:
    """Portraits that were refused or replaced a while ago, and those of students who are off the roll."""
    spare = and_(
        Portrait.status.in_(["refused", "replaced"]),
        Portrait.decided_at <= at - law.duration("retention.spare_portraits"),
    )
    left = and_(Portrait.status != "pending", Portrait.student_id.in_(_off_the_roll(law, at)))
    found = await session.scalars(
        select(Portrait)
        .where(Portrait.picture_gone_at.is_(None), or_(spare, left))
        .order_by(Portrait.decided_at)
        .limit(limit)
    )
    return [Due(row.id, row.submitted_at, (row.evidence_key,), files=1) for row in found]


async def mark_portraits(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Say on the portraits that their pictures are gone."""
    gone = await session.scalars(
        update(Portrait)
        .where(Portrait.id.in_(ids), Portrait.picture_gone_at.is_(None))
        .values(picture_gone_at=at)
        .returning(Portrait.id)
    )
    return gone.all()


async def due_templates(session: AsyncSession, law: PolicyAt, at: datetime, limit: int) -> Sequence[Due]:
    """Students who are off the roll and still have a data key."""
    found = await session.scalars(
        select(TemplateKey)
        .where(TemplateKey.student_id.in_(_off_the_roll(law, at)))
        .order_by(TemplateKey.created_at)
        .limit(limit)
    )
    return [Due(row.student_id, row.created_at) for row in found]


async def shred_templates(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Delete the students' data keys; each deletion is on record."""
    rows = await session.execute(
        select(TemplateKey.student_id, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == TemplateKey.school_id)
        .where(TemplateKey.student_id.in_(ids))
    )
    paths = {row[0]: row[1] for row in rows}
    await shred(session, list(paths), at)
    for student_id, path in paths.items():
        act = audit.Act(
            "face_template.shred", "student", str(student_id), path, after={"why": "off the roll"}
        )
        audit.record(session, act, at)
    return list(paths)


def _off_the_roll(law: PolicyAt, at: datetime) -> Select[UUID]:
    """Students whose record ended so long ago that no appeal may follow, and about whom nothing is open."""
    recently = select(StandingEntry.student_id).where(
        StandingEntry.student_id == Student.id,
        StandingEntry.at > at - law.duration("retention.after_leaving"),
    )
    return select(Student.id).where(
        Student.standing.in_(law.texts("retention.ended_standings")),
        ~recently.exists(),
        ~held_by_a_case(Student.id.expression, law, at),
    )


SHOTS = Kind("enrolment_shots", due_shots, mark_shots)
PORTRAITS = Kind("portraits", due_portraits, mark_portraits)
TEMPLATES = Kind("templates", due_templates, shred_templates)
