"""Reading the calendar year an administrator loads, as YAML or CSV, with every bad row named."""

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
class RowFault:
    """What is wrong with one row: its number (from 1, the CSV header included), its value, and why."""

    row: int
    value: str
    zh: str
    en: str


class CalendarFileInvalid(DomainError):
    """The file has faulty rows, all listed in `faults`; nothing of it is used."""

    code = "calendar_file_invalid"
    status = 422
    zh = "日历文件有 {count} 处错误，第一处在第 {row} 行“{value}”：{reason_zh}。请更正后重新载入。"
    en = (
        "The calendar file has {count} faults, the first in row {row}, “{value}”: {reason_en}. "
        "Correct it and load it again."
    )

    def __init__(self, faults: tuple[RowFault, ...]) -> None:
        self.faults = faults
        first = faults[0]
        super().__init__(
            count=len(faults), row=first.row, value=first.value, reason_zh=first.zh, reason_en=first.en
        )


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    text: str
    kind: str


def parse_calendar_year(text: str) -> CalendarYear:
    """A year from YAML: `year`, `source`, `holidays` and `makeup_workdays` as lists of dates.

    Rows are counted through both lists. Raises `CalendarFileInvalid`, or `CalendarYearInvalid` when every row is
    good and the year as a whole is not.
    """
    content = _yaml_mapping(text)
    days = [(day, HOLIDAY) for day in _list(content, "holidays")]
    days += [(day, MAKEUP_WORKDAY) for day in _list(content, "makeup_workdays")]
    rows = [_Row(number, str(day), kind) for number, (day, kind) in enumerate(days, start=1)]
    return _year_of(rows, _year(str(content["year"])), str(content["source"]))


def parse_calendar_year_csv(text: str, *, year: int, source: str) -> CalendarYear:
    """A year from CSV with the header `date,kind`, kind being `holiday` or `makeup_workday`; errors as in YAML."""
    lines = _csv_lines(text)
    if not lines or lines[0] != CSV_HEADER:
        fault = RowFault(
            1, ",".join(lines[0] if lines else ()), "表头应为 date,kind", "the header is date,kind"
        )
        raise CalendarFileInvalid((fault,))
    rows = [
        _Row(number, cells[0].strip(), cells[1].strip() if len(cells) == len(CSV_HEADER) else "")
        for number, cells in enumerate(lines[1:], start=2)
        if cells
    ]
    return _year_of(rows, _year(str(year)), source)


def _csv_lines(text: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=None))
    try:
        return list(reader)
    except csv.Error as error:
        fault = RowFault(reader.line_num, str(error), "不是可读的 CSV", "this is no readable CSV")
        raise CalendarFileInvalid((fault,)) from error


def _year_of(rows: list[_Row], year: int, source: str) -> CalendarYear:
    faults = tuple(_faults(rows, year))
    if faults:
        raise CalendarFileInvalid(faults)
    return CalendarYear(year, _days(rows, HOLIDAY), _days(rows, MAKEUP_WORKDAY), source)


def _days(rows: Iterable[_Row], kind: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(row.text) for row in rows if row.kind == kind)


def _faults(rows: Iterable[_Row], year: int) -> Iterator[RowFault]:
    """Every row that names no day near the year, an unknown kind, or a day given before."""
    seen: set[str] = set()
    for row in rows:
        day = _day(row.text)
        if row.kind not in {HOLIDAY, MAKEUP_WORKDAY}:
            yield RowFault(
                row.number,
                row.text,
                "类别应为 holiday 或 makeup_workday",
                "kind is holiday or makeup_workday",
            )
        if day is None:
            yield RowFault(row.number, row.text, "日期应为 YYYY-MM-DD", "a date reads YYYY-MM-DD")
        elif day.year != year and (day.year, day.month) != (year - 1, 12):
            yield RowFault(row.number, row.text, f"日期不属于 {year} 年", f"the date is not of {year}")
        elif row.text in seen:
            yield RowFault(row.number, row.text, "日期重复", "the date is given twice")
        seen.add(row.text)


def _day(text: str) -> date | None:
    """The day of a text that is exactly YYYY-MM-DD; Python alone would also read week dates and bare digits."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and MINYEAR < int(text[: YEAR_DIGITS + 1]) <= MAXYEAR):
        raise CalendarFileInvalid(
            (RowFault(1, text, "年份应为四位整数", "the year is a number of four digits"),)
        )
    return int(text)


def _yaml_mapping(text: str) -> dict[str, object]:
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 — the loader that builds only strings
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        row = mark.line + 1 if mark else 1
        fault = RowFault(row, str(error).partition("\n")[0], "不是可读的 YAML", "this is no readable YAML")
        raise CalendarFileInvalid((fault,)) from error
    if not isinstance(content, dict) or set(content) != YAML_KEYS:
        names = ", ".join(sorted(YAML_KEYS))
        fault = RowFault(1, names, "文件应恰有这些键", "the file has exactly these keys")
        raise CalendarFileInvalid((fault,))
    return content


def _list(content: dict[str, object], key: str) -> list[object]:
    value = content[key]
    if not isinstance(value, list):
        raise CalendarFileInvalid((RowFault(1, key, "应为日期列表", "this is a list of dates"),))
    return value
