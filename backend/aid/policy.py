"""The figures of aid that services read, by day and place; absent law raises."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

from backend.org.paths import division_of
from backend.org.terms import TermView
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class AidPolicy:
    """Who applies, decides and records on one legal day. `deadlines` are month and day, by programme."""

    approvers: tuple[str, ...]
    recorders: tuple[str, ...]
    degree_programmes: tuple[str, ...]
    deadlines: Mapping[str, tuple[tuple[int, int], ...]]

    @classmethod
    def at(cls, day: date, org_path: str) -> Self:
        """The law for the school at the path; raises `AbsentLaw`."""
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
        """The last legal day on which the term's aid is applied for and approved (HRSS28-3.3), at most its end."""
        named = (
            date(year, month, day)
            for year in {term.starts_on.year, term.ends_on.year}
            for month, day in self.deadlines.get(programme, ())
        )
        return min((day for day in named if term.starts_on <= day <= term.ends_on), default=term.ends_on)
