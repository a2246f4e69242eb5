from collections.abc import Iterable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.errors import DomainError
from backend.org.calendar import CalendarYear, CalendarYearInvalid
from backend.org.calendar_file import CalendarFileInvalid, parse_calendar_year, parse_calendar_year_csv

HOLIDAYS = ["2027-01-01", "2027-05-01", "2027-10-01", "2027-10-02", "2027-10-03"]
YEAR = CalendarYear(
    2027, frozenset(map(date.fromisoformat, HOLIDAYS)), frozenset({date(2027, 10, 9)}), "国务院办公厅通知"
)


def yaml_text(
    holidays: Iterable[str] = HOLIDAYS, makeup_workdays: Iterable[str] = ("2027-10-09",), year: str = "2027"
) -> str:
    lists = f"holidays: [{', '.join(holidays)}]\nmakeup_workdays: [{', '.join(makeup_workdays)}]\n"
    return f"year: {year}\nsource: 国务院办公厅通知\n{lists}"


def csv_text(*rows: str) -> str:
    return "\n".join(["date,kind", *(f"{day},holiday" for day in HOLIDAYS), *rows])


@pytest.mark.clause("R7")
def test_a_year_is_read_from_yaml() -> None:
    assert parse_calendar_year(yaml_text()) == YEAR


@pytest.mark.clause("R7")
def test_the_same_year_is_read_from_csv_even_with_a_byte_order_mark() -> None:
    text = "\ufeff" + csv_text("2027-10-09,makeup_workday", "")
    assert parse_calendar_year_csv(text, year=2027, source="国务院办公厅通知") == YEAR


def test_every_faulty_row_is_named_with_its_number_and_value() -> None:
    text = csv_text(
        "2027-02-30,holiday",
        "2027-02-06",
        "2026-11-01,holiday",
        "2027-01-01,makeup_workday",
        "20270209,holiday",
    )
    with pytest.raises(CalendarFileInvalid) as refusal:
        parse_calendar_year_csv(text, year=2027, source="test")
    assert [(fault.row, fault.value, fault.en) for fault in refusal.value.faults] == [
        (7, "2027-02-30", "a date reads YYYY-MM-DD"),
        (8, "2027-02-06", "kind is holiday or makeup_workday"),
        (9, "2026-11-01", "the date is not of 2027"),
        (10, "2027-01-01", "the date is given twice"),
        (11, "20270209", "a date reads YYYY-MM-DD"),
    ]
    assert "5 faults" in refusal.value.sentence("en")


def test_a_day_that_does_not_exist_is_a_faulty_row_in_yaml_too() -> None:
    with pytest.raises(CalendarFileInvalid) as refusal:
        parse_calendar_year(yaml_text(makeup_workdays=["2027-02-30"]))
    assert [(fault.row, fault.value) for fault in refusal.value.faults] == [(6, "2027-02-30")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just a sentence",
        "year: [",
        yaml_text() + "extra: 1\n",
        yaml_text(year="two"),
        yaml_text(year="0"),
        yaml_text(year="10000"),
        "year: 2027\nsource: x\nholidays: none\nmakeup_workdays: []\n",
    ],
)
def test_a_file_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(CalendarFileInvalid):
        parse_calendar_year(text)


def test_a_csv_without_its_header_is_refused() -> None:
    with pytest.raises(CalendarFileInvalid):
        parse_calendar_year_csv("2027-01-01,holiday\n", year=2027, source="test")


def test_old_line_ends_are_line_ends() -> None:
    text = csv_text("2027-10-09,makeup_workday").replace("\n", "\r")
    assert parse_calendar_year_csv(text, year=2027, source=YEAR.source) == YEAR


def test_a_csv_that_no_reader_takes_is_refused() -> None:
    with pytest.raises(CalendarFileInvalid):
        parse_calendar_year_csv(csv_text("2" * 200_000), year=2027, source="test")


def test_good_rows_that_make_no_whole_year_are_refused() -> None:
    with pytest.raises(CalendarYearInvalid):
        parse_calendar_year(yaml_text(holidays=HOLIDAYS[1:]))


@given(st.text(max_size=200))
def test_any_text_is_either_a_year_or_a_named_refusal(text: str) -> None:
    for parse in (
        parse_calendar_year,
        lambda given: parse_calendar_year_csv(given, year=2027, source="test"),
    ):
        with pytest.raises(DomainError):
            parse(text)


@given(
    st.lists(st.tuples(st.text(max_size=12), st.sampled_from(["holiday", "makeup_workday", ""])), min_size=1)
)
def test_a_csv_of_arbitrary_days_never_becomes_a_year_silently(rows: list[tuple[str, str]]) -> None:
    text = csv_text(*(f'"{day.replace(chr(34), "")}",{kind}' for day, kind in rows))
    with pytest.raises(DomainError):
        parse_calendar_year_csv(text, year=2027, source="test")
