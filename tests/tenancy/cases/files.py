"""Attachments, and ending stand-ins of counselors."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.leave.tables import LeaveStandIn
from backend.people.attachment_files import FileContent, store_upload
from backend.people.attachments import AttachmentSubject, attach_files
from tests.support.biometrics.pictures import encode_picture, noise_picture
from tests.support.province import SampleSchool, SampleStudent, student_account
from tests.tenancy.rows import Computed, IdOf, Row

PICTURE = Computed(lambda _: encode_picture(noise_picture(), "JPEG"))

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row(
        "POST /v1/attachments",
        "ok       ok     ok        ok",
        query={"student_id": IdOf("student")},
        content=PICTURE,
        media="image/jpeg",
    ),
    Row("GET /v1/attachments/{attachment_id}", "ok       ok     ok        ok", note="of a claim"),
    Row(
        "GET /v1/attachments/{attachment_id}",
        "404      404    ok        ok",
        path={"attachment_id": IdOf("leave_attachment")},
        note="of leave",
    ),
    Row("POST /v1/leave-stand-ins/{stand_in_id}/end", "403      403    ok/409    ok/409"),
)
MOBILE: tuple[Row, ...] = (
    Row("POST /v1/attachments", "ok", content=PICTURE, media="image/jpeg"),
    Row("GET /v1/attachments/{attachment_id}", "ok"),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Store attachments of claims and leave, and create stand-ins."""
    first, second, third = school.classes
    own, _, classmate = first.students
    counselor_id = first.counselor_id
    if school is builder.world.school:
        counselor_id = await builder._counselor_of(builder.accounts["counselor"])
    return {
        "attachment": await _store_attachment(builder, school, own, "reason_claim"),
        "leave_attachment": await _store_attachment(builder, school, own, "leave_request"),
        "classmate_attachment": await _store_attachment(builder, school, classmate, "reason_claim"),
        "colleague_attachment": await _store_attachment(builder, school, second.students[0], "reason_claim"),
        "colleague_leave_attachment": await _store_attachment(
            builder, school, second.students[0], "leave_request"
        ),
        "stand_in": await _create_stand_in(builder, school, counselor_id, third.counselor_id),
        "colleague_stand_in": await _create_stand_in(
            builder, school, second.counselor_id, third.counselor_id
        ),
    }


async def _store_attachment(
    builder: Any, school: SampleSchool, pupil: SampleStudent, subject_type: str
) -> UUID:
    actor, app_context = student_account(school, pupil), builder.identity.app_context
    stored = await store_upload(
        app_context, actor, pupil.id, FileContent("image/jpeg", b"picture"), builder.at
    )
    async with app_context.database.transaction(actor.scope) as session:
        to = AttachmentSubject(subject_type, new_id(), school.id, pupil.id)
        await attach_files(session, actor, [stored.id], to, builder.at)
    return stored.id


async def _create_stand_in(builder: Any, school: SampleSchool, counselor_id: UUID, stand_in_id: UUID) -> UUID:
    row = LeaveStandIn(
        id=new_id(),
        school_id=school.id,
        counselor_id=counselor_id,
        stand_in_id=stand_in_id,
        starts_at=builder.at - timedelta(days=1),
        ends_at=builder.at + timedelta(days=1),
        named_by=new_id(),
        named_at=builder.at,
    )
    async with builder.roll.owner_transaction() as session:
        session.add(row)
    return row.id
