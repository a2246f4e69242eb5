"""Figures are answered for a day and a place, or not at all."""

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


def parameter(values: list[Dated], **changes: object) -> Parameter:
    """A cap on leave in Henan with (from, until, value), changed as asked."""
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


def policy(*parameters: Parameter) -> Policy:
    rows = [
        DivisionRow.model_validate({"code": code, "zh": "某地", "level": level, "reports_to": above})
        for code, level, above in [("410000", "province", "000000"), ("410181", "direct_county", "410000")]
    ]
    return Policy(parameters, tuple(rows))


def test_the_value_in_force_changes_on_its_day_and_not_before() -> None:
    law = policy(parameter([(START, None, 15), (date(2023, 9, 1), None, 10)]))
    assert law.at(date(2023, 8, 31), "410000").integer("leave.cap") == 15
    assert law.at(date(2023, 9, 1), "410000").integer("leave.cap") == 10


def test_until_is_the_last_day_in_force_and_a_gap_after_it_is_absent_law() -> None:
    law = policy(parameter([(START, date(2022, 6, 30), 15), (date(2023, 1, 1), None, 10)]))
    assert law.at(date(2022, 6, 30), "410000").integer("leave.cap") == 15
    with pytest.raises(AbsentLaw):
        law.at(date(2022, 7, 1), "410000").integer("leave.cap")


def test_absent_law_names_parameter_clause_day_and_place() -> None:
    law = policy(parameter([(START, None, 15)]))
    with pytest.raises(AbsentLaw) as refusal:
        law.at(date(2021, 12, 31), "410105").integer("leave.cap")
    assert refusal.value.params == {
        "parameter": "leave.cap",
        "clause": "HN334-3.5b",
        "day": "2021-12-31",
        "place": "410105",
    }
    for language in ("zh", "en"):
        assert all(fact in refusal.value.sentence(language) for fact in refusal.value.params.values())


def test_an_unknown_parameter_is_absent_law_and_never_a_default() -> None:
    with pytest.raises(AbsentLaw):
        policy().at(START, "410000").integer("no.such")


def test_law_of_one_province_does_not_hold_in_another() -> None:
    with pytest.raises(AbsentLaw):
        policy(parameter([(START, None, 15)])).at(START, "140900").integer("leave.cap")


@pytest.mark.parametrize(
    ("place", "expected"),
    [("410105", 3), ("410100", 3), ("410200", 2), ("410000", 2), ("140900", 1), ("000000", 1)],
)
def test_the_nearest_place_up_the_hierarchy_decides(place: str, expected: object) -> None:
    levels = [("000000", 1), ("410000", 2), ("410100", 3)]
    law = policy(*(parameter([(START, None, value)], place=level) for level, value in levels))
    assert law.at(START, place).integer("leave.cap") == expected


def test_a_directly_administered_county_follows_the_province_and_not_the_city_of_its_digits() -> None:
    law = policy(parameter([(START, None, 3)], place="410100"), parameter([(START, None, 2)], place="410000"))
    assert law.at(START, "410181").integer("leave.cap") == 2


def test_where_local_law_has_ended_the_law_above_holds_again() -> None:
    local = parameter([(START, date(2022, 6, 30), 3)], place="410100")
    law = policy(local, parameter([(START, None, 2)]))
    assert law.at(date(2022, 7, 1), "410100").integer("leave.cap") == 2


@pytest.mark.parametrize(
    ("kind", "unit", "value", "getter", "expected"),
    [
        ("number", "metre", 150, "number", 150.0),
        ("ratio", None, 0.9, "ratio", 0.9),
        ("duration", "minute", 60, "duration", timedelta(hours=1)),
        ("date", None, date(2022, 10, 25), "day_of", date(2022, 10, 25)),
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
def test_each_kind_has_its_getter_and_no_other(
    kind: str, unit: str | None, value: object, getter: str, expected: object
) -> None:
    at = policy(parameter([(START, None, value)], kind=kind, unit=unit)).at(START, "410000")
    assert getattr(at, getter)("leave.cap") == expected
    with pytest.raises(WrongKind):
        at.integer("leave.cap")


def test_a_reference_tells_figure_place_date_source_and_version() -> None:
    law = policy(parameter([(START, None, 15)]))
    cited = law.at(date(2024, 1, 1), "410105").reference("leave.cap")
    assert (cited.value, cited.unit, cited.since, cited.place) == (15, "day", START, "410000")
    assert (cited.reference.article, cited.reference.clause) == ("三、5", "HN334-3.5b")
    assert cited.version == law.policy_version


def test_what_a_caller_does_to_an_answer_never_changes_the_law() -> None:
    law = policy(parameter([(START, None, ["a"])], kind="texts", unit=None))
    answer = law.at(START, "410000").reference("leave.cap").value
    assert isinstance(answer, list)
    answer.append("b")
    assert law.at(START, "410000").texts("leave.cap") == ("a",)


def test_the_version_follows_the_figures_and_not_their_order_or_wording() -> None:
    cap, misses = parameter([(START, None, 15)]), parameter([(START, None, 2)], id="misses.consecutive")
    version = policy(cap, misses).policy_version
    assert policy(misses, cap).policy_version == version
    assert policy(parameter([(START, None, 15)], zh="另一种说法"), misses).policy_version == version
    assert policy(parameter([(START, None, 14)]), misses).policy_version != version
    assert policy(parameter([(date(2022, 1, 2), None, 15)]), misses).policy_version != version
    assert policy(parameter([(START, None, 15)], place="410100"), misses).policy_version != version


@pytest.mark.parametrize("place", ["", "41010", "4101055", "郑州", "４１０１００"])
def test_a_malformed_place_is_refused(place: str) -> None:
    with pytest.raises(BadInput):
        policy().at(START, place)


@given(st.integers(0, 999_999).map("{:06}".format))
def test_every_lineage_ends_at_the_nation_and_repeats_nothing(place: str) -> None:
    lineage = policy().lineage(place)
    assert lineage[0] == place
    assert lineage[-1] == "000000"
    assert len(set(lineage)) == len(lineage) <= 4


@given(
    st.lists(st.dates(START, date(2030, 1, 1)), unique=True, min_size=1), st.dates(START, date(2030, 1, 1))
)
def test_the_latest_begun_value_is_in_force(starts: list[date], day: date) -> None:
    starts.sort()
    law = policy(parameter([(since, None, number) for number, since in enumerate(starts)])).at(day, "410000")
    begun = [number for number, since in enumerate(starts) if since <= day]
    if begun:
        assert law.integer("leave.cap") == begun[-1]
    else:
        with pytest.raises(AbsentLaw):
            law.integer("leave.cap")
