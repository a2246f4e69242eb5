"""Parses the calendar year that an administrator loads, as YAML or CSV. An error lists every faulty row."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date

import yaml

from backend.core.errors import DomainError
from backend.org.calendar import CalendarYear

HOLIDAY = "holiday"
MAKEUP_WORKDAY = "makeup_workday"
YAML_KEYS = frozenset({"year", "source", "holidays", "makeup_workdays"})
YEAR_DIGITS = 4
CSV_HEADER = ["date", "kind"]


@dataclass(frozen=True, slots=True)
class RowError:
    """A faulty row: its number (from 1, including the CSV header), its value, and the reason."""

    row: int
    value: str
    zh: str
    en: str


class CalendarFileInvalid(DomainError):
    """The file has faulty rows. `row_errors` lists all of them; nothing of the file is used."""

    code = "calendar_file_invalid"
    status = 422
    zh = "日历文件有 {count} 处错误，第一处在第 {row} 行“{value}”：{reason_zh}。请更正后重新载入。"
    en = (
        "The calendar file has {count} faulty rows. The first is row {row}, “{value}”: {reason_en}. "
        "Correct it and load it again."
    )

    def __init__(self, row_errors: tuple[RowError, ...]) -> None:
        self.row_errors = row_errors
        first = row_errors[0]
        super().__init__(
            count=len(row_errors), row=first.row, value=first.value, reason_zh=first.zh, reason_en=first.en
        )


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    text: str
    kind: str


def parse_calendar_year(text: str) -> CalendarYear:
    """Parse YAML with the keys `year`, `source`, `holidays` and `makeup_workdays`, the last two as lists of dates.

    Rows are numbered across both lists. Raises `CalendarFileInvalid`, or `CalendarYearInvalid` if every row is valid
    but the year as a whole is not.
    """
    content = _read_yaml_mapping(text)
    days = [(day, HOLIDAY) for day in _read_list(content, "holidays")]
    days += [(day, MAKEUP_WORKDAY) for day in _read_list(content, "makeup_workdays")]
    rows = [_Row(number, str(day), kind) for number, (day, kind) in enumerate(days, start=1)]
    return _build_year(rows, _parse_year(str(content["year"])), str(content["source"]))


def parse_calendar_year_csv(text: str, *, year: int, source: str) -> CalendarYear:
    """Parse CSV with the header `date,kind`; the kind is `holiday` or `makeup_workday`. Raises the same errors."""
    lines = _read_csv_lines(text)
    if not lines or lines[0] != CSV_HEADER:
        row_error = RowError(
            1, ",".join(lines[0] if lines else ()), "表头应为 date,kind", "the header must be date,kind"
        )
        raise CalendarFileInvalid((row_error,))
    rows = [
        _Row(number, cells[0].strip(), cells[1].strip() if len(cells) == len(CSV_HEADER) else "")
        for number, cells in enumerate(lines[1:], start=2)
        if cells
    ]
    return _build_year(rows, _parse_year(str(year)), source)


def _read_csv_lines(text: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=None))
    try:
        return list(reader)
    except csv.Error as error:
        row_error = RowError(reader.line_num, str(error), "不是可读的 CSV", "this is not valid CSV")
        raise CalendarFileInvalid((row_error,)) from error


def _build_year(rows: list[_Row], year: int, source: str) -> CalendarYear:
    row_errors = tuple(_find_row_errors(rows, year))
    if row_errors:
        raise CalendarFileInvalid(row_errors)
    return CalendarYear(year, _days_of_kind(rows, HOLIDAY), _days_of_kind(rows, MAKEUP_WORKDAY), source)


def _days_of_kind(rows: Iterable[_Row], kind: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(row.text) for row in rows if row.kind == kind)


def _find_row_errors(rows: Iterable[_Row], year: int) -> Iterator[RowError]:
    """Yield the rows with a malformed date, a date outside the year, an unknown kind, or a repeated date."""
    seen: set[str] = set()
    for row in rows:
        day = _parse_day(row.text)
        if row.kind not in {HOLIDAY, MAKEUP_WORKDAY}:
            yield RowError(
                row.number,
                row.text,
                "类别应为 holiday 或 makeup_workday",
                "the kind must be holiday or makeup_workday",
            )
        if day is None:
            yield RowError(row.number, row.text, "日期应为 YYYY-MM-DD", "the date must be YYYY-MM-DD")
        elif day.year != year and (day.year, day.month) != (year - 1, 12):
            yield RowError(row.number, row.text, f"日期不属于 {year} 年", f"the date is not in {year}")
        elif row.text in seen:
            yield RowError(row.number, row.text, "日期重复", "the date is repeated")
        seen.add(row.text)


def _parse_day(text: str) -> date | None:
    """Parse exactly YYYY-MM-DD; `date.fromisoformat` alone also accepts week dates and digits without dashes."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def _parse_year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and MINYEAR < int(text[: YEAR_DIGITS + 1]) <= MAXYEAR):
        raise CalendarFileInvalid(
            (RowError(1, text, "年份应为四位整数", "the year must be a number of four digits"),)
        )
    return int(text)


def _read_yaml_mapping(text: str) -> dict[str, object]:
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 — the loader that builds only strings
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        row = mark.line + 1 if mark else 1
        row_error = RowError(row, str(error).partition("\n")[0], "不是可读的 YAML", "this is not valid YAML")
        raise CalendarFileInvalid((row_error,)) from error
    if not isinstance(content, dict) or set(content) != YAML_KEYS:
        names = ", ".join(sorted(YAML_KEYS))
        row_error = RowError(1, names, "文件应恰有这些键", "the file must have exactly these keys")
        raise CalendarFileInvalid((row_error,))
    return content


def _read_list(content: dict[str, object], key: str) -> list[object]:
    value = content[key]
    if not isinstance(value, list):
        raise CalendarFileInvalid((RowError(1, key, "应为日期列表", "this must be a list of dates"),))
    return value
