"""The law, which is public, and its simulator, which stores nothing: the same for every school."""

from typing import Any

from backend.core.actor import Actor
from tests.support.province import SampleSchool
from tests.tenancy.rows import Row

CASE = {
    "name": "连续两次未核验",
    "terms": [{"code": "2025-autumn", "from": "2025-09-01", "to": "2026-01-18"}],
    "facts": [{"roll_call": {"id": "c1", "on": "2025-09-08", "outcome": "missed"}}],
    "at": ["2025-09-22 24:00"],
}

FILE = {
    "file_name": "case.yaml",
    "content": """
cases:
  - name: 一次未核验
    clauses: ["-"]
    terms: [{code: 2025-autumn, from: 2025-09-01, to: 2026-01-18}]
    expect: [{at: 2025-09-22 24:00}]
""",
}

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row("GET /v1/policies", "ok       ok     ok        403"),
    Row(
        "GET /v1/policies/{parameter}",
        "ok       ok     ok        403",
        path={"parameter": "misses.consecutive"},
    ),
    Row(
        "GET /v1/policies/{parameter}",
        "409      409    409       403",
        path={"parameter": "misses.consecutive"},
        query={"place": "140900"},
        note="where no law applies",
    ),
    Row("GET /v1/clauses", "ok       ok     ok        403"),
    Row("POST /v1/law-cases/evaluation", "ok       ok     ok        403", CASE),
    Row("POST /v1/law-cases/opening", "ok       ok     ok        403", FILE),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Create nothing: the law belongs to no school."""
    return {}
