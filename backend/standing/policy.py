"""The policy figures that standing depends on, by day and place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Self

from backend.leave.rules import LeavePolicy
from backend.policy import Policy, PolicyAt


@dataclass(frozen=True, slots=True)
class Effect:
    """The standing and study form that an outcome sets; None leaves the value unchanged."""

    standing: str | None
    study_form: str | None
    change_kind: str


@dataclass(frozen=True, slots=True)
class StandingPolicy:
    """The figures of HN334 三、5 and 四 in force on one day, from policy data."""

    policy: PolicyAt
    counted_kinds: tuple[str, ...]
    counted_launchers: tuple[str, ...]
    verified_study_forms: tuple[str, ...]
    minimum_window: timedelta
    consecutive: int
    cumulative: int
    leave: LeavePolicy
    absence_months: int
    absence_alert_days: int
    deadline_days: int
    days_after_refusal: int
    reminder_days: tuple[int, ...]
    on_expiry: str
    blockers: tuple[str, ...]
    required_evidence: tuple[str, ...]
    outcomes: tuple[str, ...]
    proposed: Mapping[str, str]
    effects: Mapping[str, Effect]
    reasons: Mapping[str, bool]
    """The catalogue of justified reasons, and whether each needs a text."""
    locked_items: tuple[str, ...]
    appeal_levels: int

    @classmethod
    def of(cls, policy: PolicyAt) -> Self:
        return cls(
            policy=policy,
            counted_kinds=policy.texts("roll_call.counted_kinds"),
            counted_launchers=policy.texts("misses.counted_launchers"),
            verified_study_forms=policy.texts("audience.verified_study_forms"),
            minimum_window=policy.duration("roll_call.window.minimum"),
            consecutive=policy.integer("misses.consecutive"),
            cumulative=policy.integer("misses.cumulative"),
            leave=LeavePolicy.at(policy),
            absence_months=policy.integer("absence.withdrawal_after"),
            absence_alert_days=policy.integer("absence.alert_after"),
            deadline_days=policy.integer("decision.deadline"),
            days_after_refusal=policy.integer("decision.after_refused_dismissal"),
            reminder_days=policy.integers("decision.reminders"),
            on_expiry=policy.text("decision.on_expiry"),
            blockers=policy.texts("decision.expiry_blockers"),
            required_evidence=policy.texts("decision.required_evidence"),
            outcomes=policy.texts("decision.outcomes"),
            proposed={
                str(row["prompt"]): str(row["outcome"]) for row in policy.table("decision.proposed_outcomes")
            },
            effects={
                str(row["outcome"]): Effect(
                    str(row["standing"]) or None, str(row["study_form"]) or None, str(row["change_kind"])
                )
                for row in policy.table("decision.outcome_effects")
            },
            reasons={
                str(row["code"]): bool(row["needs_text"]) for row in policy.table("misses.justified_reasons")
            },
            locked_items=policy.texts("lock.covers"),
            appeal_levels=policy.integer("appeal.levels"),
        )


@dataclass(frozen=True, slots=True)
class PolicyHistory:
    """The policies of one place over time. The day of the event decides which one applies (reading 14)."""

    policy: Policy
    place: str

    def on(self, day: date) -> StandingPolicy:
        """Raises `AbsentLaw` if the place has no law on the day: standing is never assessed without law."""
        return _standing_law(self.policy, self.place, day)


@cache
def _standing_law(policy: Policy, place: str, day: date) -> StandingPolicy:
    return StandingPolicy.of(policy.at(day, place))
