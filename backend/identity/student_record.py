"""The student's own record: the student confirms it or requests a correction, the registrar decides (HN334-3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.pagination import MAX_PAGE
from backend.identity.devices.cool_down import require_no_cool_down
from backend.identity.errors import CorrectionNeedsChange
from backend.identity.events import RecordCorrectionDecided, RecordCorrectionRequested
from backend.identity.phone_changes.notifications import warn_old_number
from backend.identity.phone_changes.service import correct_number
from backend.identity.rules import CONTACT_FIELDS
from backend.notice.messages import StudentRecipient
from backend.org.tables import OrgUnit
from backend.people.identifiers import mask
from backend.people.queries import (
    classes_of_counselor,
    decrypt_id_number,
    decrypt_student_number,
    masked_student_number,
)
from backend.people.tables import RecordCheck, SchoolClass, Student

RecordCheckStatus = Literal["confirmed", "open", "accepted", "declined"]
RecordField = Literal[
    "name",
    "sex",
    "birth_date",
    "id_number",
    "student_number",
    "class_name",
    "grade",
    "major",
    "programme",
    "study_form",
    "standing",
    "entry_month",
    "phone",
]


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """The own record as a student sees it, with masked identifiers."""

    name: str
    sex: str
    birth_date: date
    document_kind: str
    id_number: str
    student_number: str | None
    school_name: str
    class_name: str
    grade: int | None
    major: str | None
    programme: str
    study_form: str
    standing: str
    entry_month: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class RequestCorrection:
    """The content that a field should have, according to the student."""

    field: RecordField
    claimed: str
    note: str | None


@dataclass(frozen=True, slots=True)
class DecideCorrection:
    """The registrar's decision on a correction."""

    check_id: UUID
    decision: Literal["accepted", "declined"]
    note: str | None


async def load_own_record(session: AsyncSession, actor: Actor, keys: KeyRing) -> OwnRecord:
    """The record of the acting student; raises `NotFound`."""
    query = (
        select(Student, SchoolClass, OrgUnit.name)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .join(OrgUnit, OrgUnit.id == Student.school_id)
        .where(Student.id == actor.student_id)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    student, school_class, school_name = row
    return OwnRecord(
        name=student.name,
        sex=student.sex,
        birth_date=student.birth_date,
        document_kind=student.document_kind,
        id_number=mask(decrypt_id_number(student, keys)),
        student_number=masked_student_number(student, keys),
        school_name=school_name,
        class_name=school_class.name,
        grade=school_class.grade,
        major=student.major or school_class.major,
        programme=student.programme,
        study_form=student.study_form,
        standing=student.standing,
        entry_month=student.entry_month,
        phone=mask(student.phone) if student.phone else None,
    )


async def confirm_record(session: AsyncSession, actor: Actor, at: datetime) -> RecordCheck:
    """Record that the student found the record correct."""
    check = _new_check(actor, "confirmed", at)
    _add_check(session, actor, check)
    return check


async def request_correction(
    session: AsyncSession, actor: Actor, keys: KeyRing, command: RequestCorrection, at: datetime
) -> RecordCheck:
    """Record that a field is wrong, for the registrar to decide."""
    check = _new_check(actor, "open", at)
    check.field, check.note = command.field, command.note
    check.claimed_sealed = keys.encrypt("identifier", command.claimed.encode(), _encryption_context(check.id))
    _add_check(session, actor, check)
    event = RecordCorrectionRequested(
        school_id=check.school_id, student_id=check.student_id, check_id=check.id
    )
    await outbox.emit(session, event, at)
    return check


def decrypt_claimed_value(check: RecordCheck, keys: KeyRing) -> str | None:
    """The requested content of the field; None if the student confirmed the record."""
    if check.claimed_sealed is None:
        return None
    return keys.decrypt("identifier", check.claimed_sealed, _encryption_context(check.id)).decode()


def _encryption_context(check_id: UUID) -> bytes:
    return b"record-claim:" + check_id.bytes


def _new_check(actor: Actor, status: str, at: datetime) -> RecordCheck:
    return RecordCheck(
        id=new_id(), school_id=actor.school_id, student_id=actor.student_id, status=status, at=at
    )


def _add_check(session: AsyncSession, actor: Actor, check: RecordCheck) -> None:
    session.add(check)
    after = {"status": check.status, "field": check.field}
    act = audit.Act("RecordChecked", "student", str(check.student_id), actor.org_path, after=after)
    audit.record(session, act, check.at)


async def decide_correction(
    session: AsyncSession, actor: Actor, keys: KeyRing, command: DecideCorrection, at: datetime
) -> RecordCheck:
    """Accept or decline a correction.

    Accepted contact data are written. The legal record is not written here: a correction of it can be accepted only
    once the roster already has the requested content; until then `CorrectionNeedsChange` is raised.
    """
    locked = select(RecordCheck).where(RecordCheck.id == command.check_id).with_for_update()
    check = (await session.scalars(locked)).one_or_none()
    if check is None or actor.role == "counselor":
        raise NotFound
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="仅学校管理员可以处理更正申请", reason_en="only the registrar can decide on corrections"
        )
    if check.status != "open":
        raise Conflict(reason_zh="该申请已处理", reason_en="this request was already decided")
    student = (
        await session.scalars(select(Student).where(Student.id == check.student_id).with_for_update())
    ).one()
    if command.decision == "accepted":
        await _apply_correction(session, student, check, keys, at)
    check.status, check.decided_by, check.decided_note = command.decision, actor.account_id, command.note
    check.decided_at = at
    act = audit.Act(
        "RecordCorrectionDecided",
        "student",
        str(student.id),
        actor.org_path,
        before={"status": "open"},
        after={"status": command.decision, "field": check.field, "check_id": str(check.id)},
    )
    audit.record(session, act, at)
    event = RecordCorrectionDecided(school_id=student.school_id, student_id=student.id, check_id=check.id)
    await outbox.emit(session, event, at)
    return check


async def _apply_correction(
    session: AsyncSession, student: Student, check: RecordCheck, keys: KeyRing, at: datetime
) -> None:
    assert check.field is not None
    claimed = decrypt_claimed_value(check, keys)
    if check.field in CONTACT_FIELDS:
        assert claimed is not None
        await require_no_cool_down(session, student.id, at)
        earlier = StudentRecipient(student.id, student.school_id, phone=student.phone)
        await correct_number(session, student, claimed, at)
        if earlier.phone is not None and earlier.phone != claimed:
            await warn_old_number(session, earlier, check.id, at)
        return
    school_class = await session.get(SchoolClass, student.class_id)
    assert school_class is not None
    values = {
        "id_number": decrypt_id_number(student, keys),
        "student_number": decrypt_student_number(student, keys),
        "class_name": school_class.name,
        "grade": str(school_class.grade),
    }
    if values.get(check.field, str(getattr(student, check.field, None))) != claimed:
        raise CorrectionNeedsChange(field=check.field)


async def load_corrections(
    session: AsyncSession, actor: Actor, status: str, after: tuple[datetime, UUID] | None, limit: int
) -> list[tuple[RecordCheck, str, str]]:
    """Corrections with the student's name and class, oldest first; a counselor sees only their own classes."""
    query = (
        select(RecordCheck, Student.name, SchoolClass.name)
        .join(Student, Student.id == RecordCheck.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(RecordCheck.status == status, RecordCheck.field.is_not(None))
        .order_by(RecordCheck.at, RecordCheck.id)
        .limit(limit)
    )
    if actor.role == "counselor":
        query = query.where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    if after is not None:
        query = query.where(tuple_(RecordCheck.at, RecordCheck.id) > tuple_(*after))
    return [(check, name, class_name) for check, name, class_name in await session.execute(query)]


def select_open_correction_ids(actor: Actor) -> Select[UUID]:
    """The open corrections that the caller sees; a counselor those of their own classes."""
    open_checks = select(RecordCheck.id).where(RecordCheck.status == "open", RecordCheck.field.is_not(None))
    if actor.role != "counselor":
        return open_checks
    own = select(Student.id).where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    return open_checks.where(RecordCheck.student_id.in_(own))


async def load_own_checks(session: AsyncSession, actor: Actor) -> Sequence[RecordCheck]:
    """The acting student's checks of the record, newest first."""
    query = (
        select(RecordCheck)
        .where(RecordCheck.student_id == actor.student_id)
        .order_by(RecordCheck.at.desc(), RecordCheck.id.desc())
        .limit(MAX_PAGE)
    )
    return (await session.scalars(query)).all()
