"""Rows that a person who looks at a sheet does not see, hidden by hand or by a filter. They are read like the others."""

from backend.exchange.roster.cells import RawRow
from backend.exchange.roster.issues import RowIssue, Severity

ROWS_HIDDEN = "rows_hidden"
LISTED = 5
"""Hidden rows that the warning names; all are counted."""


class HiddenRows:
    """Counts the hidden rows of a sheet."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._total = 0

    def count(self, raw: RawRow) -> None:
        if raw.hidden:
            self._total += 1
            if self._total <= LISTED:
                self._first.append(raw.number)

    def warnings(self, sheet: str) -> list[RowIssue]:
        """One warning with the number of hidden rows, if there are any."""
        return [_rows_hidden(sheet, self._first, self._total)] if self._total else []


def _rows_hidden(sheet: str, numbers: list[int], count: int) -> RowIssue:
    listed = ", ".join(map(str, numbers))
    more = count > len(numbers)
    zh = (
        f"有 {count} 行被隐藏或筛选掉（第 {listed} 行{'等' if more else ''}），已与其他行一样读取。"
        "如不应导入，请取消筛选和隐藏，删除这些行后重新上传。"
    )
    en = (
        f"{count} rows are hidden or filtered out (rows {listed}{', …' if more else ''}); they were read like the others."
        " If they should not be imported, show all rows, delete these and upload the file again."
    )
    return RowIssue(sheet, numbers[0], "", "", str(count), ROWS_HIDDEN, Severity.WARNING, zh, en)
