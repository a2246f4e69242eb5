"""The student's own standing: counts and limits, prompts, and statements on prompts (HN334-4.1b)."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.listing.pages import PageRequest
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.devices.cool_down import record_cool_down_act
from backend.standing.prompts.queries import PromptSearch, load_prompt_detail, load_prompts_page
from backend.standing.prompts.schemas import OwnPromptDetailOut, PromptOut, StatementIn, StatementOut
from backend.standing.prompts.statements import FileStatement, file_statement
from backend.standing.student_view.history import load_history
from backend.standing.student_view.queries import load_own_standing
from backend.standing.student_view.schemas import OwnStandingOut, TermHistoryOut
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["学籍 · standing"])


@router.get("/me/standing", responses=problem_responses(401, 403, 422))
async def get_standing(caller: PhoneCaller) -> OwnStandingOut:
    """我的学籍与核验情况 · My standing: counts of the term and their limits, warnings and open prompts."""
    async with caller.transaction() as session:
        standing = await load_own_standing(session, caller.actor, caller.at)
    return OwnStandingOut.of(standing)


@router.get("/me/terms", responses=problem_responses(401, 403, 422))
async def list_terms(caller: PhoneCaller) -> list[TermHistoryOut]:
    """各学期核验情况（新的在前） · My roll calls by term, newest first; `GET /v1/roll-calls?term_code=` lists those of one."""
    async with caller.transaction() as session:
        history = await load_history(session, caller.actor)
    return [TermHistoryOut.model_validate(each) for each in history]


@router.get("/me/prompts", responses=problem_responses(401, 403, 422))
async def list_prompts(caller: PhoneCaller, limit: Limit = 20, cursor: Cursor = None) -> Page[PromptOut]:
    """我的提示（新的在前） · Prompts about me, newest first."""
    request = PageRequest(limit, cursor)
    async with caller.transaction() as session:
        page = await load_prompts_page(session, caller.actor, PromptSearch(), caller.at, request)
    return page.render(PromptOut.of)


@router.get("/me/prompts/{prompt_id}", responses=problem_responses(401, 403, 404, 422))
async def get_prompt(caller: PhoneCaller, prompt_id: UUID) -> OwnPromptDetailOut:
    """查看提示 · One prompt about me: evidence, decisions, and my statements."""
    async with caller.transaction() as session:
        found = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return OwnPromptDetailOut.of_detail(found)


@router.post(
    "/me/prompts/{prompt_id}/statements",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def submit_statement(caller: PhoneCaller, prompt_id: UUID, body: StatementIn) -> StatementOut:
    """陈述意见（可多次） · Make a statement on an open prompt, any number of times."""
    command = FileStatement(prompt_id, body.text, tuple(body.attachment_ids))
    async with caller.transaction() as session:
        view = await file_statement(session, caller.actor, command, caller.at)
        await record_cool_down_act(session, caller.actor, "statement", prompt_id, caller.at)
    return StatementOut.of(view)
