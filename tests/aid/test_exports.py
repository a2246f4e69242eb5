"""Filings, exports with purpose, owner and approval (MOE14-5), and acknowledgements."""

from io import BytesIO
from typing import Any

import openpyxl
import pytest
from pydantic import ValidationError
from sqlalchemy import select

from backend.aid.errors import (
    AidAcknowledged,
    AidExportApproved,
    AidExportTooLarge,
    AidExportUnapproved,
    AidNotExported,
    AidNothingToExport,
)
from backend.aid.export_file import COLUMNS, Watermark, write_csv, write_workbook
from backend.aid.exports import (
    ExportContent,
    ExportView,
    RequestExport,
    approve_export,
    download_export,
    list_exports,
    load_export_acts,
    request_export,
)
from backend.aid.filing_schemas import ExportActOut, ExportIn
from backend.aid.filings import (
    AcknowledgeFiling,
    FilingSearch,
    FilingState,
    FilingView,
    acknowledge_filing,
    list_filings,
)
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.core.tables import AuditEntry
from backend.notice.tables import NoticeMessage
from tests.support.aid import AidScenario
from tests.support.province import registrar_account

pytestmark = pytest.mark.clause("MOE14-5")


async def request_file(aid: AidScenario, actor: Actor, command: RequestExport | None = None) -> ExportView:
    async with aid.standing_scenario.transaction(actor) as session:
        return await request_export(
            session, actor, command or RequestExport("报送市资助中心"), aid.standing_scenario.at
        )


async def approve_file(aid: AidScenario, actor: Actor, export: ExportView) -> ExportView:
    async with aid.standing_scenario.transaction(actor) as session:
        return await approve_export(session, actor, export.export.id, aid.standing_scenario.at)


async def download_file(aid: AidScenario, actor: Actor, export: ExportView) -> ExportContent:
    async with aid.standing_scenario.transaction(actor) as session:
        return await download_export(session, actor, export.export.id, aid.keys, aid.standing_scenario.at)


async def acknowledge_single_filing(aid: AidScenario, actor: Actor) -> FilingView:
    [filing] = await aid.load_filings()
    async with aid.standing_scenario.transaction(actor) as session:
        command = AcknowledgeFiling(filing.id, "郑资助撤〔2026〕1号")
        return await acknowledge_filing(session, actor, command, aid.standing_scenario.at)


async def list_filings_of_pupil(aid: AidScenario, **search: Any) -> list[FilingView]:
    actor = aid.standing_scenario.bureau
    async with aid.standing_scenario.transaction(actor) as session:
        filings = await list_filings(session, actor, FilingSearch(**search), PageRequest(50))
        return [view for view in filings.rows if view.filing.student_id == aid.pupil.id]


async def test_filing_is_exported_and_then_acknowledged(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    owner = aid.standing_scenario.registrar
    [found] = await list_filings_of_pupil(aid, state=FilingState.FILED)
    aid.standing_scenario.pass_time(days=3)
    assert found.age_in_days(aid.standing_scenario.at) == 3
    export = await request_file(aid, owner)
    assert [view.state for view in await list_filings_of_pupil(aid)] == [FilingState.FILED]
    await approve_file(aid, aid.standing_scenario.registrar, export)
    assert len(await list_filings_of_pupil(aid, state=FilingState.EXPORTED)) == 1
    received = await acknowledge_single_filing(aid, aid.standing_scenario.bureau)
    assert received.state is FilingState.ACKNOWLEDGED
    assert received.acknowledgement is not None
    assert received.acknowledgement.reference == "郑资助撤〔2026〕1号"
    assert received.age_in_days(aid.standing_scenario.at) is None
    with pytest.raises(AidAcknowledged):
        await acknowledge_single_filing(aid, aid.standing_scenario.bureau)


async def test_reinstatement_needs_its_own_acknowledgement(aid: AidScenario) -> None:
    await aid.award()
    entry = await aid.execute_change()
    export = await request_file(aid, aid.standing_scenario.registrar)
    await approve_file(aid, aid.standing_scenario.bureau, export)
    await acknowledge_single_filing(aid, aid.standing_scenario.bureau)
    await aid.reverse_change(entry)
    [waiting] = await list_filings_of_pupil(aid, state=FilingState.FILED)
    assert waiting.filing.kind == "reinstatement"
    again = await request_file(aid, aid.standing_scenario.registrar)
    assert again.filing_count == 1


async def test_only_an_authority_acknowledges_an_exported_filing(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    with pytest.raises(AidNotExported):
        await acknowledge_single_filing(aid, aid.standing_scenario.bureau)
    with pytest.raises(NotPermitted):
        await acknowledge_single_filing(aid, aid.standing_scenario.registrar)


async def test_export_needs_approval_by_a_second_person(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    owner = aid.standing_scenario.registrar
    export = await request_file(aid, owner)
    with pytest.raises(AidExportUnapproved):
        await download_file(aid, owner, export)
    with pytest.raises(NotPermitted):
        await approve_file(aid, owner, export)
    await approve_file(aid, aid.standing_scenario.bureau, export)
    with pytest.raises(AidExportApproved):
        await approve_file(aid, aid.standing_scenario.bureau, export)
    assert (await download_file(aid, owner, export)).rows


async def test_only_the_requester_downloads_and_downloads_are_audited(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    owner = aid.standing_scenario.registrar
    export = await request_file(aid, owner)
    await approve_file(aid, aid.standing_scenario.bureau, export)
    with pytest.raises(NotPermitted):
        await download_file(aid, aid.standing_scenario.registrar, export)
    for _ in range(2):
        await download_file(aid, owner, export)
    async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
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


async def test_export_of_a_search_has_exactly_what_the_list_shows(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    scenario = aid.standing_scenario
    registrar = scenario.registrar
    found = RequestExport("报送", search=FilingSearch(FilingState.FILED, "withdrawal", scenario.school.id))
    export = await request_file(aid, registrar, found)
    assert export.filing_count == 1
    await approve_file(aid, scenario.registrar, export)
    with pytest.raises(AidNothingToExport):
        await request_file(aid, registrar, found)
    again = RequestExport("补报", search=FilingSearch(FilingState.EXPORTED))
    assert (await request_file(aid, registrar, again)).filing_count == 1
    with pytest.raises(AidNothingToExport):
        await request_file(aid, registrar, RequestExport("报送", search=FilingSearch(kind="reinstatement")))


async def test_search_that_finds_more_than_a_file_holds_is_refused(
    aid: AidScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    await aid.award()
    await aid.execute_change()
    monkeypatch.setattr("backend.aid.exports.MAX_FILINGS", 0)
    with pytest.raises(AidExportTooLarge):
        await request_file(aid, aid.standing_scenario.registrar, RequestExport("报送", search=FilingSearch()))


async def test_search_does_not_reach_filings_of_another_school(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    scenario = aid.standing_scenario
    sister = registrar_account(scenario.roll_call_scenario.world.sister)
    search = FilingSearch(school_id=scenario.school.id)
    with pytest.raises(AidNothingToExport):
        await request_file(aid, sister, RequestExport("报送", search=search))


def test_ids_and_filter_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        ExportIn.model_validate({"purpose": "报送", "filing_ids": [str(new_id())], "filter": {}})


async def test_export_of_another_school_is_not_found(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    export = await request_file(aid, aid.standing_scenario.registrar)
    stranger = registrar_account(aid.standing_scenario.roll_call_scenario.world.sister)
    with pytest.raises(NotFound):
        await approve_file(aid, stranger, export)
    [filing] = await aid.load_filings()
    with pytest.raises(NotFound):
        await request_file(aid, stranger, RequestExport("报送", (filing.id,)))


async def test_export_without_filings_is_rejected(aid: AidScenario) -> None:
    with pytest.raises(AidNothingToExport):
        await request_file(aid, aid.standing_scenario.registrar)


async def test_workbook_has_fixed_columns_and_no_id_number(aid: AidScenario) -> None:
    parts = await aid.award()
    await aid.pay(aid.payment_line(parts[0].month, parts[0].fen))
    await aid.execute_change()
    owner = aid.standing_scenario.registrar
    export = await request_file(aid, owner)
    await approve_file(aid, aid.standing_scenario.bureau, export)
    content = await download_file(aid, owner, export)
    watermark = Watermark(export.export.id, "王老师", export.export.purpose)
    sheet = openpyxl.load_workbook(BytesIO(write_workbook(content.rows, watermark))).active
    assert sheet is not None
    header, *rows = sheet.iter_rows(values_only=True)
    assert header == COLUMNS
    assert len(rows) == len(parts)
    first = dict(zip(COLUMNS, rows[0], strict=True))
    assert first["学籍号"] == aid.pupil.student_number
    assert (first["已发放金额（元）"], first["撤回或恢复金额（元）"]) == (f"{parts[0].fen / 100:.2f}", "0.00")
    assert first["学籍异动"] == "学习形式变更为非全日制"
    assert (first["导出责任人"], first["用途"]) == ("王老师", "报送市资助中心")
    assert all(aid.pupil.id_number not in row for row in rows)
    text = write_csv(content.rows, watermark).decode("utf-8-sig")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert len(text.splitlines()) == len(parts) + 1


async def test_no_csv_cell_opens_as_a_formula(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    owner = aid.standing_scenario.registrar
    export = await request_file(aid, owner, RequestExport("=1+1"))
    await approve_file(aid, aid.standing_scenario.bureau, export)
    content = await download_file(aid, owner, export)
    text = write_csv(content.rows, Watermark(export.export.id, "@某", export.export.purpose)).decode(
        "utf-8-sig"
    )
    assert all(row.endswith(",'@某,'=1+1") for row in text.splitlines()[1:])


@pytest.mark.clause("HN334-4.1d")
async def test_student_and_registrar_are_notified(aid: AidScenario) -> None:
    registrar = await aid.standing_scenario.roll_call_scenario.account(
        "registrar", aid.standing_scenario.school
    )
    await aid.award()
    entry = await aid.execute_change()
    await aid.reverse_change(entry)
    await aid.standing_scenario.run_events("AidWithdrawn", "AidReinstated")
    assert {"aid_withdrawn", "aid_reinstated"} <= await load_notice_kinds(
        aid, aid.standing_scenario.student()
    )
    assert {"aid_withdrawal_to_file", "aid_reinstatement_to_file"} <= await load_notice_kinds(aid, registrar)


async def load_notice_kinds(aid: AidScenario, actor: Actor) -> set[str]:
    async with aid.standing_scenario.transaction(actor) as session:
        return set(await session.scalars(select(NoticeMessage.kind)))


async def test_exports_are_listed_with_their_acts(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    owner, bureau = aid.standing_scenario.registrar, aid.standing_scenario.bureau
    export = await request_file(aid, owner)
    await approve_file(aid, bureau, export)
    await download_file(aid, owner, export)
    async with aid.standing_scenario.transaction(bureau) as session:
        acts = [ExportActOut.from_entry(entry) for entry in await load_export_acts(session, export.export.id)]
    async with aid.standing_scenario.transaction(owner) as session:
        [view] = await list_exports(session, owner, None, 10)
        assert await list_exports(session, owner, view.export.id, 10) == []
    assert (view.export.id, view.filing_count) == (export.export.id, 1)
    assert [(each.act, each.acted_by) for each in acts] == [
        ("requested", owner.account_id),
        ("approved", bureau.account_id),
        ("downloaded", owner.account_id),
    ]
