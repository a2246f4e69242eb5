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
def test_year_is_parsed_from_yaml() -> None:
    assert parse_calendar_year(yaml_text()) == YEAR


@pytest.mark.clause("R7")
def test_same_year_is_parsed_from_csv_with_a_byte_order_mark() -> None:
    text = "\ufeff" + csv_text("2027-10-09,makeup_workday", "")
    assert parse_calendar_year_csv(text, year=2027, source="国务院办公厅通知") == YEAR


def test_every_faulty_row_is_listed_with_number_and_value() -> None:
    text = csv_text(
        "2027-02-30,holiday",
        "2027-02-06",
        "2026-11-01,holiday",
        "2027-01-01,makeup_workday",
        "20270209,holiday",
    )
    with pytest.raises(CalendarFileInvalid) as error:
        parse_calendar_year_csv(text, year=2027, source="test")
    assert [(row_error.row, row_error.value, row_error.en) for row_error in error.value.row_errors] == [
        (7, "2027-02-30", "the date must be YYYY-MM-DD"),
        (8, "2027-02-06", "the kind must be holiday or makeup_workday"),
        (9, "2026-11-01", "the date is not in 2027"),
        (10, "2027-01-01", "the date is repeated"),
        (11, "20270209", "the date must be YYYY-MM-DD"),
    ]
    assert "5 faulty rows" in error.value.sentence("en")


def test_nonexistent_day_is_a_faulty_row_in_yaml() -> None:
    with pytest.raises(CalendarFileInvalid) as error:
        parse_calendar_year(yaml_text(makeup_workdays=["2027-02-30"]))
    assert [(row_error.row, row_error.value) for row_error in error.value.row_errors] == [(6, "2027-02-30")]


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
def test_file_with_another_structure_is_rejected(text: str) -> None:
    with pytest.raises(CalendarFileInvalid):
        parse_calendar_year(text)


def test_csv_without_header_is_rejected() -> None:
    with pytest.raises(CalendarFileInvalid):
        parse_calendar_year_csv("2027-01-01,holiday\n", year=2027, source="test")


def test_carriage_returns_are_line_ends() -> None:
    text = csv_text("2027-10-09,makeup_workday").replace("\n", "\r")
    assert parse_calendar_year_csv(text, year=2027, source=YEAR.source) == YEAR


def test_unreadable_csv_is_rejected() -> None:
    with pytest.raises(CalendarFileInvalid):
        parse_calendar_year_csv(csv_text("2" * 200_000), year=2027, source="test")


def test_valid_rows_of_an_incomplete_year_are_rejected() -> None:
    with pytest.raises(CalendarYearInvalid):
        parse_calendar_year(yaml_text(holidays=HOLIDAYS[1:]))


@given(st.text(max_size=200))
def test_any_text_is_either_a_year_or_a_named_error(text: str) -> None:
    for parse in (
        parse_calendar_year,
        lambda given: parse_calendar_year_csv(given, year=2027, source="test"),
    ):
        with pytest.raises(DomainError):
            parse(text)


@given(
    st.lists(st.tuples(st.text(max_size=12), st.sampled_from(["holiday", "makeup_workday", ""])), min_size=1)
)
def test_csv_of_arbitrary_days_never_becomes_a_year_silently(rows: list[tuple[str, str]]) -> None:
    text = csv_text(*(f'"{day.replace(chr(34), "")}",{kind}' for day, kind in rows))
    with pytest.raises(DomainError):
        parse_calendar_year_csv(text, year=2027, source="test")
