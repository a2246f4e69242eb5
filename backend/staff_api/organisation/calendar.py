"""Routes of the working-day calendar: the years it covers, and loading an official year."""

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.org.calendar import CalendarYear
from backend.org.calendar_years import get_working_calendar, list_loaded_years, load_calendar_year
from backend.org.schemas import CalendarOut, CalendarYearIn, CalendarYearOut
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1/calendar-years", tags=["工作日历 · working-day calendar"])


def _year_out(year: CalendarYear) -> CalendarYearOut:
    return CalendarYearOut(
        year=year.year,
        source=year.source,
        holidays=sorted(year.holidays),
        makeup_workdays=sorted(year.makeup_workdays),
    )


@router.get("", responses=problem_responses(401, 403))
async def get_calendar(caller: StaffCaller) -> CalendarOut:
    """可计算工作日的年份 · The years of the calendar."""
    async with caller.transaction() as session:
        years = (await get_working_calendar(session)).years
        loaded = await list_loaded_years(session)
    return CalendarOut(years=list(years), loaded=[_year_out(year) for year in loaded])


@router.post("", status_code=201, responses=problem_responses(400, 401, 403, 422))
async def publish_calendar_year(caller: StaffCaller, body: CalendarYearIn) -> CalendarYearOut:
    """载入一年的节假日安排 · Load the official calendar of a year. Only the province may do so."""
    year = CalendarYear(body.year, frozenset(body.holidays), frozenset(body.makeup_workdays), body.source)
    async with caller.transaction() as session:
        await load_calendar_year(session, caller.actor, year, caller.at)
    return _year_out(year)
