"""The search for students by name or number, which many lists of the staff API offer."""

from typing import Annotated

from fastapi import Query
from sqlalchemy import ColumnElement

from backend.core.web.requests import Caller
from backend.people.queries import matches_search

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
