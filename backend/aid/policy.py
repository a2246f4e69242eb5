"""The policy parameters of aid for one legal day and place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

from backend.org.paths import division_of
from backend.org.terms import TermView
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class AidPolicy:
    """Who approves applications and records payments, and the deadlines. `deadlines` are (month, day) by programme."""

    approvers: tuple[str, ...]
    recorders: tuple[str, ...]
    degree_programmes: tuple[str, ...]
    deadlines: Mapping[str, tuple[tuple[int, int], ...]]

    @classmethod
    def at(cls, day: date, org_path: str) -> Self:
        """Read the policy for the school at the path; raises `AbsentLaw`."""
        law = policy_at(day, division_of(org_path))
        deadlines: dict[str, tuple[tuple[int, int], ...]] = {}
        for row in law.table("aid.application.deadlines"):
            programme = str(row["programme"])
            deadlines[programme] = (*deadlines.get(programme, ()), (int(row["month"]), int(row["day"])))
        return cls(
            approvers=law.texts("aid.application.approvers"),
            recorders=law.texts("aid.payment.recorders"),
            degree_programmes=law.texts("aid.degree_programmes"),
            deadlines=deadlines,
        )

    def last_day(self, programme: str, term: TermView) -> date:
        """Return the last day to apply for and approve aid of the term (HRSS28-3.3); by default its last day."""
        days = (
            date(year, month, day)
            for year in {term.starts_on.year, term.ends_on.year}
            for month, day in self.deadlines.get(programme, ())
        )
        return min((day for day in days if term.starts_on <= day <= term.ends_on), default=term.ends_on)
