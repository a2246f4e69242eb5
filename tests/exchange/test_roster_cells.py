from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.exchange.roster.cells import (
    Numeric,
    Untyped,
    lost_precision,
    lost_zero,
    parse_day,
    parse_month,
    plain,
)
from backend.exchange.roster.xlsx_reader import EPOCH_1900, EPOCH_1904


@pytest.mark.parametrize(
    "text",
    [
        *("20080131", "2008-01-31", "2008/1/31", "2008.1.31"),
        *("2008年1月31日", "2008-01-31 00:00:00", "2008-01-31T00:00:00"),
        *("2008/1/31 0:00", "2008/1/31 00:00:00.000", "2008年1月31日0:00", "2008/1/31 12:00:00 AM"),
        *("２００８．１．３１", "2008 年 1 月 31 日", "2008 01 31"),
    ],
)
def test_parse_day_accepts_common_notations(text: str) -> None:
    assert parse_day(text, epoch=EPOCH_1900) == date(2008, 1, 31)


@given(st.dates(date(1932, 1, 1), date(2100, 1, 1)))
def test_serial_dates_are_read_in_both_date_systems(day: date) -> None:
    for epoch in (EPOCH_1900, EPOCH_1904):
        assert parse_day(str((day - epoch) // timedelta(days=1)), epoch=epoch) == day


@given(st.text(max_size=12) | st.text("0123456789²٣-/.年月日", max_size=10))
def test_any_text_gives_a_day_and_a_month_or_none(text: str) -> None:
    day, month = parse_day(text, epoch=EPOCH_1900), parse_month(text, epoch=EPOCH_1900)
    assert day is None or month == f"{day:%Y-%m}"
    assert month is None or (len(month) == 7 and month.isascii())


@pytest.mark.parametrize(
    "text",
    [
        "20080230",
        "2008-13-01",
        "200801",
        "00000101",
        "1",
        "今天",
        "2008-01-31 08:00",
        "2008/1/310:00",
        "٢٠٠٨٠١٣١",
        "",
    ],
)
def test_invalid_day_gives_none(text: str) -> None:
    assert parse_day(text, epoch=EPOCH_1900) is None


@pytest.mark.parametrize(
    "text",
    ["202409", "2024-09", "2024/9", "2024.9", "2024年9月", "2024年09月", "20240901", "2024-09-01", "45536"],
)
def test_parse_month_accepts_common_notations(text: str) -> None:
    assert parse_month(text, epoch=EPOCH_1900) == "2024-09"


@pytest.mark.parametrize("text", ["202413", "202400", "2024", "24-09", "秋季", ""])
def test_invalid_month_gives_none(text: str) -> None:
    assert parse_month(text, epoch=EPOCH_1900) is None


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("'G123 ", "G123"),
        ("　张三 ", "张三"),
        ("\ufeff张\u200b三", "张\u200b三"),
        ('="410102"', "410102"),
        ("张三_x000D_\n", "张三"),
        ("\u2067张三\u2069", "张三"),
        (Numeric("3.0"), "3"),
        (Numeric("2.50"), "2.5"),
        (Numeric("1.54E10"), "15400000000"),
        (Numeric("15400000001"), "15400000001"),
        (Numeric("1E999999999"), "1E999999999"),
        (Numeric("NaN"), "NaN"),
    ],
)
def test_marks_of_file_formats_around_a_cell_are_removed(cell: str, text: str) -> None:
    assert plain(cell) == text


@given(st.integers(10**15, 10**18))
def test_numeric_cell_of_more_than_15_digits_has_lost_precision(number: int) -> None:
    cell = Numeric(repr(float(number)))
    assert lost_precision(cell, plain(cell))


@given(st.integers(0, 10**15 - 1))
def test_shorter_numeric_cell_is_exact(number: int) -> None:
    cell = Numeric(repr(float(number)))
    assert not lost_precision(cell, plain(cell))
    assert plain(cell) == str(number)


@pytest.mark.parametrize("cell", [Numeric("2026.1"), Untyped("2026.1"), Untyped(" 2026.1 ")])
def test_month_that_lost_its_zero_is_detected(cell: str) -> None:
    assert lost_zero(cell, plain(cell))


@pytest.mark.parametrize(
    "cell", ["2026.1", Numeric("2026.9"), Numeric("202610"), Untyped("2026.10"), Untyped("2026-1")]
)
def test_other_months_have_their_zero(cell: str) -> None:
    assert not lost_zero(cell, plain(cell))
    assert parse_month(plain(cell), epoch=EPOCH_1900) is not None


def test_scientific_notation_in_a_csv_has_lost_precision() -> None:
    assert lost_precision("4.10102E+17", "4.10102E+17")
    assert not lost_precision("E12345678", "E12345678")
