"""Routes of terms and vacations."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.org.schemas import TermIn, TermOut, VacationIn, VacationOut
from backend.org.terms import ListedTerm, NewTerm, Vacation, declare_vacation, find_terms, open_term
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1/terms", tags=["学期 · terms"])


def _term_out(listed: ListedTerm) -> TermOut:
    term = listed.term
    return TermOut(
        id=term.id,
        org_id=term.org_id,
        code=term.code,
        starts_on=term.starts_on,
        ends_on=term.ends_on,
        vacations=[VacationOut.model_validate(each) for each in term.vacations],
        may_change=listed.may_change,
    )


def _vacation(body: VacationIn) -> Vacation:
    return Vacation(body.name, body.starts_on, body.ends_on)


@router.get("", responses=problem_responses(401, 403, 422))
@with_names
async def list_terms(caller: StaffCaller, limit: Limit = 50, cursor: Cursor = None) -> Page[TermOut]:
    """本单位适用及下级设置的学期 · Terms that apply to the caller's unit, and terms set below it."""
    async with caller.transaction() as session:
        rows = await find_terms(session, caller.actor, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, _term_out, lambda each: each.term.id)


@router.post("", status_code=201, responses=problem_responses(400, 401, 403, 404, 409, 422, 503))
@with_names
async def create_term(caller: StaffCaller, body: TermIn) -> TermOut:
    """设置学期 · Open a term. The unit's own account and authorities above it may do so."""
    vacations = tuple(map(_vacation, body.vacations))
    new = NewTerm(body.org_id, body.code, body.starts_on, body.ends_on, vacations)
    async with caller.transaction() as session:
        term = await open_term(session, caller.actor, new, caller.at)
    return _term_out(ListedTerm(term, may_change=True))


@router.post("/{term_id}/vacations", status_code=201, responses=problem_responses(400, 401, 403, 404, 422))
@with_names
async def add_term_vacation(caller: StaffCaller, term_id: UUID, body: VacationIn) -> TermOut:
    """补充假期 · Add a vacation to a term of the caller's unit or of a unit below it."""
    async with caller.transaction() as session:
        term = await declare_vacation(session, caller.actor, term_id, _vacation(body), caller.at)
    return _term_out(ListedTerm(term, may_change=True))
