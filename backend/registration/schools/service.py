"""An authority records licences and inspections of a school below it, and takes measures (MOE19-1.2)."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.paths import division_of
from backend.org.queries import get_unit_in_subtree
from backend.org.tables import OrgUnit
from backend.policy.installed import policy_at
from backend.registration.events import SchoolMeasureTaken
from backend.registration.schools.errors import InspectionStepTaken, LicenceRevoked, MeasureRefused
from backend.registration.schools.files import load_school_file
from backend.registration.schools.policy import qualification_law
from backend.registration.schools.rules import Conclusion, Ground, MeasureKind, objection_to
from backend.registration.schools.tables import (
    InspectionStep,
    LicenceRevocation,
    SchoolInspection,
    SchoolLicence,
    SchoolMeasure,
)


@dataclass(frozen=True, slots=True)
class RecordLicence:
    """A licence to put on file; both days are included."""

    number: str
    issued_by: str
    covers: str
    valid_from: date
    valid_until: date


@dataclass(frozen=True, slots=True)
class RecordInspection:
    """An annual inspection. `mend_by` is given exactly if the school failed."""

    year: int
    conclusion: Conclusion
    findings: str
    inspected_on: date
    mend_by: date | None


@dataclass(frozen=True, slots=True)
class RecordStep:
    """That an inspection was published, or that the school mended what it found."""

    kind: str
    day: date
    note: str


@dataclass(frozen=True, slots=True)
class TakeMeasure:
    """A measure, or the lifting of the one in force. `plan_percent` belongs to a plan cut."""

    kind: MeasureKind
    ground: Ground
    reasons: str
    plan_percent: int | None = None
    mend_by: date | None = None


async def record_licence(
    session: AsyncSession, actor: Actor, school_id: UUID, command: RecordLicence, at: datetime
) -> SchoolLicence:
    """Put a licence on file. Raises `NotPermitted`, and `NotFound` for a school that is not below the unit."""
    school = await _get_supervised_school(session, actor, school_id)
    licence = SchoolLicence(
        id=new_id(), school_id=school.id, **asdict(command), recorded_by=actor.account_id, at=at
    )
    session.add(licence)
    await _audit(session, school, "licence.recorded", licence.id, asdict(command), at)
    return licence


async def revoke_licence(
    session: AsyncSession, actor: Actor, licence_id: UUID, revoked_on: date, reasons: str, at: datetime
) -> SchoolLicence:
    """Revoke a licence from a day on. Raises `LicenceRevoked`, `NotPermitted`, `NotFound`."""
    licence = await session.get(SchoolLicence, licence_id)
    if licence is None:
        raise NotFound
    school = await _get_supervised_school(session, actor, licence.school_id)
    values = {"licence_id": licence.id, "school_id": school.id, "revoked_on": revoked_on, "reasons": reasons}
    statement = insert(LicenceRevocation).values(**values, recorded_by=actor.account_id, at=at)
    if not await _inserted(session, statement.returning(LicenceRevocation.licence_id)):
        raise LicenceRevoked
    after = {"revoked_on": revoked_on, "reasons": reasons}
    await _audit(session, school, "licence.revoked", licence.id, after, at)
    return licence


async def record_inspection(
    session: AsyncSession, actor: Actor, school_id: UUID, command: RecordInspection, at: datetime
) -> SchoolInspection:
    """Put an annual inspection on file. Raises `NotPermitted` and `NotFound`."""
    school = await _get_supervised_school(session, actor, school_id)
    await _lock(session, school.id)
    inspection = SchoolInspection(
        id=new_id(), school_id=school.id, **asdict(command), recorded_by=actor.account_id, at=at
    )
    session.add(inspection)
    await _audit(session, school, "inspection.recorded", inspection.id, asdict(command), at)
    return inspection


async def record_step(
    session: AsyncSession, actor: Actor, inspection_id: UUID, command: RecordStep, at: datetime
) -> SchoolInspection:
    """Record a publication or a mending, each once. Raises `InspectionStepTaken`, `NotPermitted`, `NotFound`."""
    inspection = await session.get(SchoolInspection, inspection_id)
    if inspection is None:
        raise NotFound
    school = await _get_supervised_school(session, actor, inspection.school_id)
    await _lock(session, school.id)
    if command.kind == "mended" and inspection.conclusion != Conclusion.FAILED:
        raise InspectionStepTaken
    values = {"inspection_id": inspection.id, "school_id": school.id, **asdict(command)}
    statement = insert(InspectionStep).values(**values, recorded_by=actor.account_id, at=at)
    if not await _inserted(session, statement.returning(InspectionStep.inspection_id)):
        raise InspectionStepTaken
    await _audit(session, school, f"inspection.{command.kind}", inspection.id, asdict(command), at)
    return inspection


async def take_measure(
    session: AsyncSession, actor: Actor, school_id: UUID, command: TakeMeasure, at: datetime
) -> SchoolMeasure:
    """Take a measure against a school, or lift it. Raises `MeasureRefused`, `NotPermitted`, `NotFound`."""
    school = await _get_supervised_school(session, actor, school_id)
    await _lock(session, school.id)
    law = qualification_law(policy_at(legal_day(at), division_of(school.path)))
    file = (await load_school_file(session, school.id)).facts
    objection = objection_to(file, command.kind, command.ground, law, legal_day(at))
    if objection is not None:
        raise MeasureRefused(objection)
    measure = SchoolMeasure(
        id=new_id(), school_id=school.id, **asdict(command), taken_by=actor.account_id, at=at
    )
    session.add(measure)
    await _audit(session, school, "measure.taken", measure.id, asdict(command), at)
    event = SchoolMeasureTaken(
        school_id=school.id, path=school.path, measure_id=measure.id, kind=command.kind.value
    )
    await outbox.emit(session, event, at)
    return measure


async def _get_supervised_school(session: AsyncSession, actor: Actor, school_id: UUID) -> OrgUnit:
    if actor.role not in {"bureau", "province"}:
        raise NotPermitted(
            reason_zh="办学资质由学校的上级教育部门登记",
            reason_en="an authority above the school records its qualification",
        )
    school = await get_unit_in_subtree(session, actor, school_id)
    if school.kind != "school":
        raise NotFound
    return school


async def _lock(session: AsyncSession, school_id: UUID) -> None:
    """Decisions on one school's qualification follow each other."""
    key = func.hashtextextended(f"qualification:{school_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def _inserted(session: AsyncSession, statement: Any) -> bool:
    """Insert unless the row exists; tells whether it was inserted."""
    await session.flush()
    return await session.scalar(statement.on_conflict_do_nothing()) is not None


async def _audit(
    session: AsyncSession, school: OrgUnit, action: str, subject: UUID, after: dict[str, Any], at: datetime
) -> None:
    await session.flush()
    values = {name: str(value) for name, value in after.items() if value is not None}
    act = Act(f"school.{action}", "school_qualification", str(subject), school.path, after=values)
    record(session, act, at)
