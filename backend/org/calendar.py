"""Working days by the official calendar, with make-up workdays (HN334-4.1b, reading 7). No input or output.

The General Office of the State Council publishes each year's holidays late in the year before. Nothing is assumed
about a year that is not loaded: every computation that needs a day of it raises `CalendarYearMissing`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

import chinese_calendar

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import BadInput, DomainError

ONE_DAY = timedelta(days=1)
SATURDAY = 5
FIXED_HOLIDAYS = ((1, 1), (5, 1), (10, 1), (10, 2), (10, 3))
"""Month and day of the statutory holidays that have the same date every year (全国年节及纪念日放假办法)."""


class CalendarYearMissing(DomainError):
    """A deadline needs the official calendar of a year that is not loaded."""

    code = "calendar_year_missing"
    status = 409
    zh = "{year} 年的工作日历尚未载入，无法计算工作日。请管理员载入国务院办公厅公布的 {year} 年节假日安排后重试。"
    en = (
        "The working-day calendar of {year} is not loaded, so working days cannot be computed. Ask an administrator "
        "to load the State Council's holiday notice for {year}, then try again."
    )


class CalendarYearInvalid(DomainError):
    """The calendar of a year contradicts itself or the fixed statutory holidays."""

    code = "calendar_year_invalid"
    status = 422
    zh = "{year} 年的日历无法使用：{problem_zh}。请对照公布的节假日安排更正。"
    en = "The calendar of {year} cannot be used: {problem_en}. Correct it against the published notice."


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """One year's official notice: holidays (with or without the weekends inside them) and make-up workdays.

    It may contain days of the previous December, because the notice on New Year can move them. Raises
    `CalendarYearInvalid` for a day outside these, a day in both lists, a make-up workday on a weekday, or a missing
    fixed holiday. Each of these is a typing mistake that would shift a deadline.
    """

    year: int
    holidays: frozenset[date]
    makeup_workdays: frozenset[date]
    source: str

    def __post_init__(self) -> None:
        for day in sorted(self.holidays | self.makeup_workdays):
            if day.year != self.year and (day.year, day.month) != (self.year - 1, 12):
                raise self._invalid(f"{day} 不属于该年", f"{day} is not in the year")
        for day in sorted(self.holidays & self.makeup_workdays):
            raise self._invalid(f"{day} 既放假又上班", f"{day} is both a holiday and a workday")
        for day in sorted(self.makeup_workdays):
            if day.weekday() < SATURDAY:
                raise self._invalid(
                    f"补班日 {day} 不是周末", f"the make-up workday {day} is not on a weekend"
                )
        for month, number in FIXED_HOLIDAYS:
            day = date(self.year, month, number)
            if day not in self.holidays:
                raise self._invalid(f"缺少法定节假日 {day}", f"the statutory holiday {day} is missing")

    def _invalid(self, problem_zh: str, problem_en: str) -> CalendarYearInvalid:
        return CalendarYearInvalid(year=self.year, problem_zh=problem_zh, problem_en=problem_en)


class WorkingCalendar:
    """Working days of the loaded years. If the notices of two years contain the same day, the later year wins."""

    def __init__(self, years: Iterable[CalendarYear]) -> None:
        """Of two notices for one year, the last one replaces the earlier (an amended notice)."""
        self._years = {loaded.year: loaded for loaded in years}
        self._is_workday: dict[date, bool] = {}
        for _, loaded in sorted(self._years.items()):
            self._is_workday |= dict.fromkeys(loaded.holidays, False)
            self._is_workday |= dict.fromkeys(loaded.makeup_workdays, True)

    @property
    def years(self) -> tuple[int, ...]:
        """The loaded years, in order."""
        return tuple(sorted(self._years))

    def with_years(self, overlay: Iterable[CalendarYear]) -> "WorkingCalendar":
        """Return a calendar that also contains these years; they replace loaded ones."""
        return WorkingCalendar((*self._years.values(), *overlay))

    def is_working_day(self, day: date) -> bool:
        """Tell whether offices work on the day. Raises `CalendarYearMissing`."""
        if day.year not in self._years:
            raise CalendarYearMissing(year=day.year)
        return self._is_workday.get(day, day.weekday() < SATURDAY)

    def add_working_days(self, start: date, days: int) -> date:
        """Return the `days`-th working day after `start`. `start` itself is not counted; 0 returns `start`.

        Raises `CalendarYearMissing` if any day from `start` to the result is in a year that is not loaded.
        """
        if days < 0:
            raise BadInput(
                field="days", reason_zh="天数不能为负", reason_en="the number of days must not be negative"
            )
        self.is_working_day(start)
        day = start
        while days:
            day += ONE_DAY
            days -= self.is_working_day(day)
        return day

    def working_days_between(self, start: date, end: date) -> int:
        """Count the working days after `start` up to and including `end`: the inverse of `add_working_days`."""
        if end < start:
            raise BadInput(field="end", reason_zh="结束日早于开始日", reason_en="the end is before the start")
        self.is_working_day(start)
        return sum(map(self.is_working_day, _days_after(start, end)))

    def deadline_instant(self, delivered_at: datetime, days: int) -> datetime:
        """Return 24:00 in Asia/Shanghai of the `days`-th working day after the legal day of delivery (reading 7).

        The instant is exclusive: an act is in time before it and late at it. Raises for a naive datetime.
        """
        last = self.add_working_days(legal_day(delivered_at), days)
        return datetime.combine(last + ONE_DAY, time.min, tzinfo=LEGAL_ZONE)


def _days_after(start: date, end: date) -> Iterator[date]:
    return (start + timedelta(days=offset) for offset in range(1, (end - start).days + 1))


@cache
def official_calendar() -> WorkingCalendar:
    """The calendar of the years in the library `chinesecalendar`, built once per process."""
    holidays = frozenset(chinese_calendar.holidays)
    makeup = frozenset(chinese_calendar.workdays)
    return WorkingCalendar(
        CalendarYear(
            year,
            frozenset(day for day in holidays if day.year == year),
            frozenset(day for day in makeup if day.year == year),
            "chinesecalendar",
        )
        for year in sorted({day.year for day in holidays})
    )
