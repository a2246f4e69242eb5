"""The steps of a student's activation, as SQL conditions for one student or for a whole school (HN334-3.1)."""

from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.consents import FACE_USE, LOCATION, TEMPLATE_STORAGE, is_on_non_face_route
from backend.identity.tables import DeviceKey, FaceTemplateRecord, Portrait
from backend.people.tables import Consent, RecordCheck, Student

STEPS = ("account", "record_check", "location_consent", "face", "portrait")
"""In the usual order. `account` includes the real-name check, which precedes the binding of a device key."""


def step_conditions() -> dict[str, ColumnElement[bool]]:
    """For each step the SQL condition, on a row of `Student`, that it is done.

    The record check is done once the student has read the record: an open correction does not block check-ins. The
    face step is done by a template with valid consents, or by the non-face route.
    """
    face = and_(
        exists().where(FaceTemplateRecord.student_id == Student.id, FaceTemplateRecord.status == "active"),
        _has_consent(FACE_USE),
        _has_consent(TEMPLATE_STORAGE),
    )
    return {
        "account": exists().where(DeviceKey.student_id == Student.id, DeviceKey.status == "active"),
        "record_check": exists().where(RecordCheck.student_id == Student.id),
        "location_consent": _has_consent(LOCATION),
        "face": or_(face, is_on_non_face_route(Student.id.expression)),
        "portrait": exists().where(
            Portrait.student_id == Student.id, Portrait.status.in_(("accepted", "review"))
        ),
    }


def _has_consent(kind: str) -> ColumnElement[bool]:
    newest: ScalarSelect[bool] = (
        select(Consent.granted)
        .where(Consent.student_id == Student.id, Consent.kind == kind)
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(newest, False)


def is_activated() -> ColumnElement[bool]:
    """The SQL condition, on a row of `Student`, that every step is done."""
    return and_(*step_conditions().values())


async def open_activation_steps(session: AsyncSession, student_id: UUID) -> list[str]:
    """The steps that are not done yet, in order; all of them for a student outside the session's scope."""
    done = step_conditions()
    row = (
        await session.execute(select(*(done[step] for step in STEPS)).where(Student.id == student_id))
    ).first()
    return [step for step, is_done in zip(STEPS, row or (False,) * len(STEPS), strict=True) if not is_done]
