"""A prompt taken up to be acted on: the student's turn is held, and what was due by then has happened."""

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
from backend.standing.store.lock import (
    LockedStudent,
    digest,
    load_facts_and_assess,
    lock_and_assess,
    policy_history,
)
from backend.standing.store.save import save_assessment, save_current
from backend.standing.store.tables import PromptRecord, StudentStanding


@dataclass(frozen=True, slots=True)
class PromptCase:
    """A prompt as it stands at the turn's instant, with the facts and the law that judge it."""

    held: LockedStudent
    facts: StudentFacts
    assessment: Assessment
    prompt: Prompt

    @property
    def prompt_id(self) -> UUID:
        return UUID(self.prompt.prompt_id)

    @property
    def law(self) -> StandingPolicy:
        """The law of the prompt's event day (reading 14)."""
        return policy_history(self.held.subject.path).on(self.prompt.event_day)

    @property
    def whose(self) -> dict[str, UUID]:
        """School and student, as every row names them."""
        return {"school_id": self.held.subject.school_id, "student_id": self.held.subject.student_id}


async def open_prompt_case(session: AsyncSession, prompt_id: UUID, at: datetime) -> PromptCase:
    """Hold the student's turn and let come what is due, before anybody acts.

    Raises `NotFound` where the scope admits no such prompt, `RecordUnderReview` where facts and record differ.
    """
    stored = await session.get(PromptRecord, prompt_id)
    if stored is None:
        raise NotFound
    held = await lock_and_assess(session, stored.student_id, at)
    facts, assessment = await load_facts_and_assess(session, held)
    await save_assessment(session, held, assessment)
    return PromptCase(held, facts, assessment, _prompt_in(assessment, prompt_id))


async def apply_and_verify(session: AsyncSession, case: PromptCase) -> None:
    """Keep what follows from the act just recorded; raises `RecordUnderReview` if that contradicts the record."""
    assessment = await save_current(session, case.held)
    kept = await session.scalar(
        select(StudentStanding.digest).where(StudentStanding.student_id == case.held.subject.student_id)
    )
    if kept != digest(assessment):
        raise RecordUnderReview


def _prompt_in(assessment: Assessment, prompt_id: UUID) -> Prompt:
    found = next((prompt for prompt in assessment.prompts if prompt.prompt_id == str(prompt_id)), None)
    if found is None:
        raise RecordUnderReview
    return found


def is_superior(actor: Actor, school_path: str) -> bool:
    """Whether this is the school's superior: a bureau above it, or the province if no bureau is in between."""
    if actor.role == "bureau":
        return is_below(school_path, actor.org_path)
    return actor.role == "province" and superior_paths(school_path)[1:2] == (actor.org_path,)


def must_be_superior(actor: Actor, school_path: str) -> None:
    if not is_superior(actor, school_path):
        raise NotPermitted(
            reason_zh="须由学校的上级主管部门办理", reason_en="this is for the school's superior to do"
        )


def must_be_superior_side(actor: Actor) -> None:
    """Refuse the school's own accounts before anything is looked up, so that they learn nothing from it."""
    if actor.role not in {"bureau", "province"}:
        must_be_superior(actor, "")


def must_be_registrar(actor: Actor) -> None:
    if actor.role != "registrar":
        raise NotPermitted(reason_zh="由学校管理员办理", reason_en="this is for the school's registrar to do")
