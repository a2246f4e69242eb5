"""Pictures of students: portraits in review, a replaced face, and pictures that were sent for two students."""

from typing import Any

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.tables import FaceEnrolment, FaceTemplateRecord, Portrait, SharedPicture
from tests.support.pictures import seal_and_store
from tests.support.province import SampleSchool
from tests.tenancy.rows import IdOf, Row

STAFF: tuple[Row, ...] = (
    # ------------------------------------------------- province bureau registrar counselor
    Row("GET /v1/shared-pictures", "ok       ok     ok        403", query={"school_id": IdOf("school")}),
    Row(
        "GET /v1/portraits",
        "ok       ok     ok        403",
        query={"school_id": IdOf("school"), "student_id": IdOf("bystander")},
    ),
    Row("GET /v1/portraits/{portrait_id}/picture", "ok       ok     ok        403"),
    Row("GET /v1/students/{student_id}/picture-views", "ok       ok     ok        403"),
    Row(
        "POST /v1/portraits/{portrait_id}/decision",
        "403      403    ok/409    403",
        {"accepted": True, "reasons": "与本人一致"},
    ),
    Row("GET /v1/face-replacements", "ok       ok     ok        ok"),
    Row(
        "GET /v1/face-replacements/{enrolment_id}/pictures/{position}",
        "ok       ok     ok        ok",
        path={"position": "0"},
    ),
    Row(
        "POST /v1/face-replacements/{enrolment_id}/answers",
        "ok/409   ok/409 ok/409    ok/409",
        {"approved": True, "seen_in_person": True, "reasons": "当面核对一致"},
    ),
)
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/me/consent-texts/{text_version}", "ok", path={"text_version": "face-use-1"}),
    Row("POST /v1/me/face-replacement", "ok/409", pictures="shots"),
    Row("GET /v1/me/picture-views", "ok"),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """A portrait in review and a replaced face of a student of the first class, and a picture of two students."""
    student, other = existing["bystander"], existing["student"]
    ids = {"school_id": school.id, "student_id": student}
    enrolment = FaceEnrolment(
        id=new_id(), status="review", shots=3, reasons=[], submitted_at=builder.at, **ids
    )
    portrait = Portrait(
        id=new_id(),
        evidence_key=f"pictures/{new_id().hex}",
        sha256=b"\0" * 32,
        status="review",
        reasons=[],
        submitted_at=builder.at,
        **ids,
    )
    template = FaceTemplateRecord(
        id=new_id(),
        enrolment_id=enrolment.id,
        engine_id="test-pattern",
        engine_version="1",
        purpose="roll-call",
        sealed=b"sealed",
        status="proposed",
        created_at=builder.at,
        **ids,
    )
    shared = SharedPicture(
        id=new_id(),
        other_school_id=school.id,
        other_student_id=other,
        source="face_enrolment",
        source_id=enrolment.id,
        kind="same",
        sent_by_other=False,
        at=builder.at,
        **ids,
    )
    shots = EnrolmentRef(enrolment.id, school.id, student).pictures(enrolment.shots)
    for picture in (PortraitRef.of(portrait).picture, *shots):
        await seal_and_store(builder.identity.app_context, picture, b"picture")
    async with builder.roll.owner_transaction() as session:
        session.add_all([enrolment, portrait, shared])
        await session.flush()
        session.add(template)
    return {"portrait": portrait.id, "enrolment": enrolment.id}
