"""The undetermined results over all roll calls that an account may determine."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, Uuid, cast, exists, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.queries import is_of_schools, load_school_scope
from backend.people.tables import SchoolClass, Student
from backend.roll_call.tables import Attestation, OutcomeEntry, RollCall, RollCallStep

_IS_UNDETERMINED: ColumnElement[bool] = literal_column("outcome_entry.outcome = 'undetermined'")
"""The predicate of the index of undetermined entries, as a literal, so that the planner recognises it."""
_ENTRY_ID: ColumnElement[UUID] = cast(
    func.md5(cast(OutcomeEntry.roll_call_id, String) + cast(OutcomeEntry.student_id, String)), Uuid()
)
"""One id for the roll call and the student, to break ties."""


@dataclass(frozen=True, slots=True)
class UndeterminedResult:
    """An undetermined result with its roll call and student."""

    outcome: OutcomeEntry
    roll_call: RollCall
    student: Student
    class_name: str


@dataclass(frozen=True, slots=True)
class UndeterminedSearch:
    """Filters of the list; None does not filter."""

    roll_call_id: UUID | None = None
    unit_id: UUID | None = None
    """The own unit or one below it."""
    reason: str | None = None
    until: datetime | None = None
    """Only results that have been undetermined since then or longer."""
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""


UndeterminedSort = Literal["at", "-at", "name", "-name"]
UNDETERMINED_SORTS = ListSorts(
    _ENTRY_ID, {"at": OutcomeEntry.at, "name": by_name(Student.name)}, default="at"
)


async def load_undetermined_page(
    session: AsyncSession, actor: Actor, search: UndeterminedSearch, request: PageRequest
) -> ListPage[UndeterminedResult]:
    """A page of the results that the caller may determine. Raises `NotFound` for a unit of others, `NotPermitted`."""
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="待定结果由发起单位或其上级认定",
            reason_en="only the launcher or its superior may resolve an undetermined result",
        )
    schools = await load_school_scope(session, actor, search.unit_id)
    page = _select(actor).where(is_of_schools(OutcomeEntry.school_id, schools))
    if search.roll_call_id is not None:
        page = page.where(OutcomeEntry.roll_call_id == search.roll_call_id)
    if search.reason is not None:
        page = page.where(OutcomeEntry.reason == search.reason)
    if search.until is not None:
        page = page.where(OutcomeEntry.at <= search.until)
    if search.matching is not None:
        page = page.where(search.matching)
    found = await load_page(session, page, UNDETERMINED_SORTS, request)
    return found.with_rows([UndeterminedResult(*row) for row in found.rows])


def select_undetermined_ids(actor: Actor) -> Select[UUID] | None:
    """One id for each result that the caller may determine; None for a role that determines none."""
    return None if actor.role == "counselor" else _select(actor).with_only_columns(_ENTRY_ID)


def _select(actor: Actor) -> Select[*tuple[Any, ...]]:
    """As `determine_outcome` decides: of a settled roll call that the caller's unit or one below launched, still
    undetermined, and not attested by the caller. A voided roll call has no results.
    """
    later = aliased(OutcomeEntry)
    of_student = (OutcomeEntry.term_code, OutcomeEntry.roll_call_id, OutcomeEntry.student_id)
    replaced = exists().where(
        *(getattr(later, column.key) == column for column in of_student), later.seq > OutcomeEntry.seq
    )
    attested = exists().where(
        Attestation.roll_call_id == OutcomeEntry.roll_call_id,
        Attestation.student_id == OutcomeEntry.student_id,
        Attestation.attested_by == actor.account_id,
    )
    steps = {
        step: exists().where(RollCallStep.roll_call_id == RollCall.id, RollCallStep.step == step)
        for step in ("settled", "voided")
    }
    return (
        select(OutcomeEntry, RollCall, Student, SchoolClass.name)
        .join(
            RollCall,
            (RollCall.id == OutcomeEntry.roll_call_id) & (RollCall.term_code == OutcomeEntry.term_code),
        )
        .join(Student, Student.id == OutcomeEntry.student_id)
        .join(SchoolClass, SchoolClass.id == OutcomeEntry.class_id)
        .where(
            _IS_UNDETERMINED,
            func.starts_with(RollCall.launcher_path + ".", actor.org_path + "."),
            steps["settled"],
            ~steps["voided"],
            ~replaced,
            ~attested,
        )
    )
