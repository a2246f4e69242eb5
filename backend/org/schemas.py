"""API schemas of units, terms and the working-day calendar."""

from datetime import MAXYEAR, MINYEAR, date
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.web.schema_types import Day, Schema, ShortText

MAX_VACATIONS = 20
MAX_DAYS = 366

UnitKind = Literal["province", "city", "county", "school"]


class UnitOut(BaseModel):
    """An authority or a school; `path` orders the tree, `parent_id` is null for the province."""

    id: UUID
    kind: UnitKind
    code: str = Field(examples=["4141000001"])
    name: str = Field(examples=["郑州市第一职业学校"])
    parent_id: UUID | None
    path: str = Field(examples=["p410000.c410100.s4141000001"])


class SchoolIn(Schema):
    """A school to create under an authority. The parent of a school directly under the province is the province."""

    code: str = Field(pattern=r"^[0-9]{10}$", description="学校标识码", examples=["4141000001"])
    name: ShortText = Field(examples=["郑州市第一职业学校"])
    parent_id: UUID


class CountyIn(Schema):
    """A county bureau to create; its city follows from the division code."""

    code: str = Field(pattern=r"^[0-9]{6}$", description="行政区划代码", examples=["410122"])
    name: ShortText = Field(examples=["中牟县"])


class VacationIn(Schema):
    """A vacation; both days are included."""

    name: ShortText = Field(examples=["寒假"])
    starts_on: Day = Field(examples=["2027-01-18"])
    ends_on: Day = Field(examples=["2027-02-20"])


class TermIn(Schema):
    """A term of a unit and all units below it. A unit below a unit that has the term keeps its code and may only vary
    the dates.
    """

    org_id: UUID
    code: ShortText = Field(examples=["2026-autumn"])
    starts_on: Day = Field(examples=["2026-09-01"])
    ends_on: Day = Field(examples=["2027-01-31"])
    vacations: list[VacationIn] = Field(default=[], max_length=MAX_VACATIONS)


class VacationOut(BaseModel):
    """A vacation; both days are included."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["寒假"])
    starts_on: date
    ends_on: date


class TermOut(BaseModel):
    """A term as set by the unit in `org_id`."""

    id: UUID
    org_id: UUID
    org_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    code: str = Field(examples=["2026-autumn"])
    starts_on: date
    ends_on: date
    vacations: list[VacationOut]
    may_change: bool = Field(
        description="可否由本人补充假期（本单位及下级设置的学期） · whether the reader may add vacations: the terms of the"
        " own unit and of those below"
    )


class CalendarYearIn(Schema):
    """The State Council's notice for one year: the holidays, and the weekend days that are workdays instead."""

    year: int = Field(ge=MINYEAR, le=MAXYEAR, examples=[2027])
    source: ShortText = Field(examples=["国办发明电〔2026〕×号"])
    holidays: list[Day] = Field(max_length=MAX_DAYS, examples=[["2027-01-01"]])
    makeup_workdays: list[Day] = Field(max_length=MAX_DAYS, examples=[["2027-02-14"]])


class CalendarYearOut(BaseModel):
    """A year that an administrator loaded."""

    year: int = Field(examples=[2027])
    source: str
    holidays: list[date]
    makeup_workdays: list[date]


class CalendarOut(BaseModel):
    """The years for which deadlines can be computed, and those of them that an administrator loaded."""

    years: list[int] = Field(examples=[[2025, 2026]])
    loaded: list[CalendarYearOut]
