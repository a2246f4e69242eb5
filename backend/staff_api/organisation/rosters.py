"""The roster: importing a school's file, and the empty template."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.web.problems import documented, problem_response
from backend.core.web.requests import BodyTooLarge, Caller
from backend.exchange.roster.errors import RosterEmpty, RosterHasErrors
from backend.exchange.roster.importer import ImportReport, RosterImport, import_roster
from backend.exchange.roster.issues import RowIssue, Severity
from backend.exchange.roster.summary import RosterSummary
from backend.exchange.roster.validation import ValidatedRoster, validate_upload
from backend.exchange.roster.writer import write_template
from backend.org.tables import OrgUnit
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["花名册 · roster"])

MAX_UPLOAD = 64 * 2**20
"""Bytes. 200,000 rows with every column filled are a workbook of 58 MB."""
LARGER_BODIES = {"/v1/roster-imports": MAX_UPLOAD}
"""The addresses of this API that take more than the common limit, and how much (bytes)."""

FINDINGS = 200
"""Findings of each severity that an answer lists; all are counted."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_READING = asyncio.Semaphore(2)
"""Files read at a time by one server process; others wait their turn."""

FileName = Annotated[
    str,
    Query(
        min_length=5,
        max_length=200,
        pattern=r"^[^\x00-\x1f/\\]+\.([Xx][Ll][Ss][Xx]|[Cc][Ss][Vv])$",
        description="文件名，.xlsx 或 .csv · name of the file in the body",
        examples=["2026级新生.xlsx"],
    ),
]
DryRun = Annotated[bool, Query(description="只检查，不写入 · check only; nothing is written")]
SkipBadRows = Annotated[bool, Query(description="跳过有错误的行 · leave out the rows with errors")]
Variant = Annotated[
    Literal["national", "national-2022"], Query(description="模板版本 · variant of the template")
]


class FindingOut(BaseModel):
    """One finding about a row. `row` counts as the spreadsheet program shows it; personal values are masked."""

    sheet: str = Field(examples=["学生信息"])
    row: int = Field(examples=[17])
    column: str = Field(examples=["身份证件号"])
    letter: str = Field(description="empty where the finding is about the roll, not a cell", examples=["E"])
    value: str = Field(examples=["410*************2X"])
    code: str = Field(examples=["number_precision_lost"])
    severity: Severity
    zh: str = Field(examples=["该列被存成了数字，末几位已丢失。请将整列设为“文本”格式后重新录入号码。"])
    en: str


class RosterSummaryOut(BaseModel):
    """What is in the file. An error keeps a row out; a warning lets it in."""

    importable: bool
    rows: int = Field(examples=[620])
    students: int = Field(examples=[618])
    rows_with_errors: int = Field(examples=[2])
    classes: int = Field(examples=[13])
    errors_by_code: dict[str, int] = Field(examples=[{"value_missing": 2}])
    warnings_by_code: dict[str, int] = Field(examples=[{"phone_unreadable": 1}])
    study_forms: dict[str, int] = Field(examples=[{"full_time": 600, "part_time": 18}])
    programmes: dict[str, int] = Field(examples=[{"regular": 618}])
    first_errors: list[FindingOut]
    first_warnings: list[FindingOut]


class ImportReportOut(BaseModel):
    """What became of the rows. Study form and standing on the roll are never changed by a file (`flagged`)."""

    rows: int = Field(examples=[618])
    created: int = Field(examples=[600])
    updated: int = Field(examples=[8])
    unchanged: int = Field(examples=[10])
    flagged: int = Field(examples=[1])
    elsewhere: int = Field(description="他校已有学籍 · also on another school's roll", examples=[0])
    not_in_file: int = Field(description="left as they are", examples=[3])
    classes_created: int = Field(examples=[12])
    findings: list[FindingOut]


class RosterImportOut(BaseModel):
    """The file as it was read and, unless it was a dry run, what was entered."""

    dry_run: bool
    file_sha256: str
    summary: RosterSummaryOut
    report: ImportReportOut | None


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "文件内容 · the bytes of the file",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/roster-imports",
    response_model=RosterImportOut,
    openapi_extra=_BODY,
    responses=documented(401, 403, 409, 413, 415, 422),
)
async def post_roster_import(
    request: Request,
    caller: StaffCaller,
    file_name: FileName,
    *,
    dry_run: DryRun = True,
    skip_bad_rows: SkipBadRows = False,
) -> RosterImportOut | JSONResponse:
    """导入花名册 · Import the roster of the registrar's own school, or only check it.

    The same file again changes nothing. A file with errors is refused whole, with its findings in `errors`.
    """
    if caller.actor.role != "registrar":
        raise NotPermitted(
            reason_zh="花名册由学校管理员导入", reason_en="a roster is imported by the school's registrar"
        )
    with TemporaryDirectory() as folder:
        checked = await _checked(request, caller, Path(folder), file_name)
        summary = checked.summary
        if not dry_run and summary.errors and not skip_bad_rows:
            refusal = RosterHasErrors(rows=summary.rows_with_errors)
            return problem_response(request, refusal, [_problem(found) for found in summary.first_errors])
        if not dry_run and not summary.students:
            raise RosterEmpty
        report = None if dry_run else await _entered(caller, checked)
    return RosterImportOut(
        dry_run=dry_run,
        file_sha256=checked.sha256,
        summary=_summary_out(summary),
        report=None if report is None else ImportReportOut.model_validate(report, from_attributes=True),
    )


async def _checked(request: Request, caller: Caller, folder: Path, file_name: str) -> ValidatedRoster:
    """The body on disk, then read to its end, in no transaction. The name serves for its suffix only."""
    upload = folder / f"roster{Path(file_name).suffix.lower()}"
    taken = 0
    with upload.open("wb") as file:
        async for chunk in request.stream():
            taken += len(chunk)
            if taken > MAX_UPLOAD:
                raise BodyTooLarge(limit=MAX_UPLOAD)
            file.write(chunk)
    async with _READING:
        return await validate_upload(upload, folder / "rows", today=legal_day(caller.at), shown=FINDINGS)


async def _entered(caller: Caller, checked: ValidatedRoster) -> ImportReport:
    async with caller.transaction() as session:
        school = await session.get_one(OrgUnit, caller.actor.org_id)
        command = RosterImport(school, checked.rows(), checked.sha256)
        return await import_roster(session, caller.actor, command, caller.app_context.keys, caller.at)


def _summary_out(summary: RosterSummary) -> RosterSummaryOut:
    return RosterSummaryOut.model_validate(summary.as_dict())


def _problem(found: RowIssue) -> dict[str, Any]:
    return FindingOut.model_validate(found, from_attributes=True).model_dump(mode="json")


@router.get(
    "/roster-template",
    response_class=Response,
    responses={200: {"content": {XLSX: {}}, "description": "xlsx"}, **documented(401, 422)},
)
def get_roster_template(caller: StaffCaller, variant: Variant = "national") -> Response:
    """空白模板 · The empty template, with lists to choose from and instructions."""
    del caller  # whoever signed in
    with TemporaryDirectory() as folder:
        path = Path(folder) / "template.xlsx"
        write_template(path, variant=variant)
        content = path.read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="roster-{variant}.xlsx"'}
    return Response(content, media_type=XLSX, headers=headers)
