"""Policy of the search for one face under two names."""

from dataclasses import dataclass

from backend.identity.face.duplicates.errors import SearchWithoutLegalBasis
from backend.policy import PolicyAt

_PREFIX = "verification.face.duplicate_search"
_NO_BASIS = "none"


@dataclass(frozen=True, slots=True)
class SearchRules:
    """The legal basis of the search, and how few pairs go to a person."""

    legal_basis: str
    per_school_week: int
    false_pairs: float


def is_search_enabled(policy: PolicyAt) -> bool:
    """Whether the search is switched on; its job checks the legal basis."""
    return policy.flag(f"{_PREFIX}.enabled")


def find_search_rules(policy: PolicyAt) -> SearchRules | None:
    """The rules of the search; None while it is off. Raises `SearchWithoutLegalBasis` if it is on without one."""
    if not is_search_enabled(policy):
        return None
    legal_basis = policy.text(f"{_PREFIX}.legal_basis").strip()
    if legal_basis in {"", _NO_BASIS}:
        raise SearchWithoutLegalBasis
    return SearchRules(
        legal_basis,
        policy.integer(f"{_PREFIX}.per_school_week"),
        policy.ratio(f"{_PREFIX}.false_pairs"),
    )
