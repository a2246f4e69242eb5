"""Attachments, and the ends of stand-ins."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.leave.tables import LeaveStandIn
from backend.people.attachment_files import Content, receive
from backend.people.attachments import AttachedTo, attach
from tests.support.biometrics.pictures import encoded, noise
from tests.support.province import Pupil, School, student_account
from tests.tenancy.rows import Made, Of, Row

PICTURE = Made(lambda _: encoded(noise(), "JPEG"))

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row(
        "POST /v1/attachments",
        "ok       ok     ok        ok",
        query={"student_id": Of("student")},
        content=PICTURE,
        media="image/jpeg",
    ),
    Row("GET /v1/attachments/{attachment_id}", "ok       ok     ok        ok", why="of a claim"),
    Row(
        "GET /v1/attachments/{attachment_id}",
        "404      404    ok        ok",
        path={"attachment_id": Of("leave_attachment")},
        why="of leave",
    ),
    Row("POST /v1/leave-stand-ins/{stand_in_id}/end", "403      403    ok/409    ok/409"),
)
MOBILE: tuple[Row, ...] = (
    Row("POST /v1/attachments", "ok", content=PICTURE, media="image/jpeg"),
    Row("GET /v1/attachments/{attachment_id}", "ok"),
)


async def things(
    assembly: Any,
    school: School,
    superior: Actor,
    made: dict[str, Any],
) -> dict[str, Any]:
    """One of everything of this room in the school; `made` holds what the house has made so far."""
    first, second, third = school.classes
    own, _, classmate = first.students
    in_charge = first.counselor_id
    if school is assembly.world.school:
        in_charge = await assembly._counselor_of(assembly.accounts["counselor"])
    return {
        "attachment": await _file(assembly, school, own, "reason_claim"),
        "leave_attachment": await _file(assembly, school, own, "leave_request"),
        "classmate_attachment": await _file(assembly, school, classmate, "reason_claim"),
        "colleague_attachment": await _file(assembly, school, second.students[0], "reason_claim"),
        "colleague_leave_attachment": await _file(assembly, school, second.students[0], "leave_request"),
        "stand_in": await _stand_in(assembly, school, in_charge, third.counselor_id),
        "colleague_stand_in": await _stand_in(assembly, school, second.counselor_id, third.counselor_id),
    }


async def _file(assembly: Any, school: School, pupil: Pupil, subject_type: str) -> UUID:
    actor, app_context = student_account(school, pupil), assembly.identity.app_context
    kept = await receive(app_context, actor, pupil.id, Content("image/jpeg", b"picture"), assembly.at)
    async with app_context.database.transaction(actor.scope) as session:
        to = AttachedTo(subject_type, new_id(), school.id, pupil.id)
        await attach(session, actor, [kept.id], to, assembly.at)
    return kept.id


async def _stand_in(assembly: Any, school: School, counselor_id: UUID, stand_in_id: UUID) -> UUID:
    row = LeaveStandIn(
        id=new_id(),
        school_id=school.id,
        counselor_id=counselor_id,
        stand_in_id=stand_in_id,
        starts_at=assembly.at - timedelta(days=1),
        ends_at=assembly.at + timedelta(days=1),
        named_by=new_id(),
        named_at=assembly.at,
    )
    async with assembly.roll.arrange() as session:
        session.add(row)
    return row.id
