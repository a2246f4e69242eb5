"""The recorded facts that an assessment is computed from.

Facts are immutable, and the order in which they arrive does not matter. Each fact has an id and the timezone-aware
instants at which it became known. An assessment as of an instant ignores every fact that became known later.

Results, traces and prompts refer to facts by their keys: "check:<id>", "leave:<id>", "attendance:<id>".
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
    """The student's result in a roll call, known from `at`. A later result replaces an earlier one."""

    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True)
class CompletedEvidence:
    """A superior's record, made at `at`, that proves a missing part of a check's evidence.

    For the part `notice`, `delivered_at` is when the notice reached the student.
    """

    part: str
    at: datetime
    delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RollCallFact:
    """One roll call (a "check") that the student had to attend, from the student's point of view.

    `notice_delivered_at` is the delivery time according to the first receipt; the receipt itself was recorded at
    `notice_recorded_at` (None: immediately). `evidence` lists the kinds of evidence on file other than the notice
    (`window`, `availability`, …); they are complete since `evidence_since` (None: since the result). A relaunched
    check names the check that it `replaces`.
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
    completed: tuple[CompletedEvidence, ...] = ()

    @property
    def window(self) -> NoticedWindow:
        return NoticedWindow(self.notified_at, self.opens_at, self.closes_at)


@dataclass(frozen=True, slots=True)
class ReasonClaim:
    """A claim that a miss had a justified reason, decided by the launcher. `leave_id`: leave that was filed too late."""

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
    """An outage that affected this student; a superior approves or refuses it.

    `ends_at` is None while the outage continues. Its end became known at `end_recorded_at` (None: when the outage was
    declared).
    """

    outage_id: str
    declared_at: datetime
    starts_at: datetime
    ends_at: datetime | None = None
    decided_at: datetime | None = None
    approved: bool = False
    end_recorded_at: datetime | None = None

    def end(self, as_of: datetime) -> datetime | None:
        """The end that was known at the instant, if any."""
        known = self.end_recorded_at is None or self.end_recorded_at <= as_of
        return self.ends_at if known else None


@dataclass(frozen=True, slots=True)
class Attendance:
    """A counselor's record that the student was absent or present at an instant."""

    record_id: str
    at: datetime
    present: bool
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromptDelivery:
    """The delivery of a prompt to the registrar. The earliest delivery counts."""

    prompt_id: str
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on a prompt by the registrar or, after an escalation, by the superior.

    `outcome` is one of the outcomes in the policy, or `dismiss`. A dismissal names a justified reason of the catalogue
    (`found_reason`).
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
class EvidenceClosure:
    """The superior closes a prompt because evidence of its checks is missing and cannot be completed.

    The checks without complete evidence no longer count; a further miss raises a new prompt.
    """

    prompt_id: str
    at: datetime
    by: str
    reasons: str = ""


@dataclass(frozen=True, slots=True)
class LeaveAnswer:
    """The superior's answer to leave that was filed after the absence that it covers began (reading 19)."""

    leave_id: str
    at: datetime
    accepted: bool


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

    `finding` applies to an upheld appeal against a result: `present` turns the miss into a pass, `excused` excludes the
    check from counting. `previous` is the rejected appeal that this one takes to the next level.
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
    """The authority reverses a change in one step, without an appeal (reading 12)."""

    reversal_id: str
    change_id: str
    at: datetime
    by: str
    reasons: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the record that was not caused by a prompt. `item` is a code of `lock.covers` or `lock.excludes`.

    A `standing` or `study_form` of None stays unchanged. `approval_id` is the province's approval that the edit uses.
    """

    edit_id: str
    at: datetime
    item: str
    standing: str | None = None
    study_form: str | None = None
    approval_id: str | None = None


@dataclass(frozen=True, slots=True)
class ProvinceApproval:
    """The province approved a change request. Each approval unlocks one change (HN334-4.1c)."""

    approval_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CalendarYearLoaded:
    """When an administrator loaded a calendar year. Years that ship with the product have no such fact."""

    year: int
    at: datetime


@dataclass(frozen=True, slots=True)
class StudentFacts:
    """All recorded facts about one student that affect standing. `initial` is the status before any of them."""

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
    evidence_closures: tuple[EvidenceClosure, ...] = ()
    leave_answers: tuple[LeaveAnswer, ...] = ()


# --- fact keys ---


def check_key(check_id: str) -> str:
    return f"check:{check_id}"


def leave_key(leave_id: str) -> str:
    return f"leave:{leave_id}"


def attendance_key(record_id: str) -> str:
    return f"attendance:{record_id}"
