"""The format of a law case. It is strict: unknown keys are refused. docs/law-cases.md explains each key."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from backend.aid.rules import AidKind
from backend.core.web.schema_types import require_storable
from backend.law_cases.instants import Beginning, Day, Ending, Instant, Month
from backend.policy.schema import DivisionCode
from backend.roll_call.rules import Outcome, RollCallKind

Id = Annotated[str, Field(min_length=1, max_length=64, examples=["c1"]), AfterValidator(require_storable)]
Code = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(require_storable)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(require_storable)]
Standing = Annotated[str, Field(pattern="^(0[1-9]|1[0-5]|99)$", examples=["01"])]
"""The national code of standing, as `backend.people.categories.STANDING_CODES` lists them."""
StudyForm = Literal["full_time", "part_time"]
RecordItem = Literal[
    "standing_change",
    "transfer_in",
    "return_from_suspension",
    "study_form",
    "contact_data",
    "graduation",
    "death",
    "restoration_by_appeal",
]
"""The items that have a text in `backend.standing.explanations.phrases.RECORD_ITEMS`."""
Evidence = Literal["window", "availability", "submissions", "versions"]
ONE_FACT = "a fact has exactly one kind"
LONGEST_TERM = timedelta(days=366)
PromptName = Annotated[
    str, Field(pattern="^(misses|leave_over_cap|absence_without_leave)(#[1-9][0-9]?)?$", examples=["misses"])
]
"""The kind of a prompt: the latest of that kind, or with a number that one."""
ChangeNumber = Annotated[int, Field(ge=1, le=99)]


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

    place: DivisionCode = "410100"
    amendments: list[Amendment] = []


class LoadedYear(Shape):
    year: Annotated[int, Field(ge=2000, lt=2100)]
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

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.to < self.since:
            raise ValueError("a vacation ends before it begins")
        return self


class Term(Shape):
    code: Id
    since: Day = Field(alias="from")
    to: Day
    vacations: Annotated[list[Vacation], Field(max_length=20)] = []

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if not self.since <= self.to <= self.since + LONGEST_TERM:
            raise ValueError("a term lasts from its first day to a later one, at most a year")
        return self


class Student(Shape):
    standing: Standing = "01"
    study_form: StudyForm = "full_time"
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
    kind: RollCallKind = "spot_check"
    launcher: Literal["province", "bureau", "school"] = "province"
    outcome: Outcome | None = Field(default=None, strict=False)
    launched: Instant | None = None
    notified: Instant | None = None
    notice_delivered: Instant | Literal["never"] | None = None
    settled: Instant | None = None
    later_results: Annotated[list[LaterResult], Field(max_length=20)] = []
    missing_evidence: Annotated[list[Evidence], Field(max_length=4)] = []
    voided: Instant | None = None
    replaces: Id | None = None

    @model_validator(mode="after")
    def _has_a_window(self) -> Self:
        if (self.on is None) == (self.opens is None or self.closes is None):
            raise ValueError("a roll call has either `on`, or `opens` and `closes`")
        if self.opens is not None and self.closes is not None and self.closes <= self.opens:
            raise ValueError("a roll call closes before it opens")
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
    reason: Code
    text: Text = ""
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
    prompt: PromptName
    at: Instant


class DecisionFact(Shape):
    id: Id
    prompt: PromptName
    at: Instant
    outcome: Annotated[Code, Field(examples=["part_time"])]
    role: Literal["registrar", "superior"] = "registrar"
    by: Code = "registrar-1"
    reasons: Text = ""
    found_reason: Code | None = None
    found_text: Text = ""


class EvidenceFact(Shape):
    """The superior completes the evidence of a roll call; `delivered` for the part `notice`."""

    roll_call: Id
    at: Instant
    part: Literal["notice", "submissions"]
    delivered: Instant | None = None


class ClosureFact(Shape):
    prompt: PromptName
    at: Instant
    by: Code = "superior-1"


class LeaveAnswerFact(Shape):
    leave: Id
    at: Instant
    accepted: bool


class AcknowledgementFact(Shape):
    decision: Id
    at: Instant
    accepted: bool
    by: Code = "superior-1"


class AppealFact(Shape):
    """An appeal against one of: a roll call's result, a change (`latest` or its number), gaokao eligibility."""

    id: Id
    by: Literal["student", "school"] = "student"
    filed: Instant
    roll_call: Id | None = None
    change: ChangeNumber | Literal["latest"] | None = None
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
    change: ChangeNumber | Literal["latest"] = "latest"
    by: Code = "superior-1"
    reasons: Text


class EditFact(Shape):
    id: Id
    at: Instant
    item: RecordItem
    standing: Standing | None = None
    study_form: StudyForm | None = None
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
    months: Annotated[list[Month], Field(max_length=14)] = []


class PaymentFact(Shape):
    id: Id
    aid: Id
    month: Month
    paid: Instant
    fen: Annotated[int, Field(gt=0, le=100_000_000)]


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
        if len(self.model_fields_set) != 1 or getattr(self, self.fact_kind) is None:
            raise ValueError(ONE_FACT)
        return self

    @property
    def fact_kind(self) -> str:
        """The key of the fact, such as `roll_call`."""
        return next(iter(self.model_fields_set))


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
