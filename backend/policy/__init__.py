"""Policy parameters: the law as dated, cited data. `policy_at(day, place).integer("misses.consecutive")`."""

from backend.policy.errors import AbsentLaw, PolicyInvalid
from backend.policy.history import Citation, Policy, PolicyAt
from backend.policy.loader import load_clauses, load_policies, policies_directory

__all__ = [
    "AbsentLaw",
    "Citation",
    "Policy",
    "PolicyAt",
    "PolicyInvalid",
    "load_clauses",
    "load_policies",
    "policies_directory",
]
