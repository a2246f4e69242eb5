"""Exports of filings for the aid office: requested with a purpose, approved by a second person, downloads audited.

谁导出、谁负责 (MOE14-5). The only personal number in the file is the student number, which the aid office needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidExportApproved, AidExportTooLarge, AidExportUnapproved, AidNothingToExport
from backend.aid.export_file import ExportRow
from backend.aid.filings import (
    FilingLine,
    FilingSearch,
    FilingView,
    describe_change,
    load_filing_lines,
    load_schools,
    require_aid_role,
    select_filings,
    select_found_filings,
)
from backend.aid.tables import (
    AidExport,
    AidExportApproval,
    AidExportLine,
    AidFiling,
    AidFilingExported,
)
from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.tables import AuditEntry
from backend.identity.tables import Account
from backend.org.tables import OrgUnit
from backend.people.queries import decrypt_student_number

MAX_FILINGS = 5_000
"""Filings per export."""
REQUESTED, APPROVED, DOWNLOADED = "aid.export_requested", "aid.export_approved", "aid.export_taken"
"""The actions of the audit log."""
_SUBJECT = "aid_export"


@dataclass(frozen=True, slots=True)
class RequestExport:
    """The purpose of the export and its filings: these, or those that a search finds, or all that were never exported."""

    purpose: str
    filing_ids: tuple[UUID, ...] = ()
    search: FilingSearch | None = None


@dataclass(frozen=True, slots=True)
class ExportView:
    """An export with its approval, the name of its owner, and the number of its filings."""

    export: AidExport
    approval: AidExportApproval | None
    owner: str
    filing_count: int


@dataclass(frozen=True, slots=True)
class ExportContent:
    """The rows of an export's file."""

    export: ExportView
    rows: Sequence[ExportRow]


async def request_export(
    session: AsyncSession, actor: Actor, command: RequestExport, at: datetime
) -> ExportView:
    """Request a file of filings; raises `NotFound`, `AidNothingToExport` and `AidExportTooLarge`."""
    require_aid_role(actor)
    filings = await _find_filings(session, actor, command)
    export = AidExport(
        id=new_id(),
        org_path=actor.org_path,
        purpose=command.purpose,
        requested_by=actor.account_id,
        requested_at=at,
    )
    session.add(export)
    await session.flush()
    session.add_all(
        AidExportLine(export_id=export.id, filing_id=view.filing.id, school_id=view.filing.school_id)
        for view in filings
    )
    await session.flush()
    _record(session, actor, REQUESTED, export, len(filings), at)
    return await get_export(session, actor, export.id)


async def _find_filings(session: AsyncSession, actor: Actor, command: RequestExport) -> Sequence[FilingView]:
    """The filings of a request, oldest first. What was never exported is taken up to the limit; a search is not cut off."""
    limit = MAX_FILINGS
    if command.filing_ids:
        query = select_filings().where(AidFiling.id.in_(command.filing_ids))
    elif command.search is not None:
        query = await select_found_filings(session, actor, command.search)
        limit = MAX_FILINGS + 1
    else:
        query = select_filings().where(AidFilingExported.at.is_(None))
    rows = await session.execute(query.order_by(AidFiling.id).limit(limit))
    filings = [FilingView(*row) for row in rows]
    if len(filings) < len(set(command.filing_ids)):
        raise NotFound
    if not filings:
        raise AidNothingToExport
    if len(filings) > MAX_FILINGS:
        raise AidExportTooLarge(limit=MAX_FILINGS)
    return filings


async def get_export(session: AsyncSession, actor: Actor, export_id: UUID) -> ExportView:
    """Return an export requested by the caller's unit or a unit below it; raises `NotFound`."""
    require_aid_role(actor)
    row = (await session.execute(_select_exports().where(AidExport.id == export_id))).one_or_none()
    if row is None:
        raise NotFound
    (view,) = await _count_filings(session, [row])
    return view


async def list_exports(
    session: AsyncSession, actor: Actor, before: UUID | None, limit: int
) -> Sequence[ExportView]:
    """Return at most `limit` exports of the caller's unit and below with ids below `before`, newest first."""
    require_aid_role(actor)
    page = _select_exports().order_by(AidExport.id.desc()).limit(limit)
    if before is not None:
        page = page.where(AidExport.id < before)
    return await _count_filings(session, (await session.execute(page)).all())


def _select_exports() -> Select[*tuple[Any, ...]]:
    return (
        select(AidExport, AidExportApproval, Account.display_name)
        .outerjoin(AidExportApproval, AidExportApproval.export_id == AidExport.id)
        .outerjoin(Account, Account.id == AidExport.requested_by)
    )


async def _count_filings(session: AsyncSession, rows: Sequence[Any]) -> list[ExportView]:
    """Count the filings of exports that are in the tenant scope."""
    ids = [export.id for export, _, _ in rows]
    counts = (
        select(AidExportLine.export_id, func.count())
        .where(AidExportLine.export_id.in_(ids))
        .group_by(AidExportLine.export_id)
    )
    counted = {row[0]: row[1] for row in await session.execute(counts)}
    return [
        ExportView(export, approval, owner or str(export.requested_by), counted.get(export.id, 0))
        for export, approval, owner in rows
    ]


async def load_export_acts(session: AsyncSession, export_id: UUID) -> Sequence[AuditEntry]:
    """Return what was done about an export: requested, approved, and each download, oldest first."""
    return await audit.load_acts(session, _SUBJECT, str(export_id), (REQUESTED, APPROVED, DOWNLOADED))


async def _load_export_lines(session: AsyncSession, export_id: UUID) -> Sequence[AidExportLine]:
    """Load the filings of an export that are in the tenant scope."""
    lines = select(AidExportLine).where(AidExportLine.export_id == export_id)
    return (await session.scalars(lines)).all()


async def approve_export(session: AsyncSession, actor: Actor, export_id: UUID, at: datetime) -> ExportView:
    """Approve an export, once, never as its requester. Its filings count as exported from now on.

    Raises `NotFound`, `NotPermitted` and `AidExportApproved`.
    """
    found = await get_export(session, actor, export_id)
    if actor.account_id == found.export.requested_by:
        raise NotPermitted(
            reason_zh="导出须由申请人以外的人批准",
            reason_en="an export is approved by an account other than the requester",
        )
    row = {
        "export_id": export_id,
        "org_path": found.export.org_path,
        "requested_by": found.export.requested_by,
        "approved_by": actor.account_id,
        "at": at,
    }
    insertion = insert(AidExportApproval).values(row).on_conflict_do_nothing()
    if await session.scalar(insertion.returning(AidExportApproval.export_id)) is None:
        raise AidExportApproved
    exported = [
        {"filing_id": line.filing_id, "school_id": line.school_id, "export_id": export_id, "at": at}
        for line in await _load_export_lines(session, export_id)
    ]
    await session.execute(insert(AidFilingExported).on_conflict_do_nothing(), exported)
    _record(session, actor, APPROVED, found.export, len(exported), at)
    return await get_export(session, actor, export_id)


async def download_export(
    session: AsyncSession, actor: Actor, export_id: UUID, keys: KeyRing, at: datetime
) -> ExportContent:
    """Return the rows of the file to its requester only; every download is audited.

    Raises `NotFound`, `NotPermitted` and `AidExportUnapproved`.
    """
    found = await get_export(session, actor, export_id)
    if actor.account_id != found.export.requested_by:
        raise NotPermitted(
            reason_zh="文件只由申请导出并负责的人下载",
            reason_en="only the requester, who is responsible for the file, downloads it",
        )
    if found.approval is None:
        raise AidExportUnapproved
    ids = [line.filing_id for line in await _load_export_lines(session, export_id)]
    query = select_filings().where(AidFiling.id.in_(ids)).order_by(AidFiling.id)
    filings = [FilingView(*row) for row in await session.execute(query)]
    rows = await _build_rows(session, filings, keys)
    _record(session, actor, DOWNLOADED, found.export, len(filings), at)
    return ExportContent(found, rows)


async def _build_rows(session: AsyncSession, filings: Sequence[FilingView], keys: KeyRing) -> list[ExportRow]:
    schools = await load_schools(session, {view.filing.school_id for view in filings})
    lines = await load_filing_lines(session, [view.filing for view in filings])
    return [
        _build_row(view, line, schools[view.filing.school_id], keys)
        for view in filings
        for line in lines[view.filing.id]
    ]


def _build_row(view: FilingView, line: FilingLine, school: OrgUnit, keys: KeyRing) -> ExportRow:
    change, _ = describe_change(view.entry, school.path)
    return ExportRow(
        filing_id=view.filing.id,
        filing_kind=view.filing.kind,
        school_code=school.code,
        school_name=school.name,
        student_number=decrypt_student_number(view.student, keys) or "",
        name=view.student.name,
        term_code=view.filing.term_code,
        aid_kind=line.kind,
        month=line.month,
        granted=line.granted,
        paid=line.paid,
        fen=line.fen,
        change=change,
        changed_at=view.entry.at,
    )


def _record(
    session: AsyncSession, actor: Actor, action: str, export: AidExport, count: int, at: datetime
) -> None:
    """Audit the purpose, the owner and the number of filings; never student numbers."""
    facts = {"purpose": export.purpose, "owner": str(export.requested_by), "filings": count}
    audit.record(session, audit.Act(action, _SUBJECT, str(export.id), actor.org_path, after=facts), at)
