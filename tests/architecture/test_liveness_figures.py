"""The tables of liveness in docs/biometrics.md are those of docs/measurements/liveness.json (THREATS, requirement 14)."""

import json
from typing import Any

import pytest

from backend.core.clock import legal_day, now
from backend.policy.installed import policy_at
from bench.liveness.attacks import ANIMATED, PICTURES
from bench.liveness.tables import FIGURES, TABLES, render_table, tables_in_page


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FIGURES.read_text())
    return document


def test_page_has_the_tables_of_the_figures(figures: dict[str, Any]) -> None:
    assert tables_in_page() == {name: render_table(figures, name) for name in TABLES}


def test_figures_were_measured_with_the_shipped_limit(figures: dict[str, Any]) -> None:
    policy = policy_at(legal_day(now()), "410000")
    assert figures["schema"] == "dianming-liveness/1"
    assert figures["min_change"] == policy.ratio("verification.liveness.min_change")


def test_every_species_was_played(figures: dict[str, Any]) -> None:
    played = {row["species"] for row in figures["attacks"]}
    assert played > {ANIMATED, *PICTURES}
    assert all(0 <= row["passed"] <= row["answered"] <= row["bursts"] for row in figures["attacks"])
    assert all(row["passed"] / row["bursts"] <= row["passed, 95 % upper bound"] for row in figures["attacks"])
