"""Open a prompt before acting on it: lock the student, recompute, and save whatever has become due."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.org.paths import is_below, superior_paths
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import StudentFacts
from backend.standing.engine.prompts import Prompt
from backend.standing.policy import StandingPolicy
from backend.standing.prompts.errors import RecordUnderReview
from backend.standing.store.load import policy_history
from backend.standing.store.lock import (
    LockedStudent,
    assess_locked_student,
    digest_assessment,
    lock_for_assessment,
)
from backend.standing.store.save import recompute_locked, save_assessment
from backend.standing.store.tables import PromptRecord, StudentStanding


@dataclass(frozen=True, slots=True)
class PromptCase:
    """A prompt at the instant of the lock, with the facts and the assessment that it is part of."""

    locked: LockedStudent
    facts: StudentFacts
    assessment: Assessment
    prompt: Prompt

    @property
    def prompt_id(self) -> UUID:
        return UUID(self.prompt.prompt_id)

    @property
    def at(self) -> datetime:
        """The instant of the lock, under which every act on the prompt is recorded."""
        return self.locked.at

    @property
    def school_path(self) -> str:
        return self.locked.subject.path

    @property
    def law(self) -> StandingPolicy:
        """The policy of the prompt's event day (reading 14)."""
        return policy_history(self.school_path).on(self.prompt.event_day)

    @property
    def owner_columns(self) -> dict[str, UUID]:
        """The school and student columns that every row about the prompt has."""
        return {"school_id": self.locked.subject.school_id, "student_id": self.locked.subject.student_id}


async def open_prompt_case(session: AsyncSession, prompt_id: UUID, at: datetime) -> PromptCase:
    """Lock the student, save what is due by now, and return the prompt.

    Raises `NotFound` if the tenant scope has no such prompt, `RecordUnderReview` if the stored record does not
    follow from the facts.
    """
    stored = await session.get(PromptRecord, prompt_id)
    if stored is None:
        raise NotFound
    locked = await lock_for_assessment(session, stored.student_id, at)
    facts, assessment = await assess_locked_student(session, locked)
    await save_assessment(session, locked, assessment)
    return PromptCase(locked, facts, assessment, _find_prompt(assessment, prompt_id))


async def apply_and_verify(session: AsyncSession, case: PromptCase) -> None:
    """Recompute the student after the act just recorded and save the result.

    Raises `RecordUnderReview` if the saved record differs from the assessment.
    """
    assessment = await recompute_locked(session, case.locked)
    stored_digest = await session.scalar(
        select(StudentStanding.digest).where(StudentStanding.student_id == case.locked.subject.student_id)
    )
    if stored_digest != digest_assessment(assessment):
        raise RecordUnderReview


def _find_prompt(assessment: Assessment, prompt_id: UUID) -> Prompt:
    for prompt in assessment.prompts:
        if prompt.prompt_id == str(prompt_id):
            return prompt
    raise RecordUnderReview


def is_superior(actor: Actor, school_path: str) -> bool:
    """Whether the actor acts for the school's superior: a bureau above it, or the province if there is no bureau."""
    if actor.role == "bureau":
        return is_below(school_path, actor.org_path)
    return actor.role == "province" and superior_paths(school_path)[1:2] == (actor.org_path,)


def require_superior(actor: Actor, school_path: str) -> None:
    if not is_superior(actor, school_path):
        raise NotPermitted(
            reason_zh="须由学校的上级主管部门办理",
            reason_en="only the school's superior authority may do this",
        )


def require_superior_role(actor: Actor) -> None:
    """Reject accounts of the school before any query, so that the answer tells them nothing."""
    if actor.role not in {"bureau", "province"}:
        require_superior(actor, "")


def require_registrar(actor: Actor) -> None:
    if actor.role != "registrar":
        raise NotPermitted(reason_zh="由学校管理员办理", reason_en="only the school's registrar may do this")
