"""SQL conditions that tie requests to their answers and closings."""

from sqlalchemy import ColumnElement, and_, exists

from backend.roll_call.tables import LookAnswer, LookClosing, LookRequest


def same_request(table: type[LookAnswer | LookClosing]) -> ColumnElement[bool]:
    """Join condition from `look_request` to its answer or its closing."""
    return and_(
        table.term_code == LookRequest.term_code,
        table.school_id == LookRequest.school_id,
        table.request_id == LookRequest.id,
    )


def is_unanswered() -> ColumnElement[bool]:
    """Condition for `look_request` rows without an answer and without a closing."""
    return and_(*(~exists().where(same_request(table)) for table in (LookAnswer, LookClosing)))
