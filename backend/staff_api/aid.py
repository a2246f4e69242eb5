"""Aid for staff: applications, payments, the ledger, and what is filed with the aid office (HN334-4.1d, MOE15-1.2)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from backend.aid.applications import ApplyForClass, DecideAid, apply_for_many, decide_aid
from backend.aid.eligibility import FindDuplicate, record_duplicate
from backend.aid.errors import AidPaymentsUnfit
from backend.aid.export_file import Mark, delimited, workbook
from backend.aid.exports import RequestExport, approve_export, request_export, take_export
from backend.aid.payments import PaymentLine, must_record_payments, record_payments
from backend.aid.queries import (
    ApplicationSearch,
    ApplicationState,
    BalanceSearch,
    application_of,
    applications_page,
    balances,
    student_aid,
)
from backend.aid.schemas import AidApplicationOut
from backend.aid.withdrawals import (
    Acknowledge,
    FilingKind,
    FilingSearch,
    FilingState,
    acknowledge,
    filing_for,
    filings_page,
    lines_of,
    schools_of,
)
from backend.core.clock import legal_day
from backend.core.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, parse_id
from backend.core.web.problems import documented, problem_response
from backend.core.web.requests import read_bounded
from backend.exchange.aid_payments.importer import EnteredFile, enter_payments
from backend.exchange.aid_payments.reader import PaymentFile, read_upload
from backend.staff_api.aid_schemas import (
    AcknowledgementIn,
    AidApplicationsIn,
    AidApplicationsOut,
    AidDecisionIn,
    BalanceOut,
    DuplicateIn,
    DuplicateOut,
    ExportIn,
    ExportOut,
    FilingDetailOut,
    FilingLineOut,
    FilingOut,
    PassedOut,
    PaymentFileOut,
    PaymentsIn,
    PaymentsOut,
    StudentAidOut,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.organisation.rosters import FINDINGS, XLSX, DryRun, FileName, FindingOut
from backend.staff_api.pagination import page_of, position_id

router = APIRouter(prefix="/v1", tags=["资助 · aid"])

TermCode = Annotated[
    str | None,
    Query(min_length=1, max_length=50, pattern=r"^[^\x00]+$", description="学期", examples=["2026-autumn"]),
]
CSV = "text/csv"

# --- applications ---


@router.post("/aid-applications", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_applications(caller: StaffCaller, body: AidApplicationsIn) -> AidApplicationsOut:
    """批量申请资助（按班级或全校） · Apply for a class or the school; who is passed over is named with why."""
    command = ApplyForClass(body.kind, body.class_id)
    async with caller.transaction() as session:
        done = await apply_for_many(session, caller.actor, command, caller.app_context.keys, caller.at)
    passed = [PassedOut(student_id=p.student_id, code=p.code, zh=p.zh, en=p.en) for p in done.passed]
    return AidApplicationsOut(filed=list(done.filed), passed=passed)


@router.get("/aid-applications", responses=documented(401, 403, 422))
async def list_applications(
    caller: StaffCaller,
    state: ApplicationState | None = None,
    term_code: TermCode = None,
    class_id: UUID | None = None,
    school_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AidApplicationOut]:
    """资助申请（新的在前） · Applications, newest first."""
    search = ApplicationSearch(state, term_code, class_id, school_id)
    async with caller.transaction() as session:
        rows = await applications_page(session, caller.actor, search, position_id(cursor), limit + 1)
    return page_of(rows, limit, AidApplicationOut.of, lambda row: row.application.id)


@router.post(
    "/aid-applications/{application_id}/decision",
    status_code=201,
    responses=documented(401, 403, 404, 409, 422),
)
async def post_decision(caller: StaffCaller, application_id: UUID, body: AidDecisionIn) -> AidApplicationOut:
    """审批资助申请（申请人不得审批） · Approve or refuse, once; never what one filed oneself."""
    command = DecideAid(application_id, body.outcome, body.reasons)
    async with caller.transaction() as session:
        await decide_aid(session, caller.actor, command, caller.app_context.keys, caller.at)
        decided = await application_of(session, application_id)
    return AidApplicationOut.of(decided)


@router.post(
    "/students/{student_id}/aid-duplicate-findings",
    status_code=201,
    responses=documented(401, 403, 404, 422),
)
async def post_duplicate_finding(caller: StaffCaller, student_id: UUID, body: DuplicateIn) -> DuplicateOut:
    """登记重复学籍核查结果 · Record what a check of the duplicate lists found; the newest finding counts."""
    command = FindDuplicate(student_id, body.duplicate, body.evidence)
    async with caller.transaction() as session:
        row = await record_duplicate(session, caller.actor, command, caller.at)
    return DuplicateOut(
        id=row.id, student_id=row.student_id, duplicate=row.duplicate, evidence=row.evidence, at=row.at
    )


# --- payments ---


@router.post(
    "/aid-payments",
    status_code=201,
    response_model=PaymentsOut,
    responses=documented(401, 403, 409, 422),
)
async def post_payments(
    request: Request, caller: StaffCaller, body: PaymentsIn
) -> PaymentsOut | JSONResponse:
    """登记资助发放 · Record payments, all or none; what is known from before changes nothing."""
    lines = [
        PaymentLine(line, f"#{line + 1}", p.student_id, p.kind, p.month, p.fen, p.paid_on, p.reference)
        for line, p in enumerate(body.payments)
    ]
    try:
        async with caller.transaction() as session:
            done = await record_payments(session, caller.actor, lines, caller.at)
    except AidPaymentsUnfit as unfit:
        errors = [
            {
                "field": f"body.payments.{each.line}.{each.field}",
                "value": each.value,
                "code": each.code,
                "message": each.en,
                "zh": each.zh,
            }
            for each in unfit.objections
        ]
        return problem_response(request, unfit, errors)
    return PaymentsOut.of(done)


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "文件内容 · the bytes of the file",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/aid-payment-imports",
    response_model=PaymentFileOut,
    openapi_extra=_BODY,
    responses=documented(401, 403, 409, 413, 415, 422),
)
async def post_payment_import(
    request: Request, caller: StaffCaller, file_name: FileName, *, dry_run: DryRun = True
) -> PaymentFileOut | JSONResponse:
    """导入发放记录（学籍号、资助项目、月份、金额（元）、发放日期、凭证号） · Record a file of payments, or only check it.

    A file with errors is refused whole, each named by sheet, row and column; the same file again changes nothing.
    """
    must_record_payments(caller.actor, caller.at)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"payments{Path(file_name).suffix.lower()}"
        path.write_bytes(await read_bounded(request, caller.app_context.settings.request_body_limit))
        file = await read_upload(path, today=legal_day(caller.at))
    try:
        entered = await _entered(caller, file, keep=not dry_run)
    except _NotKept as only_checked:
        entered = only_checked.entered
    if entered.issues and not dry_run:
        refusal = AidPaymentsUnfit(lines=len({(each.sheet, each.row) for each in entered.issues}))
        return problem_response(
            request, refusal, [each.model_dump(mode="json") for each in _findings(entered)]
        )
    report = None if dry_run or entered.recorded is None else PaymentsOut.of(entered.recorded)
    return PaymentFileOut(
        dry_run=dry_run,
        file_sha256=file.sha256.hex(),
        rows=entered.rows,
        findings=_findings(entered),
        report=report,
    )


class _NotKept(Exception):
    """Ends a transaction whose result is looked at and thrown away."""

    def __init__(self, entered: EnteredFile) -> None:
        self.entered = entered
        super().__init__()


async def _entered(caller: StaffCaller, file: PaymentFile, *, keep: bool) -> EnteredFile:
    async with caller.transaction() as session:
        entered = await enter_payments(session, caller.actor, file, caller.app_context.keys, caller.at)
        if entered.issues or not keep:
            raise _NotKept(entered)
    return entered


def _findings(entered: EnteredFile) -> list[FindingOut]:
    return [FindingOut.model_validate(each, from_attributes=True) for each in entered.issues[:FINDINGS]]


@router.get("/students/{student_id}/aid", responses=documented(401, 403, 404, 409, 422))
async def get_student_aid(caller: StaffCaller, student_id: UUID) -> StudentAidOut:
    """学生资助：申请、批准、发放、账目和余额 · A student's aid, with the ledger and its balances."""
    async with caller.transaction() as session:
        aid = await student_aid(session, caller.actor, student_id, caller.at)
    return StudentAidOut.of(aid)


# --- withdrawals ---


@router.get("/aid-withdrawals", responses=documented(401, 403, 409, 422))
async def list_withdrawals(
    caller: StaffCaller,
    state: FilingState | None = None,
    kind: FilingKind | None = None,
    school_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[FilingOut]:
    """资助撤回与恢复（新的在前，未签收的附天数） · Withdrawals and what undid them; the unacknowledged with their age."""
    search = FilingSearch(state, kind, school_id)
    at = caller.at
    async with caller.transaction() as session:
        rows = await filings_page(session, caller.actor, search, position_id(cursor), limit + 1)
        schools = await schools_of(session, {row.filing.school_id for row in rows})
    return page_of(
        rows,
        limit,
        lambda row: FilingOut.listed(row, schools[row.filing.school_id].path, at),
        lambda row: row.filing.id,
    )


@router.get("/aid-withdrawals/{withdrawal_id}", responses=documented(401, 403, 404, 409, 422))
async def get_withdrawal(caller: StaffCaller, withdrawal_id: UUID) -> FilingDetailOut:
    """查看撤回或恢复（已发放部分照列、不变） · One filing with every instalment; what was paid is untouched."""
    async with caller.transaction() as session:
        found = await filing_for(session, caller.actor, withdrawal_id)
        lines = (await lines_of(session, [found.filing]))[found.filing.id]
        schools = await schools_of(session, {found.filing.school_id})
    listed = FilingOut.listed(found, schools[found.filing.school_id].path, caller.at)
    return FilingDetailOut(**listed.model_dump(), lines=[FilingLineOut.of(line) for line in lines])


@router.post(
    "/aid-withdrawals/{withdrawal_id}/acknowledgement",
    status_code=201,
    responses=documented(401, 403, 404, 409, 422),
)
async def post_acknowledgement(
    caller: StaffCaller, withdrawal_id: UUID, body: AcknowledgementIn
) -> FilingOut:
    """资助部门签收 · The aid office acknowledges a filing under its own number, once."""
    command = Acknowledge(withdrawal_id, body.reference)
    async with caller.transaction() as session:
        found = await acknowledge(session, caller.actor, command, caller.at)
        schools = await schools_of(session, {found.filing.school_id})
    return FilingOut.listed(found, schools[found.filing.school_id].path, caller.at)


@router.post("/aid-withdrawal-exports", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_export(caller: StaffCaller, body: ExportIn) -> ExportOut:
    """申请导出（谁导出、谁负责） · Ask for a file for the aid office, with its purpose."""
    command = RequestExport(body.purpose, tuple(body.filing_ids))
    async with caller.transaction() as session:
        found = await request_export(session, caller.actor, command, caller.at)
    return ExportOut.of(found)


@router.post(
    "/aid-withdrawal-exports/{export_id}/approval",
    status_code=201,
    responses=documented(401, 403, 404, 409, 422),
)
async def post_export_approval(caller: StaffCaller, export_id: UUID) -> ExportOut:
    """批准导出（申请人不得批准） · Agree that the file may leave; never what one asked for oneself."""
    async with caller.transaction() as session:
        found = await approve_export(session, caller.actor, export_id, caller.at)
    return ExportOut.of(found)


@router.get(
    "/aid-withdrawal-exports/{export_id}/file",
    response_class=Response,
    responses={
        200: {"content": {XLSX: {}, CSV: {}}, "description": "xlsx, csv"},
        **documented(401, 403, 404, 409, 422),
    },
)
async def get_export_file(
    caller: StaffCaller,
    export_id: UUID,
    form: Annotated[
        Literal["xlsx", "csv"], Query(alias="format", description="文件格式 · which file")
    ] = "xlsx",
) -> Response:
    """下载报送文件（每次下载留痕） · The file, for the person who answers for it; every taking is audited."""
    async with caller.transaction() as session:
        content = await take_export(session, caller.actor, export_id, caller.app_context.keys, caller.at)
    export = content.export
    mark = Mark(export.export.id, export.owner, export.export.purpose)
    headers = {
        "Content-Disposition": f'attachment; filename="aid-{export_id}.{form}"',
        "Cache-Control": "no-store",
    }
    if form == "csv":
        return Response(delimited(content.lines, mark), media_type=CSV, headers=headers)
    return Response(workbook(content.lines, mark), media_type=XLSX, headers=headers)


@router.get("/reports/aid-balance", responses=documented(401, 403, 409, 422))
async def get_balance(
    caller: StaffCaller,
    term_code: TermCode = None,
    school_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[BalanceOut]:
    """资助账目平衡表（按学校和学期） · Where aid stands by school and term; the accounts sum to nothing."""
    after = None
    if cursor is not None:
        school, term = decode_cursor(cursor, 2)
        after = (parse_id(school), term)
    search = BalanceSearch(term_code, school_id)
    async with caller.transaction() as session:
        rows = await balances(session, caller.actor, search, caller.at, after, limit + 1)
    shown = rows[:limit]
    more = len(rows) > limit
    following = encode_cursor(str(shown[-1].school_id), shown[-1].term_code) if more else None
    return Page(items=[BalanceOut.of(row) for row in shown], next_cursor=following)
