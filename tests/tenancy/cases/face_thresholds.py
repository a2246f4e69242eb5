"""Rehearsals, their confirmation, and learned thresholds."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.identity.face.calibration.tables import FaceThresholdVersion
from backend.roll_call.launch.audience import Audience
from tests.support.province import SampleSchool, registrar_account
from tests.tenancy.rows import IdOf, Row

STAFF: tuple[Row, ...] = (
    # ------------------------------------------------------------ province bureau registrar counselor
    Row(
        "GET /v1/roll-calls/{roll_call_id}/rehearsal",
        "404      404    ok        ok",
        path={"roll_call_id": IdOf("rehearsal")},
    ),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/rehearsal-confirmations",
        "404      404    403       409",
        {"class_id": IdOf("class"), "excluded": []},
        path={"roll_call_id": IdOf("rehearsal")},
        note="while the rehearsal is open",
    ),
    Row(
        "GET /v1/schools/{school_id}/face-report",
        "ok       ok     ok        403",
        path={"school_id": IdOf("school")},
    ),
    Row("GET /v1/face-thresholds", "ok       ok     ok        403"),
    Row(
        "POST /v1/face-thresholds/{threshold_id}/approval",
        "ok/409   403    403       403",
        {"reasons": "各校报告已核对"},
    ),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """An open rehearsal of the school, and a proposed version of thresholds, which belong to no school."""
    opens = builder.at + timedelta(days=2)
    launched = await builder.roll.launch(
        registrar_account(school),
        kind="rehearsal",
        audience=Audience(),
        opens_at=opens,
        notify_at=builder.at,
        closes_at=opens + timedelta(hours=1),
    )
    version = FaceThresholdVersion(
        id=new_id(),
        engine_id="dlib-onnx",
        engine_version=uuid4().hex,
        version=1,
        method="neutral",
        population_version=0,
        accept_from=0.5,
        reject_below=0.4,
        people=50,
        probes=50,
        minimum=50,
        demonstration=False,
        groups=[],
        policy_version="test",
        effect="approval",
        reason="first",
        learned_at=builder.at,
    )
    async with builder.roll.owner_transaction() as session:
        session.add(version)
    return {"rehearsal": launched.roll_call.id, "threshold": version.id}
