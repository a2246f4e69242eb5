"""pytest plugin: stops a run at collection if a test has a mark with an unknown clause."""

import pytest

from backend.policy import load_clauses


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = load_clauses().ids
    unknown = [
        f"{item.nodeid}: unknown clause {clause}"
        for item in items
        for mark in item.iter_markers("clause")
        for clause in mark.args
        if clause not in known
    ]
    if unknown:
        raise pytest.UsageError("\n".join(unknown))
