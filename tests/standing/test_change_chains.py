"""Rules of change requests under the shipped policy: change kinds and chains of approval."""

from dataclasses import replace
from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.ids import new_id
from backend.people.categories import Programme
from backend.policy import load_policies
from backend.standing.change_requests.policy import (
    ChangePolicy,
    HighestLevel,
    Level,
    RequestState,
    programme_levels,
    request_state,
)
from backend.standing.engine.facts import Status

LAW = ChangePolicy.of(load_policies().at(date(2025, 10, 13), "410100"))
IN_SHANDONG = replace(LAW, by_programme=programme_levels(load_policies().at(date(2025, 10, 13), "370100")))
SCHOOL, COUNTY, CITY, PROVINCE = (Level(name, new_id()) for name in ("school", "county", "city", "province"))
STANDINGS = [f"{number:02d}" for number in range(1, 16)] + ["99"]
FORMS = ["full_time", "part_time"]
statuses = st.builds(Status, st.sampled_from(STANDINGS), st.sampled_from(FORMS))
kinds = st.sampled_from(sorted(LAW.kinds))


def names(up_to: HighestLevel, *levels: Level, law: ChangePolicy = LAW) -> list[str]:
    return [each.level for each in law.chain(up_to, levels)]


@pytest.mark.clause("MOE19-2.3b")
@pytest.mark.parametrize("code", sorted(set(LAW.kinds) - {"29"}))
def test_a_change_in_an_ordinary_programme_goes_to_the_direct_superior(code: str) -> None:
    up_to = LAW.required_level(LAW.kinds[code], Programme.REGULAR)
    assert names(up_to, SCHOOL, COUNTY, CITY, PROVINCE) == ["county"]
    assert names(up_to, SCHOOL, CITY, PROVINCE) == ["city"]
    assert names(up_to, SCHOOL, PROVINCE) == ["province"]


def test_a_class_change_needs_only_a_second_registrar() -> None:
    up_to = LAW.required_level(LAW.kinds["29"], Programme.REGULAR)
    assert LAW.chain(up_to, [SCHOOL, CITY, PROVINCE]) == (SCHOOL,)


DECIDED_BY_PROVINCE = ["02", "11", "12", "19", "21", "23"]


@pytest.mark.clause("SD13-4")
@pytest.mark.parametrize("code", DECIDED_BY_PROVINCE)
def test_the_province_decides_some_changes_of_five_year_programmes_in_shandong(code: str) -> None:
    up_to = IN_SHANDONG.required_level(LAW.kinds[code], Programme.FIVE_YEAR)
    assert names(up_to, SCHOOL, COUNTY, CITY, PROVINCE) == ["county", "city", "province"]


@pytest.mark.clause("SD13-4")
@pytest.mark.parametrize("code", DECIDED_BY_PROVINCE)
def test_elsewhere_the_direct_superior_decides_them(code: str) -> None:
    up_to = LAW.required_level(LAW.kinds[code], Programme.FIVE_YEAR)
    assert names(up_to, SCHOOL, COUNTY, CITY, PROVINCE) == ["county"]


@pytest.mark.clause("SD13-4")
def test_withdrawal_from_a_five_year_programme_ends_below_the_province_in_shandong() -> None:
    up_to = IN_SHANDONG.required_level(LAW.kinds["31"], Programme.FIVE_YEAR)
    assert names(up_to, SCHOOL, CITY, PROVINCE) == ["city"]


@pytest.mark.clause("HN334-4.1c")
@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((SCHOOL, COUNTY, CITY, PROVINCE), ["county", "city", "province"]),
        ((SCHOOL, CITY, PROVINCE), ["city", "province"]),
        ((SCHOOL, COUNTY, PROVINCE), ["county", "province"]),
        ((SCHOOL, PROVINCE), ["province"]),
    ],
)
def test_a_locked_record_needs_every_existing_level(levels: tuple[Level, ...], expected: list[str]) -> None:
    assert names(LAW.locked_up_to, *levels) == expected


def test_a_policy_can_require_a_second_registrar() -> None:
    law = replace(LAW, school_opinion="second_registrar")
    assert names(HighestLevel.PROVINCE, SCHOOL, CITY, PROVINCE, law=law) == ["school", "city", "province"]
    assert names(HighestLevel.SUPERIOR, SCHOOL, CITY, PROVINCE, law=law) == ["school", "city"]
    assert names(HighestLevel.SCHOOL, SCHOOL, CITY, PROVINCE, law=law) == ["school"]


@pytest.mark.clause("R11")
def test_the_lock_covers_every_change_kind_except_death_and_the_opening_after_a_transfer() -> None:
    free = {code for code, kind in LAW.kinds.items() if kind.item not in LAW.locked_items}
    assert free == {"22", "51"}


ATTENDING = {"01", "05"}
COMES_FROM = {
    "02": (ATTENDING, FORMS),
    "11": (ATTENDING, FORMS),
    "12": ({"02", "04"}, FORMS),
    "18": ({"01", "02", "04", "05", "06", "12", "15"}, FORMS),
    "19": ({"01", "02", "05"}, FORMS),
    "21": ({"01", "02", "04", "05"}, FORMS),
    "22": (set(), []),  # opened by a roster, never requested
    "23": (ATTENDING, FORMS),
    "29": (ATTENDING, FORMS),
    "31": ({"01", "02", "04", "05", "06", "15"}, FORMS),
    "42": ({"01", "02", "04", "05"}, FORMS),
    "51": ({"01", "02", "04", "05", "06", "12", "13", "15"}, FORMS),
    "L1": ({"01", "02", "05"}, ["full_time"]),
    "L2": ({"01", "02", "05"}, ["part_time"]),
}


@pytest.mark.parametrize("code", sorted(COMES_FROM))
def test_each_kind_applies_only_to_the_statuses_in_the_policy(code: str) -> None:
    standings, forms = COMES_FROM[code]
    fitting = {
        (standing, form)
        for standing, form in product(STANDINGS, FORMS)
        if LAW.kinds[code].objection(Status(standing, form)) is None
    }
    assert fitting == set(product(standings, forms))
    assert set(COMES_FROM) == set(LAW.kinds)


@given(code=kinds, status=statuses)
def test_an_allowed_change_writes_only_the_values_of_its_kind(code: str, status: Status) -> None:
    kind = LAW.kinds[code]
    after = kind.apply_to(status)
    assert after.standing == (kind.standing or status.standing)
    assert after.study_form == (kind.study_form or status.study_form)
    if kind.objection(status) is None and (kind.standing or kind.study_form):
        assert after != status


@given(code=kinds, status=statuses)
def test_a_change_without_effect_is_reported_as_such(code: str, status: Status) -> None:
    kind = LAW.kinds[code]
    if kind.standing or kind.study_form:
        assert kind.objection(kind.apply_to(status)) == "nothing_changes"


@pytest.mark.parametrize(
    ("length", "outcomes", "expected"),
    [
        (2, [], RequestState.OPEN),
        (2, ["agreed"], RequestState.OPEN),
        (2, ["agreed", "agreed"], RequestState.AGREED),
        (2, ["refused"], RequestState.REFUSED),
        (2, ["agreed", "refused"], RequestState.REFUSED),
        (2, ["agreed", "withdrawn"], RequestState.WITHDRAWN),
    ],
)
def test_the_last_opinion_determines_the_request_state(
    length: int, outcomes: list[str], expected: RequestState
) -> None:
    assert request_state(length, outcomes) is expected
