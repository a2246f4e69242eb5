"""Payments are recorded whole or not at all, in lists and in files; the same again changes nothing."""

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
from backend.exchange.aid_payments.importer import EnteredFile, enter_payments
from backend.exchange.aid_payments.reader import read_payments, read_upload
from backend.exchange.roster.errors import (
    RosterColumnsMissing,
    RosterColumnsRepeated,
    RosterKindUnsupported,
)
from tests.support.aid import AidDesk

pytestmark = pytest.mark.clause("MOE15-1.2")

HEADER = ("学籍号", "资助项目", "月份", "金额（元）", "发放日期", "凭证号")


async def test_a_payment_moves_what_is_due_to_what_is_paid(desk: AidDesk) -> None:
    first, *rest = await desk.award()
    done = await desk.pay(desk.line(first.month, first.fen))
    assert (len(done.recorded), done.known, done.beyond_due) == (1, 0, ())
    balance = await desk.balance()
    assert (balance["paid"], balance["due"]) == (first.fen, sum(part.fen for part in rest))


async def test_the_aid_office_records_payments_and_the_province_does_not(desk: AidDesk) -> None:
    [first, *_] = await desk.award()
    await desk.pay(desk.line(first.month, first.fen), actor=desk.registry.bureau)
    with pytest.raises(NotPermitted):
        await desk.pay(desk.line(first.month, first.fen), actor=desk.registry.province)


async def test_the_same_payment_again_changes_nothing(desk: AidDesk) -> None:
    [first, *_] = await desk.award()
    line = desk.line(first.month, first.fen)
    await desk.pay(line)
    again = await desk.pay(line, actor=desk.registry.bureau)
    assert (again.recorded, again.known) == ((), 1)
    assert len(await desk.registry.rows(AidPayment)) == 1


async def test_two_real_payments_of_one_day_are_told_apart_by_their_references(desk: AidDesk) -> None:
    [first, *_] = await desk.award()
    line = desk.line(first.month, first.fen)
    done = await desk.pay(line, replace(line, line=1, reference="补发"))
    assert len(done.recorded) == 2
    assert [each.fen for each in done.beyond_due] == [first.fen]


async def test_one_bad_line_keeps_all_of_them_out_and_each_fault_is_named(desk: AidDesk) -> None:
    [first, *_] = await desk.award()
    good = desk.line(first.month, first.fen)
    future = desk.registry.today + timedelta(days=1)
    other = desk.registry.school.students[1]
    bad = (
        replace(good, line=1),
        replace(good, line=2, paid_on=future),
        replace(good, line=3, kind=AidKind.TUITION_WAIVER),
        replace(good, line=4, student_id=other.id),
        replace(good, line=5, month=first.month.replace(year=2001)),
    )
    with pytest.raises(AidPaymentsUnfit) as refused:
        await desk.pay(good, *bad)
    assert [(each.line, each.code) for each in refused.value.objections] == [
        (1, "aid_payment_repeated"),
        (2, "aid_paid_in_future"),
        (3, "aid_not_awarded"),
        (4, "aid_not_awarded"),
        (5, "aid_not_awarded"),
    ]
    assert await desk.registry.rows(AidPayment) == []


async def test_a_month_that_ought_to_be_paid_and_is_not_is_overdue(desk: AidDesk) -> None:
    parts = await desk.award()
    [balance] = await desk.school_balances()
    past = [part for part in parts if part.month < desk.registry.today.replace(day=1)]
    assert balance.overdue == sum(part.fen for part in past) > 0
    await desk.pay(*(desk.line(part.month, part.fen, line=n) for n, part in enumerate(past)))
    [balance] = await desk.school_balances(desk.registry.bureau)
    assert (balance.overdue, balance.balanced) == (0, True)
    assert not any(part.overdue for part in (await desk.aid()).awards[0].parts)


# --- files ---


def workbook(path: Path, *rows: Any, sheet: str = "发放", title: str | None = None) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in ([[title]] if title else []) + [list(HEADER), *map(list, rows)]:
        page.append(row)
    book.save(path)
    return path


def row_of(desk: AidDesk, month: Any, yuan: Any, /, **changes: Any) -> list[Any]:
    cells = {
        "number": desk.pupil.student_number,
        "kind": "国家助学金",
        "month": month.strftime("%Y%m"),
        "yuan": yuan,
        "paid_on": desk.registry.today.isoformat(),
        "reference": "批次1",
    } | changes
    return list(cells.values())


async def enter(desk: AidDesk, path: Path) -> EnteredFile:
    registrar, at = desk.registry.registrar, desk.registry.at
    file = read_payments(path, today=desk.registry.today)
    async with desk.registry.transaction(registrar) as session:
        return await enter_payments(session, registrar, file, desk.keys, at)


async def test_a_workbook_is_recorded_and_the_same_file_again_changes_nothing(
    desk: AidDesk, tmp_path: Path
) -> None:
    parts = await desk.award()
    rows = [row_of(desk, part.month, f"{part.fen / 100:.2f}") for part in parts[:2]]
    path = workbook(tmp_path / "a.xlsx", *rows, title="资助发放表")
    done, again = await enter(desk, path), await enter(desk, path)
    assert done.recorded is not None
    assert (len(done.recorded.recorded), done.recorded.known) == (2, 0)
    assert again.recorded is not None
    assert (again.recorded.recorded, again.recorded.known) == ((), 2)
    assert (await desk.balance())["paid"] == sum(part.fen for part in parts[:2])


async def test_a_csv_in_gb18030_with_amounts_as_people_write_them(desk: AidDesk, tmp_path: Path) -> None:
    [first, *_] = await desk.award()
    path = tmp_path / "a.csv"
    with path.open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows([HEADER, row_of(desk, first.month, "１，000.5元", kind="助学金")])
    done = await enter(desk, path)
    assert [issue.code for issue in done.issues] == []
    [payment] = await desk.registry.rows(AidPayment)
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
async def test_a_fault_is_named_by_sheet_row_column_and_value_and_nothing_is_recorded(
    desk: AidDesk, tmp_path: Path, changes: dict[str, Any], column: str, letter: str, code: str | None
) -> None:
    [first, *_] = await desk.award()
    good = row_of(desk, first.month, "1.00")
    path = workbook(tmp_path / "a.xlsx", good, row_of(desk, first.month, "2.00", **changes))
    done = await enter(desk, path)
    [issue] = done.issues
    assert (issue.sheet, issue.row, issue.column, issue.letter) == ("发放", 3, column, letter)
    assert code is None or issue.code == code
    assert done.recorded is None


async def test_a_number_of_another_schools_student_is_nobodys(desk: AidDesk, tmp_path: Path) -> None:
    [first, *_] = await desk.award()
    foreign = desk.registry.stage.world.sister.students[0].student_number
    path = workbook(tmp_path / "a.xlsx", row_of(desk, first.month, "1.00", number=foreign))
    assert [issue.code for issue in (await enter(desk, path)).issues] == ["student_not_on_roll"]


async def test_the_same_row_twice_in_a_file_names_the_first(desk: AidDesk, tmp_path: Path) -> None:
    [first, *_] = await desk.award()
    row = row_of(desk, first.month, "1.00")
    [issue] = (await enter(desk, workbook(tmp_path / "a.xlsx", row, row))).issues
    assert (issue.row, issue.code) == (3, "aid_payment_repeated")
    assert "发放!2" in issue.zh


async def test_a_file_without_rows_is_said_to_be_empty(desk: AidDesk, tmp_path: Path) -> None:
    with pytest.raises(AidFileEmpty):
        await enter(desk, workbook(tmp_path / "a.xlsx"))


async def test_a_file_that_cannot_be_used_at_all_is_refused(desk: AidDesk, tmp_path: Path) -> None:
    today = desk.registry.today
    lacking = tmp_path / "b.csv"
    lacking.write_text("学籍号,月份\n", encoding="utf-8")
    with pytest.raises(RosterColumnsMissing, match="发放日期"):
        await read_upload(lacking, today=today)
    twice = tmp_path / "c.csv"
    twice.write_text("学籍号,学号,月份\n", encoding="utf-8")
    with pytest.raises(RosterColumnsRepeated):
        read_payments(twice, today=today)
    (tmp_path / "d.xlsx").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(RosterKindUnsupported):
        read_payments(tmp_path / "d.xlsx", today=today)
