"""The policy as a list: values in force with history, what is missing by name, and words for every unit."""

from datetime import date

import pytest

from backend.core.errors import NotFound
from backend.policy import AbsentLaw, load_policies
from backend.policy.catalogue import find_policy, list_policies
from backend.policy.clause_report import load_clause_report
from backend.policy.unit_words import UNIT_WORDS

LAW = load_policies()
DAY, HENAN, SHANXI = date(2026, 3, 17), "410100", "140900"
GRANT = "aid.grant.average_per_year"


def test_every_parameter_is_either_in_force_or_absent() -> None:
    catalogue = list_policies(LAW, DAY, SHANXI)
    listed = [entry.parameter.id for entry in catalogue.entries]
    absent = [entry.parameter.id for entry in catalogue.absent]
    assert sorted(listed + absent) == sorted({each.id for each in LAW.parameters})
    assert "misses.consecutive" in absent
    assert GRANT in listed


def test_history_has_the_newest_value_first() -> None:
    entry = find_policy(LAW, GRANT, date(2024, 9, 1), HENAN)
    days = [placed.dated.since for placed in entry.history]
    assert days == sorted(days, reverse=True)
    assert len(days) > 1
    assert entry.in_force.since < days[0]


def test_missing_law_names_parameter_and_place() -> None:
    with pytest.raises(AbsentLaw) as refusal:
        find_policy(LAW, "misses.consecutive", DAY, SHANXI)
    assert refusal.value.params["parameter"] == "misses.consecutive"
    assert (refusal.value.params["day"], refusal.value.params["place"]) == ("2026-03-17", SHANXI)
    with pytest.raises(AbsentLaw):
        find_policy(LAW, GRANT, date(1999, 1, 1), HENAN)


def test_unknown_parameter_is_not_found() -> None:
    with pytest.raises(NotFound):
        find_policy(LAW, "misses.total", DAY, HENAN)


def test_every_unit_has_words() -> None:
    units = {each.unit for each in LAW.parameters if each.unit is not None}
    assert units == set(UNIT_WORDS)


def test_clause_report_lists_the_parameters_that_cite_a_clause() -> None:
    report = load_clause_report()
    assert report.tests is not None
    assert report.tests["HN334-4.1b"]
    assert "misses.consecutive" in report.parameters["HN334-4.1b"]
    assert set(report.parameters) <= report.registry.ids
