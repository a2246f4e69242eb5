"""The summary of a dry run. Its size does not grow with the file."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.core.match_keys import match_key
from backend.exchange.roster.issues import RowIssue, Severity
from backend.exchange.roster.rows import RosterRow

SHOWN = 100
"""Findings listed individually; all are counted by code."""


@dataclass(slots=True)
class RosterSummary:
    """Counts over the items of `read_roster`."""

    shown: int = SHOWN
    students: int = 0
    rows_with_errors: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    first_errors: list[RowIssue] = field(default_factory=list)
    first_warnings: list[RowIssue] = field(default_factory=list)
    study_forms: Counter[str] = field(default_factory=Counter)
    programmes: Counter[str] = field(default_factory=Counter)
    _classes: set[str] = field(default_factory=set)
    _last_error: tuple[str, int] | None = None

    def add(self, item: RosterRow | RowIssue) -> None:
        """Count one item of `read_roster`. The findings of a row must be consecutive."""
        if isinstance(item, RosterRow):
            self.students += 1
            self.study_forms[item.study_form.value] += 1
            self.programmes[item.programme.value] += 1
            self._classes.add(match_key(item.class_name))
            return
        counts, first = (
            (self.errors, self.first_errors)
            if item.severity is Severity.ERROR
            else (self.warnings, self.first_warnings)
        )
        counts[item.code] += 1
        if len(first) < self.shown:
            first.append(item)
        if item.severity is Severity.ERROR and self._last_error != (item.sheet, item.row):
            self._last_error = (item.sheet, item.row)
            self.rows_with_errors += 1

    @property
    def importable(self) -> bool:
        """Whether the roster has students and no row with an error."""
        return not self.errors and self.students > 0

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON-compatible values."""
        return {
            "importable": self.importable,
            "rows": self.students + self.rows_with_errors,
            "students": self.students,
            "rows_with_errors": self.rows_with_errors,
            "classes": len(self._classes),
            "errors": self.errors.total(),
            "warnings": self.warnings.total(),
            "errors_by_code": dict(self.errors),
            "warnings_by_code": dict(self.warnings),
            "study_forms": dict(self.study_forms),
            "programmes": dict(self.programmes),
            "first_errors": [asdict(issue) for issue in self.first_errors],
            "first_warnings": [asdict(issue) for issue in self.first_warnings],
        }


def summarise(items: Iterable[RosterRow | RowIssue], *, shown: int = SHOWN) -> RosterSummary:
    """Consume all items and count them."""
    summary = RosterSummary(shown=shown)
    for item in items:
        summary.add(item)
    return summary
