"""A prompt taken up to be acted on: the student's turn is held, and what was due by then has happened."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.errors import NotFound, NotPermitted
from backend.org.paths import is_below, superior_paths
from backend.standing.assessment import Held, digest, facts_and_picture, hold, lawbook
from backend.standing.errors import RecordUnderReview
from backend.standing.facts import StudentFacts
from backend.standing.keeping import keep, keep_current
from backend.standing.law import StandingLaw
from backend.standing.prompts import Prompt
from backend.standing.rules import Picture
from backend.standing.tables import StoredPrompt, StudentStanding


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt as it stands at the turn's instant, with the facts and the law that judge it."""

    held: Held
    facts: StudentFacts
    picture: Picture
    prompt: Prompt

    @property
    def prompt_id(self) -> UUID:
        return UUID(self.prompt.prompt_id)

    @property
    def law(self) -> StandingLaw:
        """The law of the prompt's event day (reading 14)."""
        return lawbook(self.held.subject.path).on(self.prompt.event_day)

    @property
    def whose(self) -> dict[str, UUID]:
        """School and student, as every row names them."""
        return {"school_id": self.held.subject.school_id, "student_id": self.held.subject.student_id}


async def take_up(session: AsyncSession, prompt_id: UUID, at: datetime) -> Case:
    """Hold the student's turn and let come what is due, before anybody acts.

    Raises `NotFound` where the scope admits no such prompt, `RecordUnderReview` where facts and record differ.
    """
    stored = await session.get(StoredPrompt, prompt_id)
    if stored is None:
        raise NotFound
    held = await hold(session, stored.student_id, at)
    facts, picture = await facts_and_picture(session, held)
    await keep(session, held, picture)
    return Case(held, facts, picture, _prompt_in(picture, prompt_id))


async def conclude(session: AsyncSession, case: Case) -> None:
    """Keep what follows from the act just recorded; raises `RecordUnderReview` if that contradicts the record."""
    picture = await keep_current(session, case.held)
    kept = await session.scalar(
        select(StudentStanding.digest).where(StudentStanding.student_id == case.held.subject.student_id)
    )
    if kept != digest(picture):
        raise RecordUnderReview


def _prompt_in(picture: Picture, prompt_id: UUID) -> Prompt:
    found = next((prompt for prompt in picture.prompts if prompt.prompt_id == str(prompt_id)), None)
    if found is None:
        raise RecordUnderReview
    return found


def is_superior(acting: Acting, school_path: str) -> bool:
    """Whether this is the school's superior: a bureau above it, or the province if no bureau is in between."""
    if acting.kind == "bureau":
        return is_below(school_path, acting.org_path)
    return acting.kind == "province" and superior_paths(school_path)[1:2] == (acting.org_path,)


def must_be_superior(acting: Acting, school_path: str) -> None:
    if not is_superior(acting, school_path):
        raise NotPermitted(
            reason_zh="须由学校的上级主管部门办理", reason_en="this is for the school's superior to do"
        )


def must_be_superior_side(acting: Acting) -> None:
    """Refuse the school's own accounts before anything is looked up, so that they learn nothing from it."""
    if acting.kind not in {"bureau", "province"}:
        must_be_superior(acting, "")


def must_be_registrar(acting: Acting) -> None:
    if acting.kind != "registrar":
        raise NotPermitted(reason_zh="由学校管理员办理", reason_en="this is for the school's registrar to do")
