"""Legal holds: an open case (prompt, claim or appeal) keeps the student's data, and evidence stays with what cites it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, String, and_, cast, exists, func, or_

from backend.policy import PolicyAt
from backend.standing.engine.facts import check_key
from backend.standing.store.tables import (
    AppealDecided,
    AppealFiled,
    AppealWithdrawn,
    ClaimDecision,
    PromptRecord,
    PromptStep,
    ReasonClaimRecord,
)


def has_open_case(
    student_id: SQLColumnExpression[UUID], policy: PolicyAt, at: datetime
) -> ColumnElement[bool]:
    """Whether the student has an open case, or one closed so recently that an appeal is still possible.

    An appeal that was upheld or withdrawn is final, so a shorter period applies.
    """
    appealable_since = at - policy.duration("retention.frames")
    final_since = at - policy.duration("retention.frames_after_case")
    return or_(
        _has_open_prompt(student_id, appealable_since),
        _has_open_claim(student_id, appealable_since),
        _has_open_appeal(student_id, appealable_since, final_since),
    )


def _has_open_prompt(student_id: SQLColumnExpression[UUID], since: datetime) -> ColumnElement[bool]:
    closed = exists().where(PromptStep.prompt_id == PromptRecord.id, PromptStep.closed_at <= since)
    return exists().where(PromptRecord.student_id == student_id, ~closed)


def _has_open_claim(student_id: SQLColumnExpression[UUID], since: datetime) -> ColumnElement[bool]:
    decided = exists().where(ClaimDecision.claim_id == ReasonClaimRecord.id, ClaimDecision.at <= since)
    return exists().where(ReasonClaimRecord.student_id == student_id, ~decided)


def _has_open_appeal(
    student_id: SQLColumnExpression[UUID], appealable_since: datetime, final_since: datetime
) -> ColumnElement[bool]:
    decided = exists().where(
        AppealDecided.appeal_id == AppealFiled.id,
        or_(
            AppealDecided.at <= appealable_since,
            and_(AppealDecided.upheld, AppealDecided.at <= final_since),
        ),
    )
    withdrawn = exists().where(AppealWithdrawn.appeal_id == AppealFiled.id, AppealWithdrawn.at <= final_since)
    return exists().where(AppealFiled.student_id == student_id, ~decided, ~withdrawn)


def is_cited(
    student_id: SQLColumnExpression[UUID], roll_call_id: SQLColumnExpression[UUID]
) -> ColumnElement[bool]:
    """Whether a prompt, a claim or an appeal of the student refers to the roll call, open or closed.

    A decision about aid follows from a change of standing, and that from a prompt or an appeal, so it needs no condition
    of its own.
    """
    number = cast(roll_call_id, String)
    key = func.concat(check_key(""), number)
    prompt = exists().where(
        PromptRecord.student_id == student_id,
        PromptRecord.evidence.op("@>")(func.jsonb_build_array(key)),
    )
    claim = exists().where(
        ReasonClaimRecord.roll_call_id == roll_call_id, ReasonClaimRecord.student_id == student_id
    )
    appeal = exists().where(
        AppealFiled.student_id == student_id, AppealFiled.target == "check", AppealFiled.target_id == number
    )
    return or_(prompt, claim, appeal)
