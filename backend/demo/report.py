"""The final report: one line per role, figures, and every fact that was not as expected."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ReportLine:
    """One line of the final table. The field names are keys of the JSON report."""

    role: str
    zh: str
    student: str
    expected: str
    outcome: str
    reason: str
    method: str
    engine: str
    seen: list[str]

    @property
    def is_unexpected(self) -> bool:
        """Whether the outcome differs from the one that the notice requires."""
        return self.expected != self.outcome


@dataclass(slots=True)
class Report:
    """The final report."""

    lines: list[ReportLine] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def check(self, fact: str, is_true: object) -> None:
        """Record `fact` as unexpected if it is not true."""
        if not is_true:
            self.unexpected.append(fact)
