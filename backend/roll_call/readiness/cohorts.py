"""The cohorts whose rehearsals have a deadline, as the policy names them. Pure.

`rehearsal.deadline.cohort_2022` is about the intake of that year, `rehearsal.deadline.enrolled` about all students of
earlier intakes, and of classes without a year.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from backend.core.errors import BadInput
from backend.policy import PolicyAt
from backend.policy.errors import AbsentLaw

PREFIX = "rehearsal.deadline."
ENROLLED = "enrolled"
_INTAKE = re.compile(r"cohort_(?P<year>[0-9]{4})")


@dataclass(frozen=True, slots=True)
class Cohort:
    """Students with a common deadline: those of one intake, or with `intake` None those of no other cohort."""

    code: str
    deadline: date
    intake: int | None

    def contains(self, grade: int | None, cohorts: Sequence["Cohort"]) -> bool:
        """Whether a class of this intake year (None: unknown) belongs to the cohort."""
        if self.intake is not None:
            return grade == self.intake
        return grade is None or grade not in {each.intake for each in cohorts}


def read_cohorts(policy: PolicyAt) -> list[Cohort]:
    """The cohorts with a deadline in force, earliest deadline first."""
    found = []
    for parameter in {each.id for each in policy.policy.parameters if each.id.startswith(PREFIX)}:
        code = parameter.removeprefix(PREFIX)
        intake = _INTAKE.fullmatch(code)
        try:
            deadline = policy.date_value(parameter)
        except AbsentLaw:
            continue
        found.append(Cohort(code, deadline, int(intake["year"]) if intake else None))
    return sorted(found, key=lambda each: (each.deadline, each.code))


def choose_cohort(cohorts: Sequence[Cohort], code: str) -> Cohort:
    """The cohort with a code. Raises `BadInput`."""
    for each in cohorts:
        if each.code == code:
            return each
    names = ", ".join(each.code for each in cohorts) or "—"
    raise BadInput(field="cohort", reason_zh=f"应为 {names} 之一", reason_en=f"must be one of {names}")
