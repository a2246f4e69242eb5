"""Files for the aid office: asked for by a named person with a purpose, approved by another, every taking audited.

谁导出、谁负责 (MOE14-5). Numbers are in clear in the file only, and only the student number, which the aid office
files by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidExportApproved, AidExportUnapproved, AidNothingToExport
from backend.aid.export_file import ExportedLine
from backend.aid.tables import (
    AidExport,
    AidExportApproval,
    AidExportLine,
    AidFiling,
    AidFilingExported,
)
from backend.aid.withdrawals import (
    Filing,
    FilingLine,
    change_words,
    filings,
    lines_of,
    must_handle_aid,
    schools_of,
)
from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity.tables import Account
from backend.org.tables import OrgUnit
from backend.people.queries import decrypt_student_number

MOST = 5_000
"""Filings in one file."""


@dataclass(frozen=True, slots=True)
class RequestExport:
    """Which filings to send, and what for; none named means all that were never sent, oldest first."""

    purpose: str
    filing_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Export:
    """A file that was asked for, who answers for it, and who agreed."""

    export: AidExport
    approval: AidExportApproval | None
    owner: str
    filings: int


@dataclass(frozen=True, slots=True)
class ExportContent:
    """What the file says."""

    export: Export
    lines: Sequence[ExportedLine]


async def request_export(session: AsyncSession, actor: Actor, command: RequestExport, at: datetime) -> Export:
    """Ask for a file of filings; raises `NotFound` and `AidNothingToExport`."""
    must_handle_aid(actor)
    wanted = filings().order_by(AidFiling.id).limit(MOST)
    if command.filing_ids:
        wanted = wanted.where(AidFiling.id.in_(command.filing_ids))
    else:
        wanted = wanted.where(AidFilingExported.at.is_(None))
    found = [Filing(*row) for row in await session.execute(wanted)]
    if len(found) < len(set(command.filing_ids)):
        raise NotFound
    if not found:
        raise AidNothingToExport
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
        AidExportLine(export_id=export.id, filing_id=each.filing.id, school_id=each.filing.school_id)
        for each in found
    )
    await session.flush()
    _record(session, actor, "aid.export_requested", export, len(found), at)
    return await export_for(session, actor, export.id)


async def export_for(session: AsyncSession, actor: Actor, export_id: UUID) -> Export:
    """One file, if it was asked for by the caller's unit or below it; raises `NotFound`."""
    must_handle_aid(actor)
    found = (
        await session.execute(
            select(AidExport, AidExportApproval, Account.display_name)
            .outerjoin(AidExportApproval, AidExportApproval.export_id == AidExport.id)
            .outerjoin(Account, Account.id == AidExport.requested_by)
            .where(AidExport.id == export_id)
        )
    ).one_or_none()
    if found is None:
        raise NotFound
    export, approval, owner = found
    count = len(await _lines(session, export_id))
    return Export(export, approval, owner or str(export.requested_by), count)


async def _lines(session: AsyncSession, export_id: UUID) -> Sequence[AidExportLine]:
    """The filings in it that the scope admits."""
    lines = select(AidExportLine).where(AidExportLine.export_id == export_id)
    return (await session.scalars(lines)).all()


async def approve_export(session: AsyncSession, actor: Actor, export_id: UUID, at: datetime) -> Export:
    """Agree that the file may leave, once; never who asked for it. Its filings count as sent from now on.

    Raises `NotFound`, `NotPermitted` and `AidExportApproved`.
    """
    known = await export_for(session, actor, export_id)
    if actor.account_id == known.export.requested_by:
        raise NotPermitted(
            reason_zh="导出须由申请人以外的人批准", reason_en="somebody else approves what you asked for"
        )
    row = {
        "export_id": export_id,
        "org_path": known.export.org_path,
        "requested_by": known.export.requested_by,
        "approved_by": actor.account_id,
        "at": at,
    }
    put = insert(AidExportApproval).values(row).on_conflict_do_nothing()
    if await session.scalar(put.returning(AidExportApproval.export_id)) is None:
        raise AidExportApproved
    sent = [
        {"filing_id": line.filing_id, "school_id": line.school_id, "export_id": export_id, "at": at}
        for line in await _lines(session, export_id)
    ]
    await session.execute(insert(AidFilingExported).on_conflict_do_nothing(), sent)
    _record(session, actor, "aid.export_approved", known.export, len(sent), at)
    return await export_for(session, actor, export_id)


async def take_export(
    session: AsyncSession, actor: Actor, export_id: UUID, keys: KeyRing, at: datetime
) -> ExportContent:
    """What the file says, for the person who answers for it and nobody else; every taking is audited.

    Raises `NotFound`, `NotPermitted` and `AidExportUnapproved`.
    """
    known = await export_for(session, actor, export_id)
    if actor.account_id != known.export.requested_by:
        raise NotPermitted(
            reason_zh="文件只由申请导出并负责的人下载",
            reason_en="only who asked for the file, and answers for it, takes it",
        )
    if known.approval is None:
        raise AidExportUnapproved
    ids = [line.filing_id for line in await _lines(session, export_id)]
    rows = await session.execute(filings().where(AidFiling.id.in_(ids)).order_by(AidFiling.id))
    found = [Filing(*row) for row in rows]
    lines = await _exported(session, found, keys)
    _record(session, actor, "aid.export_taken", known.export, len(found), at)
    return ExportContent(known, lines)


async def _exported(session: AsyncSession, found: Sequence[Filing], keys: KeyRing) -> list[ExportedLine]:
    schools = await schools_of(session, {each.filing.school_id for each in found})
    lines = await lines_of(session, [each.filing for each in found])
    return [
        _exported_line(each, line, schools[each.filing.school_id], keys)
        for each in found
        for line in lines[each.filing.id]
    ]


def _exported_line(found: Filing, line: FilingLine, school: OrgUnit, keys: KeyRing) -> ExportedLine:
    change, _ = change_words(found.entry, school.path)
    return ExportedLine(
        filing_id=found.filing.id,
        filing_kind=found.filing.kind,
        school_code=school.code,
        school_name=school.name,
        student_number=decrypt_student_number(found.student, keys) or "",
        name=found.student.name,
        term_code=found.filing.term_code,
        aid_kind=line.kind,
        month=line.month,
        granted=line.granted,
        paid=line.paid,
        fen=line.fen,
        change=change,
        changed_at=found.entry.at,
    )


def _record(
    session: AsyncSession, actor: Actor, action: str, export: AidExport, count: int, at: datetime
) -> None:
    """Who, what for, and how much; never whose numbers."""
    facts = {"purpose": export.purpose, "owner": str(export.requested_by), "filings": count}
    audit.record(session, audit.Act(action, "aid_export", str(export.id), actor.org_path, after=facts), at)
