"""Terms and vacations."""

from datetime import date
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.core.web.schema_types import Line, Schema
from backend.org.terms import Break, NewTerm, TermView, declare_vacation, open_term, terms_page
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id

router = APIRouter(prefix="/v1/terms", tags=["学期 · terms"])

MAX_VACATIONS = 20


class VacationIn(Schema):
    """A vacation; both days belong to it."""

    name: Line = Field(examples=["寒假"])
    starts_on: date = Field(examples=["2027-01-18"])
    ends_on: date = Field(examples=["2027-02-20"])


class TermIn(Schema):
    """A term of a unit and of all below it. Units below a unit that has one keep its code and vary the dates."""

    org_id: UUID
    code: Line = Field(examples=["2026-autumn"])
    starts_on: date = Field(examples=["2026-09-01"])
    ends_on: date = Field(examples=["2027-01-31"])
    vacations: list[VacationIn] = Field(default=[], max_length=MAX_VACATIONS)


class VacationOut(BaseModel):
    """A vacation; both days belong to it."""

    name: str = Field(examples=["寒假"])
    starts_on: date
    ends_on: date


class TermOut(BaseModel):
    """A term, as the unit in `org_id` set it."""

    id: UUID
    org_id: UUID
    code: str = Field(examples=["2026-autumn"])
    starts_on: date
    ends_on: date
    vacations: list[VacationOut]


def _term_out(term: TermView) -> TermOut:
    return TermOut.model_validate(term, from_attributes=True)


def _break(vacation: VacationIn) -> Break:
    return Break(vacation.name, vacation.starts_on, vacation.ends_on)


@router.get("", responses=documented(401, 403, 422))
async def list_terms(caller: StaffCaller, limit: Limit = 50, cursor: Cursor = None) -> Page[TermOut]:
    """本单位适用及下级设置的学期 · Terms that hold in the caller's unit, and those set below it."""
    async with caller.transaction() as session:
        rows = await terms_page(session, caller.actor, position_id(cursor), limit + 1)
    return page_of(rows, limit, _term_out, lambda term: term.id)


@router.post("", status_code=201, responses=documented(400, 401, 403, 404, 409, 422, 503))
async def post_term(caller: StaffCaller, body: TermIn) -> TermOut:
    """设置学期 · Open a term; by the unit's own account or an authority above it."""
    vacations = tuple(map(_break, body.vacations))
    new = NewTerm(body.org_id, body.code, body.starts_on, body.ends_on, vacations)
    async with caller.transaction() as session:
        term = await open_term(session, caller.actor, new, caller.at)
    return _term_out(term)


@router.post("/{term_id}/vacations", status_code=201, responses=documented(400, 401, 403, 404, 422))
async def post_vacation(caller: StaffCaller, term_id: UUID, body: VacationIn) -> TermOut:
    """补充假期 · Add a vacation to a term of the caller's unit or of one below it."""
    async with caller.transaction() as session:
        term = await declare_vacation(session, caller.actor, term_id, _break(body), caller.at)
    return _term_out(term)
