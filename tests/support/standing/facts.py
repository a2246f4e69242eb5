"""Facts of students for engine tests: short constructors, and Hypothesis strategies."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from hypothesis import strategies as st

from backend.core.clock import LEGAL_ZONE
from backend.leave.rules import LeaveInterval, SchoolTerm
from backend.org.calendar import official_calendar
from backend.policy import load_policies
from backend.roll_call.rules import Outcome
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import (
    Attendance,
    PromptDelivery,
    ReasonClaim,
    Result,
    RollCallFact,
    Status,
    StudentFacts,
)
from backend.standing.policy import PolicyHistory

BOOK = PolicyHistory(load_policies(), "410100")
CALENDAR = official_calendar()
FIRST = date(2025, 9, 1)
AUTUMN = SchoolTerm("2025-autumn", FIRST, date(2026, 1, 18), ((date(2025, 10, 1), date(2025, 10, 8)),))
SPRING = SchoolTerm("2026-spring", date(2026, 3, 1), date(2026, 7, 5))
END = datetime(2026, 1, 18, 12, tzinfo=LEGAL_ZONE)
COMPLETE = frozenset({"window", "availability", "submissions", "versions"})


def at(day: date, hour: int = 9, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=LEGAL_ZONE)


def check(
    day: date, outcome: Outcome = Outcome.MISSED, *, complete: bool = True, noticed: bool = True
) -> RollCallFact:
    return RollCallFact(
        check_id=day.isoformat(),
        kind="spot_check",
        launcher="province",
        launched_at=at(day, 8),
        notified_at=at(day, 8),
        opens_at=at(day, 9),
        closes_at=at(day, 11),
        results=(Result(outcome, at(day, 11)),),
        notice_delivered_at=at(day, 8) if noticed else None,
        evidence=COMPLETE if complete else COMPLETE - {"availability"},
    )


def student(
    *checks: RollCallFact,
    leaves: tuple[LeaveInterval, ...] = (),
    claims: tuple[ReasonClaim, ...] = (),
    attendance: tuple[Attendance, ...] = (),
) -> StudentFacts:
    return StudentFacts(
        "s",
        Status("01", "full_time"),
        (AUTUMN, SPRING),
        checks,
        leaves=leaves,
        claims=claims,
        attendance=attendance,
    )


def assessment(facts: StudentFacts, as_of: datetime = END) -> Assessment:
    return assess(facts, BOOK, CALENDAR, as_of)


def with_deliveries(facts: StudentFacts, after: timedelta, until: datetime = END) -> StudentFacts:
    """The facts with a delivery of every prompt, `after` (a duration) later than it was raised."""
    while True:
        delivered = {delivery.prompt_id for delivery in facts.deliveries}
        undelivered = [
            prompt for prompt in assessment(facts, until).prompts if prompt.prompt_id not in delivered
        ]
        if not undelivered:
            return facts
        new = [PromptDelivery(prompt.prompt_id, prompt.raised_at + after) for prompt in undelivered]
        facts = replace(facts, deliveries=(*facts.deliveries, *new))


days = st.integers(0, 130).map(lambda offset: FIRST + timedelta(days=offset))
outcomes = st.sampled_from([Outcome.MISSED, Outcome.MISSED, Outcome.PRESENT, Outcome.EXCUSED])


@st.composite
def check_sequences(draw: st.DrawFn, most: int = 8) -> tuple[RollCallFact, ...]:
    """Checks on different days, some with missing evidence."""
    drawn = draw(st.lists(days, min_size=1, max_size=most, unique=True))
    return tuple(
        check(
            day,
            draw(outcomes),
            complete=draw(st.integers(0, 5)) > 0,
            noticed=draw(st.integers(0, 5)) > 0,
        )
        for day in drawn
    )


@st.composite
def students(draw: st.DrawFn) -> StudentFacts:
    """Checks, leave, claims and attendance records of one term."""
    checks = draw(check_sequences())
    leaves = tuple(_leave(number, draw) for number in range(draw(st.integers(0, 3))))
    claims = tuple(_claim(number, draw, checks) for number in range(draw(st.integers(0, 2))))
    notes = tuple(
        Attendance(str(number), at(day, 14), present)
        for number, (day, present) in enumerate(
            draw(st.lists(st.tuples(days, st.booleans()), max_size=3, unique=True))
        )
    )
    return student(*checks, leaves=leaves, claims=claims, attendance=notes)


def _leave(number: int, draw: st.DrawFn) -> LeaveInterval:
    day = draw(days)
    approved = draw(st.sampled_from([None, 0, 3]))
    returned = draw(st.sampled_from([None, 2, 12]))
    starts = at(day, 0)
    return LeaveInterval(
        str(number),
        filed_at=starts - timedelta(days=2),
        starts_at=starts,
        ends_at=starts + timedelta(days=draw(st.integers(1, 20))),
        approved_at=None if approved is None else starts - timedelta(days=1) + timedelta(days=approved),
        returned_at=None if returned is None else starts + timedelta(days=returned, hours=6),
    )


def _claim(number: int, draw: st.DrawFn, checks: tuple[RollCallFact, ...]) -> ReasonClaim:
    about = draw(st.sampled_from(checks))
    decided = draw(st.sampled_from([None, 1, 9]))
    return ReasonClaim(
        str(number),
        about.check_id,
        about.closes_at + timedelta(hours=1),
        draw(st.sampled_from(["illness", "no_phone", "overslept"])),
        decided_at=None if decided is None else about.closes_at + timedelta(days=decided),
        accepted=draw(st.booleans()),
    )
