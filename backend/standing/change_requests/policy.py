"""What a change of the record may be, and who must agree to it (HN334-4.1c, MOE19-2.3b, SD13-4, reading 11). Pure.

The levels of a chain are those that exist above the school: where there is no county, the city follows at once; a
school directly under the province has the province alone above it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from uuid import UUID

from backend.policy import PolicyAt
from backend.standing.engine.facts import Status

FILING = "filing"
"""The filing is the school's opinion; any other value of `change.school_opinion` asks a second registrar."""


class UpTo(StrEnum):
    """How far a report climbs."""

    SCHOOL = "school"
    SUPERIOR = "superior"
    PROVINCE = "province"


class RequestState(StrEnum):
    """What has become of a request."""

    OPEN = "open"
    AGREED = "agreed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class ChangeKind:
    """A kind of change: what it writes (None leaves the earlier value), and the status it may come from."""

    code: str
    item: str
    standing: str | None
    study_form: str | None
    from_standings: tuple[str, ...]
    from_study_forms: tuple[str, ...]
    zh: str
    en: str

    def applied(self, status: Status) -> Status:
        """The status that the change makes."""
        return Status(self.standing or status.standing, self.study_form or status.study_form)

    def objection(self, status: Status) -> str | None:
        """Why a record of this status cannot be changed so, or None.

        `nothing_changes`: everything that the kind writes is so already; `unfit`: it does not come from this status.
        """
        writes = self.standing or self.study_form
        if writes and self.applied(status) == status:
            return "nothing_changes"
        fits = status.standing in self.from_standings and status.study_form in self.from_study_forms
        return None if fits else "unfit"


@dataclass(frozen=True, slots=True)
class Level:
    """A unit that gives its opinion: `school`, `county`, `city` or `province`."""

    level: str
    org_id: UUID


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """The figures of changes on one day at one place."""

    kinds: Mapping[str, ChangeKind]
    usual: Mapping[str, UpTo]
    by_programme: Mapping[tuple[str, str], UpTo]
    school_opinion: str
    locked_items: tuple[str, ...]
    locked_up_to: UpTo
    version: str

    @classmethod
    def of(cls, policy: PolicyAt) -> Self:
        """Raises `AbsentLaw` where the place has no law on changes."""
        return cls(
            kinds=change_kinds(policy),
            usual={
                str(row["change_kind"]): UpTo(str(row["up_to"]))
                for row in policy.table("change.approval.usual")
            },
            by_programme={
                (str(row["programme"]), str(row["change_kind"])): UpTo(str(row["up_to"]))
                for row in policy.table("change.approval.by_programme")
            },
            school_opinion=policy.text("change.school_opinion"),
            locked_items=policy.texts("lock.covers"),
            locked_up_to=UpTo(policy.text("lock.up_to")),
            version=policy.version,
        )

    def usual_reach(self, kind: ChangeKind, programme: str) -> UpTo:
        """How far a change of an unlocked record climbs: by the programme if the law has a rule for it."""
        return self.by_programme.get((programme, kind.code)) or self.usual[kind.code]

    def chain(self, up_to: UpTo, levels: Sequence[Level]) -> tuple[Level, ...]:
        """The units that must agree, lowest first. `levels` are the school and all above it, lowest first."""
        school, above = tuple(levels[:1]), tuple(levels[1:])
        if up_to is UpTo.SCHOOL:
            return school
        climbing = above[:1] if up_to is UpTo.SUPERIOR else above
        return climbing if self.school_opinion == FILING else school + climbing


def change_kinds(policy: PolicyAt) -> dict[str, ChangeKind]:
    """The kinds of change by code."""
    return {
        str(row["code"]): ChangeKind(
            code=str(row["code"]),
            item=str(row["item"]),
            standing=str(row["standing"]) or None,
            study_form=str(row["study_form"]) or None,
            from_standings=tuple(str(row["from_standings"]).split()),
            from_study_forms=tuple(str(row["from_study_forms"]).split()),
            zh=str(row["zh"]),
            en=str(row["en"]),
        )
        for row in policy.table("change.kinds")
    }


def request_state(length: int, outcomes: Sequence[str]) -> RequestState:
    """The state of a request whose chain has `length` levels, by the outcomes of its steps in order."""
    if outcomes and outcomes[-1] != "agreed":
        return RequestState(outcomes[-1])
    return RequestState.AGREED if len(outcomes) == length else RequestState.OPEN
