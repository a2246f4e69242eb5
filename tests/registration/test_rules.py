"""Cut-offs, carried-over students, categories and the electronic record."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.org.calendar import official_calendar
from backend.policy.installed import installed_policy
from backend.registration.policy import registration_law
from backend.registration.rules import (
    Basis,
    Decision,
    Half,
    NewStudent,
    Refusal,
    RegistrationLaw,
    SchoolIntake,
    Season,
    decide_registration,
    entry_day,
    find_cut_off,
    record_deadline,
    season_of,
)

HENAN, XINZHOU = "410100", "140900"
AUTUMN = NewStudent("regular", "full_time", None, "202509")
SPRING = replace(AUTUMN, entry_month="202503")
USUAL = SchoolIntake(first_roster_on=date(2024, 9, 2))


def law_at(place: str, day: date = date(2025, 9, 1)) -> RegistrationLaw:
    """The shipped law at a place."""
    return registration_law(installed_policy().at(day, place))


def decide(
    day: date, place: str = HENAN, student: NewStudent = AUTUMN, school: SchoolIntake = USUAL
) -> Decision:
    """The decision on a day under the shipped law."""
    return decide_registration(student, school, law_at(place, day), day)


@pytest.mark.clause("MOE19-2.3a")
@pytest.mark.parametrize(
    ("student", "day", "refusal"),
    [
        (AUTUMN, date(2025, 11, 20), None),
        (AUTUMN, date(2025, 11, 21), Refusal.CLOSED),
        (SPRING, date(2025, 4, 20), None),
        (SPRING, date(2025, 4, 21), Refusal.CLOSED),
    ],
)
def test_the_day_of_the_cut_off_is_in_time_and_the_next_is_not(
    student: NewStudent, day: date, refusal: Refusal | None
) -> None:
    decision = decide(day, student=student)
    assert decision.refusal is refusal
    assert decision.basis is (None if refusal else Basis.NEW)


@pytest.mark.clause("XZ69-3.1")
@pytest.mark.parametrize(
    ("place", "refusal", "instrument"), [(XINZHOU, Refusal.CLOSED, "XZ69"), (HENAN, None, "MOE19")]
)
def test_11_november_is_too_late_in_xinzhou_and_in_time_in_henan(
    place: str, refusal: Refusal | None, instrument: str
) -> None:
    decision = decide(date(2025, 11, 11), place)
    assert decision.refusal is refusal
    assert decision.cut_off.citation.reference.instrument == instrument


@pytest.mark.clause("XZ69-3.1")
def test_10_november_is_in_time_in_xinzhou_and_spring_follows_the_national_day() -> None:
    assert decide(date(2025, 11, 10), XINZHOU).basis is Basis.NEW
    spring = find_cut_off(Season(2025, Half.SPRING), "regular", law_at(XINZHOU))
    assert (spring.day, spring.citation.place) == (date(2025, 4, 20), "000000")


@pytest.mark.clause("HRSS28-2.1")
@pytest.mark.parametrize(
    ("month", "last_day"), [("202509", date(2025, 10, 20)), ("202503", date(2025, 4, 20))]
)
def test_technician_schools_have_cut_offs_of_their_own(month: str, last_day: date) -> None:
    student = replace(AUTUMN, programme="technician", entry_month=month)
    assert decide(last_day, student=student).basis is Basis.NEW
    assert decide(last_day + timedelta(days=1), student=student).refusal is Refusal.CLOSED


@pytest.mark.clause("XZ69-3.1", "HRSS28-2.1")
def test_three_sets_of_local_law_differ() -> None:
    autumn = Season(2025, Half.AUTUMN)
    days = [
        find_cut_off(autumn, "regular", law_at(HENAN)).day,
        find_cut_off(autumn, "regular", law_at(XINZHOU)).day,
        find_cut_off(autumn, "technician", law_at(XINZHOU)).day,
    ]
    assert days == [date(2025, 11, 20), date(2025, 11, 10), date(2025, 10, 20)]


@pytest.mark.clause("MOE19-2.3a")
@pytest.mark.parametrize(
    ("first_roster", "day", "basis"),
    [
        (None, date(2025, 12, 1), Basis.CARRIED_OVER),
        (date(2025, 12, 1), date(2025, 12, 31), Basis.CARRIED_OVER),
        (date(2025, 12, 1), date(2026, 1, 1), None),
        (date(2025, 11, 20), date(2025, 11, 21), None),
    ],
    ids=["first roster", "last day of the load", "after the load", "season was open at the first roster"],
)
def test_students_registered_elsewhere_before_are_loaded_only_at_the_start(
    first_roster: date | None, day: date, basis: Basis | None
) -> None:
    assert decide(day, school=SchoolIntake(first_roster)).basis is basis


@pytest.mark.clause("MOE19-2.3a")
def test_the_permission_of_the_superior_ends_on_its_last_day() -> None:
    school = replace(USUAL, added_until=date(2025, 12, 5))
    assert decide(date(2025, 12, 5), school=school).basis is Basis.CARRIED_OVER
    assert decide(date(2025, 12, 6), school=school).refusal is Refusal.CLOSED


@pytest.mark.clause("MOE19-2.3a")
@pytest.mark.parametrize(("day", "refusal"), [(date(2025, 6, 30), Refusal.AHEAD), (date(2025, 7, 1), None)])
def test_students_of_a_later_season_are_not_registered_yet(day: date, refusal: Refusal | None) -> None:
    assert decide(day).refusal is refusal


@pytest.mark.clause("MOE19-1.2")
def test_a_suspended_school_registers_no_new_students_but_keeps_its_earlier_ones() -> None:
    suspended = SchoolIntake(None, refusal=Refusal.SUSPENDED)
    assert decide(date(2025, 9, 10), school=suspended).refusal is Refusal.SUSPENDED
    assert decide(date(2025, 12, 1), school=suspended).basis is Basis.CARRIED_OVER


@pytest.mark.clause("HRSS28-2.2")
@pytest.mark.parametrize(
    ("category", "full_time", "part_time"),
    [
        ("employee", False, True),
        ("short_course_trainee", False, False),
        ("farmer", False, True),
        ("prisoner", False, True),
        ("junior_graduate", True, True),
        (None, True, True),
    ],
)
def test_category_and_study_form_in_technician_schools(
    category: str | None, *, full_time: bool, part_time: bool
) -> None:
    for study_form, accepted in (("full_time", full_time), ("part_time", part_time)):
        student = NewStudent("technician", study_form, category, "202509")
        decision = decide(date(2025, 10, 8), student=student)
        assert decision.refusal is (None if accepted else Refusal.CATEGORY)
        other = decide(date(2025, 10, 8), student=replace(student, programme="regular"))
        assert other.refusal is None, "the notice binds technician schools"


@pytest.mark.clause("MOE19-2.3a")
@pytest.mark.parametrize(
    ("entered_on", "last_day"),
    [(date(2025, 9, 1), date(2025, 9, 28)), (date(2026, 9, 1), date(2026, 9, 29))],
)
def test_the_electronic_record_is_due_on_the_twentieth_working_day(entered_on: date, last_day: date) -> None:
    assert record_deadline(entered_on, law_at(HENAN), official_calendar()) == last_day


def test_entry_is_the_first_day_of_a_term_that_begins_in_the_month() -> None:
    starts = [date(2025, 2, 17), date(2025, 9, 3)]
    assert entry_day("202509", starts) == date(2025, 9, 3)
    assert entry_day("202510", starts) == date(2025, 10, 1)


@given(st.dates(date(2023, 1, 1), date(2026, 12, 31)), st.sampled_from(["regular", "technician"]))
def test_every_month_has_a_season_and_a_cut_off_within_its_half_year(day: date, programme: str) -> None:
    law = law_at(XINZHOU, day)
    season = season_of(f"{day:%Y%m}", law)
    cut_off = find_cut_off(season, programme, law)
    assert season == Season.parse(season.code)
    assert season_of(f"{cut_off.day:%Y%m}", law) == season
    assert cut_off.day == min(find_cut_off(season, each, law).day for each in {programme, "regular"}), (
        "a rule for a programme never gives more time"
    )
