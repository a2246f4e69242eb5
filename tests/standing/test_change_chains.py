"""What a change of the record may be, and who must agree: rules over the shipped law, level by level."""

from dataclasses import replace
from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.ids import new_id
from backend.people.categories import Programme
from backend.policy import load_policies
from backend.standing.change_requests.policy import ChangePolicy, Level, RequestState, UpTo, request_state
from backend.standing.engine.facts import Status

LAW = ChangePolicy.of(load_policies().at(date(2025, 10, 13), "410100"))
SCHOOL, COUNTY, CITY, PROVINCE = (Level(name, new_id()) for name in ("school", "county", "city", "province"))
STANDINGS = [f"{number:02d}" for number in range(1, 16)] + ["99"]
FORMS = ["full_time", "part_time"]
statuses = st.builds(Status, st.sampled_from(STANDINGS), st.sampled_from(FORMS))
kinds = st.sampled_from(sorted(LAW.kinds))


def names(up_to: UpTo, *levels: Level, law: ChangePolicy = LAW) -> list[str]:
    return [each.level for each in law.chain(up_to, levels)]


@pytest.mark.clause("MOE19-2.3b")
@pytest.mark.parametrize("code", sorted(set(LAW.kinds) - {"29"}))
def test_a_change_of_an_ordinary_programme_climbs_to_the_direct_superior(code: str) -> None:
    up_to = LAW.usual_reach(LAW.kinds[code], Programme.REGULAR)
    assert names(up_to, SCHOOL, COUNTY, CITY, PROVINCE) == ["county"]
    assert names(up_to, SCHOOL, CITY, PROVINCE) == ["city"]
    assert names(up_to, SCHOOL, PROVINCE) == ["province"]


def test_a_change_of_class_stays_in_the_school_and_needs_a_second_registrar() -> None:
    up_to = LAW.usual_reach(LAW.kinds["29"], Programme.REGULAR)
    assert LAW.chain(up_to, [SCHOOL, CITY, PROVINCE]) == (SCHOOL,)


@pytest.mark.clause("SD13-4")
@pytest.mark.parametrize("code", ["02", "11", "12", "19", "21", "23"])
def test_the_province_decides_suspension_transfer_and_repeating_in_five_year_programmes(code: str) -> None:
    up_to = LAW.usual_reach(LAW.kinds[code], Programme.FIVE_YEAR)
    assert names(up_to, SCHOOL, COUNTY, CITY, PROVINCE) == ["county", "city", "province"]


@pytest.mark.clause("SD13-4")
def test_the_province_does_not_decide_withdrawal_in_five_year_programmes() -> None:
    up_to = LAW.usual_reach(LAW.kinds["31"], Programme.FIVE_YEAR)
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
def test_a_locked_record_climbs_through_every_level_that_exists(
    levels: tuple[Level, ...], expected: list[str]
) -> None:
    assert names(LAW.locked_up_to, *levels) == expected


def test_a_policy_may_ask_a_second_registrar_for_the_schools_opinion() -> None:
    law = replace(LAW, school_opinion="second_registrar")
    assert names(UpTo.PROVINCE, SCHOOL, CITY, PROVINCE, law=law) == ["school", "city", "province"]
    assert names(UpTo.SUPERIOR, SCHOOL, CITY, PROVINCE, law=law) == ["school", "city"]
    assert names(UpTo.SCHOOL, SCHOOL, CITY, PROVINCE, law=law) == ["school"]


@pytest.mark.clause("R11")
def test_the_lock_covers_every_kind_of_change_but_death() -> None:
    assert {code for code, kind in LAW.kinds.items() if kind.item not in LAW.locked_items} == {"51"}


ATTENDING = {"01", "05"}
COMES_FROM = {
    "02": (ATTENDING, FORMS),
    "11": (ATTENDING, FORMS),
    "12": ({"02", "04"}, FORMS),
    "18": ({"01", "02", "04", "05", "06", "12", "15"}, FORMS),
    "19": ({"01", "02", "05"}, FORMS),
    "21": ({"01", "02", "04", "05"}, FORMS),
    "23": (ATTENDING, FORMS),
    "29": (ATTENDING, FORMS),
    "31": ({"01", "02", "04", "05", "06", "15"}, FORMS),
    "42": ({"01", "02", "04", "05"}, FORMS),
    "51": ({"01", "02", "04", "05", "06", "12", "13", "15"}, FORMS),
    "L1": ({"01", "02", "05"}, ["full_time"]),
    "L2": ({"01", "02", "05"}, ["part_time"]),
}


@pytest.mark.parametrize("code", sorted(COMES_FROM))
def test_each_kind_comes_from_the_statuses_that_the_law_names_and_from_no_other(code: str) -> None:
    standings, forms = COMES_FROM[code]
    fitting = {
        (standing, form)
        for standing, form in product(STANDINGS, FORMS)
        if LAW.kinds[code].objection(Status(standing, form)) is None
    }
    assert fitting == set(product(standings, forms))
    assert set(COMES_FROM) == set(LAW.kinds)


@given(code=kinds, status=statuses)
def test_a_change_that_is_admitted_writes_what_its_kind_says_and_nothing_else(
    code: str, status: Status
) -> None:
    kind = LAW.kinds[code]
    after = kind.applied(status)
    assert after.standing == (kind.standing or status.standing)
    assert after.study_form == (kind.study_form or status.study_form)
    if kind.objection(status) is None and (kind.standing or kind.study_form):
        assert after != status


@given(code=kinds, status=statuses)
def test_what_is_so_already_is_said_to_change_nothing(code: str, status: Status) -> None:
    kind = LAW.kinds[code]
    if kind.standing or kind.study_form:
        assert kind.objection(kind.applied(status)) == "nothing_changes"


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
def test_a_request_is_what_its_last_opinion_made_it(
    length: int, outcomes: list[str], expected: RequestState
) -> None:
    assert request_state(length, outcomes) is expected
