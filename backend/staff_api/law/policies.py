"""The law to read: policies in force by place and day with citation and history, and the clause report."""

import asyncio
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query

from backend.core.clock import legal_day
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import Day
from backend.law_cases.service import require_reader
from backend.org.paths import division_of
from backend.policy.catalogue import PolicyEntry, find_policy, list_policies
from backend.policy.clause_report import load_clause_report
from backend.policy.clauses import BilingualText
from backend.policy.errors import AbsentLaw
from backend.policy.installed import installed_policy
from backend.policy.schema import DatedValue, DivisionCode
from backend.policy.schemas import ClauseReportOut, FindWords, PolicyCatalogueOut, PolicyOut
from backend.staff_api.caller import StaffCaller
from backend.standing.explanations.citations import describe_value
from backend.standing.policy import PolicyHistory

router = APIRouter(prefix="/v1", tags=["法规 · law"])

Place = Annotated[
    DivisionCode | None,
    Query(description="行政区划代码；默认本单位所在地 · division code; by default the caller's place"),
]
On = Annotated[Day | None, Query(description="日期；默认今天 · day; by default today")]


@router.get("/policies", responses=problem_responses(401, 403, 422))
async def list_policies_in_force(
    caller: StaffCaller, place: Place = None, on: On = None
) -> PolicyCatalogueOut:
    """某地某日施行的政策，含出处和沿革 · The policies in force at a place on a day, with citation and history.

    Parameters without a value in force are listed under `absent`: there is no default for them.
    """
    require_reader(caller.actor)
    day, division = _day_and_place(caller, place, on)
    catalogue = list_policies(installed_policy(), day, division)
    return PolicyCatalogueOut.of(catalogue, _words_at(division, day))


@router.get("/policies/{parameter}", responses=problem_responses(401, 403, 404, 409, 422))
async def get_policy(
    caller: StaffCaller,
    parameter: Annotated[str, Path(max_length=100)],
    place: Place = None,
    on: On = None,
) -> PolicyOut:
    """某项政策在某地某日的取值 · One policy at a place on a day; refused with `absent_law` where it has no value."""
    require_reader(caller.actor)
    day, division = _day_and_place(caller, place, on)
    return PolicyOut.of(find_policy(installed_policy(), parameter, day, division), _words_at(division, day))


@router.get("/clauses", responses=problem_responses(401, 403, 422))
async def list_clauses(caller: StaffCaller) -> ClauseReportOut:
    """条款及其实现状态、代码和测试 · Every clause with its status, its code and its tests."""
    require_reader(caller.actor)
    return ClauseReportOut.of(await asyncio.to_thread(load_clause_report))


def _day_and_place(caller: StaffCaller, place: str | None, on: date | None) -> tuple[date, str]:
    return on or legal_day(caller.at), place or division_of(caller.actor.org_path)


def _words_at(division: str, day: date) -> FindWords:
    """The words of values made of codes. Some need the law of the place; without it only the codes are shown."""
    try:
        law = PolicyHistory(installed_policy(), division).on(day)
    except AbsentLaw:
        return lambda _entry, _dated: None

    def find(entry: PolicyEntry, dated: DatedValue) -> BilingualText | None:
        words = describe_value(entry.parameter.id, dated.value, entry.parameter.unit, law)
        return BilingualText(zh=words.zh, en=words.en) if words else None

    return find
