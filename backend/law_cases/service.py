"""Evaluation of a case for a person who writes it in the console: the installed law and calendar, nothing stored."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import NotPermitted
from backend.law_cases import format as shape
from backend.law_cases.evaluation import Evaluation, evaluate
from backend.law_cases.schemas import LawCaseIn
from backend.org.calendar_years import get_load_times_of_added_years, list_loaded_years
from backend.org.paths import division_of
from backend.policy.installed import installed_policy
from backend.standing.explanations.model import reader_for_role

READERS = frozenset({"province", "bureau", "registrar"})


class EvaluationQueue:
    """Lets one evaluation run at a time: a process that serves requests computes little else."""

    def __init__(self, _: AppContext) -> None:
        self.lock = asyncio.Lock()


def require_reader(actor: Actor) -> None:
    """Raise `NotPermitted` unless the account may read the law in the console."""
    if actor.role not in READERS:
        raise NotPermitted(
            reason_zh="法规与推演供省、市（县）主管部门和学校管理员使用",
            reason_en="the law and its simulator are for the province, bureaus and registrars",
        )


async def read_loaded_years(session: AsyncSession) -> list[shape.LoadedYear]:
    """The calendar years that the province added to the shipped ones, as a case states them."""
    loaded_at = await get_load_times_of_added_years(session)
    return [
        shape.LoadedYear(
            year=year.year,
            at=loaded_at[year.year],
            holidays=sorted(year.holidays),
            makeup_workdays=sorted(year.makeup_workdays),
        )
        for year in await list_loaded_years(session)
        if year.year in loaded_at
    ]


async def evaluate_case(
    app_context: AppContext, actor: Actor, facts: LawCaseIn, loaded: list[shape.LoadedYear]
) -> Evaluation:
    """What follows from the facts under the installed law. Raises a `CaseMalformed` or `AbsentLaw`."""
    case = as_case(facts, facts.place or division_of(actor.org_path), loaded)
    async with app_context.service(EvaluationQueue).lock:
        return await asyncio.to_thread(evaluate, case, installed_policy(), reader_for_role(actor.role))


def as_case(facts: LawCaseIn, place: str, loaded: list[shape.LoadedYear]) -> shape.Case:
    """The facts as a case, with only those loaded years that its deadlines may need. The clauses follow later."""
    used = {day.year for term in facts.terms for day in (term.since, term.to)}
    years = [year for year in loaded if year.year in used | {year + 1 for year in used}]
    case = shape.Case(
        name=facts.name,
        clauses=["-"],
        law=shape.Law(place=place),
        terms=facts.terms,
        facts=facts.facts,
        expect=[shape.Expectation(at=at) for at in facts.at],
    )
    given: dict[str, shape.Shape] = {}
    if "student" in facts.model_fields_set:
        given["student"] = facts.student
    if years:
        given["calendar"] = shape.Calendar(loaded=years)
    return case.model_copy(update=given)
