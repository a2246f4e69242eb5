"""The policy figures about guardians."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from backend.org.paths import division_of
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class GuardianPolicy:
    """Which consent texts cover notices with a link, how many are sent, and how long and for what a link serves."""

    notice_texts: tuple[str, ...]
    notices_per_day: int
    link_lifetime: timedelta
    requests_per_minute: int
    acts_below: int
    """The age in years below which the guardian may act for the student."""

    @classmethod
    def on(cls, day: date, school_path: str) -> Self:
        """The figures in force on a legal day for the school at the path."""
        law = policy_at(day, division_of(school_path))
        return cls(
            notice_texts=law.texts("guardian.notice_texts"),
            notices_per_day=law.integer("guardian.notices.per_day"),
            link_lifetime=law.duration("guardian.link.lifetime"),
            requests_per_minute=law.integer("guardian.link.requests"),
            acts_below=law.integer("guardian.acts_below"),
        )
