"""Reminders to the registrars of schools that have not completed the rehearsal of a cohort, with one result a school."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.bilingual import Bilingual
from backend.core.bulk import RowResult
from backend.core.clock import legal_day
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.identity.recipients import AUTHORITY_ROLES, registrars
from backend.notice.messages import IN_APP, Message, NoticeText
from backend.notice.service import post_notices
from backend.org.paths import division_of
from backend.policy.installed import policy_at
from backend.roll_call.errors import RehearsalCompleted, SchoolRemindedRecently, SchoolWithoutRegistrar
from backend.roll_call.readiness.cohorts import ENROLLED, Cohort, choose_cohort, read_cohorts
from backend.roll_call.readiness.queries import ReadinessFilter, SchoolReadiness, load_readiness_page
from backend.roll_call.tables import RehearsalReminder

_ALL_SCHOOLS = 100_000
"""More schools than a province has."""


@dataclass(frozen=True, slots=True)
class RemindSchools:
    """Ask the registrars of these schools to complete the rehearsal of a cohort."""

    cohort: str
    school_ids: Sequence[UUID]


async def remind_schools(
    session: AsyncSession, actor: Actor, command: RemindSchools, at: datetime
) -> list[RowResult]:
    """Remind each school once, with one result for each, in the order of the command.

    A school that is not below the caller or has no student of the cohort is `NotFound`. One that has completed the
    rehearsal, was reminded a short while ago, or has no active registrar gets its own error. Raises `NotPermitted` for
    staff of schools.
    """
    if actor.role not in AUTHORITY_ROLES:
        raise NotPermitted(
            reason_zh="由省级或市县督促学校", reason_en="the province and the bureaus remind schools"
        )
    policy = policy_at(legal_day(at), division_of(actor.org_path))
    cohorts = read_cohorts(policy)
    cohort = choose_cohort(cohorts, command.cohort)
    interval = policy.duration("rehearsal.reminder.interval")
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"rehearsal-reminder/{cohort.code}", 0))
    await session.execute(select(lock))
    found = await load_readiness_page(session, actor, cohort, cohorts, ReadinessFilter(), None, _ALL_SCHOOLS)
    by_id = {each.school_id: each for each in found}
    results: list[RowResult] = []
    for school_id in dict.fromkeys(command.school_ids):
        school = by_id.get(school_id)
        error: DomainError | None = None
        if school is None:
            error = NotFound()
        elif school.rehearsed_at is not None:
            error = RehearsalCompleted()
        elif school.reminded_at is not None and at - school.reminded_at < interval:
            error = SchoolRemindedRecently(hours=int(interval.total_seconds() // 3600))
        elif not await _remind(session, actor, school, cohort, at):
            error = SchoolWithoutRegistrar()
        results.append(RowResult(school_id, changed=error is None, error=error))
    return results


async def _remind(
    session: AsyncSession, actor: Actor, school: SchoolReadiness, cohort: Cohort, at: datetime
) -> bool:
    """Notify the registrars of a school and record it. Returns whether there was a registrar to notify."""
    zh, en = cohort_words(cohort)
    text = rehearsal_due_to_registrar(zh, en, cohort.deadline, overdue=legal_day(at) > cohort.deadline)
    reminder = RehearsalReminder(
        id=new_id(), school_id=school.school_id, cohort=cohort.code, sent_by=actor.account_id, at=at
    )
    message = Message.of("rehearsal_due", reminder.id, text, {"school_id": school.school_id})
    if not await post_notices(session, registrars(school.school_id), message, IN_APP, at):
        return False
    session.add(reminder)
    act = audit.Act(
        "RehearsalReminded", "school", str(school.school_id), school.path, after={"cohort": cohort.code}
    )
    audit.record(session, act, at)
    return True


def cohort_words(cohort: Cohort) -> tuple[str, str]:
    """The name of a cohort in Chinese and English."""
    if cohort.code == ENROLLED:
        return "在籍学生", "the enrolled students"
    return f"{cohort.intake}级新生", f"the intake of {cohort.intake}"


def rehearsal_due_to_registrar(
    cohort_zh: str, cohort_en: str, deadline: date, *, overdue: bool
) -> NoticeText:
    """Ask for the rehearsal of a cohort."""
    day = deadline.isoformat()
    return NoticeText(
        Bilingual("请完成联调测试", "Complete the rehearsal"),
        Bilingual(
            f"贵校{cohort_zh}尚未完成联调测试，截止日期为 {day}{'，已逾期' if overdue else ''}。"
            "请确认学生和辅导员已激活账号，再由学校管理员发起一次联调测试。",
            f"Your school has not completed the rehearsal of {cohort_en}; the last day is {day}"
            f"{', which has passed' if overdue else ''}. Check that students and counselors have activated their"
            " accounts, then launch a rehearsal as the registrar.",
        ),
    )
