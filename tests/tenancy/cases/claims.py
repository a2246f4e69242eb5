"""Reason claims, outages, attendance."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.core.actor import Actor
from backend.roll_call.tables import RollCall, RollCallClass
from backend.standing.claims.service import FileClaim, file_claim
from backend.standing.outages.service import DeclareOutage, declare_outage
from tests.support.province import SampleSchool, SampleStudent, registrar_account, student_account
from tests.tenancy.rows import Computed, IdOf, Row

MISSED = {"roll_call_id": IdOf("missed_check")}
NO_PHONE = {"reason_code": "no_phone", "text": "手机送修"}


def _time_ago(**span: float) -> Computed:
    return Computed(lambda scenario: (scenario.clock() - timedelta(**span)).isoformat())


STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row("GET /v1/justified-reasons", "ok"),
    Row(
        "GET /v1/reason-claims",
        "ok       ok     ok        ok",
        query={"roll_call_id": IdOf("missed_check"), "student_id": IdOf("student")},
    ),
    Row("GET /v1/reason-claims/{claim_id}", "ok       ok     ok        ok"),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/reason-claims",
        "403      403    ok/409    ok/409",
        NO_PHONE | {"student_id": IdOf("student")},
        path=MISSED,
    ),
    Row(
        "POST /v1/reason-claims/{claim_id}/decision",
        "ok/409   ok/409 403       403",
        {"accepted": False, "opinion": "未提供证明"},
    ),
    Row(
        "POST /v1/outages",
        "ok       ok     ok        403",
        {
            "org_id": IdOf("school"),
            "what": "校园网故障",
            "starts_at": _time_ago(days=20, hours=1),
            "ends_at": _time_ago(days=20),
        },
    ),
    Row("GET /v1/outages", "ok", query={"org_id": IdOf("school")}),
    Row("GET /v1/outages/{outage_id}", "ok"),
    Row("GET /v1/outages/{outage_id}/availability", "ok"),
    Row("POST /v1/outages/{outage_id}/end", "403      403    ok        403", {}),
    Row(
        "POST /v1/outages/{outage_id}/decision",
        "ok/409   ok/409 403       403",
        {"approved": True, "opinion": "已核实"},
    ),
    Row("GET /v1/roll-calls/{roll_call_id}/availability", "ok"),
    Row("GET /v1/student-warnings", "403      403    ok        ok"),
    Row("GET /v1/students/{student_id}/attendance", "403      403    ok        ok"),
    Row(
        "POST /v1/students/{student_id}/attendance",
        "403      403    ok/409    ok/409",
        {"at": _time_ago(hours=2), "present": True},
    ),
)
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/justified-reasons", "ok"),
    Row("GET /v1/reason-claims", "ok"),
    Row("GET /v1/reason-claims/{claim_id}", "ok"),
    Row("POST /v1/roll-calls/{roll_call_id}/reason-claims", "ok/409", NO_PHONE, path=MISSED),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """File claims for the earlier of the two missed roll calls, and declare an outage that has not ended."""
    earlier = await _find_earlier_check(builder, school, existing["missed_check"])
    first, second, _ = school.classes
    return {
        "claim": await _file_claim(builder, school, earlier, first.students[0]),
        "classmate_claim": await _file_claim(builder, school, earlier, first.students[2]),
        "colleague_claim": await _file_claim(builder, school, earlier, second.students[0]),
        "outage": await _declare_outage(builder, school),
    }


async def _find_earlier_check(builder: Any, school: SampleSchool, missed: UUID) -> UUID:
    """Return the settled roll call of the school before the given one."""
    async with builder.roll.owner_transaction() as session:
        closed = (await session.get_one(RollCall, missed)).opens_at
        earlier: UUID = await session.scalar(
            select(RollCall.id)
            .join(RollCallClass, RollCallClass.roll_call_id == RollCall.id)
            .where(RollCallClass.school_id == school.id, RollCall.closes_at < closed)
            .order_by(RollCall.closes_at)
            .limit(1)
        )
    return earlier


async def _file_claim(builder: Any, school: SampleSchool, roll_call_id: UUID, pupil: SampleStudent) -> UUID:
    actor = student_account(school, pupil)
    async with builder.identity.app_context.database.transaction(actor.scope) as session:
        view = await file_claim(session, actor, FileClaim(roll_call_id, "illness"), builder.at)
    return view.claim.id


async def _declare_outage(builder: Any, school: SampleSchool) -> UUID:
    registrar = registrar_account(school)
    command = DeclareOutage(school.id, "停电", builder.at - timedelta(minutes=5))
    async with builder.identity.app_context.database.transaction(registrar.scope) as session:
        view = await declare_outage(session, registrar, command, builder.at)
    return view.outage.id
