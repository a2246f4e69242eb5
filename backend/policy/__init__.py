"""The law as dated, cited data: `load_policies().at(day, place).integer("misses.consecutive")`."""

from backend.policy.errors import AbsentLaw, PolicyInvalid
from backend.policy.loading import load_clauses, load_policies, policies_directory
from backend.policy.policy import Citation, Policy, PolicyAt

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
