from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.exchange.roster.generator import (
    MAX_CLASS_SIZE,
    MIN_CLASS_SIZE,
    PHONE_PREFIX,
    generate_students,
    plan_school,
)
from backend.people.categories import Programme, StudyForm
from backend.people.identifiers import IdNumber, parse_id_number

TODAY = date(2026, 11, 21)
SCHOOLS = [plan_school(f"414100000{number}", f"示例{number}校", students=700) for number in range(3)]


def test_seed_determines_the_students() -> None:
    first, again, other = (list(generate_students(seed, SCHOOLS)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_id_numbers_are_valid_and_unique_across_schools() -> None:
    numbers = [student["身份证件号"] for student in generate_students(3, SCHOOLS)]
    assert len(set(numbers)) == len(numbers) == 2100
    assert all(isinstance(parse_id_number(number, today=TODAY), IdNumber) for number in numbers)


def test_generated_students_are_marked_as_generated() -> None:
    students = list(generate_students(1, SCHOOLS))
    phones = [student[header] for student in students for header in ("联系电话", "成员1联系电话")]
    assert all(phone.startswith(PHONE_PREFIX) and len(phone) == 11 for phone in phones)
    assert len(set(phones)) == len(phones)
    assert all("生成数据" in student["家庭现地址"] for student in students)


@given(st.integers(200, 20_000))
def test_classes_have_40_to_60_students(students: int) -> None:
    sizes = [plan.size for plan in plan_school("4141000001", "示例", students=students).classes]
    assert sum(sizes) == students
    assert all(MIN_CLASS_SIZE <= size <= MAX_CLASS_SIZE for size in sizes)


@pytest.mark.clause("HN334-2.1")
def test_large_school_has_every_programme_and_both_study_forms() -> None:
    classes = plan_school("4141000001", "示例", students=700, part_time_classes=2).classes
    assert {plan.programme for plan in classes} == set(Programme)
    assert [plan.study_form for plan in classes].count(StudyForm.PART_TIME) == 2


def test_too_few_students_for_a_class_are_rejected() -> None:
    with pytest.raises(ValueError, match="70 students"):
        plan_school("4141000001", "示例", students=70)
