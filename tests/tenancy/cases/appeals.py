"""Appeals against a roll call of a superior, which the province decides."""

from typing import Any
from uuid import UUID

from backend.appeal.filing import AgainstCheck, FileAppeal, file_appeal
from backend.appeal.statements import NewMessage
from backend.core.actor import Actor
from backend.core.clock import legal_day
from tests.support.province import SampleSchool, SampleStudent, registrar_account, student_account
from tests.tenancy.rows import Computed, IdOf, Row

GROUNDS = {"text": "当天在校实训，有考勤记录为证。"}
AGAINST = {"kind": "check", "roll_call_id": IdOf("missed_check")}
SCHOOLS = {"appeal_id": IdOf("school_appeal")}
OWN = {"appeal_id": IdOf("own_appeal")}

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row("GET /v1/appeals", "ok       ok     ok        403", query={"student_id": IdOf("student")}),
    Row(
        "POST /v1/appeals",
        "403      403    ok/409    403",
        {"student_id": IdOf("student"), "against": AGAINST, "grounds": GROUNDS},
    ),
    Row("GET /v1/appeals/{appeal_id}", "ok       ok     ok        403", path=SCHOOLS),
    Row("GET /v1/appeals/{appeal_id}/checks", "ok       ok     ok        403", path=SCHOOLS),
    Row(
        "GET /v1/appeals/{appeal_id}/positions/{roll_call_id}",
        "ok/409   403    403       403",
        path={**SCHOOLS, "roll_call_id": IdOf("missed_check")},
    ),
    Row("GET /v1/appeals/{appeal_id}/messages", "ok       ok     ok        403", path=SCHOOLS),
    Row("POST /v1/appeals/{appeal_id}/messages", "ok/409   403    ok/409    403", GROUNDS, path=SCHOOLS),
    Row("POST /v1/appeals/{appeal_id}/read", "ok       ok     ok        403", path=SCHOOLS),
    Row(
        "POST /v1/appeals/{appeal_id}/decision",
        "ok/409   403    403       403",
        {"upheld": False, "reasons": "考勤记录不符"},
        path=SCHOOLS,
    ),
    Row(
        "POST /v1/appeals/{appeal_id}/withdrawal",
        "403      403    ok/409    403",
        {},
        path={"appeal_id": IdOf("spare_appeal")},
    ),
    Row(
        "POST /v1/appeals/{appeal_id}/next-level",
        "403      403    409       403",
        GROUNDS,
        path={"appeal_id": IdOf("spare_appeal")},
        note="before a rejection",
    ),
    Row("GET /v1/students/{student_id}/gaokao-eligibility", "ok       ok     ok        ok"),
)
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/me/appeals", "ok"),
    Row("POST /v1/me/appeals", "409", {"against": AGAINST, "grounds": GROUNDS}, note="a second time"),
    Row("GET /v1/me/appeals/{appeal_id}", "ok", path=OWN),
    Row("GET /v1/me/appeals/{appeal_id}/messages", "ok", path=OWN),
    Row("POST /v1/me/appeals/{appeal_id}/messages", "ok/409", GROUNDS, path=OWN),
    Row("POST /v1/me/appeals/{appeal_id}/read", "ok", path=OWN),
    Row("POST /v1/me/appeals/{appeal_id}/withdrawal", "ok/409", {}, path=OWN),
    Row(
        "POST /v1/me/appeals/{appeal_id}/next-level",
        "409",
        GROUNDS,
        path=OWN,
        note="before a rejection",
    ),
    Row(
        "GET /v1/me/gaokao-eligibility",
        "ok",
        query={"on": Computed(lambda scenario: legal_day(scenario.clock()).isoformat())},
    ),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """File appeals of the student, of a classmate, and of the school for students of another class."""
    first, second, _ = school.classes
    filer = _AppealFiler(builder, school, existing["missed_check"])
    return {
        "own_appeal": await filer.file_as_student(first.students[0]),
        "classmate_own_appeal": await filer.file_as_student(first.students[2]),
        "school_appeal": await filer.file_as_school(second.students[1]),
        "spare_appeal": await filer.file_as_school(second.students[2]),
    }


class _AppealFiler:
    """Files appeals against one roll call, each in its own transaction."""

    def __init__(self, builder: Any, school: SampleSchool, check: UUID) -> None:
        self.builder = builder
        self.school = school
        self.check = check

    async def file_as_student(self, pupil: SampleStudent) -> UUID:
        return await self._file(student_account(self.school, pupil), pupil)

    async def file_as_school(self, pupil: SampleStudent) -> UUID:
        return await self._file(registrar_account(self.school), pupil)

    async def _file(self, actor: Actor, pupil: SampleStudent) -> UUID:
        command = FileAppeal(AgainstCheck(self.check), NewMessage("当天在校。"), pupil.id)
        async with self.builder.identity.app_context.database.transaction(actor.scope) as session:
            appeal = await file_appeal(session, actor, command, self.builder.at)
        return appeal.filed.id
