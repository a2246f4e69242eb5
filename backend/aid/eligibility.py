"""Who aid is for, asked of the roll; and findings on double standing (MOE19-3.5)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidIneligible
from backend.aid.policy import AidPolicy
from backend.aid.rules import Applicant, ineligibility
from backend.aid.tables import AidDuplicate
from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.people.identifiers import StudentNumberKind
from backend.people.queries import decrypt_student_number
from backend.people.tables import Student

SENTENCES: dict[str, tuple[str, str]] = {
    "part_time": ("学习形式不是全日制。", "The study form is not full-time."),
    "non_degree": ("所在学生类别不属于学历教育。", "The programme does not lead to a degree."),
    "not_formally_registered": (
        "尚无正式学籍号（没有学籍号，或为临时学籍号）。",
        "There is no formal student number yet (none, or a temporary one).",
    ),
    "not_in_school": ("学籍状态不是在读。", "The standing is not that of a student in school."),
    "compulsory_education_duplicate": (
        "经核查与义务教育学籍重复。",
        "The student is also on a roll of compulsory education.",
    ),
}
"""Each reason of `rules.ineligibility` as a sentence, Chinese and English."""


@dataclass(frozen=True, slots=True)
class FindDuplicate:
    """A named person's finding on double standing, with its evidence."""

    student_id: UUID
    duplicate: bool
    evidence: str


async def record_duplicate(
    session: AsyncSession, actor: Actor, command: FindDuplicate, at: datetime
) -> AidDuplicate:
    """Record what a check of the ministry's duplicate lists found; the newest finding counts.

    An authority finds, never the school that the aid is for. Raises `NotFound` and `NotPermitted`.
    """
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="重复学籍由教育行政部门核查认定", reason_en="double standing is found by authorities"
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


async def duplicates(session: AsyncSession, student_ids: Collection[UUID]) -> frozenset[UUID]:
    """Those whose newest finding says that they are on a roll of compulsory education."""
    findings = (
        select(AidDuplicate.student_id, AidDuplicate.duplicate)
        .where(AidDuplicate.student_id.in_(student_ids))
        .order_by(AidDuplicate.at, AidDuplicate.id)
    )
    newest = {row.student_id: row.duplicate for row in await session.execute(findings)}
    return frozenset(student_id for student_id, duplicate in newest.items() if duplicate)


def reasons_against(
    student: Student, law: AidPolicy, keys: KeyRing, *, duplicate: bool
) -> tuple[tuple[str, str], ...]:
    """Why aid is not for this student, as sentences; empty if it is."""
    number = decrypt_student_number(student, keys)
    applicant = Applicant(
        study_form=student.study_form,
        standing=student.standing,
        degree_track=student.programme in law.degree_programmes,
        formally_registered=number is not None and number[0] != StudentNumberKind.TEMPORARY,
        compulsory_education_duplicate=duplicate,
    )
    return tuple(SENTENCES[reason] for reason in ineligibility(applicant))


async def must_be_eligible(session: AsyncSession, student: Student, law: AidPolicy, keys: KeyRing) -> None:
    """Raises `AidIneligible` naming every condition that is missing."""
    duplicate = student.id in await duplicates(session, [student.id])
    against = reasons_against(student, law, keys, duplicate=duplicate)
    if against:
        raise AidIneligible(
            reasons_zh="".join(zh for zh, _ in against), reasons_en=" ".join(en for _, en in against)
        )
