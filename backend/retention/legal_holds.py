"""Whose pictures and template an open case holds: prompts, claims and appeals, and what may still follow them."""

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


def held_by_a_case(student_id: SQLColumnExpression[UUID], law: PolicyAt, at: datetime) -> ColumnElement[bool]:
    """Whether something about the student is open, or ended so recently that an appeal may still follow.

    After an appeal that was upheld or withdrawn nothing follows, and the shorter time is enough.
    """
    appealable = at - law.duration("retention.frames")
    final = at - law.duration("retention.frames_after_case")
    return or_(
        _prompt(student_id, appealable),
        _claim(student_id, appealable),
        _appeal(student_id, appealable, final),
    )


def _prompt(student_id: SQLColumnExpression[UUID], since: datetime) -> ColumnElement[bool]:
    over = exists().where(PromptStep.prompt_id == PromptRecord.id, PromptStep.closed_at <= since)
    return exists().where(PromptRecord.student_id == student_id, ~over)


def _claim(student_id: SQLColumnExpression[UUID], since: datetime) -> ColumnElement[bool]:
    over = exists().where(ClaimDecision.claim_id == ReasonClaimRecord.id, ClaimDecision.at <= since)
    return exists().where(ReasonClaimRecord.student_id == student_id, ~over)


def _appeal(student_id: SQLColumnExpression[UUID], since: datetime, final: datetime) -> ColumnElement[bool]:
    decided = exists().where(
        AppealDecided.appeal_id == AppealFiled.id,
        or_(AppealDecided.at <= since, and_(AppealDecided.upheld, AppealDecided.at <= final)),
    )
    withdrawn = exists().where(AppealWithdrawn.appeal_id == AppealFiled.id, AppealWithdrawn.at <= final)
    return exists().where(AppealFiled.student_id == student_id, ~decided, ~withdrawn)
