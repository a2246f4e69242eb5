"""Rules of change requests: change kinds and chains of approval (HN334-4.1c, MOE19-2.3b, SD13-4, reading 11). Pure.

A chain consists of the levels that exist above the school: without a county the city comes next, and a school directly
under the province has only the province above it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from uuid import UUID

from backend.policy import PolicyAt
from backend.standing.engine.facts import Status

FILING = "filing"
"""The filing counts as the school's opinion; any other value of `change.school_opinion` requires a second registrar."""


class HighestLevel(StrEnum):
    """The highest level that must approve a change."""

    SCHOOL = "school"
    SUPERIOR = "superior"
    PROVINCE = "province"


class RequestState(StrEnum):
    """The state of a request."""

    OPEN = "open"
    AGREED = "agreed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class ChangeKind:
    """A change kind: the values it writes (None keeps the earlier value) and the statuses it applies to."""

    code: str
    item: str
    standing: str | None
    study_form: str | None
    from_standings: tuple[str, ...]
    from_study_forms: tuple[str, ...]
    zh: str
    en: str

    def apply_to(self, status: Status) -> Status:
        """The status after the change."""
        return Status(self.standing or status.standing, self.study_form or status.study_form)

    def objection(self, status: Status) -> str | None:
        """Why the change does not apply to this status, or None if it does.

        `nothing_changes`: the status already has every value that the kind writes; `unfit`: the kind does not apply.
        """
        writes = self.standing or self.study_form
        if writes and self.apply_to(status) == status:
            return "nothing_changes"
        applies = status.standing in self.from_standings and status.study_form in self.from_study_forms
        return None if applies else "unfit"


@dataclass(frozen=True, slots=True)
class Level:
    """A unit that gives its opinion: `school`, `county`, `city` or `province`."""

    level: str
    org_id: UUID


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """The policy on change requests on one day at one place."""

    kinds: Mapping[str, ChangeKind]
    usual: Mapping[str, HighestLevel]
    by_programme: Mapping[tuple[str, str], HighestLevel]
    school_opinion: str
    locked_items: tuple[str, ...]
    locked_up_to: HighestLevel
    version: str

    @classmethod
    def of(cls, policy: PolicyAt) -> Self:
        """Raises `AbsentLaw` if the place has no policy on changes."""
        return cls(
            kinds=change_kinds(policy),
            usual={
                str(row["change_kind"]): HighestLevel(str(row["up_to"]))
                for row in policy.table("change.approval.usual")
            },
            by_programme=programme_levels(policy),
            school_opinion=policy.text("change.school_opinion"),
            locked_items=policy.texts("lock.covers"),
            locked_up_to=HighestLevel(policy.text("lock.up_to")),
            version=policy.version,
        )

    def required_level(self, kind: ChangeKind, programme: str) -> HighestLevel:
        """The highest level for a change of an unlocked record; a rule for the programme takes precedence."""
        return self.by_programme.get((programme, kind.code)) or self.usual[kind.code]

    def chain(self, up_to: HighestLevel, levels: Sequence[Level]) -> tuple[Level, ...]:
        """The units that must agree, lowest first. `levels` are the school and all units above it, lowest first."""
        school, above = tuple(levels[:1]), tuple(levels[1:])
        if up_to is HighestLevel.SCHOOL:
            return school
        approving = above[:1] if up_to is HighestLevel.SUPERIOR else above
        return approving if self.school_opinion == FILING else school + approving


def change_kinds(policy: PolicyAt) -> dict[str, ChangeKind]:
    """The change kinds by code."""
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


def programme_levels(policy: PolicyAt) -> dict[tuple[str, str], HighestLevel]:
    """The level that approves a change, by programme and change kind, where a notice sets it (SD13-4)."""
    return {
        (str(row["programme"]), str(row["change_kind"])): HighestLevel(str(row["up_to"]))
        for row in policy.table("change.approval.by_programme")
    }


def request_state(length: int, outcomes: Sequence[str]) -> RequestState:
    """The state of a request whose chain has `length` levels, from the outcomes of its steps in order."""
    if outcomes and outcomes[-1] != "agreed":
        return RequestState(outcomes[-1])
    return RequestState.AGREED if len(outcomes) == length else RequestState.OPEN
