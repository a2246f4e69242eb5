"""Filed, sent in an approved file, acknowledged: nothing leaves without purpose, owner and approval (MOE14-5)."""

from io import BytesIO

import openpyxl
import pytest
from sqlalchemy import select

from backend.aid.errors import (
    AidAcknowledged,
    AidExportApproved,
    AidExportUnapproved,
    AidNotExported,
    AidNothingToExport,
)
from backend.aid.export_file import COLUMNS, Mark, delimited, workbook
from backend.aid.exports import (
    Export,
    ExportContent,
    RequestExport,
    approve_export,
    request_export,
    take_export,
)
from backend.aid.withdrawals import Acknowledge, Filing, FilingSearch, FilingState, acknowledge, filings_page
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.tables import AuditEntry
from backend.notice.tables import NoticeMessage
from tests.support.aid import AidDesk
from tests.support.province import registrar_account

pytestmark = pytest.mark.clause("MOE14-5")


async def request(desk: AidDesk, actor: Actor, command: RequestExport | None = None) -> Export:
    async with desk.registry.transaction(actor) as session:
        return await request_export(
            session, actor, command or RequestExport("报送市资助中心"), desk.registry.at
        )


async def approve(desk: AidDesk, actor: Actor, export: Export) -> Export:
    async with desk.registry.transaction(actor) as session:
        return await approve_export(session, actor, export.export.id, desk.registry.at)


async def take(desk: AidDesk, actor: Actor, export: Export) -> ExportContent:
    async with desk.registry.transaction(actor) as session:
        return await take_export(session, actor, export.export.id, desk.keys, desk.registry.at)


async def receive(desk: AidDesk, actor: Actor) -> Filing:
    [filing] = await desk.filings()
    async with desk.registry.transaction(actor) as session:
        command = Acknowledge(filing.id, "郑资助撤〔2026〕1号")
        return await acknowledge(session, actor, command, desk.registry.at)


async def listed(desk: AidDesk, **search: object) -> list[Filing]:
    actor = desk.registry.bureau
    async with desk.registry.transaction(actor) as session:
        found = await filings_page(session, actor, FilingSearch(**search), None, 50)  # type: ignore[arg-type]
        return [each for each in found if each.filing.student_id == desk.pupil.id]


async def test_a_filing_is_filed_then_exported_then_acknowledged(desk: AidDesk) -> None:
    await desk.award()
    await desk.change()
    owner = desk.registry.registrar
    [found] = await listed(desk, state=FilingState.FILED)
    desk.registry.pass_time(days=3)
    assert found.age(desk.registry.at) == 3
    export = await request(desk, owner)
    assert [each.state for each in await listed(desk)] == [FilingState.FILED]
    await approve(desk, desk.registry.registrar, export)
    assert len(await listed(desk, state=FilingState.EXPORTED)) == 1
    received = await receive(desk, desk.registry.bureau)
    assert received.state is FilingState.ACKNOWLEDGED
    assert received.acknowledgement is not None
    assert received.acknowledgement.reference == "郑资助撤〔2026〕1号"
    assert received.age(desk.registry.at) is None
    with pytest.raises(AidAcknowledged):
        await receive(desk, desk.registry.bureau)


async def test_a_reinstatement_needs_its_own_acknowledgement(desk: AidDesk) -> None:
    await desk.award()
    entry = await desk.change()
    export = await request(desk, desk.registry.registrar)
    await approve(desk, desk.registry.bureau, export)
    await receive(desk, desk.registry.bureau)
    await desk.reverse(entry)
    [waiting] = await listed(desk, state=FilingState.FILED)
    assert waiting.filing.kind == "reinstatement"
    again = await request(desk, desk.registry.registrar)
    assert again.filings == 1


async def test_what_was_not_sent_cannot_be_acknowledged_and_not_by_the_school(desk: AidDesk) -> None:
    await desk.award()
    await desk.change()
    with pytest.raises(AidNotExported):
        await receive(desk, desk.registry.bureau)
    with pytest.raises(NotPermitted):
        await receive(desk, desk.registry.registrar)


async def test_the_file_waits_for_an_approval_by_somebody_else(desk: AidDesk) -> None:
    await desk.award()
    await desk.change()
    owner = desk.registry.registrar
    export = await request(desk, owner)
    with pytest.raises(AidExportUnapproved):
        await take(desk, owner, export)
    with pytest.raises(NotPermitted):
        await approve(desk, owner, export)
    await approve(desk, desk.registry.bureau, export)
    with pytest.raises(AidExportApproved):
        await approve(desk, desk.registry.bureau, export)
    assert (await take(desk, owner, export)).lines


async def test_only_who_answers_for_the_file_takes_it_and_every_taking_is_audited(desk: AidDesk) -> None:
    await desk.award()
    await desk.change()
    owner = desk.registry.registrar
    export = await request(desk, owner)
    await approve(desk, desk.registry.bureau, export)
    with pytest.raises(NotPermitted):
        await take(desk, desk.registry.registrar, export)
    for _ in range(2):
        await take(desk, owner, export)
    async with desk.registry.stage.arrange() as session:
        entries = (
            await session.scalars(
                select(AuditEntry).where(
                    AuditEntry.subject_id == str(export.export.id), AuditEntry.action == "aid.export_taken"
                )
            )
        ).all()
    assert [(each.acting_account, each.after["purpose"]) for each in entries if each.after] == [
        (owner.account_id, "报送市资助中心")
    ] * 2


async def test_another_school_finds_no_file_of_this_one(desk: AidDesk) -> None:
    await desk.award()
    await desk.change()
    export = await request(desk, desk.registry.registrar)
    stranger = registrar_account(desk.registry.stage.world.sister)
    with pytest.raises(NotFound):
        await approve(desk, stranger, export)
    [filing] = await desk.filings()
    with pytest.raises(NotFound):
        await request(desk, stranger, RequestExport("报送", (filing.id,)))


async def test_with_nothing_to_send_no_file_is_made(desk: AidDesk) -> None:
    with pytest.raises(AidNothingToExport):
        await request(desk, desk.registry.registrar)


async def test_the_workbook_has_fixed_columns_the_student_number_and_no_id_number(desk: AidDesk) -> None:
    parts = await desk.award()
    await desk.pay(desk.line(parts[0].month, parts[0].fen))
    await desk.change()
    owner = desk.registry.registrar
    export = await request(desk, owner)
    await approve(desk, desk.registry.bureau, export)
    content = await take(desk, owner, export)
    mark = Mark(export.export.id, "王老师", export.export.purpose)
    sheet = openpyxl.load_workbook(BytesIO(workbook(content.lines, mark))).active
    assert sheet is not None
    head, *rows = sheet.iter_rows(values_only=True)
    assert head == COLUMNS
    assert len(rows) == len(parts)
    first = dict(zip(COLUMNS, rows[0], strict=True))
    assert first["学籍号"] == desk.pupil.student_number
    assert (first["已发放金额（元）"], first["撤回或恢复金额（元）"]) == (f"{parts[0].fen / 100:.2f}", "0.00")
    assert first["学籍变动"] == "学习形式变更为非全日制"
    assert (first["导出责任人"], first["用途"]) == ("王老师", "报送市资助中心")
    assert all(desk.pupil.id_number not in row for row in rows)
    text = delimited(content.lines, mark).decode("utf-8-sig")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert len(text.splitlines()) == len(parts) + 1


async def test_no_cell_of_the_csv_opens_as_a_formula(desk: AidDesk) -> None:
    await desk.award()
    await desk.change()
    owner = desk.registry.registrar
    export = await request(desk, owner, RequestExport("=1+1"))
    await approve(desk, desk.registry.bureau, export)
    content = await take(desk, owner, export)
    text = delimited(content.lines, Mark(export.export.id, "@某", export.export.purpose)).decode("utf-8-sig")
    assert all(row.endswith(",'@某,'=1+1") for row in text.splitlines()[1:])


@pytest.mark.clause("HN334-4.1d")
async def test_the_student_and_the_registrar_are_told_of_withdrawal_and_reinstatement(desk: AidDesk) -> None:
    registrar = await desk.registry.stage.account("registrar", desk.registry.school)
    await desk.award()
    entry = await desk.change()
    await desk.reverse(entry)
    await desk.registry.run_events("AidWithdrawn", "AidReinstated")
    assert {"aid_withdrawn", "aid_reinstated"} <= await told(desk, desk.registry.student())
    assert {"aid_withdrawal_to_file", "aid_reinstatement_to_file"} <= await told(desk, registrar)


async def told(desk: AidDesk, actor: Actor) -> set[str]:
    async with desk.registry.transaction(actor) as session:
        return set(await session.scalars(select(NoticeMessage.kind)))
