"""Adds the accepted check-ins of a batch to the counts of their cells."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.consents import LOCATION
from backend.people.tables import Consent
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
    consenting = await _load_consenting(session, {each.student_id for each in check_ins}, policy)
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


async def _load_consenting(
    session: AsyncSession, student_ids: Collection[UUID], policy: PolicyAt
) -> set[UUID]:
    """Students whose newest consent about the position is to a text that names this purpose."""
    newest = (
        select(Consent.student_id, Consent.granted, Consent.text_version)
        .where(Consent.student_id.in_(student_ids), Consent.kind == LOCATION)
        .ext(distinct_on(Consent.student_id))
        .order_by(Consent.student_id, Consent.at.desc(), Consent.id.desc())
    )
    versions = policy.texts("check_in_cells.consent_versions")
    return {
        row.student_id
        for row in await session.execute(newest)
        if row.granted and row.text_version in versions
    }
