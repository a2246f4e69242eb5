"""From a case to what the rules take: law, calendar, recorded facts, aid."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from backend.aid.rules import Award, Payment, instalments, months_of_term
from backend.law_cases import format as shape
from backend.law_cases.errors import CaseValueBad, Source
from backend.law_cases.instants import instant
from backend.law_cases.references import resolve
from backend.leave.rules import LeaveInterval, SchoolTerm
from backend.org.calendar import (
    FIXED_HOLIDAYS,
    CalendarYear,
    CalendarYearInvalid,
    CalendarYearMissing,
    WorkingCalendar,
    official_calendar,
)
from backend.policy import Policy
from backend.policy.schema import Kind, Parameter
from backend.roll_call.rules import Outcome
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import (
    Attendance,
    CalendarYearLoaded,
    Edit,
    Outage,
    ProvinceApproval,
    ReasonClaim,
    Result,
    RollCallFact,
    Status,
    StudentFacts,
)
from backend.standing.policy import PolicyHistory

OPENS, CLOSES, NOTIFIED = "09:00", "11:00", "08:30"
"""The window of a roll call that only names its day."""


class CaseCalendar(WorkingCalendar):
    """The official calendar, but for years that it has not heard of and years that the case loads."""

    def __init__(
        self, official: WorkingCalendar, without: Iterable[int], loaded: Iterable[CalendarYear]
    ) -> None:
        super().__init__(loaded)
        self._official = official
        self._without = frozenset(without)

    def is_working_day(self, day: date) -> bool:
        if day.year in self.years:
            return super().is_working_day(day)
        if day.year in self._without:
            raise CalendarYearMissing(year=day.year)
        return self._official.is_working_day(day)


@dataclass(frozen=True, slots=True)
class World:
    """A case in the terms of the rules."""

    case: shape.Case
    facts: StudentFacts
    book: PolicyHistory
    calendar: WorkingCalendar
    awards: tuple[Award, ...]
    payments: tuple[Payment, ...]

    def assessment(self, at: datetime) -> Assessment:
        return assess(self.facts, self.book, self.calendar, at)


def build(case: shape.Case, law: Policy, file: str) -> World:
    """Raises a `CaseMalformed` for an id that is used twice or points nowhere."""
    source = Source(file, case.name)
    _check_ids(case, source)
    book = PolicyHistory(_amended(law, case.law.amendments, source), case.law.place)
    calendar = _calendar(case.calendar, source)
    facts = resolve(case, _recorded(case), book, calendar, source)
    awards = tuple(_award(fact.aid, case, book) for fact in case.facts if fact.aid)
    payments = tuple(_payment(fact.payment) for fact in case.facts if fact.payment)
    return World(case, facts, book, calendar, awards, payments)


# --- law and calendar ---


def _amended(law: Policy, amendments: list[shape.Amendment], source: Source) -> Policy:
    """The law with the case's own figures; the same law object where there are none, so that it is read once."""
    if not amendments:
        return law
    parameters = {(item.id, item.place): item for item in law.parameters}
    for number, amendment in enumerate(amendments):
        found = [key for key in parameters if key[0] == amendment.parameter]
        if not found:
            source.unknown(f"law.amendments.{number}.parameter", amendment.parameter)
        for key in found:
            try:
                parameters[key] = _amend(parameters[key], amendment)
            except ValueError as error:
                reason = " ".join(str(error).split())
                source.fault(CaseValueBad, f"law.amendments.{number}", reason, reason)
    return Policy(tuple(parameters.values()), law.divisions)


def _amend(parameter: Parameter, amendment: shape.Amendment) -> Parameter:
    value = amendment.value
    if parameter.kind is Kind.DATE and isinstance(value, str):
        value = date.fromisoformat(value)
    new = {
        "from": amendment.since,
        "until": amendment.until,
        "value": value,
        "reference": {"instrument": "CASE", "article": "-"},
    }
    kept = [item.model_dump(by_alias=True) for item in parameter.values if item.since != amendment.since]
    written = parameter.model_dump(by_alias=True, exclude={"values"})
    values = sorted([*kept, new], key=lambda item: item["from"])
    return Parameter.model_validate({**written, "values": values})


def _calendar(asked: shape.Calendar, source: Source) -> WorkingCalendar:
    loaded = []
    for number, year in enumerate(asked.loaded):
        fixed = {date(year.year, month, day) for month, day in FIXED_HOLIDAYS}
        try:
            loaded.append(
                CalendarYear(
                    year.year, frozenset(fixed | set(year.holidays)), frozenset(year.makeup_workdays), "case"
                )
            )
        except CalendarYearInvalid as error:
            zh, en = error.sentence("zh"), error.sentence("en")
            source.fault(CaseValueBad, f"calendar.loaded.{number}", zh, en)
    return CaseCalendar(official_calendar(), asked.without, loaded)


# --- facts that stand for themselves ---


def _check_ids(case: shape.Case, source: Source) -> None:
    """Each id once a kind, and whatever a fact names is there."""
    ids: dict[str, set[str]] = {}
    for number, fact in enumerate(case.facts):
        kind = next(iter(fact.model_fields_set))
        named = getattr(getattr(fact, kind), "id", None)
        if named is not None and named in ids.setdefault(kind, set()):
            source.fault(CaseValueBad, f"facts.{number}.{kind}.id", "编号重复", "the id is used twice")
        ids.setdefault(kind, set()).add(named or "")
    for number, fact in enumerate(case.facts):
        kind = next(iter(fact.model_fields_set))
        for key, target in POINTERS.get(kind, ()):
            named = getattr(getattr(fact, kind), key)
            if named is not None and named not in ids.get(target, set()):
                source.unknown(f"facts.{number}.{kind}.{key}", named)
    terms = {term.code for term in case.terms}
    for number, fact in enumerate(case.facts):
        if fact.aid is not None and fact.aid.term not in terms:
            source.unknown(f"facts.{number}.aid.term", fact.aid.term)


POINTERS = {
    "roll_call": (("replaces", "roll_call"),),
    "reason_claim": (("roll_call", "roll_call"), ("leave", "leave")),
    "acknowledgement": (("decision", "decision"),),
    "appeal": (("roll_call", "roll_call"), ("previous", "appeal")),
    "payment": (("aid", "aid"),),
}
"""Kind of fact → its keys that name another fact, and of which kind."""


def _recorded(case: shape.Case) -> StudentFacts:
    facts = case.facts
    return StudentFacts(
        student_id="student",
        initial=Status(case.student.standing, case.student.study_form),
        terms=tuple(
            SchoolTerm(
                term.code, term.since, term.to, tuple((item.since, item.to) for item in term.vacations)
            )
            for term in case.terms
        ),
        checks=tuple(_check(fact.roll_call) for fact in facts if fact.roll_call),
        leaves=tuple(_leave(fact.leave) for fact in facts if fact.leave),
        claims=tuple(_claim(fact.reason_claim) for fact in facts if fact.reason_claim),
        outages=tuple(_outage(fact.outage) for fact in facts if fact.outage),
        attendance=tuple(_attendance(fact.attendance) for fact in facts if fact.attendance),
        edits=tuple(_edit(fact.edit) for fact in facts if fact.edit),
        approvals=tuple(
            ProvinceApproval(fact.approval.id, fact.approval.at) for fact in facts if fact.approval
        ),
        calendar_loads=tuple(CalendarYearLoaded(year.year, year.at) for year in case.calendar.loaded),
    )


EVIDENCE = frozenset({"window", "availability", "submissions", "versions"})
"""What a roll call of the shipped product files of each student, beside the notice."""


def _check(it: shape.RollCall) -> RollCallFact:
    opens = it.opens or instant(f"{it.on} {OPENS}")
    closes = it.closes or instant(f"{it.on} {CLOSES}")
    notified = it.notified or (instant(f"{it.on} {NOTIFIED}") if it.on else opens - timedelta(minutes=30))
    first = (Result(Outcome(it.outcome), it.settled or closes),) if it.outcome else ()
    delivered = None if it.notice_delivered == "never" else (it.notice_delivered or notified)
    assert not isinstance(delivered, str)
    return RollCallFact(
        check_id=it.id,
        kind=it.kind,
        launcher=it.launcher,
        launched_at=it.launched or notified,
        notified_at=notified,
        opens_at=opens,
        closes_at=closes,
        results=(*first, *(Result(item.outcome, item.at) for item in it.later_results)),
        notice_delivered_at=delivered,
        evidence=EVIDENCE - set(it.missing_evidence),
        voided_at=it.voided,
        replaces=it.replaces,
    )


def _leave(it: shape.Leave) -> LeaveInterval:
    return LeaveInterval(
        leave_id=it.id,
        filed_at=it.filed,
        starts_at=it.since,
        ends_at=it.to,
        approved_at=it.approved,
        refused_at=it.refused,
        cancelled_at=it.cancelled,
        returned_at=it.returned,
        return_recorded_at=it.return_recorded,
    )


def _claim(it: shape.Claim) -> ReasonClaim:
    return ReasonClaim(it.id, it.roll_call, it.filed, it.reason, it.text, it.leave, it.decided, it.accepted)


def _outage(it: shape.OutageFact) -> Outage:
    return Outage(it.id, it.declared, it.since, it.to, it.decided, it.approved)


def _attendance(it: shape.AttendanceFact) -> Attendance:
    return Attendance(it.id, it.at, it.present, it.recorded)


def _edit(it: shape.EditFact) -> Edit:
    return Edit(it.id, it.at, it.item, it.standing, it.study_form, it.approval)


def _award(it: shape.AidFact, case: shape.Case, book: PolicyHistory) -> Award:
    term = next(term for term in case.terms if term.code == it.term)
    months = tuple(it.months) or months_of_term(term.since, term.to)
    law = book.policy.at(term.since, book.place)
    return Award(it.id, it.term, it.kind, it.approved, instalments(it.kind, law, months))


def _payment(it: shape.PaymentFact) -> Payment:
    return Payment(it.id, it.aid, it.month, it.paid, it.fen)
