"""Loads what is on file about the qualification of schools."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import equals_any
from backend.registration.schools.rules import (
    Conclusion,
    Ground,
    Inspection,
    Licence,
    Measure,
    MeasureKind,
    SchoolFile,
)
from backend.registration.schools.tables import (
    InspectionStep,
    LicenceRevocation,
    SchoolInspection,
    SchoolLicence,
    SchoolMeasure,
)

Row = TypeVar("Row", SchoolLicence, LicenceRevocation, SchoolInspection, InspectionStep, SchoolMeasure)


@dataclass(slots=True)
class StoredFile:
    """The rows of one school, each in the order of time."""

    licences: list[SchoolLicence] = field(default_factory=list)
    revocations: dict[UUID, LicenceRevocation] = field(default_factory=dict)
    """By licence."""
    inspections: list[SchoolInspection] = field(default_factory=list)
    steps: dict[tuple[UUID, str], InspectionStep] = field(default_factory=dict)
    """By inspection and kind."""
    measures: list[SchoolMeasure] = field(default_factory=list)

    @property
    def facts(self) -> SchoolFile:
        """The rows as input of the rules."""
        return SchoolFile(
            licences=tuple(self._licence(each) for each in self.licences),
            inspections=tuple(self._inspection(each) for each in self.inspections),
            measures=tuple(
                Measure(MeasureKind(each.kind), Ground(each.ground), each.mend_by) for each in self.measures
            ),
        )

    def day_of(self, inspection: SchoolInspection, kind: str) -> date | None:
        """The day of a step; None if it was not taken."""
        step = self.steps.get((inspection.id, kind))
        return step.day if step else None

    def _licence(self, row: SchoolLicence) -> Licence:
        revocation = self.revocations.get(row.id)
        return Licence(row.valid_from, row.valid_until, revocation.revoked_on if revocation else None)

    def _inspection(self, row: SchoolInspection) -> Inspection:
        mended = (row.id, "mended") in self.steps
        return Inspection(row.id, row.year, Conclusion(row.conclusion), row.mend_by, mended)


async def load_school_file(session: AsyncSession, school_id: UUID) -> StoredFile:
    """The file of one school."""
    return (await load_school_files(session, [school_id]))[school_id]


async def load_school_files(session: AsyncSession, school_ids: Sequence[UUID]) -> dict[UUID, StoredFile]:
    """The files of many schools. A school without rows has an empty one."""
    files: dict[UUID, StoredFile] = defaultdict(StoredFile, {each: StoredFile() for each in school_ids})
    for licence in await _load(session, SchoolLicence, school_ids, SchoolLicence.id):
        files[licence.school_id].licences.append(licence)
    for revocation in await _load(session, LicenceRevocation, school_ids, LicenceRevocation.at):
        files[revocation.school_id].revocations[revocation.licence_id] = revocation
    for inspection in await _load(session, SchoolInspection, school_ids, SchoolInspection.id):
        files[inspection.school_id].inspections.append(inspection)
    for step in await _load(session, InspectionStep, school_ids, InspectionStep.at):
        files[step.school_id].steps[(step.inspection_id, step.kind)] = step
    for measure in await _load(session, SchoolMeasure, school_ids, SchoolMeasure.id):
        files[measure.school_id].measures.append(measure)
    return dict(files)


async def _load(
    session: AsyncSession, table: type[Row], school_ids: Sequence[UUID], order: Any
) -> Sequence[Row]:
    query = select(table).where(equals_any(table.school_id, school_ids)).order_by(order)
    return (await session.scalars(query)).all()
