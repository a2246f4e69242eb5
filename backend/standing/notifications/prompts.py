"""Notices about prompts, changes of standing, warnings and replay differences.

Each event is handled once: the delivery mark and the notices are written in one transaction. The registrar's notice of a
prompt has the prompt's id as its group and no other notice has, because its receipt is the delivery that starts the
working days (reading 7). The `notify_superior_*` functions run in the superior's scope, because a school's scope does not
include the superior's accounts.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Self
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import Bilingual
from backend.core.clock import legal_day
from backend.core.event import StudentEvent
from backend.identity.recipients import AUTHORITY_ROLES, Recipients, counselors_of_student, select_staff
from backend.identity.tables import Account
from backend.leave.queries import stand_ins_of_student
from backend.notice.messages import IN_APP, IN_APP_AND_SMS, Message, NoticeText, SmsText
from backend.notice.service import post_notices
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.roll_call.tables import RollCall
from backend.standing.engine.decision_rules import Role
from backend.standing.engine.ledger import SANCTIONS
from backend.standing.engine.prompts import PromptKind, PromptState
from backend.standing.events import (
    PromptMoved,
    PromptRaised,
    ReplayDifferenceFound,
    StandingChanged,
    StudentWarned,
)
from backend.standing.explanations.phrases import delay_words, outcome_words
from backend.standing.explanations.waits import load_wait
from backend.standing.notifications import texts
from backend.standing.store import tables
from backend.standing.store.load import policy_history

CLOSED_WITHOUT_EFFECT = frozenset({PromptState.DISMISSED, PromptState.WITHDRAWN})
CHANGE_WITHOUT_BASIS = "change_without_basis"
"""The warning that a change has lost its basis. The school, its superior and the student receive texts of their own."""


@dataclass(frozen=True, slots=True)
class NotificationContext:
    """The subject of a notice: its id and the name of this id in links, the student, and the school's path."""

    id_name: str
    id: UUID
    student_id: UUID
    path: str

    @classmethod
    def of(cls, event: StudentEvent, id_name: str) -> Self:
        return cls(id_name, getattr(event, id_name), event.student_id, event.path)

    def message(self, kind: str, text: NoticeText) -> Message:
        """A notice in its own group, so that its receipt does not count as the delivery of the prompt."""
        return Message.of(kind, uuid5(self.id, kind), text, {self.id_name: self.id})


# --- prompts ---


async def notify_prompt_raised(session: AsyncSession, event: PromptRaised, at: datetime) -> None:
    """Ask the registrar to decide, and inform the counselor and the student."""
    context = NotificationContext.of(event, "prompt_id")
    prompt = await session.get_one(tables.PromptRecord, context.id)
    law = policy_history(context.path).on(prompt.event_day)
    proposed = outcome_words(law, prompt.proposed)
    to_registrar = context.message(
        "prompt_raised", texts.raised_to_registrar(prompt.kind, proposed, law.deadline_days)
    )
    await post_notices(
        session, select_registrars(context), replace(to_registrar, group_id=prompt.id), IN_APP, at
    )
    to_counselor = context.message("prompt_raised_counselor", texts.raised_to_counselor(prompt.kind))
    await post_notices(session, select_counselors(context, at), to_counselor, IN_APP, at)
    days = await _load_event_days(session, prompt)
    told = texts.raised_to_student(prompt.kind, days, proposed, law.deadline_days)
    to_student = context.message("prompt_raised_student", told)
    by_sms = replace(to_student, sms=SmsText("standing", {"title": to_student.title_zh}))
    await post_notices(session, select_student(context), by_sms, IN_APP_AND_SMS, at)


async def _load_event_days(session: AsyncSession, prompt: tables.PromptRecord) -> list[date]:
    """The legal days of the missed checks of a prompt; for leave and absence, the day of the event."""
    if prompt.kind != PromptKind.MISSES:
        return [prompt.event_day]
    ids = [UUID(key.partition(":")[2]) for key in prompt.evidence]
    closes = await session.scalars(
        select(RollCall.closes_at).where(RollCall.id.in_(ids)).order_by(RollCall.closes_at)
    )
    return [legal_day(at) for at in closes]


async def notify_superior_prompt_raised(session: AsyncSession, event: PromptRaised, at: datetime) -> None:
    context = NotificationContext.of(event, "prompt_id")
    prompt = await session.get_one(tables.PromptRecord, context.id)
    school = await _load_school_name(session, context)
    message = context.message("prompt_raised_superior", texts.raised_to_superior(prompt.kind, school))
    await post_notices(session, select_superiors(context), message, IN_APP, at)


async def notify_prompt_moved(session: AsyncSession, event: PromptMoved, at: datetime) -> None:
    """Notify the school and the student of a new state. For a decision or an execution, the change is notified instead."""
    context = NotificationContext.of(event, "prompt_id")
    state = event.state
    kind = f"prompt_{state.value}"
    if state in CLOSED_WITHOUT_EFFECT:
        to_student = context.message(f"{kind}_student", texts.CLOSED_TO_STUDENT[state])
        await post_notices(session, select_student(context), to_student, IN_APP, at)
        to_staff = context.message(kind, texts.CLOSED_TO_STAFF[state])
        for people in (select_counselors(context, at), select_registrars(context)):
            await post_notices(session, people, to_staff, IN_APP, at)
    elif state in texts.TO_REGISTRAR:
        message = context.message(kind, texts.TO_REGISTRAR[state])
        await post_notices(session, select_registrars(context), message, IN_APP, at)
    elif await _returned_from_dismissal(session, context, state):
        message = context.message("dismissal_refused", texts.DISMISSAL_REFUSED)
        await post_notices(session, select_registrars(context), message, IN_APP, at)


async def notify_superior_prompt_moved(session: AsyncSession, event: PromptMoved, at: datetime) -> None:
    """Notify the superior of states that it must act on or check, and of decisions despite a blocker (reading 25)."""
    context = NotificationContext.of(event, "prompt_id")
    state = event.state
    text = texts.TO_SUPERIOR.get(state)
    if state is PromptState.DECIDED and await _was_decided_despite_blockers(session, context):
        text = texts.DECIDED_DESPITE_BLOCKERS
    if text is None:
        return
    text = _with_school_name(text, await _load_school_name(session, context))
    message = context.message(f"prompt_{state.value}_superior", text)
    await post_notices(session, select_superiors(context), message, IN_APP, at)


async def _was_decided_despite_blockers(session: AsyncSession, context: NotificationContext) -> bool:
    """Whether the registrar decided the prompt while a blocker stood."""
    blockers = await session.scalar(
        select(tables.PromptStep.blockers)
        .where(tables.PromptStep.prompt_id == context.id, tables.PromptStep.closed_at.is_(None))
        .order_by(tables.PromptStep.seq.desc())
        .limit(1)
    )
    role = await session.scalar(
        select(tables.PromptDecision.role)
        .where(tables.PromptDecision.prompt_id == context.id)
        .order_by(tables.PromptDecision.at.desc())
        .limit(1)
    )
    return bool(blockers) and role == Role.REGISTRAR


async def notify_prompt_reminder(session: AsyncSession, prompt_id: UUID, at: datetime) -> None:
    """Remind the registrars of a prompt and its deadline."""
    prompt = await session.get_one(tables.PromptRecord, prompt_id)
    path = await session.scalar(select(OrgUnit.path).where(OrgUnit.id == prompt.school_id))
    due_at = await session.scalar(
        select(tables.PromptStep.due_at)
        .where(tables.PromptStep.prompt_id == prompt_id)
        .order_by(tables.PromptStep.seq.desc())
        .limit(1)
    )
    assert path is not None
    assert due_at is not None  # only prompts with a deadline have reminders
    context = NotificationContext("prompt_id", prompt_id, prompt.student_id, path)
    message = context.message("prompt_reminder", texts.reminder_to_registrar(prompt.kind, due_at))
    await post_notices(session, select_registrars(context), message, IN_APP, at)


async def _returned_from_dismissal(
    session: AsyncSession, context: NotificationContext, state: PromptState
) -> bool:
    """Whether the prompt entered the state because the superior refused a dismissal."""
    steps = await session.scalars(
        select(tables.PromptStep.state)
        .where(tables.PromptStep.prompt_id == context.id)
        .order_by(tables.PromptStep.seq.desc())
    )
    states = [PromptState(step) for step in steps]
    reached = states.index(state) if state in states else 0
    return next((step for step in states[reached:] if step != state), None) is PromptState.DISMISSAL_PENDING


# --- changes, warnings, replay differences ---


async def notify_standing_changed(session: AsyncSession, event: StandingChanged, at: datetime) -> None:
    """Tell the student what changed, why, and how to appeal; ask the counselor and the registrar to talk to the student."""
    context = NotificationContext.of(event, "entry_id")
    entry = await session.get_one(tables.StandingEntry, context.id)
    to_student = context.message("standing_changed", await _change_text(session, context, entry))
    await post_notices(session, select_student(context), to_student, IN_APP, at)
    text = texts.CHANGED_TO_STAFF if entry.reverses is None else texts.RESTORED_TO_STAFF
    to_staff = context.message("standing_changed_staff", text)
    for people in (select_counselors(context, at), select_registrars(context)):
        await post_notices(session, people, to_staff, IN_APP, at)


async def _change_text(
    session: AsyncSession, context: NotificationContext, entry: tables.StandingEntry
) -> NoticeText:
    if entry.reverses is not None:
        return texts.RESTORED_TO_STUDENT
    if entry.cause not in SANCTIONS:
        return texts.EDITED_TO_STUDENT
    prompt = await session.get_one(tables.PromptRecord, entry.prompt_id)
    outcome = outcome_words(policy_history(context.path).on(prompt.event_day), entry.outcome)
    wait = await load_wait(session, entry)
    delay = delay_words(*wait) if wait is not None else None
    return texts.changed_to_student(entry.cause, outcome, prompt.kind, entry.at, delay)


async def notify_student_warned(session: AsyncSession, event: StudentWarned, at: datetime) -> None:
    """Warn the student and the counselor; if a change has lost its basis, tell the registrar too (reading 16)."""
    context = NotificationContext.of(event, "warning_id")
    warning = await session.get_one(tables.StandingWarningRecord, context.id)
    if warning.code == CHANGE_WITHOUT_BASIS:
        message = context.message(CHANGE_WITHOUT_BASIS, texts.CHANGE_WITHOUT_BASIS)
        for people in (select_registrars(context), select_counselors(context, at)):
            await post_notices(session, people, message, IN_APP, at)
        told = context.message(f"{CHANGE_WITHOUT_BASIS}_student", texts.CHANGE_WITHOUT_BASIS_TO_STUDENT)
        await post_notices(session, select_student(context), told, IN_APP, at)
        return
    cap = policy_history(context.path).on(legal_day(warning.at)).leave.cap
    to_student = context.message("student_warned", texts.warning_to_student(warning.code, cap))
    await post_notices(session, select_student(context), to_student, IN_APP, at)
    to_counselor = context.message("student_warned_counselor", texts.warning_to_counselor(warning.code))
    await post_notices(session, select_counselors(context, at), to_counselor, IN_APP, at)


async def notify_superior_student_warned(session: AsyncSession, event: StudentWarned, at: datetime) -> None:
    """Notify the superior of a change that has lost its basis; of no other warning."""
    context = NotificationContext.of(event, "warning_id")
    warning = await session.get_one(tables.StandingWarningRecord, context.id)
    if warning.code == CHANGE_WITHOUT_BASIS:
        message = context.message(f"{CHANGE_WITHOUT_BASIS}_superior", texts.CHANGE_WITHOUT_BASIS)
        await post_notices(session, select_superiors(context), message, IN_APP, at)


async def notify_replay_difference(session: AsyncSession, event: ReplayDifferenceFound, at: datetime) -> None:
    """Notify the superior that a person must review a record."""
    context = NotificationContext.of(event, "difference_id")
    text = _with_school_name(texts.REPLAY_DIFFERENCE, await _load_school_name(session, context))
    await post_notices(
        session, select_superiors(context), context.message("record_differs", text), IN_APP, at
    )


# --- texts ---


def _with_school_name(text: NoticeText, school: str) -> NoticeText:
    body = Bilingual(text.body.zh.format(school=school), text.body.en.format(school=school))
    return text._replace(body=body)


async def _load_school_name(session: AsyncSession, context: NotificationContext) -> str:
    name = await session.scalar(select(OrgUnit.name).where(OrgUnit.path == context.path))
    return name or ""


# --- recipients ---


def select_student(context: NotificationContext) -> Recipients:
    return select(Student.id.label("student_id"), Student.school_id, Student.phone).where(
        Student.id == context.student_id
    )


def select_registrars(context: NotificationContext) -> Recipients:
    return select_staff(Account.kind == "registrar", Account.org_path == context.path)


def select_superiors(context: NotificationContext) -> Recipients:
    """The accounts of the authority directly above the school."""
    return select_staff(Account.kind.in_(AUTHORITY_ROLES), Account.org_path == superior_path(context.path))


def superior_path(path: str) -> str:
    """The path of the unit directly above."""
    return superior_paths(path)[1]


def select_counselors(context: NotificationContext, at: datetime) -> Recipients:
    """The counselor of the student's class and the counselor's current stand-in."""
    return counselors_of_student(context.student_id, stand_ins_of_student(context.student_id, at))
