"""Eligibility of enrolled students, and findings of duplicate enrolment in compulsory education (MOE19-3.5)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidIneligible
from backend.aid.policy import AidPolicy
from backend.aid.rules import Applicant, find_ineligibility_reasons
from backend.aid.tables import AidDuplicate
from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.people.identifiers import StudentNumberKind
from backend.people.queries import decrypt_student_number
from backend.people.tables import Student

REASON_TEXTS: dict[str, tuple[str, str]] = {
    "part_time": ("学习形式不是全日制。", "The study form is not full-time."),
    "non_degree": ("所在学生类别不属于学历教育。", "The programme does not lead to a degree."),
    "not_formally_registered": (
        "尚无正式学籍号（没有学籍号，或为临时学籍号）。",
        "The student has no formal student number (none, or a temporary one).",
    ),
    "not_in_school": ("学籍状态不是在读。", "The student is not in active standing."),
    "compulsory_education_duplicate": (
        "经核查与义务教育学籍重复。",
        "The student is also enrolled in compulsory education.",
    ),
}
"""The text of each reason of `rules.find_ineligibility_reasons`, in Chinese and English."""


@dataclass(frozen=True, slots=True)
class RecordDuplicate:
    """A finding of a check for duplicate enrolment, with its evidence."""

    student_id: UUID
    duplicate: bool
    evidence: str


async def record_duplicate(
    session: AsyncSession, actor: Actor, command: RecordDuplicate, at: datetime
) -> AidDuplicate:
    """Record the finding of a check of the ministry's duplicate lists. The newest finding counts.

    Only an authority records findings, not the school. Raises `NotFound` and `NotPermitted`.
    """
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="重复学籍由教育行政部门核查认定",
            reason_en="only authorities record findings of duplicate enrolment",
        )
    student = await session.get(Student, command.student_id)
    if student is None:
        raise NotFound
    finding = AidDuplicate(
        id=new_id(),
        school_id=student.school_id,
        student_id=student.id,
        duplicate=command.duplicate,
        evidence=command.evidence,
        found_by=actor.account_id,
        at=at,
    )
    session.add(finding)
    await session.flush()
    facts = {"duplicate": command.duplicate}
    act = audit.Act("aid.duplicate_found", "student", str(student.id), actor.org_path, after=facts)
    audit.record(session, act, at)
    return finding


async def load_duplicates(session: AsyncSession, student_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return the students whose newest finding says that they are also enrolled in compulsory education."""
    findings = (
        select(AidDuplicate.student_id, AidDuplicate.duplicate)
        .where(AidDuplicate.student_id.in_(student_ids))
        .order_by(AidDuplicate.at, AidDuplicate.id)
    )
    newest = {row.student_id: row.duplicate for row in await session.execute(findings)}
    return frozenset(student_id for student_id, duplicate in newest.items() if duplicate)


def list_ineligibility_reasons(
    student: Student, law: AidPolicy, keys: KeyRing, *, duplicate: bool
) -> tuple[tuple[str, str], ...]:
    """Return the reasons why the student is not eligible, as texts; empty if eligible."""
    number = decrypt_student_number(student, keys)
    applicant = Applicant(
        study_form=student.study_form,
        standing=student.standing,
        degree_track=student.programme in law.degree_programmes,
        formally_registered=number is not None and number[0] != StudentNumberKind.TEMPORARY,
        compulsory_education_duplicate=duplicate,
    )
    return tuple(REASON_TEXTS[reason] for reason in find_ineligibility_reasons(applicant))


async def require_eligible(session: AsyncSession, student: Student, law: AidPolicy, keys: KeyRing) -> None:
    """Raise `AidIneligible` with every reason, unless the student is eligible."""
    duplicate = student.id in await load_duplicates(session, [student.id])
    reasons = list_ineligibility_reasons(student, law, keys, duplicate=duplicate)
    if reasons:
        raise AidIneligible(
            reasons_zh="".join(zh for zh, _ in reasons), reasons_en=" ".join(en for _, en in reasons)
        )
