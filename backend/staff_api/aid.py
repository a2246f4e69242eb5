"""Endpoints of aid for staff: applications, payments, the ledger and filings (HN334-4.1d, MOE15-1.2)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from backend.aid import queries as aid_queries
from backend.aid.application_schemas import (
    AidApplicationOut,
    AidApplicationsIn,
    AidApplicationsOut,
    AidDecisionIn,
    DuplicateIn,
    DuplicateOut,
)
from backend.aid.applications import ApplyForClass, DecideAid, apply_for_class, decide_aid
from backend.aid.eligibility import RecordDuplicate, record_duplicate
from backend.aid.errors import AidPaymentsUnfit
from backend.aid.filing_schemas import (
    AcknowledgementIn,
    FilingDetailOut,
    FilingLineOut,
    FilingOut,
)
from backend.aid.filings import (
    AcknowledgeFiling,
    FilingKind,
    FilingSearch,
    FilingSort,
    FilingState,
    acknowledge_filing,
    get_filing,
    list_filings,
    load_filing_lines,
    load_schools,
)
from backend.aid.payments import PaymentLine, record_payments, require_payment_recorder
from backend.aid.queries import (
    ApplicationSearch,
    ApplicationSort,
    ApplicationState,
    BalanceSearch,
    get_application,
    list_applications,
    list_balances,
    load_application,
)
from backend.aid.schemas import BalanceOut, PaymentsIn, PaymentsOut, StudentAidOut
from backend.core.clock import legal_day
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, parse_id
from backend.core.web.problems import problem_response, problem_responses
from backend.core.web.request_checks import refuse_form
from backend.core.web.requests import read_bounded
from backend.exchange.aid_payments.importer import PaymentImport, import_payments
from backend.exchange.aid_payments.reader import PaymentFile, read_uploaded_payments
from backend.exchange.aid_payments.schemas import PaymentFileOut
from backend.exchange.roster.schemas import FindingOut
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.organisation.rosters import BINARY_BODY, MAX_FINDINGS, DryRun, FileName
from backend.staff_api.pagination import UnitFilter
from backend.staff_api.student_search import StudentSearchText, student_condition

router = APIRouter(prefix="/v1", tags=["资助 · aid"])

TermCode = Annotated[
    str | None,
    Query(min_length=1, max_length=50, pattern=r"^[^\x00]+$", description="学期", examples=["2026-autumn"]),
]

# --- applications ---


@router.post("/aid-applications", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def submit_aid_applications(caller: StaffCaller, body: AidApplicationsIn) -> AidApplicationsOut:
    """批量申请资助（按班级或全校） · Apply for a class or the school. The answer names skipped students with the reason."""
    command = ApplyForClass(body.kind, body.class_id)
    async with caller.transaction() as session:
        result = await apply_for_class(session, caller.actor, command, caller.app_context.keys, caller.at)
    return AidApplicationsOut.from_result(result)


@router.get("/aid-applications", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_aid_applications(
    caller: StaffCaller,
    state: ApplicationState | None = None,
    term_code: TermCode = None,
    class_id: UUID | None = None,
    school_id: UUID | None = None,
    unit_id: UnitFilter = None,
    sort: ApplicationSort = "-filed_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[AidApplicationOut]:
    """资助申请（新的在前） · Applications, newest first."""
    search = ApplicationSearch(state, term_code, class_id, school_id, unit_id)
    async with caller.transaction() as session:
        page = await list_applications(session, caller.actor, search, PageRequest(limit, cursor, sort, total))
    return page.render_counted(AidApplicationOut.from_view)


@router.get("/aid-applications/{application_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_aid_application(caller: StaffCaller, application_id: UUID) -> AidApplicationOut:
    """一份资助申请 · One application with its decision."""
    async with caller.transaction() as session:
        view = await load_application(session, caller.actor, application_id)
    return AidApplicationOut.from_view(view)


@router.post(
    "/aid-applications/{application_id}/decision",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def decide_aid_application(
    caller: StaffCaller, application_id: UUID, body: AidDecisionIn
) -> AidApplicationOut:
    """审批资助申请（申请人不得审批） · Approve or refuse, once. The account that filed the application cannot decide."""
    command = DecideAid(application_id, body.outcome, body.reasons)
    async with caller.transaction() as session:
        await decide_aid(session, caller.actor, command, caller.app_context.keys, caller.at)
        decided = await get_application(session, application_id)
    return AidApplicationOut.from_view(decided)


@router.post(
    "/students/{student_id}/aid-duplicate-findings",
    status_code=201,
    responses=problem_responses(401, 403, 404, 422),
)
@with_names
async def record_duplicate_aid(caller: StaffCaller, student_id: UUID, body: DuplicateIn) -> DuplicateOut:
    """登记重复学籍核查结果 · Record the finding of a check for duplicate enrolment. The newest finding counts."""
    command = RecordDuplicate(student_id, body.duplicate, body.evidence)
    async with caller.transaction() as session:
        row = await record_duplicate(session, caller.actor, command, caller.at)
    return DuplicateOut.model_validate(row, from_attributes=True)


# --- payments ---


@router.post(
    "/aid-payments",
    status_code=201,
    response_model=PaymentsOut,
    responses=problem_responses(401, 403, 409, 422),
)
@with_names
async def record_aid_payments(
    request: Request, caller: StaffCaller, body: PaymentsIn
) -> PaymentsOut | JSONResponse:
    """登记资助发放 · Record payments, all or none. Known payments change nothing."""
    lines = [
        PaymentLine(line, f"#{line + 1}", p.student_id, p.kind, p.month, p.fen, p.paid_on, p.reference)
        for line, p in enumerate(body.payments)
    ]
    try:
        async with caller.transaction() as session:
            result = await record_payments(session, caller.actor, lines, caller.at)
    except AidPaymentsUnfit as error:
        errors = [
            {
                "field": f"body.payments.{issue.line}.{issue.field}",
                "value": issue.value,
                "code": issue.code,
                "zh": issue.zh,
                "en": issue.en,
            }
            for issue in error.issues
        ]
        return problem_response(request, error, errors)
    return PaymentsOut.from_result(result)


@router.post(
    "/aid-payment-imports",
    response_model=PaymentFileOut,
    openapi_extra=BINARY_BODY,
    responses=problem_responses(401, 403, 409, 413, 415, 422),
)
@with_names
async def import_aid_payment_file(
    request: Request, caller: StaffCaller, file_name: FileName, *, dry_run: DryRun = True
) -> PaymentFileOut | JSONResponse:
    """导入发放记录（学籍号、资助项目、月份、金额（元）、发放日期、凭证号） · Import a file of payments, or only validate it.

    A file with errors is rejected as a whole; each error names sheet, row and column. Importing a file again changes
    nothing.
    """
    require_payment_recorder(caller.actor, caller.at)
    refuse_form(request)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"payments{Path(file_name).suffix.lower()}"
        path.write_bytes(await read_bounded(request, caller.app_context.settings.request_body_limit))
        file = await read_uploaded_payments(path, today=legal_day(caller.at))
    try:
        imported = await _import_or_roll_back(caller, file, dry_run=dry_run)
    except _RolledBack as rolled_back:
        imported = rolled_back.imported
    findings = [
        FindingOut.model_validate(issue, from_attributes=True) for issue in imported.issues[:MAX_FINDINGS]
    ]
    if imported.issues and not dry_run:
        error = AidPaymentsUnfit(lines=len({(issue.sheet, issue.row) for issue in imported.issues}))
        return problem_response(request, error, [finding.model_dump(mode="json") for finding in findings])
    warnings = [FindingOut.model_validate(warning, from_attributes=True) for warning in file.warnings]
    report = None if dry_run or imported.result is None else PaymentsOut.from_result(imported.result)
    return PaymentFileOut(
        dry_run=dry_run,
        file_sha256=file.sha256.hex(),
        rows=imported.rows,
        findings=findings + warnings,
        report=report,
    )


class _RolledBack(Exception):
    """Rolls the transaction back and carries the result out of it."""

    def __init__(self, imported: PaymentImport) -> None:
        self.imported = imported
        super().__init__()


async def _import_or_roll_back(caller: StaffCaller, file: PaymentFile, *, dry_run: bool) -> PaymentImport:
    """Import the file; raises `_RolledBack` on a dry run or if there are issues."""
    async with caller.transaction() as session:
        imported = await import_payments(session, caller.actor, file, caller.app_context.keys, caller.at)
        if imported.issues or dry_run:
            raise _RolledBack(imported)
    return imported


@router.get("/students/{student_id}/aid", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def get_student_aid(caller: StaffCaller, student_id: UUID) -> StudentAidOut:
    """学生资助：申请、批准、发放、账目和余额 · A student's aid with the ledger and its balances."""
    async with caller.transaction() as session:
        aid = await aid_queries.get_student_aid(session, caller.actor, student_id, caller.at)
    return StudentAidOut.from_aid(aid)


# --- withdrawals ---


@router.get("/aid-withdrawals", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def list_aid_withdrawals(
    caller: StaffCaller,
    state: FilingState | None = None,
    kind: FilingKind | None = None,
    school_id: UUID | None = None,
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    sort: FilingSort = "-filed_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[FilingOut]:
    """资助撤回与恢复（新的在前，未签收的附天数） · Withdrawals and reinstatements; unacknowledged ones with their age."""
    search = FilingSearch(state, kind, school_id, unit_id, student_condition(caller, q))
    at = caller.at
    async with caller.transaction() as session:
        page = await list_filings(session, caller.actor, search, PageRequest(limit, cursor, sort, total))
        schools = await load_schools(session, {row.filing.school_id for row in page.rows})
    return page.render_counted(
        lambda row: FilingOut.from_view_at(row, schools[row.filing.school_id].path, at)
    )


@router.get("/aid-withdrawals/{withdrawal_id}", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def get_aid_withdrawal(caller: StaffCaller, withdrawal_id: UUID) -> FilingDetailOut:
    """查看撤回或恢复（已发放部分照列、不变） · One filing with every instalment, including the unaffected paid ones."""
    async with caller.transaction() as session:
        view = await get_filing(session, caller.actor, withdrawal_id)
        lines = (await load_filing_lines(session, [view.filing]))[view.filing.id]
        schools = await load_schools(session, {view.filing.school_id})
    filing = FilingOut.from_view_at(view, schools[view.filing.school_id].path, caller.at)
    return FilingDetailOut(**filing.model_dump(), lines=[FilingLineOut.from_line(line) for line in lines])


@router.post(
    "/aid-withdrawals/{withdrawal_id}/acknowledgement",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def acknowledge_aid_withdrawal(
    caller: StaffCaller, withdrawal_id: UUID, body: AcknowledgementIn
) -> FilingOut:
    """资助部门签收 · Record, once, that the aid office accepted a filing under its own number."""
    command = AcknowledgeFiling(withdrawal_id, body.reference)
    async with caller.transaction() as session:
        view = await acknowledge_filing(session, caller.actor, command, caller.at)
        schools = await load_schools(session, {view.filing.school_id})
    return FilingOut.from_view_at(view, schools[view.filing.school_id].path, caller.at)


@router.get("/reports/aid-balance", responses=problem_responses(401, 403, 409, 422))
@with_names
async def list_aid_balances(
    caller: StaffCaller,
    term_code: TermCode = None,
    school_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[BalanceOut]:
    """资助账目平衡表（按学校和学期） · Balances of aid by school and term. The accounts sum to zero."""
    after = None
    if cursor is not None:
        school, term = decode_cursor(cursor, 2)
        after = (parse_id(school), term)
    search = BalanceSearch(term_code, school_id)
    async with caller.transaction() as session:
        rows = await list_balances(session, caller.actor, search, caller.at, after, limit + 1)
    page = rows[:limit]
    has_more = len(rows) > limit
    next_cursor = encode_cursor(str(page[-1].school_id), page[-1].term_code) if has_more else None
    return Page(items=[BalanceOut.from_balance(row) for row in page], next_cursor=next_cursor)
