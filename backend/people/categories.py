"""The closed value lists of a student's record; the values are stored in the database."""

from enum import StrEnum
from typing import Annotated

from backend.core.web.schema_types import OneOf


class Sex(StrEnum):
    """性别, as the ID number encodes it."""

    MALE = "male"
    FEMALE = "female"


class StudyForm(StrEnum):
    """学习形式: full-time students are verified (HN334-2.1), part-time ones register twice a year (HN334-2.2)."""

    FULL_TIME = "full_time"
    PART_TIME = "part_time"


class Programme(StrEnum):
    """学生类别: the programme types whose full-time students must be verified (HN334-2.1)."""

    REGULAR = "regular"
    """普通中专"""
    ADULT = "adult"
    """成人中专"""
    VOCATIONAL_HIGH = "vocational_high"
    """职业高中"""
    TECHNICIAN = "technician"
    """技工学校"""
    UNIVERSITY_DIVISION = "university_division"
    """高校中专部"""
    FIVE_YEAR = "five_year"
    """五年一贯制的中职阶段"""


class DocumentKind(StrEnum):
    """身份证件类型, in the order of the national code list."""

    RESIDENT_ID = "resident_id"
    """居民身份证"""
    MILITARY = "military"
    """军官证、士兵证、文职干部证等"""
    HONG_KONG = "hong_kong"
    """香港特区护照/身份证明"""
    MACAO = "macao"
    """澳门特区护照/身份证明"""
    HOME_RETURN = "home_return"
    """港澳居民来往内地通行证"""
    TAIWAN = "taiwan"
    """台湾居民来往大陆通行证"""
    RESIDENCE_PERMIT = "residence_permit"
    """港澳台居民居住证"""
    PERMANENT_RESIDENCE = "permanent_residence"
    """境外永久居住证、外国人永久居留身份证"""
    PASSPORT = "passport"
    """护照"""
    HOUSEHOLD = "household"
    """户口簿"""
    OTHER = "other"
    """其他"""


ENDED_STANDINGS = ("03", "07", "08", "09", "10", "11", "14", "99")
"""退学 毕业 结业 肄业 转出 死亡 开除, and a cancelled record: the student is on the roll no longer.

The unique index `uq_student_enrolled` admits one student without these standings per ID number in the province.
"""

TRANSFERRED_OUT = "10"
"""The standing 转出."""

STANDING_CODES = (*(f"{number:02}" for number in range(1, 16)), "99")
"""The national codes of standing: 01 在读 … 15 下落不明, 99 其他."""

StandingCode = Annotated[str, OneOf(STANDING_CODES)]
StudyFormCode = Annotated[str, OneOf(StudyForm)]
