"""The figures of a roll call in memory: sums go up the tree, and what was noted is replaced."""

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
def tally() -> RollCallTotals:
    classes = [
        ClassObligations(FIRST, SCHOOL.id, "一班", 40, 1),
        ClassObligations(SECOND, SCHOOL.id, "二班", 30, 0),
    ]
    return RollCallTotals.of([SCHOOL, OTHER, CITY, PROVINCE], classes)


def shown(tally: RollCallTotals, unit: Unit) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(tally.board(unit))
    return board


def test_a_change_of_a_class_reaches_all_above_it(tally: RollCallTotals) -> None:
    before = [tally.board(unit) for unit in (PROVINCE, CITY, SCHOOL)]
    tally.count([(FIRST, (5, 1, 0, 0), 1)])
    for unit, stale in zip((PROVINCE, CITY, SCHOOL), before, strict=True):
        assert tally.board(unit) != stale
        whole = shown(tally, unit)
        assert (whole["obligations"], whole["present"], whole["missed"], whole["waiting"]) == (70, 5, 1, 64)


def test_a_board_that_did_not_change_is_not_drawn_again(tally: RollCallTotals) -> None:
    tally.count([(FIRST, (5, 0, 0, 0), 1)])
    board = tally.board(SCHOOL)
    tally.count([(FIRST, (5, 0, 0, 0), 2)])
    assert tally.board(SCHOOL) is board
    assert tally.version == 2


def test_what_was_noted_and_then_folded_is_counted_once(tally: RollCallTotals) -> None:
    tally.note({FIRST: (2, 0, 0, 0), SECOND: (1, 0, 0, 0)})
    assert shown(tally, CITY)["present"] == 3
    tally.count([(FIRST, (2, 0, 0, 0), 1)])
    tally.note({SECOND: (1, 0, 0, 0)})
    assert shown(tally, CITY)["present"] == 3


def test_below_a_unit_are_those_that_are_asked_in_the_given_order(tally: RollCallTotals) -> None:
    assert [child["name"] for child in shown(tally, PROVINCE)["children"]] == ["市"]
    assert [child["name"] for child in shown(tally, SCHOOL)["children"]] == ["一班", "二班"]
    elsewhere = shown(tally, OTHER)
    assert (elsewhere["name"], elsewhere["obligations"], elsewhere["children"]) == ("邻市", 0, [])


@pytest.mark.parametrize(("mine", "obligations"), [({FIRST}, 40), ({FIRST, SECOND}, 70), (set[UUID](), 0)])
def test_some_classes_of_a_school_add_up_to_it(
    tally: RollCallTotals, mine: set[UUID], obligations: int
) -> None:
    tally.count([(FIRST, (5, 0, 0, 0), 1)])
    whole = json.loads(tally.board_of_classes(SCHOOL, mine))
    assert whole["unit_id"] == str(SCHOOL.id)
    assert whole["obligations"] == obligations
    assert whole["present"] == (5 if FIRST in mine else 0)
    assert {child["unit_id"] for child in whole["children"]} == {str(each) for each in mine}
