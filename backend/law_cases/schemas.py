"""Request and response schemas of the simulator: the facts of a law case, and what follows from them."""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from backend.aid.eligibility import REASON_TEXTS
from backend.core.bilingual import Bilingual
from backend.core.web.schema_types import OneOf, ShortText
from backend.law_cases import format as shape
from backend.law_cases.evaluation import Evaluation, Outcome
from backend.law_cases.instants import Instant
from backend.law_cases.writer import write_case
from backend.policy.schema import DivisionCode
from backend.standing.engine.assess import CheckPosition
from backend.standing.engine.ledger import Cause, LedgerEntry, RefusedAct
from backend.standing.engine.misses import CheckStatus
from backend.standing.engine.prompts import Prompt
from backend.standing.explanations.model import Explanation
from backend.standing.explanations.phrases import (
    CAUSES,
    CHECK_STATUSES,
    KINDS,
    OBJECTIONS,
    PROMPT_GROUNDS,
    PROMPT_STATES,
    STANDINGS,
    STUDY_FORMS,
    WARNINGS,
    blocker_words,
    outcome_words,
)
from backend.standing.explanations.schemas import BilingualOut, ExplanationOut
from backend.standing.policy import StandingPolicy
from backend.standing.prompts.schemas import LabelledCodeOut

MAX_FACTS, MAX_TERMS, MAX_INSTANTS = 40, 6, 4
TERMS = [{"code": "2025-autumn", "from": "2025-09-01", "to": "2026-01-18"}]
FACTS = [
    {"roll_call": {"id": "c1", "on": "2025-09-08", "outcome": "missed"}},
    {"roll_call": {"id": "c2", "on": "2025-09-15", "outcome": "missed"}},
    {"prompt_delivered": {"prompt": "misses", "at": "2025-09-15 15:00"}},
]


class LawCaseIn(shape.Shape):
    """The facts of one case in the words of docs/law-cases.md, and the instants to look at."""

    name: Annotated[ShortText, Field(examples=["连续两次未核验，期满未处理"])]
    place: DivisionCode | None = Field(
        default=None,
        description="学校所在地；不填为本单位所在地 · the place of the school; by default that of the caller",
        examples=["410100"],
    )
    terms: Annotated[list[shape.Term], Field(min_length=1, max_length=MAX_TERMS, examples=[TERMS])]
    student: shape.Student = shape.Student()
    facts: list[shape.Fact] = Field(default=[], max_length=MAX_FACTS, examples=[FACTS])
    at: Annotated[
        list[Instant], Field(min_length=1, max_length=MAX_INSTANTS, examples=[["2025-09-22 24:00"]])
    ]


class StatusOutcomeOut(BaseModel):
    """Standing and study form."""

    standing: LabelledCodeOut
    study_form: LabelledCodeOut


class CountsOutcomeOut(BaseModel):
    """The misses of the term."""

    consecutive: int = Field(examples=[2])
    cumulative: int = Field(examples=[2])


class CheckOutcomeOut(BaseModel):
    """How one roll call counts: passed, missed, or out for a reason."""

    id: str = Field(examples=["c1"])
    day: date = Field(examples=["2025-09-08"])
    status: CheckStatus
    why: BilingualOut | None

    @classmethod
    def of(cls, position: CheckPosition) -> Self:
        why = CHECK_STATUSES.get(position.why)
        return cls(
            id=position.check_id,
            day=position.event_day,
            status=position.place,
            why=BilingualOut.of(why) if why else None,
        )


class LeaveOutcomeOut(BaseModel):
    """The days of leave of the term. Both numbers are null while the calendar of `missing_year` is not loaded."""

    used: int | None = Field(examples=[12])
    left: int | None = Field(examples=[3])
    missing_year: int | None = Field(examples=[None])


class PromptOutcomeOut(BaseModel):
    """A prompt that the facts raise, with its deadline and its explanation."""

    kind: LabelledCodeOut
    state: LabelledCodeOut
    grounds: list[BilingualOut]
    proposed: LabelledCodeOut
    raised_at: datetime
    delivered_at: datetime | None
    due_at: datetime | None = Field(description="期限届满（不含） · the exclusive end of the deadline")
    missing_year: int | None = Field(examples=[None])
    reminders: list[date]
    blockers: list[BilingualOut]
    closed_at: datetime | None
    explanation: ExplanationOut

    @classmethod
    def of(cls, prompt: Prompt, explanation: Explanation, law: StandingPolicy) -> Self:
        deadline = prompt.deadline
        return cls(
            kind=LabelledCodeOut.of(prompt.kind, KINDS[prompt.kind]),
            state=LabelledCodeOut.of(prompt.state, PROMPT_STATES[prompt.state]),
            grounds=[BilingualOut.of(PROMPT_GROUNDS[each]) for each in prompt.grounds],
            proposed=LabelledCodeOut.of(prompt.proposed, outcome_words(law, prompt.proposed)),
            raised_at=prompt.raised_at,
            delivered_at=prompt.delivered_at,
            due_at=deadline.at if deadline else None,
            missing_year=deadline.missing_year if deadline else None,
            reminders=[each.on for each in deadline.reminders] if deadline else [],
            blockers=[BilingualOut.of(blocker_words(each)) for each in prompt.blockers],
            closed_at=prompt.closed_at,
            explanation=ExplanationOut.of(explanation),
        )


class ChangeOutcomeOut(BaseModel):
    """A change of standing with its cause and explanation. Its effect is at `at`."""

    at: datetime
    cause: Annotated[str, OneOf(Cause)]
    cause_words: BilingualOut
    result: LabelledCodeOut
    before: StatusOutcomeOut
    after: StatusOutcomeOut
    explanation: ExplanationOut

    @classmethod
    def of(cls, entry: LedgerEntry, explanation: Explanation, law: StandingPolicy) -> Self:
        return cls(
            at=entry.at,
            cause=entry.cause,
            cause_words=BilingualOut.of(CAUSES[entry.cause]),
            result=LabelledCodeOut.of(entry.outcome, outcome_words(law, entry.outcome)),
            before=_status(entry.before.standing, entry.before.study_form),
            after=_status(entry.after.standing, entry.after.study_form),
            explanation=ExplanationOut.of(explanation),
        )


class WarningOutcomeOut(BaseModel):
    """What will follow if nothing changes."""

    warning: LabelledCodeOut
    explanation: ExplanationOut


class RefusedActOut(BaseModel):
    """A recorded act without effect, and why."""

    fact: str = Field(examples=["edit:e1"])
    at: datetime
    reasons: list[BilingualOut]

    @classmethod
    def of(cls, act: RefusedAct) -> Self:
        return cls(
            fact=act.fact, at=act.at, reasons=[BilingualOut.of(OBJECTIONS[each]) for each in act.reasons]
        )


class AidOutcomeOut(BaseModel):
    """Aid in fen."""

    due_fen: int = Field(examples=[0])
    paid_fen: int = Field(examples=[23000])
    withdrawn_fen: int = Field(examples=[192000])
    overpaid_fen: int = Field(examples=[0])
    blockers: list[BilingualOut]
    ineligible: list[BilingualOut] = Field(description="不符合资助条件的原因 · every reason against aid")


class LawCaseOutcomeOut(BaseModel):
    """What follows at one instant."""

    at: datetime
    term: str = Field(examples=["2025-autumn"])
    status: StatusOutcomeOut
    counts: CountsOutcomeOut
    checks: list[CheckOutcomeOut]
    leave: LeaveOutcomeOut
    is_locked: bool
    absent_since: date | None = Field(examples=[None])
    absent_limit_day: date | None = Field(examples=[None])
    prompts: list[PromptOutcomeOut]
    changes: list[ChangeOutcomeOut]
    warnings: list[WarningOutcomeOut]
    refused: list[RefusedActOut]
    aid: AidOutcomeOut

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        assessment, law, term = outcome.assessment, outcome.law, outcome.term
        absence, leave = assessment.absence, term.leave
        return cls(
            at=outcome.at,
            term=term.term,
            status=_status(assessment.status.standing, assessment.status.study_form),
            counts=CountsOutcomeOut(consecutive=term.misses.consecutive, cumulative=term.misses.cumulative),
            checks=[CheckOutcomeOut.of(each) for each in term.sequence],
            leave=LeaveOutcomeOut(
                used=len(leave.used) if leave else None,
                left=leave.left if leave else None,
                missing_year=term.missing_year,
            ),
            is_locked=assessment.lock.locked_by is not None,
            absent_since=absence.starts_on if absence else None,
            absent_limit_day=absence.limit_day if absence else None,
            prompts=[
                PromptOutcomeOut.of(each, why, law)
                for each, why in zip(assessment.prompts, outcome.prompts, strict=True)
            ],
            changes=[
                ChangeOutcomeOut.of(each, why, law)
                for each, why in zip(assessment.ledger, outcome.changes, strict=True)
            ],
            warnings=[
                WarningOutcomeOut(
                    warning=LabelledCodeOut.of(each.code, WARNINGS[each.code]),
                    explanation=ExplanationOut.of(why),
                )
                for each, why in zip(assessment.warnings, outcome.warnings, strict=True)
            ],
            refused=[RefusedActOut.of(each) for each in assessment.refused],
            aid=_aid(outcome),
        )


class LawCaseEvaluationOut(BaseModel):
    """What follows from the facts at each instant, and the case as a file."""

    place: str = Field(examples=["410100"])
    policy_version: str = Field(examples=["3f6c…"])
    outcomes: list[LawCaseOutcomeOut]
    file: str = Field(
        description="事实与结果的案例文件（YAML），可用 dianming law check 核对 · facts and outcomes as a law case file",
        examples=["cases:\n  - name: 连续两次未核验，期满未处理\n"],
    )

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        return cls(
            place=evaluation.case.law.place,
            policy_version=evaluation.outcomes[0].assessment.policy_version,
            outcomes=[LawCaseOutcomeOut.of(each) for each in evaluation.outcomes],
            file=write_case(evaluation.case),
        )


def _status(standing: str, study_form: str) -> StatusOutcomeOut:
    return StatusOutcomeOut(
        standing=LabelledCodeOut.of(standing, STANDINGS[standing]),
        study_form=LabelledCodeOut.of(study_form, STUDY_FORMS[study_form]),
    )


def _aid(outcome: Outcome) -> AidOutcomeOut:
    aid = outcome.values["aid"]
    return AidOutcomeOut(
        due_fen=aid["due"],
        paid_fen=aid["paid"],
        withdrawn_fen=aid["withdrawn"],
        overpaid_fen=aid["discrepancy"],
        blockers=[BilingualOut.of(blocker_words(each)) for each in aid["blockers"]],
        ineligible=[BilingualOut.of(Bilingual(*REASON_TEXTS[each])) for each in outcome.values["ineligible"]],
    )
