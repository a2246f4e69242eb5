"""Aid: applications, payments, filings and exports."""

from datetime import datetime
from typing import Any
from uuid import UUID

from backend.aid.applications import apply_for_aid
from backend.aid.exports import RequestExport, approve_export, request_export
from backend.aid.rules import AidKind
from backend.aid.tables import AidFiling
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.standing.store.tables import PromptRecord, StandingEntry
from tests.support.province import SampleSchool, SampleStudent, registrar_account, student_account
from tests.tenancy.rows import Computed, IdOf, Row

PAYMENT = {
    "student_id": IdOf("student"),
    "kind": "grant",
    "month": "2025-09-01",
    "fen": 23000,
    "paid_on": "2025-09-15",
}
EXPORT = {"export_id": IdOf("approved_aid_export")}

STAFF: tuple[Row, ...] = (
    # ------------------------------------------------- province bureau registrar counselor
    Row(
        "POST /v1/aid-applications",
        "403      403    ok        403",
        {"kind": "grant", "class_id": IdOf("class")},
    ),
    Row(
        "GET /v1/aid-applications",
        "ok       ok     ok        403",
        query={"school_id": IdOf("school"), "class_id": IdOf("class")},
    ),
    Row("GET /v1/aid-applications/{application_id}", "ok       ok     ok        403"),
    Row(
        "POST /v1/aid-applications/{application_id}/decision",
        "ok/409   ok/409 ok/409    403",
        {"outcome": "approved", "reasons": "材料齐全，同意"},
    ),
    Row(
        "POST /v1/students/{student_id}/aid-duplicate-findings",
        "ok       ok     403       403",
        {"duplicate": False, "evidence": "查重名单核查无误"},
    ),
    Row(
        "POST /v1/aid-payments",
        "403      422    422       403",
        {"payments": [PAYMENT]},
        note="without an award",
    ),
    Row(
        "POST /v1/aid-payment-imports",
        "403      422    422       403",
        query={"file_name": "发放.csv"},
        content=Computed(lambda _: "这不是发放记录".encode()),
        media="application/octet-stream",
        note="with invalid content",
    ),
    Row("GET /v1/students/{student_id}/aid", "ok       ok     ok        ok"),
    Row(
        "GET /v1/aid-withdrawals",
        "ok       ok     ok        403",
        query={"school_id": IdOf("school")},
    ),
    Row("GET /v1/aid-withdrawals/{withdrawal_id}", "ok       ok     ok        403"),
    Row(
        "POST /v1/aid-withdrawals/{withdrawal_id}/acknowledgement",
        "ok/409   ok/409 403       403",
        {"reference": "郑资助撤〔2026〕0123号"},
    ),
    Row(
        "POST /v1/aid-withdrawal-exports",
        "ok       ok     ok        403",
        {"purpose": "报送市资助中心办理撤回", "filing_ids": [IdOf("aid_filing")]},
    ),
    Row(
        "POST /v1/aid-withdrawal-exports",
        "ok/409   ok/409 ok/409    403",
        {"purpose": "报送", "filter": {"state": "filed", "school_id": IdOf("school")}},
        note="of a search",
    ),
    Row("GET /v1/aid-withdrawal-exports", "ok       ok     ok        403"),
    Row("GET /v1/aid-withdrawal-exports/{export_id}", "ok       ok     ok        403"),
    Row(
        "POST /v1/aid-withdrawal-exports/{export_id}/approval",
        "ok/409   ok/409 403       403",
        note="of the registrar",
    ),
    Row("GET /v1/aid-withdrawal-exports/{export_id}/file", "403      403    ok        403", path=EXPORT),
    Row(
        "GET /v1/reports/aid-balance",
        "ok       ok     ok        403",
        query={"school_id": IdOf("school")},
    ),
)
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/me/aid", "ok"),
    Row("POST /v1/me/aid-applications", "ok/409", {"kind": "tuition_waiver"}),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Create a pending application, an exported withdrawal, and two exports of the registrar."""
    app_context, at = builder.identity.app_context, builder.at
    pupil = school.classes[1].students[2]
    student = student_account(school, pupil)
    async with app_context.database.transaction(student.scope) as session:
        application = await apply_for_aid(session, student, AidKind.GRANT, app_context.keys, at)
    filing = await _insert_filing(builder, school.classes[2].students[2], at)
    registrar = registrar_account(school)
    if school is builder.world.school:
        unit = builder.world.school
        registrar = Actor(builder.accounts["registrar"], "registrar", unit.id, unit.path, school_id=unit.id)
    exports = []
    for _ in range(2):
        async with app_context.database.transaction(registrar.scope) as session:
            command = RequestExport("报送市资助中心办理撤回", (filing,))
            exports.append((await request_export(session, registrar, command, at)).export.id)
    async with app_context.database.transaction(superior.scope) as session:
        await approve_export(session, superior, exports[1], at)
    return {
        "aid_application": application.id,
        "aid_filing": filing,
        "aid_export": exports[0],
        "approved_aid_export": exports[1],
    }


async def _insert_filing(builder: Any, pupil: SampleStudent, at: datetime) -> UUID:
    """Insert a withdrawal after a decided change; tests/aid covers how it is created."""
    owner = {"school_id": pupil.school_id, "student_id": pupil.id}
    prompt, entry, filing = new_id(), new_id(), new_id()
    version = {"policy_version": "-", "trace": {"rule": "decision.person", "clause": "HN334-4.1b"}}
    async with builder.roll.owner_transaction() as session:
        session.add(
            PromptRecord(
                id=prompt,
                kind="misses",
                term_code="2000-autumn",
                grounds=[],
                evidence=[],
                event_day=legal_day(at),
                raised_at=at,
                proposed="part_time",
                **version,
                **owner,
            )
        )
        await session.flush()
        session.add(
            StandingEntry(
                id=entry,
                seq=1,
                at=at,
                cause="decision",
                caused_by=str(prompt),
                outcome="part_time",
                change_kind="L1",
                standing_before="01",
                study_form_before="full_time",
                standing_after="01",
                study_form_after="part_time",
                prompt_id=prompt,
                reverses=None,
                acting_account=None,
                recorded_at=at,
                **version,
                **owner,
            )
        )
        await session.flush()
        session.add(
            AidFiling(
                id=filing,
                change_id=entry,
                kind="withdrawal",
                entry_id=entry,
                term_code="2000-autumn",
                fen=115_000,
                filed_at=at,
                **owner,
            )
        )
    return filing
