"""What a guardian reads and files with a link. Rows below /v1/guardian are sent by the client `guardian`."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from typing import Any
from uuid import UUID

from httpx import AsyncClient, Response
from sqlalchemy import update

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.people.tables import Consent, Guardian, GuardianLink, Student
from tests.support.province import SampleSchool
from tests.tenancy.cases.files import PICTURE
from tests.tenancy.rows import IdOf, Row

LINKS = 20
"""A link serves for sixty requests in a minute, and the clock of the scenario stands still."""
APPEAL = {"appeal_id": IdOf("own_appeal")}


def _explanation(kind: str, status: str, record: str) -> Row:
    path = {"kind": kind, "case_id": IdOf(record)}
    return Row("GET /v1/guardian/explanations/{kind}/{case_id}", status, path=path, note=f"of a {kind}")


STAFF: tuple[Row, ...] = ()
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/guardian/student", "ok"),
    Row("GET /v1/guardian/standing", "ok"),
    Row("GET /v1/guardian/misses", "ok"),
    Row("GET /v1/guardian/justified-reasons", "ok"),
    Row("GET /v1/guardian/prompts", "ok"),
    Row("GET /v1/guardian/prompts/{prompt_id}", "ok"),
    _explanation("prompt", "ok", "prompt"),
    _explanation("warning", "ok", "warning"),
    _explanation("entry", "404", "prompted_change"),
    _explanation("appeal", "ok", "own_appeal"),
    Row("GET /v1/guardian/appeals", "ok"),
    Row("GET /v1/guardian/appeals/{appeal_id}", "ok", path=APPEAL),
    Row(
        "GET /v1/guardian/appeals/{appeal_id}/messages",
        "403",
        path=APPEAL,
        note="of the student's own appeal",
    ),
    Row(
        "POST /v1/guardian/appeals/{appeal_id}/messages",
        "403",
        {"text": "补充说明"},
        path=APPEAL,
        note="in the student's own appeal",
    ),
    Row("POST /v1/guardian/attachments", "ok", content=PICTURE, media="image/jpeg"),
    Row(
        "POST /v1/guardian/roll-calls/{roll_call_id}/reason-claims",
        "ok/409",
        {"reason_code": "illness", "text": "发烧就诊"},
        path={"roll_call_id": IdOf("missed_check")},
    ),
    Row("POST /v1/guardian/prompts/{prompt_id}/statements", "ok", {"text": "当天在医院"}),
    Row(
        "POST /v1/guardian/appeals",
        "409",
        {
            "against": {"kind": "check", "roll_call_id": IdOf("missed_check")},
            "text": "当天在校上课",
        },
        note="against what the student appealed",
    ),
)


@dataclass(slots=True)
class LinkClient:
    """Sends each request with the next of several links to the same student."""

    http: AsyncClient
    tokens: Any

    async def request(self, method: str, path: str, **options: Any) -> Response:
        headers = {**options.pop("headers", {}), "Authorization": f"Guardian {next(self.tokens)}"}
        return await self.http.request(method, path, headers=headers, **options)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Give the student, who is a minor, a guardian with consent and links."""
    student_id: UUID = existing["student"]
    owner = {"school_id": school.id, "student_id": student_id}
    guardian = Guardian(
        id=new_id(),
        position=1,
        name="李大山",
        relation="父亲",
        is_guardian=True,
        phone="13900000009",
        **owner,
    )
    consent = Consent(
        id=new_id(),
        kind="guardian_notice",
        text_version="guardian-notice-2",
        granted=True,
        guardian_name=None,
        at=builder.at,
        **owner,
    )
    tokens = [f"{new_id().hex}{new_id().hex}" for _ in range(LINKS)]
    minor = update(Student).where(Student.id == student_id)
    async with builder.roll.owner_transaction() as session:
        await session.execute(minor.values(birth_date=legal_day(builder.at) - timedelta(days=16 * 365)))
        session.add_all([guardian, consent])
        session.add_all(
            GuardianLink(
                id=new_id(),
                guardian_id=guardian.id,
                guardian_name=guardian.name,
                relation=guardian.relation,
                token_hash=hashlib.sha256(token.encode()).digest(),
                cause="prompt",
                issued_on=legal_day(builder.at),
                number=number,
                issued_at=builder.at,
                expires_at=builder.at + timedelta(days=30),
                window_requests=0,
                **owner,
            )
            for number, token in enumerate(tokens, start=1)
        )
    if school is builder.world.school:
        builder.clients["guardian"] = LinkClient(builder.identity.mobile, cycle(tokens))
    return {}
