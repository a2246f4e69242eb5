"""Reading a parameter: the value in force on a day at a place, or `AbsentLaw`."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.errors import BadInput
from backend.policy import AbsentLaw, Policy
from backend.policy.errors import WrongKind
from backend.policy.schema import DivisionRow, Parameter

START = date(2022, 1, 1)
REFERENCE = {"instrument": "HN334", "article": "三、5", "clause": "HN334-3.5b"}


Dated = tuple[date, date | None, object]


def make_parameter(values: list[Dated], **changes: object) -> Parameter:
    """A limit on leave in Henan with values as (from, until, value); `changes` replace its other keys."""
    dated = [
        {"from": since, "value": value, "reference": REFERENCE} | ({"until": until} if until else {})
        for since, until, value in values
    ]
    content = {
        "id": "leave.cap",
        "kind": "integer",
        "unit": "day",
        "place": "410000",
        "zh": "上限",
        "en": "Cap",
    }
    return Parameter.model_validate(content | {"values": dated} | changes)


def make_policy(*parameters: Parameter) -> Policy:
    rows = [
        DivisionRow.model_validate({"code": code, "zh": "某地", "level": level, "reports_to": above})
        for code, level, above in [("410000", "province", "000000"), ("410181", "direct_county", "410000")]
    ]
    return Policy(parameters, tuple(rows))


def test_new_value_is_in_force_from_its_first_day() -> None:
    policy = make_policy(make_parameter([(START, None, 15), (date(2023, 9, 1), None, 10)]))
    assert policy.at(date(2023, 8, 31), "410000").integer("leave.cap") == 15
    assert policy.at(date(2023, 9, 1), "410000").integer("leave.cap") == 10


def test_until_is_the_last_day_and_a_gap_raises_absent_law() -> None:
    policy = make_policy(make_parameter([(START, date(2022, 6, 30), 15), (date(2023, 1, 1), None, 10)]))
    assert policy.at(date(2022, 6, 30), "410000").integer("leave.cap") == 15
    with pytest.raises(AbsentLaw):
        policy.at(date(2022, 7, 1), "410000").integer("leave.cap")


def test_absent_law_names_parameter_clause_day_and_place() -> None:
    policy = make_policy(make_parameter([(START, None, 15)]))
    with pytest.raises(AbsentLaw) as error:
        policy.at(date(2021, 12, 31), "410105").integer("leave.cap")
    assert error.value.params == {
        "parameter": "leave.cap",
        "clause": "HN334-3.5b",
        "day": "2021-12-31",
        "place": "410105",
    }
    for language in ("zh", "en"):
        assert all(fact in error.value.sentence(language) for fact in error.value.params.values())


def test_unknown_parameter_raises_absent_law() -> None:
    with pytest.raises(AbsentLaw):
        make_policy().at(START, "410000").integer("no.such")


def test_parameter_of_one_province_does_not_apply_in_another() -> None:
    with pytest.raises(AbsentLaw):
        make_policy(make_parameter([(START, None, 15)])).at(START, "140900").integer("leave.cap")


@pytest.mark.parametrize(
    ("place", "expected"),
    [("410105", 3), ("410100", 3), ("410200", 2), ("410000", 2), ("140900", 1), ("000000", 1)],
)
def test_nearest_place_up_the_hierarchy_wins(place: str, expected: object) -> None:
    levels = [("000000", 1), ("410000", 2), ("410100", 3)]
    policy = make_policy(*(make_parameter([(START, None, value)], place=level) for level, value in levels))
    assert policy.at(START, place).integer("leave.cap") == expected


def test_direct_county_follows_the_province_not_the_city_of_its_digits() -> None:
    policy = make_policy(
        make_parameter([(START, None, 3)], place="410100"), make_parameter([(START, None, 2)], place="410000")
    )
    assert policy.at(START, "410181").integer("leave.cap") == 2


def test_higher_place_applies_again_after_a_local_value_ends() -> None:
    local = make_parameter([(START, date(2022, 6, 30), 3)], place="410100")
    policy = make_policy(local, make_parameter([(START, None, 2)]))
    assert policy.at(date(2022, 7, 1), "410100").integer("leave.cap") == 2


@pytest.mark.parametrize(
    ("kind", "unit", "value", "getter", "expected"),
    [
        ("number", "metre", 150, "number", 150.0),
        ("ratio", None, 0.9, "ratio", 0.9),
        ("duration", "minute", 60, "duration", timedelta(hours=1)),
        ("date", None, date(2022, 10, 25), "date_value", date(2022, 10, 25)),
        ("flag", None, True, "flag", True),
        ("text", None, "execute", "text", "execute"),
        ("texts", None, ["a", "b"], "texts", ("a", "b")),
        ("integers", "day", [1, 3], "integers", (1, 3)),
        (
            "table",
            None,
            [{"kind": "spot_check", "open": True}],
            "table",
            ({"kind": "spot_check", "open": True},),
        ),
    ],
)
def test_each_kind_has_exactly_one_getter(
    kind: str, unit: str | None, value: object, getter: str, expected: object
) -> None:
    at = make_policy(make_parameter([(START, None, value)], kind=kind, unit=unit)).at(START, "410000")
    assert getattr(at, getter)("leave.cap") == expected
    with pytest.raises(WrongKind):
        at.integer("leave.cap")


def test_citation_has_value_place_date_source_and_version() -> None:
    policy = make_policy(make_parameter([(START, None, 15)]))
    citation = policy.at(date(2024, 1, 1), "410105").reference("leave.cap")
    assert (citation.value, citation.unit, citation.since, citation.place) == (15, "day", START, "410000")
    assert (citation.reference.article, citation.reference.clause) == ("三、5", "HN334-3.5b")
    assert citation.version == policy.policy_version


def test_changing_a_returned_value_does_not_change_the_policy() -> None:
    policy = make_policy(make_parameter([(START, None, ["a"])], kind="texts", unit=None))
    value = policy.at(START, "410000").reference("leave.cap").value
    assert isinstance(value, list)
    value.append("b")
    assert policy.at(START, "410000").texts("leave.cap") == ("a",)


def test_version_depends_on_values_not_on_order_or_descriptions() -> None:
    cap, misses = (
        make_parameter([(START, None, 15)]),
        make_parameter([(START, None, 2)], id="misses.consecutive"),
    )
    version = make_policy(cap, misses).policy_version
    assert make_policy(misses, cap).policy_version == version
    assert make_policy(make_parameter([(START, None, 15)], zh="另一种说法"), misses).policy_version == version
    assert make_policy(make_parameter([(START, None, 14)]), misses).policy_version != version
    assert make_policy(make_parameter([(date(2022, 1, 2), None, 15)]), misses).policy_version != version
    assert make_policy(make_parameter([(START, None, 15)], place="410100"), misses).policy_version != version


@pytest.mark.parametrize("place", ["", "41010", "4101055", "郑州", "４１０１００"])
def test_malformed_place_is_rejected(place: str) -> None:
    with pytest.raises(BadInput):
        make_policy().at(START, place)


@given(st.integers(0, 999_999).map("{:06}".format))
def test_lineage_ends_at_the_nation_without_repetition(place: str) -> None:
    lineage = make_policy().lineage(place)
    assert lineage[0] == place
    assert lineage[-1] == "000000"
    assert len(set(lineage)) == len(lineage) <= 4


@given(
    st.lists(st.dates(START, date(2030, 1, 1)), unique=True, min_size=1), st.dates(START, date(2030, 1, 1))
)
def test_latest_started_value_is_in_force(starts: list[date], day: date) -> None:
    starts.sort()
    policy = make_policy(make_parameter([(since, None, number) for number, since in enumerate(starts)])).at(
        day, "410000"
    )
    started = [number for number, since in enumerate(starts) if since <= day]
    if started:
        assert policy.integer("leave.cap") == started[-1]
    else:
        with pytest.raises(AbsentLaw):
            policy.integer("leave.cap")
