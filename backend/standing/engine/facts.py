"""The recorded facts that a student's legal picture is made of. Immutable; the order of arrival says nothing.

Each fact has an id and the instants at which it became known, all timezone-aware. A fact whose instant lies after the
"as of" of a question does not exist yet for that question.
"""

from dataclasses import dataclass
from datetime import datetime

from backend.leave.rules import LeaveInterval, NoticedWindow, SchoolTerm
from backend.roll_call.rules import Outcome


@dataclass(frozen=True, slots=True)
class Status:
    """National standing code (01 在读 …) and study form (`full_time`, `part_time`)."""

    standing: str
    study_form: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a roll call found of the student, known from `at`; a later result replaces an earlier one."""

    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True)
class RollCallFact:
    """One roll call as it concerned the student.

    `notice_delivered_at` is the delivery to the student by the first receipt that we had, which came in at
    `notice_recorded_at` (None: at once). `evidence` names the parts on file beside the notice (`window`,
    `availability`, …), complete since `evidence_since` (None: since the result). A re-launched check names the one
    it `replaces`.
    """

    check_id: str
    kind: str
    launcher: str
    launched_at: datetime
    notified_at: datetime
    opens_at: datetime
    closes_at: datetime
    results: tuple[Result, ...]
    notice_delivered_at: datetime | None
    evidence: frozenset[str]
    voided_at: datetime | None = None
    replaces: str | None = None
    notice_recorded_at: datetime | None = None
    evidence_since: datetime | None = None

    @property
    def window(self) -> NoticedWindow:
        return NoticedWindow(self.notified_at, self.opens_at, self.closes_at)


@dataclass(frozen=True, slots=True)
class ReasonClaim:
    """A claim that a miss had a justified reason, judged by the launcher. `leave_id`: leave filed too late."""

    claim_id: str
    check_id: str
    filed_at: datetime
    reason: str
    text: str = ""
    leave_id: str | None = None
    decided_at: datetime | None = None
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage as it affected this student; `ends_at` is None while it lasts. A superior approves or refuses it.

    That it was over became known at `end_recorded_at` (None: when it was declared).
    """

    outage_id: str
    declared_at: datetime
    starts_at: datetime
    ends_at: datetime | None = None
    decided_at: datetime | None = None
    approved: bool = False
    end_recorded_at: datetime | None = None

    def end(self, as_of: datetime) -> datetime | None:
        """The end as it was known at the instant."""
        known = self.end_recorded_at is None or self.end_recorded_at <= as_of
        return self.ends_at if known else None


@dataclass(frozen=True, slots=True)
class Attendance:
    """A counselor's record that the student was absent, or was seen, at an instant."""

    record_id: str
    at: datetime
    present: bool
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromptDelivery:
    """The receipt of a prompt by the registrar; the earliest one counts."""

    prompt_id: str
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What the registrar, or after an escalation the superior, decided on a prompt.

    `outcome` is one of the law's outcomes or `dismiss`; a dismissal names a `found_reason` of the catalogue.
    """

    decision_id: str
    prompt_id: str
    at: datetime
    by: str
    role: str
    outcome: str
    reasons: str = ""
    found_reason: str | None = None
    found_text: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The superior's answer to a dismissal."""

    decision_id: str
    at: datetime
    by: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Appeal:
    """An appeal against a `check` result, a standing `change`, or `gaokao` eligibility (HN334-4.2).

    `finding` of an upheld appeal against a result: `present` makes it a pass, `excused` takes it out of the sequence.
    `previous` is the rejected appeal that this one carries one level up.
    """

    appeal_id: str
    appellant: str
    target: str
    target_id: str
    filed_at: datetime
    previous: str | None = None
    decided_at: datetime | None = None
    upheld: bool = False
    finding: str = "excused"


@dataclass(frozen=True, slots=True)
class Reversal:
    """The authority takes back a change in one step, without an appeal (reading 12)."""

    reversal_id: str
    change_id: str
    at: datetime
    by: str
    reasons: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the record that no prompt caused. `item` is a code of `lock.covers` or `lock.excludes`.

    None leaves the earlier standing or study form. `approval_id` is the province's approval it uses up.
    """

    edit_id: str
    at: datetime
    item: str
    standing: str | None = None
    study_form: str | None = None
    approval_id: str | None = None


@dataclass(frozen=True, slots=True)
class ProvinceApproval:
    """The end of a change request that climbed to the province: it unlocks one change (HN334-4.1c)."""

    approval_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CalendarYearLoaded:
    """When an administrator loaded a year. A year without such a fact shipped with the product."""

    year: int
    at: datetime


@dataclass(frozen=True, slots=True)
class StudentFacts:
    """Everything recorded of one student that standing rests on; `initial` is the status before all of it."""

    student_id: str
    initial: Status
    terms: tuple[SchoolTerm, ...]
    checks: tuple[RollCallFact, ...] = ()
    leaves: tuple[LeaveInterval, ...] = ()
    claims: tuple[ReasonClaim, ...] = ()
    outages: tuple[Outage, ...] = ()
    attendance: tuple[Attendance, ...] = ()
    deliveries: tuple[PromptDelivery, ...] = ()
    decisions: tuple[Decision, ...] = ()
    acknowledgements: tuple[Acknowledgement, ...] = ()
    appeals: tuple[Appeal, ...] = ()
    reversals: tuple[Reversal, ...] = ()
    edits: tuple[Edit, ...] = ()
    approvals: tuple[ProvinceApproval, ...] = ()
    calendar_loads: tuple[CalendarYearLoaded, ...] = ()
