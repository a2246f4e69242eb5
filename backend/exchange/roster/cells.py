"""Cell values as stored in files, and the texts, dates and months they mean."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from backend.core.match_keys import decode_cell, visible


class Numeric(str):
    """The raw text of a cell that the workbook stores as a number (`4.10102E+17`, `39448`)."""

    __slots__ = ()


class ErrorCell(str):
    """The text of a cell that the workbook marks as an error (`#N/A`, in whatever language)."""

    __slots__ = ()


class Untyped(str):
    """A cell of a CSV file, which may show a number as its workbook displayed it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a sheet: its number as displayed, its non-empty cells by column index from 0, and whether it is hidden."""

    number: int
    cells: dict[int, str]
    hidden: bool = False


EXCEL_ERRORS = frozenset(
    {
        *("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"),
        *("#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!", "#PYTHON!"),
        *("#GETTING_DATA", "#EXTERNAL!", "#TIMEOUT!"),
    }
)
"""How errors look in a CSV file or where they were pasted as text."""

EXCEL_DIGITS = 15
"""Excel stores fifteen significant digits of a number; further digits are lost."""

MAX_NUMBER_DIGITS = 30
"""Numbers with more digits before or after the point are left as written in the file."""

_SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?[Ee]\+?[0-9]{1,3}")
_DIGITS = re.compile(r"[0-9]+")
_MIDNIGHT = r"(?:0?0:00(?::00(?:\.0+)?)?|12:00(?::00)? ?AM)"
_DAY = re.compile(
    rf"([0-9]{{4}}) ?[-/.年] ?([0-9]{{1,2}}) ?[-/.月] ?([0-9]{{1,2}})(?: ?日)?(?:(?: |T|(?<=日)){_MIDNIGHT})?"
)
_LOST_ZERO = re.compile(r"[0-9]{4}\.1")
_MONTH = re.compile(r"([0-9]{4}) ?[-/.年] ?([0-9]{1,2})(?: ?月)?")

FIRST_SERIAL, LAST_SERIAL = 10_000, 99_999
"""Five-digit serial dates (1927 to 2173); eight digits are a day written out, six a month."""


def plain(cell: str) -> str:
    """The cell's text as given, without what file formats put around it; a number as it is written out."""
    return _decimal_text(cell) if type(cell) is Numeric else decode_cell(cell)


def _decimal_text(raw: str) -> str:
    """`3.0` → `3`, `1.54E10` → `15400000000`; other text is unchanged."""
    if _DIGITS.fullmatch(raw):
        return str(raw)
    try:
        number = Decimal(raw)
    except InvalidOperation:
        return str(raw)
    if number.is_finite() and abs(number.adjusted()) < MAX_NUMBER_DIGITS:
        return f"{number:f}".rstrip("0").rstrip(".") if number % 1 else str(int(number))
    return str(raw)


def is_error(cell: str) -> bool:
    """Whether the cell is an error of a formula."""
    return type(cell) is ErrorCell or decode_cell(cell) in EXCEL_ERRORS


def lost_zero(cell: str, text: str) -> bool:
    """Whether a month was stored or displayed as a number that has lost the zero of October: `2026.1`.

    `text` is the cell after `plain`. A text cell of a workbook says what was typed; a CSV file does not.
    """
    return type(cell) in {Numeric, Untyped} and _LOST_ZERO.fullmatch(_written(text)) is not None


def lost_precision(cell: str, text: str) -> bool:
    """Whether a long number was stored in a numeric cell and lost its last digits.

    `text` is the cell after `plain` and `compact`. A CSV that Excel wrote shows `4.10102E+17`.
    """
    if type(cell) is Numeric:
        return len(text) > EXCEL_DIGITS
    return _SCIENTIFIC.fullmatch(text) is not None


def _written(text: str) -> str:
    """The visible text; digits without the spaces between them."""
    shown = visible(text)
    digits = shown.replace(" ", "")
    return digits if _DIGITS.fullmatch(digits) else shown


def parse_day(text: str, *, epoch: date) -> date | None:
    """A day written `20080101`, `2008-1-1`, `2008/01/01`, `2008年1月1日`, or as an Excel serial from `epoch`.

    A time is accepted if it is midnight, as programs write days: `2008/1/31 0:00`.
    """
    text = _written(text)
    try:
        if _DIGITS.fullmatch(text):
            if len(text) == 8:  # noqa: PLR2004  yyyymmdd
                return date(int(text[:4]), int(text[4:6]), int(text[6:]))
            serial = int(text) if len(text) == 5 else 0  # noqa: PLR2004  see FIRST_SERIAL
            return epoch + timedelta(days=serial) if FIRST_SERIAL <= serial <= LAST_SERIAL else None
        match = _DAY.fullmatch(text)
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


def parse_month(text: str, *, epoch: date) -> str | None:
    """A month written `202409`, `2024-9`, `2024年9月`, or any day in it; as `YYYY-MM`."""
    text = _written(text)
    if _DIGITS.fullmatch(text) and len(text) == 6:  # noqa: PLR2004  yyyymm
        year, month = text[:4], text[4:]
    elif match := _MONTH.fullmatch(text):
        year, month = match[1], match[2]
    else:
        day = parse_day(text, epoch=epoch)
        return f"{day:%Y-%m}" if day else None
    return f"{year}-{int(month):02}" if 1 <= int(month) <= 12 else None  # noqa: PLR2004  months of a year
