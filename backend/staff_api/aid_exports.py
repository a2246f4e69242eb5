"""Endpoints of exports for the aid office: requested with a purpose, approved by a second person (MOE14-5)."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from backend.aid.export_file import Watermark, write_csv, write_workbook
from backend.aid.exports import (
    approve_export,
    download_export,
    get_export,
    list_exports,
    load_export_acts,
    request_export,
)
from backend.aid.filing_schemas import ExportActOut, ExportDetailOut, ExportIn, ExportOut
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.organisation.rosters import XLSX
from backend.staff_api.pagination import build_page, cursor_id
from backend.staff_api.student_search import student_condition

router = APIRouter(prefix="/v1/aid-withdrawal-exports", tags=["资助 · aid"])

CSV = "text/csv"


@router.get("", responses=problem_responses(401, 403, 422))
@with_names
async def list_aid_withdrawal_exports(
    caller: StaffCaller, limit: Limit = 50, cursor: Cursor = None
) -> Page[ExportOut]:
    """导出申请（新的在前） · Exports that the own unit and the units below requested, newest first."""
    async with caller.transaction() as session:
        views = await list_exports(session, caller.actor, cursor_id(cursor), limit + 1)
    return build_page(views, limit, ExportOut.from_view, lambda view: view.export.id)


@router.post("", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def request_aid_withdrawal_export(caller: StaffCaller, body: ExportIn) -> ExportOut:
    """申请导出（谁导出、谁负责） · Request a file for the aid office, with its purpose."""
    matching = student_condition(caller, body.filter.q if body.filter else None)
    async with caller.transaction() as session:
        view = await request_export(session, caller.actor, body.to_request(matching), caller.at)
    return ExportOut.from_view(view)


@router.get("/{export_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_aid_withdrawal_export(caller: StaffCaller, export_id: UUID) -> ExportDetailOut:
    """一次导出及其办理和下载记录 · One export with who requested, approved and downloaded it, oldest first."""
    async with caller.transaction() as session:
        view = await get_export(session, caller.actor, export_id)
        acts = await load_export_acts(session, export_id)
    return ExportDetailOut(
        **ExportOut.from_view(view).model_dump(), acts=[ExportActOut.from_entry(entry) for entry in acts]
    )


@router.post("/{export_id}/approval", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def approve_aid_withdrawal_export(caller: StaffCaller, export_id: UUID) -> ExportOut:
    """批准导出（申请人不得批准） · Approve an export. The requester cannot approve it."""
    async with caller.transaction() as session:
        view = await approve_export(session, caller.actor, export_id, caller.at)
    return ExportOut.from_view(view)


@router.get(
    "/{export_id}/file",
    response_class=Response,
    responses={
        200: {"content": {XLSX: {}, CSV: {}}, "description": "xlsx, csv"},
        **problem_responses(401, 403, 404, 409, 422),
    },
)
async def download_aid_withdrawal_export(
    caller: StaffCaller,
    export_id: UUID,
    file_format: Annotated[
        Literal["xlsx", "csv"], Query(alias="format", description="文件格式 · file format")
    ] = "xlsx",
) -> Response:
    """下载报送文件（每次下载留痕） · Download the file as its requester. Every download is audited."""
    async with caller.transaction() as session:
        content = await download_export(session, caller.actor, export_id, caller.app_context.keys, caller.at)
    export = content.export
    watermark = Watermark(export.export.id, export.owner, export.export.purpose)
    headers = {
        "Content-Disposition": f'attachment; filename="aid-{export_id}.{file_format}"',
        "Cache-Control": "no-store",
    }
    if file_format == "csv":
        return Response(write_csv(content.rows, watermark), media_type=CSV, headers=headers)
    return Response(write_workbook(content.rows, watermark), media_type=XLSX, headers=headers)
