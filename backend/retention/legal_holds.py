"""Legal holds: an open case (prompt, claim or appeal) keeps the student's pictures and template from deletion."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, or_

from backend.policy import PolicyAt
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
