"""Decisions about a link: whether it still serves, and whether its guardian may act. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from backend.identity.rules import age_on

LinkObjection = Literal["expired", "revoked"]


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What decides about a link: its own instants, the roster, and the newest answer to the consent."""

    expires_at: datetime
    is_revoked: bool
    is_on_roster: bool
    consent_granted: bool
    consent_text: str | None


def find_link_objection(
    facts: LinkFacts, notice_texts: Collection[str], at: datetime
) -> LinkObjection | None:
    """Why a link does not serve at `at`, or None. `notice_texts`: the consent texts that cover links."""
    has_consent = facts.consent_granted and facts.consent_text in notice_texts
    if facts.is_revoked or not facts.is_on_roster or not has_consent:
        return "revoked"
    return "expired" if at >= facts.expires_at else None


def may_act(birth_date: date, day: date, below: int) -> bool:
    """Whether a guardian may act for the student on a legal day: the student is younger than `below` years."""
    return age_on(birth_date, day) < below
