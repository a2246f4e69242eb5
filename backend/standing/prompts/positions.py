"""Positions of the check-ins that a prompt rests on, for the account that may decide the prompt now."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.identity.pictures.purposes import PicturePurpose
from backend.roll_call.positions.viewing import ShownPositions, ViewPositions, view_positions
from backend.standing.engine.decision_rules import DECIDER, Role
from backend.standing.engine.facts import check_key
from backend.standing.engine.prompts import Prompt, PromptState
from backend.standing.prompts.case import require_superior
from backend.standing.prompts.errors import OBJECTION_ERRORS
from backend.standing.prompts.preview import AssessedPrompt, assess_prompt
from backend.standing.prompts.queries import load_prompt_row


async def view_prompt_positions(
    session: AsyncSession, actor: Actor, prompt_id: UUID, roll_call_id: UUID, at: datetime
) -> ShownPositions:
    """Record the look and return the positions of the student's check-ins in a roll call of the prompt's evidence.

    Raises `NotFound` for a roll call that is not in the evidence, `NotPermitted`, the error of the prompt's state if
    the account does not decide it now, and the errors of `view_positions`.
    """
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="定位点只供有权办理该提示的账号查看",
            reason_en="only the account that may decide the prompt sees positions",
        )
    row = await load_prompt_row(session, actor, prompt_id)
    if check_key(str(roll_call_id)) not in row.prompt.evidence:
        raise NotFound
    _require_decider(actor, await assess_prompt(session, row, at))
    command = ViewPositions(roll_call_id, row.prompt.student_id, PicturePurpose.PROMPT_DECISION)
    return await view_positions(session, actor, command, at)


def _require_decider(actor: Actor, assessed: AssessedPrompt) -> None:
    """Raise unless the actor may decide the prompt now, or answer its dismissal."""
    prompt = assessed.prompt
    role = Role.SUPERIOR if prompt.state is PromptState.DISMISSAL_PENDING else DECIDER.get(prompt.state)
    if role is None:
        raise OBJECTION_ERRORS[f"prompt_{prompt.state}"]
    if role is Role.REGISTRAR and actor.role != "registrar":
        raise OBJECTION_ERRORS["for_registrar_to_decide"]
    if role is Role.SUPERIOR:
        if actor.role == "registrar":
            raise OBJECTION_ERRORS["for_superior_to_decide"]
        require_superior(actor, assessed.student.path)
        if _dismissed_by(assessed, prompt) == str(actor.account_id):
            raise OBJECTION_ERRORS["own_dismissal"]


def _dismissed_by(assessed: AssessedPrompt, prompt: Prompt) -> str | None:
    """The account whose dismissal waits for an answer."""
    for decision in assessed.facts.decisions:
        if decision.decision_id == prompt.dismissal and prompt.state is PromptState.DISMISSAL_PENDING:
            return decision.by
    return None
