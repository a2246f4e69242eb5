"""Payments as lists and as files: all or none, idempotent."""

import csv
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from backend.aid.errors import AidFileEmpty, AidPaymentsUnfit
from backend.aid.rules import AidKind
from backend.aid.tables import AidPayment
from backend.core.errors import NotPermitted
from backend.exchange.aid_payments.importer import PaymentImport, import_payments
from backend.exchange.aid_payments.reader import read_payments, read_uploaded_payments
from backend.exchange.roster.errors import (
    RosterColumnsMissing,
    RosterColumnsRepeated,
    RosterKindUnsupported,
)
from tests.support.aid import AidScenario

pytestmark = pytest.mark.clause("MOE15-1.2")

HEADER = ("学籍号", "资助项目", "月份", "金额（元）", "发放日期", "凭证号")


async def test_payment_moves_fen_from_due_to_paid(aid: AidScenario) -> None:
    first, *rest = await aid.award()
    result = await aid.pay(aid.payment_line(first.month, first.fen))
    assert (len(result.recorded), result.known, result.overpayments) == (1, 0, ())
    balance = await aid.load_account_balances()
    assert (balance["paid"], balance["due"]) == (first.fen, sum(part.fen for part in rest))


async def test_bureau_records_payments_and_province_does_not(aid: AidScenario) -> None:
    [first, *_] = await aid.award()
    await aid.pay(aid.payment_line(first.month, first.fen), actor=aid.standing_scenario.bureau)
    with pytest.raises(NotPermitted):
        await aid.pay(aid.payment_line(first.month, first.fen), actor=aid.standing_scenario.province)


async def test_recording_the_same_payment_again_changes_nothing(aid: AidScenario) -> None:
    [first, *_] = await aid.award()
    line = aid.payment_line(first.month, first.fen)
    await aid.pay(line)
    again = await aid.pay(line, actor=aid.standing_scenario.bureau)
    assert (again.recorded, again.known) == ((), 1)
    assert len(await aid.standing_scenario.rows(AidPayment)) == 1


async def test_references_distinguish_payments_of_one_day(aid: AidScenario) -> None:
    [first, *_] = await aid.award()
    line = aid.payment_line(first.month, first.fen)
    result = await aid.pay(line, replace(line, line=1, reference="补发"))
    assert len(result.recorded) == 2
    assert [each.fen for each in result.overpayments] == [first.fen]


async def test_one_invalid_line_rejects_all_and_each_issue_is_named(aid: AidScenario) -> None:
    [first, *_] = await aid.award()
    good = aid.payment_line(first.month, first.fen)
    future = aid.standing_scenario.today + timedelta(days=1)
    other = aid.standing_scenario.school.students[1]
    bad = (
        replace(good, line=1),
        replace(good, line=2, paid_on=future),
        replace(good, line=3, kind=AidKind.TUITION_WAIVER),
        replace(good, line=4, student_id=other.id),
        replace(good, line=5, month=first.month.replace(year=2001)),
    )
    with pytest.raises(AidPaymentsUnfit) as refused:
        await aid.pay(good, *bad)
    assert [(each.line, each.code) for each in refused.value.issues] == [
        (1, "aid_payment_repeated"),
        (2, "aid_paid_in_future"),
        (3, "aid_not_awarded"),
        (4, "aid_not_awarded"),
        (5, "aid_not_awarded"),
    ]
    assert await aid.standing_scenario.rows(AidPayment) == []


async def test_unpaid_past_month_is_overdue(aid: AidScenario) -> None:
    parts = await aid.award()
    [balance] = await aid.list_school_balances()
    past = [part for part in parts if part.month < aid.standing_scenario.today.replace(day=1)]
    assert balance.overdue == sum(part.fen for part in past) > 0
    await aid.pay(*(aid.payment_line(part.month, part.fen, line=n) for n, part in enumerate(past)))
    [balance] = await aid.list_school_balances(aid.standing_scenario.bureau)
    assert (balance.overdue, balance.balanced) == (0, True)
    assert not any(part.overdue for part in (await aid.load_aid()).awards[0].instalments)


# --- files ---


def write_workbook(path: Path, *rows: Any, sheet: str = "发放", title: str | None = None) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in ([[title]] if title else []) + [list(HEADER), *map(list, rows)]:
        page.append(row)
    book.save(path)
    return path


def build_row(aid: AidScenario, month: Any, yuan: Any, /, **changes: Any) -> list[Any]:
    cells = {
        "number": aid.pupil.student_number,
        "kind": "国家助学金",
        "month": month.strftime("%Y%m"),
        "yuan": yuan,
        "paid_on": aid.standing_scenario.today.isoformat(),
        "reference": "批次1",
    } | changes
    return list(cells.values())


async def import_file(aid: AidScenario, path: Path) -> PaymentImport:
    registrar, at = aid.standing_scenario.registrar, aid.standing_scenario.at
    file = read_payments(path, today=aid.standing_scenario.today)
    async with aid.standing_scenario.transaction(registrar) as session:
        return await import_payments(session, registrar, file, aid.keys, at)


async def test_hidden_rows_are_read_with_a_warning_and_blank_ones_skipped(
    aid: AidScenario, tmp_path: Path
) -> None:
    parts = await aid.award()
    rows = [build_row(aid, part.month, f"{part.fen / 100:.2f}") for part in parts[:2]]
    path = write_workbook(tmp_path / "a.xlsx", rows[0], ["\u3000", "\u200b", '=""'], rows[1])
    book = openpyxl.load_workbook(path)
    book.worksheets[0].row_dimensions[4].hidden = True
    book.worksheets[0]["B3"].value = " "
    book.save(path)
    file = read_payments(path, today=aid.standing_scenario.today)
    assert (len(file.rows), file.issues) == (2, ())
    [warning] = file.warnings
    assert (warning.code, warning.value, warning.row) == ("rows_hidden", "1", 4)
    imported = await import_file(aid, path)
    assert imported.result is not None


async def test_error_cell_and_month_without_its_zero_are_named(aid: AidScenario, tmp_path: Path) -> None:
    [part, *_] = await aid.award()
    row = build_row(aid, part.month, "1.00")
    path = write_workbook(tmp_path / "a.xlsx", [*row[:2], 2026.10, *row[3:]], row)
    book = openpyxl.load_workbook(path)
    cell = book.worksheets[0]["D3"]
    cell.value, cell.data_type = "#SPILL!", "e"
    book.save(path)
    file = read_payments(path, today=aid.standing_scenario.today)
    assert [(issue.row, issue.code) for issue in file.issues] == [
        (2, "month_lost_zero"),
        (3, "cell_is_error"),
    ]


async def test_importing_the_same_workbook_again_changes_nothing(aid: AidScenario, tmp_path: Path) -> None:
    parts = await aid.award()
    rows = [build_row(aid, part.month, f"{part.fen / 100:.2f}") for part in parts[:2]]
    path = write_workbook(tmp_path / "a.xlsx", *rows, title="资助发放表")
    first_import, second_import = await import_file(aid, path), await import_file(aid, path)
    assert first_import.result is not None
    assert (len(first_import.result.recorded), first_import.result.known) == (2, 0)
    assert second_import.result is not None
    assert (second_import.result.recorded, second_import.result.known) == ((), 2)
    assert (await aid.load_account_balances())["paid"] == sum(part.fen for part in parts[:2])


async def test_csv_in_gb18030_with_handwritten_amounts(aid: AidScenario, tmp_path: Path) -> None:
    [first, *_] = await aid.award()
    path = tmp_path / "a.csv"
    with path.open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows([HEADER, build_row(aid, first.month, "１，000.5元", kind="助学金")])
    result = await import_file(aid, path)
    assert [issue.code for issue in result.issues] == []
    [payment] = await aid.standing_scenario.rows(AidPayment)
    assert payment.fen == 100_050


@pytest.mark.parametrize(
    ("changes", "column", "letter", "code"),
    [
        ({"number": "G123"}, "学籍号", "A", "student_number_shape"),
        ({"number": ""}, "学籍号", "A", "value_missing"),
        ({"kind": "奖学金"}, "资助项目", "B", "value_not_in_list"),
        ({"month": "二月"}, "月份", "C", "month_unreadable"),
        ({"yuan": "230.001"}, "金额（元）", "D", "amount_unreadable"),
        ({"yuan": "-1"}, "金额（元）", "D", "amount_unreadable"),
        ({"yuan": "NaN"}, "金额（元）", "D", "amount_unreadable"),
        ({"yuan": "#REF!"}, "金额（元）", "D", "cell_is_error"),
        ({"paid_on": "昨天"}, "发放日期", "E", "date_unreadable"),
        ({"reference": "x" * 61}, "凭证号", "F", "reference_too_long"),
        ({"number": "G41010220080101001X"}, "学籍号", "A", None),
        ({"month": "200101"}, "月份", "C", "aid_not_awarded"),
    ],
)
async def test_issue_names_its_cell_and_nothing_is_recorded(
    aid: AidScenario, tmp_path: Path, changes: dict[str, Any], column: str, letter: str, code: str | None
) -> None:
    [first, *_] = await aid.award()
    good = build_row(aid, first.month, "1.00")
    path = write_workbook(tmp_path / "a.xlsx", good, build_row(aid, first.month, "2.00", **changes))
    result = await import_file(aid, path)
    [issue] = result.issues
    assert (issue.sheet, issue.row, issue.column, issue.letter) == ("发放", 3, column, letter)
    assert code is None or issue.code == code
    assert result.result is None


async def test_student_number_of_another_school_is_unknown(aid: AidScenario, tmp_path: Path) -> None:
    [first, *_] = await aid.award()
    foreign = aid.standing_scenario.roll_call_scenario.world.sister.students[0].student_number
    path = write_workbook(tmp_path / "a.xlsx", build_row(aid, first.month, "1.00", number=foreign))
    assert [issue.code for issue in (await import_file(aid, path)).issues] == ["student_not_on_roll"]


async def test_repeated_row_is_an_issue(aid: AidScenario, tmp_path: Path) -> None:
    [first, *_] = await aid.award()
    row = build_row(aid, first.month, "1.00")
    [issue] = (await import_file(aid, write_workbook(tmp_path / "a.xlsx", row, row))).issues
    assert (issue.row, issue.code) == (3, "aid_payment_repeated")
    assert "发放!2" in issue.zh


async def test_a_file_without_rows_is_said_to_be_empty(aid: AidScenario, tmp_path: Path) -> None:
    with pytest.raises(AidFileEmpty):
        await import_file(aid, write_workbook(tmp_path / "a.xlsx"))


async def test_unusable_file_is_rejected(aid: AidScenario, tmp_path: Path) -> None:
    today = aid.standing_scenario.today
    incomplete = tmp_path / "b.csv"
    incomplete.write_text("学籍号,月份\n", encoding="utf-8")
    with pytest.raises(RosterColumnsMissing, match="发放日期"):
        await read_uploaded_payments(incomplete, today=today)
    repeated = tmp_path / "c.csv"
    repeated.write_text("学籍号,学号,月份\n", encoding="utf-8")
    with pytest.raises(RosterColumnsRepeated):
        read_payments(repeated, today=today)
    (tmp_path / "d.xlsx").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(RosterKindUnsupported):
        read_payments(tmp_path / "d.xlsx", today=today)
