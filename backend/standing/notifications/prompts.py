"""Who is told what of standing. Each event is told once; a consumer's mark and its notices are one transaction.

The registrar's notice of a prompt has the prompt's id as its group, and nobody else's has: its receipt is the
delivery from which the working days run (reading 7). Superiors are told under a scope of theirs, since a school's
scope cannot address them.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID, uuid5

from sqlalchemy import Select, null, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.identity.tables import Account
from backend.leave.tables import LeaveStandIn
from backend.notice.messages import Channel, Message, SmsText
from backend.notice.service import post_notices
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit
from backend.people.tables import ClassCounselor, Student
from backend.standing.engine.ledger import SANCTIONS
from backend.standing.engine.prompts import PromptState
from backend.standing.explanations.phrases import Bilingual
from backend.standing.notifications import texts
from backend.standing.notifications.texts import Text
from backend.standing.store import tables
from backend.standing.store.lock import policy_history

IN_APP: tuple[Channel, ...] = ("in_app",)
IN_APP_AND_SMS: tuple[Channel, ...] = ("in_app", "sms")
CLOSED_WITHOUT_EFFECT = frozenset({PromptState.DISMISSED, PromptState.WITHDRAWN})
FOR_SUPERIORS = "change_without_basis"
"""The warning that is no warning of the student: a change needs a second look."""

People = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class NotificationContext:
    """What a notice is about: its id and what links call it, the student, and the school's path."""

    name: str
    id: UUID
    student_id: UUID
    path: str

    @classmethod
    def of(cls, name: str, payload: dict[str, Any]) -> Self:
        return cls(name, UUID(payload[name]), UUID(payload["student_id"]), payload["path"])

    def message(self, kind: str, text: Text) -> Message:
        """A notice with a group of its own, so that its receipts are nobody's delivery."""
        return Message(
            kind=kind,
            group_id=uuid5(self.id, kind),
            title_zh=text.title.zh,
            title_en=text.title.en,
            body_zh=text.body.zh,
            body_en=text.body.en,
            data={self.name: str(self.id)},
        )


# --- prompts ---


async def tell_raised(session: AsyncSession, matter: NotificationContext, at: datetime) -> None:
    """The registrar is asked to decide; the counselor and the student learn of it while nothing is decided."""
    prompt = await session.get_one(tables.PromptRecord, matter.id)
    law = policy_history(matter.path).on(prompt.event_day)
    proposed = outcome_words(matter, prompt.event_day, prompt.proposed)
    asked = matter.message(
        "prompt_raised", texts.raised_to_registrar(prompt.kind, proposed, law.deadline_days)
    )
    await post_notices(session, registrars(matter), replace(asked, group_id=prompt.id), IN_APP, at)
    to_counselor = matter.message("prompt_raised_counselor", texts.raised_to_counselor(prompt.kind))
    await post_notices(session, counselors(matter, at), to_counselor, IN_APP, at)
    to_student = matter.message("prompt_raised_student", texts.raised_to_student(prompt.kind))
    by_sms = replace(to_student, sms=SmsText("standing", {"title": to_student.title_zh}))
    await post_notices(session, the_student(matter), by_sms, IN_APP_AND_SMS, at)


async def tell_superior_raised(session: AsyncSession, matter: NotificationContext, at: datetime) -> None:
    prompt = await session.get_one(tables.PromptRecord, matter.id)
    school = await _school_name(session, matter)
    message = matter.message("prompt_raised_superior", texts.raised_to_superior(prompt.kind, school))
    await post_notices(session, superiors(matter), message, IN_APP, at)


async def tell_moved(
    session: AsyncSession, matter: NotificationContext, state: PromptState, at: datetime
) -> None:
    """What a prompt came to, told in the school. Of a decision or an execution the change itself tells."""
    kind = f"prompt_{state.value}"
    if state in CLOSED_WITHOUT_EFFECT:
        to_student = matter.message(f"{kind}_student", texts.CLOSED_TO_STUDENT[state])
        await post_notices(session, the_student(matter), to_student, IN_APP, at)
        to_staff = matter.message(kind, texts.CLOSED_TO_STAFF[state])
        for people in (counselors(matter, at), registrars(matter)):
            await post_notices(session, people, to_staff, IN_APP, at)
    elif state in texts.TO_REGISTRAR:
        message = matter.message(kind, texts.TO_REGISTRAR[state])
        await post_notices(session, registrars(matter), message, IN_APP, at)
    elif await _came_back(session, matter, state):
        message = matter.message("dismissal_refused", texts.REFUSED_DISMISSAL)
        await post_notices(session, registrars(matter), message, IN_APP, at)


async def tell_superior_moved(
    session: AsyncSession, matter: NotificationContext, state: PromptState, at: datetime
) -> None:
    """What the superior must act on, or check."""
    if state not in texts.TO_SUPERIOR:
        return
    text = _named(texts.TO_SUPERIOR[state], await _school_name(session, matter))
    message = matter.message(f"prompt_{state.value}_superior", text)
    await post_notices(session, superiors(matter), message, IN_APP, at)


async def tell_reminder(session: AsyncSession, prompt_id: UUID, at: datetime) -> None:
    """The registrars learn until when a prompt waits for them."""
    prompt = await session.get_one(tables.PromptRecord, prompt_id)
    path = await session.scalar(select(OrgUnit.path).where(OrgUnit.id == prompt.school_id))
    due_at = await session.scalar(
        select(tables.PromptStep.due_at)
        .where(tables.PromptStep.prompt_id == prompt_id)
        .order_by(tables.PromptStep.seq.desc())
        .limit(1)
    )
    assert path is not None
    assert due_at is not None  # what has reminders has a deadline
    matter = NotificationContext("prompt_id", prompt_id, prompt.student_id, path)
    message = matter.message("prompt_reminder", texts.reminder(prompt.kind, due_at))
    await post_notices(session, registrars(matter), message, IN_APP, at)


async def _came_back(session: AsyncSession, matter: NotificationContext, state: PromptState) -> bool:
    """Whether a prompt came into the state because the superior did not accept a dismissal."""
    steps = await session.scalars(
        select(tables.PromptStep.state)
        .where(tables.PromptStep.prompt_id == matter.id)
        .order_by(tables.PromptStep.seq.desc())
    )
    states = [PromptState(step) for step in steps]
    reached = states.index(state) if state in states else 0
    return next((step for step in states[reached:] if step != state), None) is PromptState.DISMISSAL_PENDING


# --- changes, warnings, differences ---


async def tell_changed(session: AsyncSession, matter: NotificationContext, at: datetime) -> None:
    """The student learns what changed, why, and how to appeal; counselor and registrar that they should speak."""
    entry = await session.get_one(tables.StandingEntry, matter.id)
    to_student = matter.message("standing_changed", await _change_text(session, matter, entry))
    await post_notices(session, the_student(matter), to_student, IN_APP, at)
    text = texts.CHANGED_TO_STAFF if entry.reverses is None else texts.RESTORED_TO_STAFF
    to_staff = matter.message("standing_changed_staff", text)
    for people in (counselors(matter, at), registrars(matter)):
        await post_notices(session, people, to_staff, IN_APP, at)


async def _change_text(
    session: AsyncSession, matter: NotificationContext, entry: tables.StandingEntry
) -> Text:
    if entry.reverses is not None:
        return texts.RESTORED_TO_STUDENT
    if entry.cause not in SANCTIONS:
        return texts.EDITED_TO_STUDENT
    prompt = await session.get_one(tables.PromptRecord, entry.prompt_id)
    outcome = outcome_words(matter, prompt.event_day, entry.outcome)
    return texts.changed_to_student(entry.cause, outcome, prompt.kind, entry.at)


async def tell_warned(session: AsyncSession, matter: NotificationContext, at: datetime) -> None:
    """A warning goes to the student and the counselor; that a change has lost its basis, to the registrar."""
    warning = await session.get_one(tables.StandingWarningRecord, matter.id)
    if warning.code == FOR_SUPERIORS:
        unfounded = matter.message(FOR_SUPERIORS, texts.UNFOUNDED)
        await post_notices(session, registrars(matter), unfounded, IN_APP, at)
        return
    cap = policy_history(matter.path).on(legal_day(warning.at)).leave.cap
    to_student = matter.message("student_warned", texts.warned_student(warning.code, cap))
    await post_notices(session, the_student(matter), to_student, IN_APP, at)
    to_counselor = matter.message("student_warned_counselor", texts.warned_counselor(warning.code))
    await post_notices(session, counselors(matter, at), to_counselor, IN_APP, at)


async def tell_superior_warned(session: AsyncSession, matter: NotificationContext, at: datetime) -> None:
    """Only of a change that has lost its basis."""
    warning = await session.get_one(tables.StandingWarningRecord, matter.id)
    if warning.code == FOR_SUPERIORS:
        message = matter.message(f"{FOR_SUPERIORS}_superior", texts.UNFOUNDED)
        await post_notices(session, superiors(matter), message, IN_APP, at)


async def tell_difference(session: AsyncSession, matter: NotificationContext, at: datetime) -> None:
    """The superior learns that a record must be looked at by a person."""
    text = _named(texts.DIFFERS, await _school_name(session, matter))
    await post_notices(session, superiors(matter), matter.message("record_differs", text), IN_APP, at)


# --- words ---


def outcome_words(matter: NotificationContext, event_day: date, outcome: str) -> Bilingual:
    """An outcome in the words of the law of the event's day."""
    table = policy_history(matter.path).on(event_day).policy.table("decision.outcome_effects")
    row = next(row for row in table if row["outcome"] == outcome)
    return Bilingual(str(row["zh"]), str(row["en"]))


def _named(text: Text, school: str) -> Text:
    body = Bilingual(text.body.zh.format(school=school), text.body.en.format(school=school))
    return replace(text, body=body)


async def _school_name(session: AsyncSession, matter: NotificationContext) -> str:
    found = await session.scalar(select(OrgUnit.name).where(OrgUnit.path == matter.path))
    return found or ""


# --- people ---


def the_student(matter: NotificationContext) -> People:
    return select(Student.id.label("student_id"), Student.school_id, Student.phone).where(
        Student.id == matter.student_id
    )


def registrars(matter: NotificationContext) -> People:
    return _staff().where(Account.kind == "registrar", Account.org_path == matter.path)


def superiors(matter: NotificationContext) -> People:
    """The accounts of the authority right above the school."""
    return _staff().where(
        Account.kind.in_(("bureau", "province")), Account.org_path == superior_path(matter.path)
    )


def superior_path(path: str) -> str:
    """Of the unit right above."""
    return superior_paths(path)[1]


def counselors(matter: NotificationContext, at: datetime) -> People:
    """The counselor of the student's class, and whoever stands in for them."""
    responsible = (
        select(ClassCounselor.counselor_id)
        .join(Student, Student.class_id == ClassCounselor.class_id)
        .where(Student.id == matter.student_id, ClassCounselor.until.is_(None))
    )
    standing_in = select(LeaveStandIn.stand_in_id).where(
        LeaveStandIn.counselor_id.in_(responsible), LeaveStandIn.starts_at <= at, LeaveStandIn.ends_at > at
    )
    own = or_(Account.counselor_id.in_(responsible), Account.counselor_id.in_(standing_in))
    return _staff().where(Account.kind == "counselor", own)


def _staff() -> People:
    return select(
        Account.id.label("account_id"), Account.org_path, Account.school_id, null().label("phone")
    ).where(Account.status == "active")
