"""Generates fictional students for demos, benchmarks and tests; the same seed gives the same students.

Numbers follow the official rules so that every check applies to them, and are recognisably generated: phone numbers
use an unassigned prefix, and addresses contain a serial number and say that they are generated.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from backend.exchange.roster.template import load_template
from backend.exchange.roster.writer import Record
from backend.people.categories import Programme, Sex, StudyForm
from backend.people.identifiers import check_character

DIVISIONS = (
    *("410102", "410103", "410104", "410105", "410181", "410202", "410225", "410302", "410402", "410482"),
    *("410502", "410526", "410602", "410702", "410783", "410802", "410902", "411002", "411102", "411202"),
    *("411302", "411381", "411402", "411481", "411502", "411525", "411602", "411628", "411702", "411729"),
)
"""Divisions of Henan (GB/T 2260) for the first six digits of ID numbers."""

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = "安柏辰承楚丹德恩芳菲冠光涵浩荷宏慧嘉建景静君凯可兰乐立丽林龙茂美铭宁沛平奇倩清然仁如瑞"
GIVEN_SECOND = "山珊诗舒硕思松涛彤文熙晓欣星雅妍扬一怡宜逸英永宇雨玉远悦云泽哲贞真志智中卓子"

MAJORS = (
    "数控技术",
    "汽车维修",
    "护理",
    "幼儿保育",
    "计算机应用",
    "电子商务",
    "机电技术",
    "烹饪",
    "会计事务",
    "畜牧兽医",
)

PHONE_PREFIX = "154"
"""A mobile prefix that no network uses."""

ENTRY_AGE = 15
"""Usual age at entry, in September after the ninth school year."""

MIN_CLASS_SIZE, MAX_CLASS_SIZE = 40, 60


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """A class to generate: name, major, programme, study form, entry month (`YYYY-MM`) and size."""

    name: str
    major: str
    programme: Programme
    study_form: StudyForm
    entry_month: str
    length_years: int
    size: int


@dataclass(frozen=True, slots=True)
class SchoolPlan:
    """A school and its classes."""

    code: str
    name: str
    classes: tuple[ClassPlan, ...]


def plan_school(
    code: str,
    name: str,
    *,
    students: int,
    majors: Sequence[str] = MAJORS,
    programmes: Sequence[Programme] = tuple(Programme),
    newest_entry: int = 2026,
    part_time_classes: int = 1,
) -> SchoolPlan:
    """Divide `students` into classes of 40 to 60 over three entry years, cycling through majors and programmes.

    The last `part_time_classes` are part-time, but the first class is always full-time. Fewer than 40 students form one
    small class. Raises ValueError for a count such as 70 that no classes of 40 to 60 add up to.
    """
    sizes = _class_sizes(students)
    full_time = max(1, len(sizes) - part_time_classes)
    classes = tuple(
        _plan_class(number, size, majors, programmes, newest_entry, part_time=number > full_time)
        for number, size in enumerate(sizes, start=1)
    )
    return SchoolPlan(code, name, classes)


def _class_sizes(students: int) -> list[int]:
    count = max(1, round(students / ((MIN_CLASS_SIZE + MAX_CLASS_SIZE) // 2)))
    size, larger = divmod(students, count)
    sizes = [size + (index < larger) for index in range(count)]
    if students >= MIN_CLASS_SIZE and not all(MIN_CLASS_SIZE <= size <= MAX_CLASS_SIZE for size in sizes):
        msg = f"{students} students do not make classes of {MIN_CLASS_SIZE} to {MAX_CLASS_SIZE}"
        raise ValueError(msg)
    return sizes


def _plan_class(
    number: int,
    size: int,
    majors: Sequence[str],
    programmes: Sequence[Programme],
    newest_entry: int,
    *,
    part_time: bool,
) -> ClassPlan:
    programme = programmes[(number - 1) % len(programmes)]
    major = majors[(number - 1) % len(majors)]
    year = newest_entry - (number - 1) % 3
    return ClassPlan(
        name=f"{year}级{major}{number}班",
        major=major,
        programme=programme,
        study_form=StudyForm.PART_TIME if part_time else StudyForm.FULL_TIME,
        entry_month=f"{year}-09",
        length_years=5 if programme is Programme.FIVE_YEAR else 3,
        size=size,
    )


def generate_students(seed: int, schools: Iterable[SchoolPlan]) -> Iterator[Record]:
    """Generate the students of all schools, class by class, with unique ID numbers and serials from 1."""
    # Generated data must be reproducible, so a seeded generator is intended.
    random = Random(seed)  # noqa: S311
    taken: set[str] = set()
    serial = 0
    for school in schools:
        for school_class in school.classes:
            for _ in range(school_class.size):
                serial += 1
                yield _student(random, taken, serial, school, school_class)


def _id_number(random: Random, taken: set[str], entry_year: int, sex: Sex) -> tuple[str, date]:
    first_day = date(entry_year - ENTRY_AGE - 1, 9, 1)
    while True:
        born = first_day + timedelta(days=random.randrange(365))
        order = random.randrange(1, 500) * 2 - (1 if sex is Sex.MALE else 2)
        stem = f"{random.choice(DIVISIONS)}{born:%Y%m%d}{order:03}"
        if stem not in taken:
            taken.add(stem)
            return stem + check_character(stem), born


def _name(random: Random) -> str:
    second = random.choice(GIVEN_SECOND) if random.random() < 0.8 else ""  # noqa: PLR2004  most have two
    return random.choice(SURNAMES) + random.choice(GIVEN) + second


def _student(random: Random, taken: set[str], serial: int, school: SchoolPlan, plan: ClassPlan) -> Record:
    template = load_template()
    sex = random.choice((Sex.MALE, Sex.FEMALE))
    number, born = _id_number(random, taken, int(plan.entry_month[:4]), sex)
    name = _name(random)
    address = f"虚构路{serial:06}号（生成数据）"
    relation = random.choice(("父亲", "母亲"))
    return {
        "姓名": name,
        "性别": template.spelling("sex", sex),
        "出生日期": f"{born:%Y%m%d}",
        "身份证件类型": "居民身份证",
        "身份证件号": number,
        "班级名称": plan.name,
        "学号": f"G{number}",
        "学生类别": template.spelling("programme", plan.programme),
        "学习形式": template.spelling("study_form", plan.study_form),
        "入学方式": "统一招生考试/普通入学",
        "就读方式": random.choice(("住校", "走读")),
        "国籍/地区": "中国",
        "港澳台侨外": "否",
        "婚姻状况": "未婚",
        "是否随迁子女": "否",
        "生源地行政区划码": number[:6],
        "出生地行政区划码": number[:6],
        "籍贯地行政区划码": number[:6],
        "户口所在地区县以下详细地址": address,
        "户口所在地行政区划码": number[:6],
        "户口性质": random.choice(("农业户口", "非农业户口")),
        "入学年月": plan.entry_month.replace("-", ""),
        "专业简称": plan.major,
        "学制": str(plan.length_years),
        "民族": "汉族",
        "政治面貌": "群众",
        "健康状况": "健康或良好",
        "学生来源": "应届初中毕业生",
        "联系电话": f"{PHONE_PREFIX}{serial * 2 - 1:08}",
        "是否建档立卡贫困户": "否",
        "电子信箱/其他联系方式": f"student{serial:06}@example.invalid",
        "家庭现地址": address,
        "成员1姓名": random.choice(SURNAMES if relation == "母亲" else name[0]) + random.choice(GIVEN),
        "成员1关系": relation,
        "成员1是否监护人": "是",
        "成员1联系电话": f"{PHONE_PREFIX}{serial * 2:08}",
        "成员1民族": "汉族",
        "毕业学校": f"{school.name}生源初中（虚构）",
    }
