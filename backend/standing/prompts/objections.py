"""The objections of the decision rules as errors that say what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import Bilingual
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import DomainError
from backend.roll_call.tables import RollCall
from backend.standing.engine.decision_rules import (
    NOTICE,
    list_evidence_checks,
    list_missing_evidence,
    was_notice_in_time,
)
from backend.standing.engine.facts import StudentFacts
from backend.standing.engine.prompts import Prompt
from backend.standing.explanations.phrases import EVIDENCE_PARTS, blocker_words, join_phrases
from backend.standing.policy import StandingPolicy
from backend.standing.prompts.errors import OBJECTION_ERRORS


@dataclass(frozen=True, slots=True)
class Judged:
    """A prompt with the facts and the law by which a decision on it is judged, and when."""

    prompt: Prompt
    facts: StudentFacts
    law: StandingPolicy
    at: datetime


async def find_objection_error(
    session: AsyncSession, judged: Judged, outcome: str, objections: Sequence[str]
) -> DomainError:
    """The error of the first objection, with the allowed values and the missing evidence for its message."""
    params: dict[str, Any] = {
        "outcome": outcome,
        "outcomes": ", ".join(judged.law.outcomes),
        "reasons": ", ".join(judged.law.reasons),
    }
    blockers = join_phrases(blocker_words(code) for code in judged.prompt.blockers)
    params |= {"blockers_zh": blockers.zh, "blockers_en": blockers.en}
    if not {"notice_undelivered", "incomplete_evidence"}.isdisjoint(objections):
        params |= await _describe_missing_evidence(session, judged)
    return OBJECTION_ERRORS[objections[0]](**params)


async def _describe_missing_evidence(session: AsyncSession, judged: Judged) -> dict[str, str]:
    """The titles of roll calls without a timely notice, and the parts of evidence that each roll call lacks."""
    checks = list_evidence_checks(judged.prompt, judged.facts)
    rows = await session.execute(
        select(RollCall.id, RollCall.title).where(RollCall.id.in_([UUID(check.check_id) for check in checks]))
    )
    titles = {str(roll_call_id): title for roll_call_id, title in rows}
    unnoticed, missing = [], []
    for check in checks:
        title = f"《{titles.get(check.check_id, '')}》{check.closes_at.astimezone(LEGAL_ZONE):%Y-%m-%d}"
        late = not was_notice_in_time(check, judged.law, judged.at)
        parts = [*list_missing_evidence(check, judged.law, judged.at), *([NOTICE] if late else [])]
        unnoticed += [title] if late else []
        if parts:
            words = join_phrases(EVIDENCE_PARTS[part] for part in parts)
            missing.append(Bilingual(f"{title}：{words.zh}", f"{title}: {words.en}"))
    return {
        "checks_zh": "、".join(unnoticed),
        "checks_en": ", ".join(unnoticed),
        "missing_zh": "；".join(each.zh for each in missing),
        "missing_en": "; ".join(each.en for each in missing),
    }
