"""The format of a law case. It is strict: unknown keys are refused. docs/law-cases.md explains each key."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.aid.rules import AidKind
from backend.law_cases.instants import Beginning, Day, Ending, Instant, Month
from backend.roll_call.rules import Outcome

Id = Annotated[str, Field(min_length=1, max_length=64)]
ONE_FACT = "a fact has exactly one kind"


class Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


class Amendment(Shape):
    """A figure in force from a day on, in this case only."""

    parameter: str
    since: Day = Field(alias="from")
    until: Day | None = None
    value: object


class Law(Shape):
    """The division of the student's school, and amendments of the shipped law."""

    place: str = "410100"
    amendments: list[Amendment] = []


class LoadedYear(Shape):
    year: int
    at: Instant
    holidays: list[Day]
    makeup_workdays: list[Day] = []


class Calendar(Shape):
    """The official calendar, without some years, and with years loaded at an instant."""

    without: list[int] = []
    loaded: list[LoadedYear] = []


class Vacation(Shape):
    since: Day = Field(alias="from")
    to: Day
    declared: Instant | None = None


class Term(Shape):
    code: Id
    since: Day = Field(alias="from")
    to: Day
    vacations: list[Vacation] = []


class Student(Shape):
    standing: str = "01"
    study_form: str = "full_time"
    degree_track: bool = True
    formally_registered: bool = True
    compulsory_education_duplicate: bool = False


class LaterResult(Shape):
    at: Instant
    outcome: Outcome = Field(strict=False)


class RollCall(Shape):
    """`on` alone means a window from 09:00 to 11:00, with the notice sent and delivered at 08:30."""

    id: Id
    on: Day | None = None
    opens: Instant | None = None
    closes: Instant | None = None
    kind: str = "spot_check"
    launcher: Literal["province", "bureau", "school"] = "province"
    outcome: Outcome | None = Field(default=None, strict=False)
    launched: Instant | None = None
    notified: Instant | None = None
    notice_delivered: Instant | Literal["never"] | None = None
    settled: Instant | None = None
    later_results: list[LaterResult] = []
    missing_evidence: list[str] = []
    voided: Instant | None = None
    replaces: Id | None = None

    @model_validator(mode="after")
    def _has_a_window(self) -> Self:
        if (self.on is None) == (self.opens is None or self.closes is None):
            raise ValueError("a roll call has either `on`, or `opens` and `closes`")
        return self


class Leave(Shape):
    id: Id
    filed: Instant
    since: Beginning = Field(alias="from")
    to: Ending
    approved: Instant | None = None
    refused: Instant | None = None
    cancelled: Instant | None = None
    returned: Instant | None = None
    return_recorded: Instant | None = None


class Claim(Shape):
    id: Id
    roll_call: Id
    filed: Instant
    reason: str
    text: str = ""
    leave: Id | None = None
    decided: Instant | None = None
    accepted: bool = False


class OutageFact(Shape):
    id: Id
    declared: Instant
    since: Instant = Field(alias="from")
    to: Instant | None = None
    decided: Instant | None = None
    approved: bool = False


class AttendanceFact(Shape):
    id: Id
    at: Instant
    present: bool
    recorded: Instant | None = None


class Delivered(Shape):
    prompt: str
    at: Instant


class DecisionFact(Shape):
    id: Id
    prompt: str
    at: Instant
    outcome: str
    role: Literal["registrar", "superior"] = "registrar"
    by: str = "registrar-1"
    reasons: str = ""
    found_reason: str | None = None
    found_text: str = ""


class EvidenceFact(Shape):
    """The superior completes the evidence of a roll call; `delivered` for the part `notice`."""

    roll_call: Id
    at: Instant
    part: Literal["notice", "submissions"]
    delivered: Instant | None = None


class ClosureFact(Shape):
    prompt: str
    at: Instant
    by: str = "superior-1"


class LeaveAnswerFact(Shape):
    leave: Id
    at: Instant
    accepted: bool


class AcknowledgementFact(Shape):
    decision: Id
    at: Instant
    accepted: bool
    by: str = "superior-1"


class AppealFact(Shape):
    """An appeal against one of: a roll call's result, a change (`latest` or its number), gaokao eligibility."""

    id: Id
    by: Literal["student", "school"] = "student"
    filed: Instant
    roll_call: Id | None = None
    change: int | Literal["latest"] | None = None
    gaokao: bool = False
    previous: Id | None = None
    decided: Instant | None = None
    upheld: bool = False
    finding: Literal["excused", "present"] = "excused"

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if (self.roll_call is not None) + (self.change is not None) + self.gaokao != 1:
            raise ValueError("an appeal is against one of `roll_call`, `change`, `gaokao`")
        return self


class ReversalFact(Shape):
    id: Id
    at: Instant
    change: int | Literal["latest"] = "latest"
    by: str = "superior-1"
    reasons: str


class EditFact(Shape):
    id: Id
    at: Instant
    item: str
    standing: str | None = None
    study_form: str | None = None
    approval: Id | None = None


class TransferFact(Shape):
    """The student moves to another school of the same place (转出, 转入); what is on file goes along (reading 23)."""

    id: Id
    at: Instant


class ApprovalFact(Shape):
    id: Id
    at: Instant


class AidFact(Shape):
    """An approved application; without `months`, for every month that the term touches."""

    id: Id
    kind: AidKind = Field(strict=False)
    term: Id
    approved: Instant
    months: list[Month] = []


class PaymentFact(Shape):
    id: Id
    aid: Id
    month: Month
    paid: Instant
    fen: Annotated[int, Field(gt=0)]


class Fact(Shape):
    """One event of one kind."""

    roll_call: RollCall | None = None
    leave: Leave | None = None
    reason_claim: Claim | None = None
    outage: OutageFact | None = None
    attendance: AttendanceFact | None = None
    prompt_delivered: Delivered | None = None
    decision: DecisionFact | None = None
    acknowledgement: AcknowledgementFact | None = None
    evidence: EvidenceFact | None = None
    closure: ClosureFact | None = None
    leave_answer: LeaveAnswerFact | None = None
    appeal: AppealFact | None = None
    reversal: ReversalFact | None = None
    edit: EditFact | None = None
    transfer: TransferFact | None = None
    approval: ApprovalFact | None = None
    aid: AidFact | None = None
    payment: PaymentFact | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(ONE_FACT)
        return self


class ExpectedStatus(Shape):
    standing: str | None = None
    study_form: str | None = None


class ExpectedCounts(Shape):
    consecutive: int | None = None
    cumulative: int | None = None


class ExpectedPrompt(Shape):
    kind: str | None = None
    term: str | None = None
    state: str | None = None
    grounds: list[str] | None = None
    evidence: list[str] | None = None
    event_day: Day | None = None
    raised: Instant | None = None
    proposed: str | None = None
    deadline: Instant | None = None
    missing_year: int | None = None
    reminders: list[Day] | None = None
    blockers: list[str] | None = None
    closed_by: str | None = None


class ExpectedChange(Shape):
    outcome: str | None = None
    cause: str | None = None
    at: Instant | None = None
    change_kind: str | None = None
    standing: str | None = None
    study_form: str | None = None


class ExpectedAid(Shape):
    due: int | None = None
    paid: int | None = None
    withdrawn: int | None = None
    discrepancy: int | None = None
    blockers: list[str] | None = None


class ExpectedAbsence(Shape):
    since: Day | None = None
    alert_on: Day | None = None
    limit_day: Day | None = None


class Expectation(Shape):
    """The expected result at an instant. Only the given keys are compared; lists are compared as a whole."""

    at: Instant
    term: str | None = None
    status: ExpectedStatus | None = None
    counts: ExpectedCounts | None = None
    sequence: str | None = None
    leave_days: int | None = None
    leave_left: int | None = None
    leave_missing_year: int | None = None
    prompts: list[ExpectedPrompt] | None = None
    changes: list[ExpectedChange] | None = None
    warnings: list[str] | None = None
    locked: bool | None = None
    open_approvals: list[str] | None = None
    refused: list[str] | None = None
    exemptions: dict[str, str] | None = None
    absence: ExpectedAbsence | Literal["none"] | None = None
    aid: ExpectedAid | None = None
    ineligible: list[str] | None = None


class Case(Shape):
    """One case: name, clauses, law, calendar, terms, student, facts, and the expected results."""

    name: Annotated[str, Field(min_length=1)]
    clauses: Annotated[list[str], Field(min_length=1)]
    law: Law = Law()
    calendar: Calendar = Calendar()
    terms: Annotated[list[Term], Field(min_length=1)]
    student: Student = Student()
    facts: list[Fact] = []
    expect: Annotated[list[Expectation], Field(min_length=1)]
