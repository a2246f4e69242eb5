"""Looks: one that the school answers and one of the launching side, about the check-in of a student of the first class."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.tables import Portrait
from backend.people.tables import Consent
from backend.roll_call.tables import LookRequest, RollCall, Submission
from tests.support.pictures import seal_and_store
from tests.support.province import SampleSchool
from tests.tenancy.rows import IdOf, Row

LAUNCHER = {"look_id": IdOf("launcher_look")}

STAFF: tuple[Row, ...] = (
    # ------------------------------------------------------- province bureau registrar counselor
    Row("GET /v1/looks", "ok       ok     ok        ok", query={"roll_call_id": IdOf("roll_call")}),
    Row("GET /v1/looks/{look_id}", "404      404    ok/409    ok/409"),
    Row(
        "GET /v1/looks/{look_id}",
        "ok/409   ok/409 404       404",
        path=LAUNCHER,
        note="of the launching side",
    ),
    Row("GET /v1/roll-calls/{roll_call_id}/looks", "ok       ok     ok        ok"),
    Row(
        "GET /v1/looks/{look_id}/pictures/{picture}",
        "404      404    ok/409    ok/409",
        path={"picture": "portrait"},
    ),
    Row(
        "GET /v1/looks/{look_id}/pictures/{picture}",
        "ok/409   ok/409 404       404",
        path={"picture": "portrait", **LAUNCHER},
        note="of the launching side",
    ),
    Row("POST /v1/looks/{look_id}/answer", "404      404    ok/409    ok/409", {"same": "unsure"}),
    Row(
        "POST /v1/looks/{look_id}/answer",
        "ok/409   ok/409 404       404",
        {"same": "unsure"},
        path=LAUNCHER,
        note="of the launching side",
    ),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Two requests about the submission, with the consent and a portrait."""
    at = builder.at
    ids = {"school_id": school.id, "student_id": existing["student"]}
    portrait = Portrait(
        id=new_id(),
        evidence_key=f"pictures/{new_id().hex}",
        sha256=b"\0" * 32,
        status="accepted",
        reasons=[],
        submitted_at=at,
        **ids,
    )
    await seal_and_store(builder.identity.app_context, PortraitRef.of(portrait).picture, b"picture")
    consent = Consent(id=new_id(), kind="face_look", text_version="face-look-1", granted=True, at=at, **ids)
    async with builder.roll.owner_transaction() as session:
        session.add_all([portrait, consent])
        roll_call = await session.get_one(RollCall, existing["roll_call"])
        submission = await session.scalar(select(Submission).where(Submission.id == existing["submission"]))

        def request(side: str, class_id: Any) -> LookRequest:
            return LookRequest(
                id=new_id(),
                roll_call_id=roll_call.id,
                term_code=roll_call.term_code,
                class_id=class_id,
                submission_id=submission.id,
                portrait_id=portrait.id,
                side=side,
                reason="face_needs_look",
                frames=[0],
                at=at,
                expires_at=at + timedelta(days=30),
                **ids,
            )

        own, launcher = request("school", existing["class"]), request("launcher", existing["class"])
        session.add_all([own, launcher])
    return {"look": own.id, "launcher_look": launcher.id}
