"""Which steps of activation are done (HN334-3.1): one question for one student, or for all of a school."""

from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.consents import FACE_USE, LOCATION, TEMPLATE_STORAGE
from backend.identity.tables import DeviceKey, FaceTemplate, NonFaceRoute, Portrait
from backend.people.tables import Consent, RecordCheck, Student

STEPS = ("account", "record_check", "location_consent", "face", "portrait")
"""In the order in which a student takes them. `account` holds the real name: the key is bound only after it."""


def steps_done() -> dict[str, ColumnElement[bool]]:
    """Step → the SQL condition, over a row of `Student`, that it is done.

    A record check counts once the student has read the record: an open correction keeps nobody from checking
    in. The face step is done by a template under standing consents, or by the non-face route.
    """
    of_student = Student.id
    face = and_(
        exists().where(FaceTemplate.student_id == of_student, FaceTemplate.status == "active"),
        _consented(FACE_USE),
        _consented(TEMPLATE_STORAGE),
    )
    return {
        "account": exists().where(DeviceKey.student_id == of_student, DeviceKey.status == "active"),
        "record_check": exists().where(RecordCheck.student_id == of_student),
        "location_consent": _consented(LOCATION),
        "face": or_(face, exists().where(NonFaceRoute.student_id == of_student)),
        "portrait": exists().where(
            Portrait.student_id == of_student, Portrait.status.in_(("accepted", "review"))
        ),
    }


def _consented(kind: str) -> ColumnElement[bool]:
    newest: ScalarSelect[bool] = (
        select(Consent.granted)
        .where(Consent.student_id == Student.id, Consent.kind == kind)
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(newest, False)


def activated() -> ColumnElement[bool]:
    """The SQL condition, over a row of `Student`, that nothing is open."""
    return and_(*steps_done().values())


async def activation_gaps(session: AsyncSession, student_id: UUID) -> list[str]:
    """The steps that keep the student from checking in, in order; all of them for one the session does not see."""
    done = steps_done()
    row = (
        await session.execute(select(*(done[step] for step in STEPS)).where(Student.id == student_id))
    ).first()
    return [step for step, is_done in zip(STEPS, row or (False,) * len(STEPS), strict=True) if not is_done]
