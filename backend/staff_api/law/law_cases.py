"""The simulator: what follows from the facts of a case, and why. Nothing is stored."""

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.law_cases.schemas import LawCaseEvaluationOut, LawCaseIn
from backend.law_cases.service import evaluate_case, read_loaded_years, require_reader
from backend.law_cases.uploads import LawCaseFileIn, OpenedLawCasesOut, open_case_file
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["法规 · law"])


@router.post("/law-cases/evaluation", responses=problem_responses(401, 403, 409, 422))
async def evaluate_law_case(caller: StaffCaller, case: LawCaseIn) -> LawCaseEvaluationOut:
    """推演：给定事实，会发生什么、为什么 · What follows from the facts at each instant, and why; nothing is stored.

    A fact that cannot be used is refused with a code of docs/law-cases.md and the field at fault; a place without law on
    a day that matters with `absent_law`. `file` is the case for `dianming law check`.
    """
    require_reader(caller.actor)
    async with caller.transaction() as session:
        loaded = await read_loaded_years(session)
    return LawCaseEvaluationOut.of(await evaluate_case(caller.app_context, caller.actor, case, loaded))


@router.post("/law-cases/opening", responses=problem_responses(401, 403, 422))
async def open_law_case_file(caller: StaffCaller, file: LawCaseFileIn) -> OpenedLawCasesOut:
    """打开案例文件：逐个案例返回推演请求的正文 · The cases of a file as bodies of an evaluation; nothing is stored.

    A file that cannot be read is refused with a code of docs/law-cases.md and the case and key at fault.
    """
    require_reader(caller.actor)
    return await open_case_file(file)
