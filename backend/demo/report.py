"""What the demonstration ends with: a line for everyone who had a part, and whatever was not as demanded."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Line:
    """One line of the final table."""

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
    def surprise(self) -> bool:
        """Whether this is not what the notice demands."""
        return self.expected != self.outcome


@dataclass(slots=True)
class Report:
    """What the demonstration ends with."""

    lines: list[Line] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def check(self, fact: str, holds: object) -> None:
        """Note a surprise when a fact of the story does not hold."""
        if not holds:
            self.surprises.append(fact)
