"""The clause report: every clause with its code, its tests and the parameters that cite it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from backend.policy.clauses import ClauseRegistry, find_clause_marks
from backend.policy.installed import installed_policy
from backend.policy.loader import load_clauses, policies_directory


@dataclass(frozen=True, slots=True)
class ClauseReport:
    """The registry, and by clause id the tests and the parameters. `tests` is None where the tests are not installed."""

    registry: ClauseRegistry
    tests: Mapping[str, tuple[str, ...]] | None
    parameters: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=1)
def load_clause_report() -> ClauseReport:
    """Read once per process: in a checkout it parses every test, which takes a second."""
    directory = policies_directory()
    marks = find_clause_marks(directory.parent)
    return ClauseReport(load_clauses(directory), marks.tests if marks else None, _parameters_by_clause())


def _parameters_by_clause() -> Mapping[str, tuple[str, ...]]:
    citing: dict[str, set[str]] = defaultdict(set)
    for parameter in installed_policy().parameters:
        for dated in parameter.values:
            for clause in (dated.reference.clause, dated.reference.reading):
                if clause is not None:
                    citing[clause].add(parameter.id)
    return {clause: tuple(sorted(parameters)) for clause, parameters in citing.items()}
