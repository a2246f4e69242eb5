"""The audit log, searched by registrars and authorities."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from backend.audit_search.queries import AuditSearch, AuditSort, search_audit
from backend.audit_search.schemas import AuditEntryOut
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["审计 · audit"])

StudentFilter = Annotated[UUID | None, Query(description="办理对象是某学生 · about this student")]
AccountFilter = Annotated[UUID | None, Query(description="办理账号 · done by this account")]
UnitFilter = Annotated[UUID | None, Query(description="某单位及下级 · of this unit and below")]
ActionFilter = Annotated[
    str | None,
    Query(
        max_length=100,
        pattern=r"^[A-Za-z_.]+$",
        description="办理事项 · the action",
        examples=["prompt.raised"],
    ),
]
SubjectFilter = Annotated[
    str | None,
    Query(max_length=100, pattern=r"^[^\x00]+$", description="记录编号 · id of the record"),
]
Since = Annotated[AwareDatetime | None, Query(description="自何时起 · from then on")]
Until = Annotated[AwareDatetime | None, Query(description="至何时止（不含） · before then")]


@router.get("/audit-entries", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_audit_entries(
    caller: StaffCaller,
    student_id: StudentFilter = None,
    account_id: AccountFilter = None,
    unit_id: UnitFilter = None,
    action: ActionFilter = None,
    subject_id: SubjectFilter = None,
    since: Since = None,
    until: Until = None,
    sort: AuditSort = "-at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[AuditEntryOut]:
    """审计记录（新的在前） · Search the audit log of the own unit and below, newest first."""
    search = AuditSearch(student_id, account_id, unit_id, action, subject_id, since, until)
    request = PageRequest(limit, cursor, sort, total)
    async with caller.transaction() as session:
        found = await search_audit(session, caller.actor, search, request)
    return found.page.render_counted(lambda entry: AuditEntryOut.from_entry(entry, found.unit_names))
