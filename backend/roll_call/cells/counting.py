"""Adds the accepted check-ins of a batch to the counts of their cells."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.consents import LOCATION, load_agreeing
from backend.policy import PolicyAt
from backend.roll_call.tables import CheckInCell
from geo.cells import Cell


@dataclass(frozen=True, slots=True)
class CountedCheckIn:
    """The first "present" of a student in a roll call. The student only decides whether the consent allows the count."""

    roll_call_id: UUID
    school_id: UUID
    term_code: str
    student_id: UUID
    cell: Cell


async def count_check_ins(
    session: AsyncSession, check_ins: Sequence[CountedCheckIn], policy: PolicyAt
) -> None:
    """Count check-ins in their cells, if the student consented to it. The cells are updated in their order: no deadlock."""
    versions = policy.texts("check_in_cells.consent_versions")
    consenting = await load_agreeing(session, {each.student_id for each in check_ins}, LOCATION, versions)
    counts = Counter(
        (each.roll_call_id, each.school_id, each.cell.row, each.cell.column, each.term_code)
        for each in check_ins
        if each.student_id in consenting
    )
    if not counts:
        return
    names = ("roll_call_id", "school_id", "cell_row", "cell_column", "term_code")
    rows = [{**dict(zip(names, key, strict=True)), "students": counts[key]} for key in sorted(counts)]
    added = insert(CheckInCell)
    await session.execute(
        added.on_conflict_do_update(
            index_elements=["roll_call_id", "school_id", "cell_row", "cell_column"],
            set_={"students": CheckInCell.students + added.excluded.students},
        ),
        rows,
    )
