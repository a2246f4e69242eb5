"""The policy figures of appeals, as of the day of filing (reading 14)."""

from dataclasses import dataclass
from datetime import date
from typing import Self

from backend.org.paths import division_of
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class AppealPolicy:
    """Working days to decide, reminders, messages per side, and the month in which the gaokao year begins."""

    working_days: int
    reminders: tuple[int, ...]
    messages: int
    gaokao_month: int

    @property
    def overdue_mark(self) -> int:
        """The first working day after the deadline."""
        return self.working_days + 1

    @classmethod
    def on(cls, day: date, school_path: str) -> Self:
        """The figures in force on a legal day for the school at the path."""
        law = policy_at(day, division_of(school_path))
        return cls(
            working_days=law.integer("appeal.deciding.working_days"),
            reminders=law.integers("appeal.deciding.reminders"),
            messages=law.integer("appeal.messages.limit"),
            gaokao_month=law.integer("gaokao.year_begins"),
        )
