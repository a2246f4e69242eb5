"""Building the engine's input from a case: policies, calendar, recorded facts, aid."""

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
from backend.policy.schema import Parameter, ParameterKind
from backend.roll_call.rules import Outcome
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import (
    Attendance,
    CalendarYearLoaded,
    CompletedEvidence,
    Edit,
    LeaveAnswer,
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
"""The window and notice of a roll call that only gives its day."""


class CaseCalendar(WorkingCalendar):
    """The official calendar, without some years, and with the years that the case loads."""

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
    """A case as input of the engine."""

    case: shape.Case
    facts: StudentFacts
    policies: PolicyHistory
    calendar: WorkingCalendar
    awards: tuple[Award, ...]
    payments: tuple[Payment, ...]

    def assessment(self, at: datetime) -> Assessment:
        return assess(self.facts, self.policies, self.calendar, at)


def build(case: shape.Case, law: Policy, file: str) -> World:
    """Raises a `CaseMalformed` for an id that is used twice or does not exist."""
    source = Source(file, case.name)
    _check_ids(case, source)
    policies = PolicyHistory(_amend_policy(law, case.law.amendments, source), case.law.place)
    calendar = _calendar(case.calendar, source)
    facts = resolve(case, _recorded_facts(case), policies, calendar, source)
    awards = tuple(_award(fact.aid, case, policies) for fact in case.facts if fact.aid)
    payments = tuple(_payment(fact.payment) for fact in case.facts if fact.payment)
    return World(case, facts, policies, calendar, awards, payments)


# --- law and calendar ---


def _amend_policy(law: Policy, amendments: list[shape.Amendment], source: Source) -> Policy:
    """The law with the case's own figures. Without amendments it is the same object, so its figures stay cached."""
    if not amendments:
        return law
    parameters = {(item.id, item.place): item for item in law.parameters}
    for number, amendment in enumerate(amendments):
        keys = [key for key in parameters if key[0] == amendment.parameter]
        if not keys:
            source.unknown(f"law.amendments.{number}.parameter", amendment.parameter)
        for key in keys:
            try:
                parameters[key] = _amend_parameter(parameters[key], amendment)
            except ValueError as error:
                reason = " ".join(str(error).split())
                source.fault(CaseValueBad, f"law.amendments.{number}", reason, reason)
    return Policy(tuple(parameters.values()), law.divisions)


def _amend_parameter(parameter: Parameter, amendment: shape.Amendment) -> Parameter:
    value = amendment.value
    if parameter.kind is ParameterKind.DATE and isinstance(value, str):
        value = date.fromisoformat(value)
    new = {
        "from": amendment.since,
        "until": amendment.until,
        "value": value,
        "reference": {"instrument": "CASE", "article": "-"},
    }
    others = [item.model_dump(by_alias=True) for item in parameter.values if item.since != amendment.since]
    written = parameter.model_dump(by_alias=True, exclude={"values"})
    values = sorted([*others, new], key=lambda item: item["from"])
    return Parameter.model_validate({**written, "values": values})


def _calendar(calendar: shape.Calendar, source: Source) -> WorkingCalendar:
    loaded = []
    for number, year in enumerate(calendar.loaded):
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
    return CaseCalendar(official_calendar(), calendar.without, loaded)


# --- facts that refer to nothing the engine derives ---


def _check_ids(case: shape.Case, source: Source) -> None:
    """Every id is unique within its kind, and every fact that is referred to exists."""
    ids: dict[str, set[str]] = {}
    for number, fact in enumerate(case.facts):
        kind = fact.fact_kind
        fact_id = getattr(getattr(fact, kind), "id", None)
        if fact_id is not None and fact_id in ids.setdefault(kind, set()):
            source.fault(CaseValueBad, f"facts.{number}.{kind}.id", "编号重复", "the id is used twice")
        ids.setdefault(kind, set()).add(fact_id or "")
    for number, fact in enumerate(case.facts):
        kind = fact.fact_kind
        for key, target in REFERENCES.get(kind, ()):
            referred = getattr(getattr(fact, kind), key)
            if referred is not None and referred not in ids.get(target, set()):
                source.unknown(f"facts.{number}.{kind}.{key}", referred)
    terms = {term.code for term in case.terms}
    for number, fact in enumerate(case.facts):
        if fact.aid is not None and fact.aid.term not in terms:
            source.unknown(f"facts.{number}.aid.term", fact.aid.term)


REFERENCES = {
    "roll_call": (("replaces", "roll_call"),),
    "reason_claim": (("roll_call", "roll_call"), ("leave", "leave")),
    "acknowledgement": (("decision", "decision"),),
    "evidence": (("roll_call", "roll_call"),),
    "leave_answer": (("leave", "leave"),),
    "appeal": (("roll_call", "roll_call"), ("previous", "appeal")),
    "payment": (("aid", "aid"),),
}
"""ParameterKind of fact → its keys that refer to another fact, and the kind of that fact."""


def _recorded_facts(case: shape.Case) -> StudentFacts:
    facts = case.facts
    return StudentFacts(
        student_id="student",
        initial=Status(case.student.standing, case.student.study_form),
        terms=tuple(
            SchoolTerm(
                term.code,
                term.since,
                term.to,
                tuple((item.since, item.to) for item in term.vacations),
                tuple(item.declared for item in term.vacations),
            )
            for term in case.terms
        ),
        checks=tuple(_check(fact.roll_call, facts) for fact in facts if fact.roll_call),
        leaves=tuple(_leave(fact.leave) for fact in facts if fact.leave),
        claims=tuple(_claim(fact.reason_claim) for fact in facts if fact.reason_claim),
        outages=tuple(_outage(fact.outage) for fact in facts if fact.outage),
        attendance=tuple(_attendance(fact.attendance) for fact in facts if fact.attendance),
        edits=tuple(_edit(fact.edit) for fact in facts if fact.edit),
        approvals=tuple(
            ProvinceApproval(fact.approval.id, fact.approval.at) for fact in facts if fact.approval
        ),
        calendar_loads=tuple(CalendarYearLoaded(year.year, year.at) for year in case.calendar.loaded),
        leave_answers=tuple(
            LeaveAnswer(fact.leave_answer.leave, fact.leave_answer.at, fact.leave_answer.accepted)
            for fact in facts
            if fact.leave_answer
        ),
    )


EVIDENCE = frozenset({"window", "availability", "submissions", "versions"})
"""The evidence that the product stores for each student of a roll call, other than the notice."""


def _check(fact: shape.RollCall, facts: Iterable[shape.Fact]) -> RollCallFact:
    opens = fact.opens or instant(f"{fact.on} {OPENS}")
    closes = fact.closes or instant(f"{fact.on} {CLOSES}")
    notified = fact.notified or (
        instant(f"{fact.on} {NOTIFIED}") if fact.on else opens - timedelta(minutes=30)
    )
    first = (Result(Outcome(fact.outcome), fact.settled or closes),) if fact.outcome else ()
    delivered = None if fact.notice_delivered == "never" else (fact.notice_delivered or notified)
    assert not isinstance(delivered, str)
    return RollCallFact(
        check_id=fact.id,
        kind=fact.kind,
        launcher=fact.launcher,
        launched_at=fact.launched or notified,
        notified_at=notified,
        opens_at=opens,
        closes_at=closes,
        results=(*first, *(Result(item.outcome, item.at) for item in fact.later_results)),
        notice_delivered_at=delivered,
        evidence=EVIDENCE - set(fact.missing_evidence),
        voided_at=fact.voided,
        replaces=fact.replaces,
        completed=tuple(
            CompletedEvidence(item.evidence.part, item.evidence.at, item.evidence.delivered)
            for item in facts
            if item.evidence and item.evidence.roll_call == fact.id
        ),
    )


def _leave(fact: shape.Leave) -> LeaveInterval:
    return LeaveInterval(
        leave_id=fact.id,
        filed_at=fact.filed,
        starts_at=fact.since,
        ends_at=fact.to,
        approved_at=fact.approved,
        refused_at=fact.refused,
        cancelled_at=fact.cancelled,
        returned_at=fact.returned,
        return_recorded_at=fact.return_recorded,
    )


def _claim(fact: shape.Claim) -> ReasonClaim:
    return ReasonClaim(
        fact.id, fact.roll_call, fact.filed, fact.reason, fact.text, fact.leave, fact.decided, fact.accepted
    )


def _outage(fact: shape.OutageFact) -> Outage:
    return Outage(fact.id, fact.declared, fact.since, fact.to, fact.decided, fact.approved)


def _attendance(fact: shape.AttendanceFact) -> Attendance:
    return Attendance(fact.id, fact.at, fact.present, fact.recorded)


def _edit(fact: shape.EditFact) -> Edit:
    return Edit(fact.id, fact.at, fact.item, fact.standing, fact.study_form, fact.approval)


def _award(fact: shape.AidFact, case: shape.Case, policies: PolicyHistory) -> Award:
    term = next(term for term in case.terms if term.code == fact.term)
    months = tuple(fact.months) or months_of_term(term.since, term.to)
    law = policies.policy.at(term.since, policies.place)
    return Award(fact.id, fact.term, fact.kind, fact.approved, instalments(fact.kind, law, months))


def _payment(fact: shape.PaymentFact) -> Payment:
    return Payment(fact.id, fact.aid, fact.month, fact.paid, fact.fen)
