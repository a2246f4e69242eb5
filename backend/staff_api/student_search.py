"""The search for students by name or number, which many lists of the staff API offer."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy import ColumnElement

from backend.core.listing.pages import PageRequest, WithTotal
from backend.core.pagination import Cursor
from backend.core.web.requests import Caller
from backend.people.queries import matches_search
from backend.staff_api.pagination import UnitFilter

StudentSearchText = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00]+$",
        description="学生姓名的一部分，或完整的身份证号、学籍号 · part of the student's name, or a whole ID number or student number",
        examples=["王伟"],
    ),
]


def student_condition(caller: Caller, text: str | None) -> ColumnElement[bool] | None:
    """The condition on `student` rows of a search; None without a text."""
    if text is None:
        return None
    return matches_search(text, caller.app_context.keys, spans_many=caller.actor.school_id is None)


@dataclass(frozen=True, slots=True)
class StudentListRequest:
    """The parameters that lists of students share: a unit, a search, and the position in the list."""

    unit_id: UUID | None
    text: str | None
    cursor: str | None
    with_total: bool

    def condition(self, caller: Caller) -> ColumnElement[bool] | None:
        """The condition on `student` rows; None without a search."""
        return student_condition(caller, self.text)

    def page(self, limit: int, sort: str) -> PageRequest:
        """The page to load, with the limit and the sort that the route offers."""
        return PageRequest(limit, self.cursor, sort, self.with_total)


def _read_student_list(
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> StudentListRequest:
    return StudentListRequest(unit_id, q, cursor, total)


StudentList = Annotated[StudentListRequest, Depends(_read_student_list)]
"""Declares the query parameters `unit_id`, `q`, `cursor` and `total` of a route."""
