"""Consents: separate, revocable, and given to the current text (PIPL, articles 14, 15, 29 and 31)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import BadInput, NotFound
from backend.core.ids import new_id
from backend.identity.devices.cool_down import record_cool_down_act, require_no_cool_down
from backend.identity.errors import ConsentMissing, ConsentTextOutdated, GuardianNeeded
from backend.identity.events import NonFaceRouteChosen
from backend.identity.face.templates import shred_face_data
from backend.identity.rules import age_on
from backend.identity.tables import NonFaceRoute
from backend.people.tables import Consent, Student
from backend.policy import PolicyAt

FACE_USE = "face_use"
TEMPLATE_STORAGE = "face_template_storage"
LOCATION = "location"
GUARDIAN_NOTICE = "guardian_notice"
"""Consent to notify the guardians on file of leave by SMS; not part of activation."""
FACE_CONSENTS = (FACE_USE, TEMPLATE_STORAGE)


@dataclass(frozen=True, slots=True)
class AnswerConsent:
    """The answer to one consent question; `text_version` is the version of the text that was shown."""

    kind: str
    granted: bool
    text_version: str
    guardian_name: str | None


def current_text_versions(policy: PolicyAt) -> dict[str, str]:
    """The version of the current text of each kind of consent."""
    return {str(row["purpose"]): str(row["version"]) for row in policy.table("consent.versions")}


async def answer_consent(
    session: AsyncSession, actor: Actor, command: AnswerConsent, policy: PolicyAt, at: datetime
) -> Consent:
    """Record an answer. Revoking a consent about the face shreds the template and chooses the non-face route."""
    assert actor.student_id is not None
    texts = current_text_versions(policy)
    if command.kind not in texts:
        names = ", ".join(texts)
        raise BadInput(field="kind", reason_zh=f"应为 {names} 之一", reason_en=f"must be one of {names}")
    if command.granted and command.text_version != texts[command.kind]:
        current = texts[command.kind]
        raise ConsentTextOutdated(current=current)
    student = await session.get(Student, actor.student_id)
    if student is None:
        raise NotFound
    if command.granted and command.kind in FACE_CONSENTS:
        await require_no_cool_down(session, student.id, at)
    age = policy.integer("identity.guardian_consent_below")
    is_minor = age_on(student.birth_date, legal_day(at)) < age
    if command.granted and is_minor and command.guardian_name is None:
        raise GuardianNeeded(age=age)
    consent = Consent(
        id=new_id(),
        school_id=student.school_id,
        student_id=student.id,
        kind=command.kind,
        text_version=command.text_version,
        granted=command.granted,
        guardian_name=command.guardian_name,
        at=at,
    )
    session.add(consent)
    if not command.granted and command.kind in FACE_CONSENTS:
        await _stop_face_use(session, student, command.kind, at)
    if not command.granted:
        await record_cool_down_act(session, actor, "consent_revoked", consent.id, at)
    after = {"kind": command.kind, "granted": command.granted, "text_version": command.text_version}
    audit.record(
        session, audit.Act("ConsentAnswered", "student", str(student.id), actor.org_path, after=after), at
    )
    return consent


async def _stop_face_use(session: AsyncSession, student: Student, kind: str, at: datetime) -> None:
    """Delete the template's key and switch the student to the non-face route, as there is no consent any more."""
    await shred_face_data(session, [student.id], at)
    await choose_non_face_route(session, student, f"{kind} revoked", at)


async def choose_non_face_route(
    session: AsyncSession, student: Student, reason: str, at: datetime
) -> NonFaceRoute:
    """Record that the student is verified without a face, on equal terms (HN334-3.1); every reason is accepted."""
    route = NonFaceRoute(
        id=new_id(), school_id=student.school_id, student_id=student.id, reason=reason, at=at
    )
    session.add(route)
    event = NonFaceRouteChosen(school_id=student.school_id, student_id=student.id)
    await outbox.emit(session, event, at)
    return route


async def load_newest_consents(session: AsyncSession, student_id: UUID) -> Mapping[str, Consent]:
    """The newest answer of each kind of consent, which is the valid one."""
    newest = (
        select(Consent)
        .where(Consent.student_id == student_id)
        .ext(distinct_on(Consent.kind))
        .order_by(Consent.kind, Consent.at.desc(), Consent.id.desc())
    )
    return {consent.kind: consent for consent in await session.scalars(newest)}


async def require_consents(session: AsyncSession, student_id: UUID, *kinds: str) -> None:
    """Raise `ConsentMissing` with the first of these kinds that is not granted."""
    answers = await load_newest_consents(session, student_id)
    for kind in kinds:
        if kind not in answers or not answers[kind].granted:
            raise ConsentMissing(kind=kind)
