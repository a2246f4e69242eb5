"""The working-day calendar: which years have an answer, and loading an official year."""

from datetime import MAXYEAR, MINYEAR, date

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backend.core.web.problems import documented
from backend.core.web.schema_types import Line, Schema
from backend.org.calendar import CalendarYear
from backend.org.calendars import load_calendar_year, loaded_years, working_calendar
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1/calendar-years", tags=["工作日历 · working-day calendar"])

MAX_DAYS = 366


class CalendarYearIn(Schema):
    """One year's notice of the State Council: the days off, and the weekend days that are worked instead."""

    year: int = Field(ge=MINYEAR, le=MAXYEAR, examples=[2027])
    source: Line = Field(examples=["国办发明电〔2026〕×号"])
    holidays: list[date] = Field(max_length=MAX_DAYS, examples=[["2027-01-01"]])
    makeup_workdays: list[date] = Field(max_length=MAX_DAYS, examples=[["2027-02-14"]])


class CalendarYearOut(BaseModel):
    """A year that an administrator loaded."""

    year: int = Field(examples=[2027])
    source: str
    holidays: list[date]
    makeup_workdays: list[date]


class CalendarOut(BaseModel):
    """The years that deadlines can be computed in, and those of them that were loaded."""

    years: list[int] = Field(examples=[[2025, 2026]])
    loaded: list[CalendarYearOut]


def _year_out(year: CalendarYear) -> CalendarYearOut:
    return CalendarYearOut(
        year=year.year,
        source=year.source,
        holidays=sorted(year.holidays),
        makeup_workdays=sorted(year.makeup_workdays),
    )


@router.get("", responses=documented(401, 403))
async def get_calendar(caller: StaffCaller) -> CalendarOut:
    """可计算工作日的年份 · The years in force."""
    async with caller.transaction() as session:
        years = (await working_calendar(session)).years
        loaded = await loaded_years(session)
    return CalendarOut(years=list(years), loaded=[_year_out(year) for year in loaded])


@router.post("", status_code=201, responses=documented(400, 401, 403, 422))
async def post_calendar_year(caller: StaffCaller, body: CalendarYearIn) -> CalendarYearOut:
    """载入一年的节假日安排 · Put an official year in force; by the province's account."""
    year = CalendarYear(body.year, frozenset(body.holidays), frozenset(body.makeup_workdays), body.source)
    async with caller.transaction() as session:
        await load_calendar_year(session, caller.actor, year, caller.at)
    return _year_out(year)
