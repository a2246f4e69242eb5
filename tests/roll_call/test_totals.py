"""Roll call totals in memory: changes propagate up the tree, and pending changes are replaced."""

import json
from typing import Any
from uuid import UUID

import pytest

from backend.core.ids import new_id
from backend.roll_call.progress.totals import ClassObligations, RollCallTotals, Unit

pytestmark = pytest.mark.clause("HN334-3.4")

PROVINCE = Unit(new_id(), "province", "省", "p410000")
CITY = Unit(new_id(), "city", "市", "p410000.c410100")
OTHER = Unit(new_id(), "city", "邻市", "p410000.c410200")
SCHOOL = Unit(new_id(), "school", "校", "p410000.c410100.s4141000001")
FIRST, SECOND = new_id(), new_id()


@pytest.fixture
def totals() -> RollCallTotals:
    classes = [
        ClassObligations(FIRST, SCHOOL.id, "一班", 40, 1),
        ClassObligations(SECOND, SCHOOL.id, "二班", 30, 0),
    ]
    return RollCallTotals.build([SCHOOL, OTHER, CITY, PROVINCE], classes)


def render(totals: RollCallTotals, unit: Unit) -> dict[str, Any]:
    rendered: dict[str, Any] = json.loads(totals.render(unit))
    return rendered


def test_change_of_class_reaches_all_ancestors(totals: RollCallTotals) -> None:
    before = [totals.render(unit) for unit in (PROVINCE, CITY, SCHOOL)]
    totals.apply_counters([(FIRST, (5, 1, 0, 0), 1)])
    for unit, stale in zip((PROVINCE, CITY, SCHOOL), before, strict=True):
        assert totals.render(unit) != stale
        node = render(totals, unit)
        assert (node["obligations"], node["present"], node["missed"], node["waiting"]) == (70, 5, 1, 64)


def test_unchanged_totals_are_not_rendered_again(totals: RollCallTotals) -> None:
    totals.apply_counters([(FIRST, (5, 0, 0, 0), 1)])
    rendered = totals.render(SCHOOL)
    totals.apply_counters([(FIRST, (5, 0, 0, 0), 2)])
    assert totals.render(SCHOOL) is rendered
    assert totals.version == 2


def test_flushed_pending_change_is_counted_once(totals: RollCallTotals) -> None:
    totals.replace_pending({FIRST: (2, 0, 0, 0), SECOND: (1, 0, 0, 0)})
    assert render(totals, CITY)["present"] == 3
    totals.apply_counters([(FIRST, (2, 0, 0, 0), 1)])
    totals.replace_pending({SECOND: (1, 0, 0, 0)})
    assert render(totals, CITY)["present"] == 3


def test_children_are_units_of_the_audience_in_given_order(totals: RollCallTotals) -> None:
    assert [child["name"] for child in render(totals, PROVINCE)["children"]] == ["市"]
    assert [child["name"] for child in render(totals, SCHOOL)["children"]] == ["一班", "二班"]
    elsewhere = render(totals, OTHER)
    assert (elsewhere["name"], elsewhere["obligations"], elsewhere["children"]) == ("邻市", 0, [])


@pytest.mark.parametrize(("mine", "obligations"), [({FIRST}, 40), ({FIRST, SECOND}, 70), (set[UUID](), 0)])
def test_totals_of_some_classes_add_up(totals: RollCallTotals, mine: set[UUID], obligations: int) -> None:
    totals.apply_counters([(FIRST, (5, 0, 0, 0), 1)])
    school = json.loads(totals.render_classes(SCHOOL, mine))
    assert school["unit_id"] == str(SCHOOL.id)
    assert school["obligations"] == obligations
    assert school["present"] == (5 if FIRST in mine else 0)
    assert {child["unit_id"] for child in school["children"]} == {str(each) for each in mine}
