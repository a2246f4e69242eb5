"""Endpoints of rosters: import a school's file, download the empty template."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.web.problems import problem_response, problem_responses
from backend.core.web.request_checks import refuse_form
from backend.core.web.requests import BodyTooLarge, Caller
from backend.exchange.roster.annotation import annotate_upload
from backend.exchange.roster.errors import RosterEmpty, RosterHasErrors
from backend.exchange.roster.importer import ImportReport, RosterImport, import_roster
from backend.exchange.roster.schemas import FindingOut, ImportReportOut, RosterImportOut, RosterSummaryOut
from backend.exchange.roster.validation import ValidatedRoster, validate_upload
from backend.exchange.roster.writer import write_template
from backend.org.tables import OrgUnit
from backend.staff_api.caller import StaffCaller
from backend.staff_api.workbook_response import WORKBOOK_BODY, WorkbookResponse, workbook_response

router = APIRouter(prefix="/v1", tags=["花名册 · roster"])

MAX_UPLOAD = 64 * 2**20
"""Bytes. A workbook with 200,000 rows and every column filled has 58 MB."""
LARGER_BODIES = {"/v1/roster-imports": MAX_UPLOAD, "/v1/roster-annotations": MAX_UPLOAD}
"""The paths of this API that accept larger bodies than the general limit, with their limit in bytes."""

MAX_FINDINGS = 200
"""Findings of each severity that a response lists; all are counted."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_CONCURRENT_READS = asyncio.Semaphore(2)
"""Limits the files that one server process reads at the same time."""

FileName = Annotated[
    str,
    Query(
        min_length=5,
        max_length=200,
        pattern=r"^[^\x00-\x1f/\\]+\.([Xx][Ll][Ss][Xx]|[Cc][Ss][Vv])$",
        description="文件名，.xlsx 或 .csv · file name of the uploaded file",
        examples=["2026级新生.xlsx"],
    ),
]
DryRun = Annotated[bool, Query(description="只检查，不写入 · validate only, write nothing")]
SkipBadRows = Annotated[bool, Query(description="跳过有错误的行 · skip rows with errors")]
Variant = Annotated[
    Literal["national", "national-2022"], Query(description="模板版本 · variant of the template")
]


BINARY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "文件内容 · content of the file",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/roster-imports",
    response_model=RosterImportOut,
    openapi_extra=BINARY_BODY,
    responses=problem_responses(401, 403, 409, 413, 415, 422),
)
async def import_roster_file(
    request: Request,
    caller: StaffCaller,
    file_name: FileName,
    *,
    dry_run: DryRun = True,
    skip_bad_rows: SkipBadRows = False,
) -> RosterImportOut | JSONResponse:
    """导入花名册 · Import the roster of the registrar's own school, or only validate it.

    Importing a file again changes nothing. A file with errors is rejected as a whole, with its findings in `errors`.
    """
    _require_registrar(caller)
    refuse_form(request)
    with TemporaryDirectory() as folder:
        roster = await _validate_body(request, caller, Path(folder), file_name)
        summary = roster.summary
        if not dry_run and summary.errors and not skip_bad_rows:
            error = RosterHasErrors(rows=summary.rows_with_errors)
            findings = [
                FindingOut.model_validate(issue, from_attributes=True) for issue in summary.first_errors
            ]
            return problem_response(request, error, [finding.model_dump(mode="json") for finding in findings])
        if not dry_run and not summary.students:
            raise RosterEmpty
        report = None if dry_run else await _import_students(caller, roster)
    return RosterImportOut(
        dry_run=dry_run,
        file_sha256=roster.sha256,
        summary=RosterSummaryOut.model_validate(summary.as_dict()),
        report=None if report is None else ImportReportOut.model_validate(report, from_attributes=True),
    )


@router.post(
    "/roster-annotations",
    response_class=WorkbookResponse,
    openapi_extra=BINARY_BODY,
    responses=WORKBOOK_BODY | problem_responses(401, 403, 413, 415, 422),
)
async def annotate_roster_file(
    request: Request, caller: StaffCaller, file_name: FileName
) -> WorkbookResponse:
    """标出有问题的单元格 · The roster as a workbook with the faulty cells marked and a list of the findings.

    不写入数据，上传内容用毕即删 · Nothing is imported, and nothing of the upload is kept after the response.
    """
    _require_registrar(caller)
    refuse_form(request)
    with TemporaryDirectory() as folder:
        upload, target = await _receive(request, Path(folder), file_name), Path(folder) / "annotated.xlsx"
        async with _CONCURRENT_READS:
            await annotate_upload(upload, target, today=legal_day(caller.at))
        file = await asyncio.to_thread(target.open, "rb")  # it has no name once the folder is deleted
    return await workbook_response(file, f"{Path(file_name).stem}-检查结果", "roster-findings")


def _require_registrar(caller: Caller) -> None:
    if caller.actor.role != "registrar":
        raise NotPermitted(
            reason_zh="花名册由学校管理员导入", reason_en="only the school's registrar imports a roster"
        )


async def _validate_body(request: Request, caller: Caller, folder: Path, file_name: str) -> ValidatedRoster:
    """Write the body to disk and validate it, outside any transaction."""
    upload = await _receive(request, folder, file_name)
    async with _CONCURRENT_READS:
        return await validate_upload(upload, folder / "rows", today=legal_day(caller.at), shown=MAX_FINDINGS)


async def _receive(request: Request, folder: Path, file_name: str) -> Path:
    """Write the body to disk. Only the suffix of the file name is used."""
    upload = folder / f"roster{Path(file_name).suffix.lower()}"
    size = 0
    with upload.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_UPLOAD:
                raise BodyTooLarge(limit=MAX_UPLOAD)
            file.write(chunk)
    return upload


async def _import_students(caller: Caller, roster: ValidatedRoster) -> ImportReport:
    async with caller.transaction() as session:
        school = await session.get_one(OrgUnit, caller.actor.org_id)
        command = RosterImport(school, roster.rows(), roster.sha256)
        return await import_roster(session, caller.actor, command, caller.app_context.keys, caller.at)


@router.get(
    "/roster-template",
    response_class=Response,
    responses={200: {"content": {XLSX: {}}, "description": "xlsx"}, **problem_responses(401, 422)},
)
def download_roster_template(caller: StaffCaller, variant: Variant = "national") -> Response:
    """空白模板 · The empty template with drop-down lists and instructions."""
    del caller  # any signed-in account
    with TemporaryDirectory() as folder:
        path = Path(folder) / "template.xlsx"
        write_template(path, variant=variant)
        content = path.read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="roster-{variant}.xlsx"'}
    return Response(content, media_type=XLSX, headers=headers)
