import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.errors import BadInput, NotFound
from backend.org.divisions import Divisions, check_division_code
from backend.policy import load_policies
from backend.policy.schema import DivisionLevel

HENAN = Divisions.of(load_policies())
DIRECT_COUNTIES = {
    "410181",
    "410225",
    "410482",
    "410526",
    "410783",
    "411381",
    "411481",
    "411525",
    "411628",
    "411729",
}


def test_henan_has_18_cities_and_10_direct_counties() -> None:
    cities = {division.code for division in HENAN.at_level(DivisionLevel.CITY)}
    assert cities == {f"41{number:02}00" for number in range(1, 18)} | {"419001"}
    assert {division.code for division in HENAN.at_level(DivisionLevel.DIRECT_COUNTY)} == DIRECT_COUNTIES
    assert HENAN.get("411700").zh == "驻马店"


@pytest.mark.parametrize("code", sorted(DIRECT_COUNTIES | {"419001", "410100"}))
def test_cities_and_direct_counties_report_to_the_province(code: str) -> None:
    superior = HENAN.superior_of(code)
    assert superior is not None
    assert superior.code == "410000"


def test_other_counties_report_to_the_city_of_their_first_four_digits() -> None:
    superior = HENAN.superior_of("410105")
    assert superior is not None
    assert superior.zh == "郑州"


def test_province_has_no_superior() -> None:
    assert HENAN.superior_of("410000") is None


def test_below_the_province_are_all_cities_and_direct_counties() -> None:
    codes = [division.code for division in HENAN.below("410000")]
    assert len(codes) == 28
    assert codes == sorted(codes)
    assert HENAN.below("410100") == ()


def test_division_of_another_province_is_not_found() -> None:
    with pytest.raises(NotFound):
        HENAN.get("140900")
    with pytest.raises(NotFound):
        HENAN.superior_of("140902")


@given(st.text(max_size=8))
def test_code_must_be_six_ascii_digits_of_a_province(text: str) -> None:
    well_formed = len(text) == 6 and all(sign in "0123456789" for sign in text) and text[:2] != "00"
    if well_formed:
        assert check_division_code(text) == text
    else:
        with pytest.raises(BadInput):
            check_division_code(text)


@pytest.mark.parametrize("text", ["４１０１００", "41010", "4101000", "000000", "410100\n", "-41010"])
def test_codes_with_lookalike_digits_are_rejected(text: str) -> None:
    with pytest.raises(BadInput):
        check_division_code(text)
