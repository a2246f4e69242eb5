"""Consents: separate, revocable, and given to the current text (PIPL, articles 14, 15, 29 and 31)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, exists, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import BadInput, NotFound
from backend.core.ids import new_id
from backend.identity.devices.cool_down import record_cool_down_act, require_no_cool_down
from backend.identity.errors import (
    ConsentMissing,
    ConsentTextOutdated,
    FaceNotReady,
    GuardianNeeded,
    GuardianNotOnFile,
)
from backend.identity.events import FaceRouteChosen, LookConsentRevoked, NonFaceRouteChosen
from backend.identity.face.reasons import reason_json, refusal_reason
from backend.identity.face.templates import has_active_template, shred_face_data
from backend.identity.rules import age_on
from backend.identity.tables import FaceEnrolment, NonFaceRoute
from backend.people.guardians import revoke_links
from backend.people.tables import Consent, Guardian, Student
from backend.policy import PolicyAt

FACE_USE = "face_use"
TEMPLATE_STORAGE = "face_template_storage"
LOCATION = "location"
GUARDIAN_NOTICE = "guardian_notice"
"""Consent to notify the guardians on file by SMS, of what the answered text says; not part of activation."""
FACE_LOOK = "face_look"
"""Consent that staff compare a picture of a check-in with the ID portrait; not part of activation."""
FACE_SEARCH = "face_search"
"""Consent to search for the same face under another name; not part of activation."""
CONSENT_KINDS = (FACE_USE, TEMPLATE_STORAGE, LOCATION, GUARDIAN_NOTICE, FACE_LOOK, FACE_SEARCH)
FACE_CONSENTS = (FACE_USE, TEMPLATE_STORAGE)
LOOK_CONSENTS = (*FACE_CONSENTS, FACE_LOOK)
"""A person may see pictures of a check-in only while all of these are granted."""
SEARCH_CONSENTS = (*FACE_CONSENTS, FACE_SEARCH)
"""A face is compared with many others only while all of these are granted."""


@dataclass(frozen=True, slots=True)
class ConsentText:
    """A version of the text of a consent, as it is shown."""

    purpose: str
    version: str
    title_zh: str
    title_en: str
    zh: str
    en: str


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


def current_texts(policy: PolicyAt) -> dict[str, ConsentText]:
    """The current text of each kind of consent."""
    texts = consent_texts(policy)
    return {kind: texts[version] for kind, version in current_text_versions(policy).items()}


def consent_texts(policy: PolicyAt) -> dict[str, ConsentText]:
    """Every version of every text, by version; an answer refers to the version that was shown."""
    rows = policy.table("consent.texts")
    return {str(row["version"]): ConsentText(**{key: str(cell) for key, cell in row.items()}) for row in rows}


async def answer_consent(
    session: AsyncSession, actor: Actor, command: AnswerConsent, policy: PolicyAt, at: datetime
) -> Consent:
    """Record an answer. Revoking a consent about the face shreds the template and chooses the non-face route.

    Giving it again is possible at any time; a new enrolment then needs two persons (`face.review.replacements`).
    """
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
    if (
        command.granted
        and command.kind == GUARDIAN_NOTICE
        and not await has_reachable_guardian(session, student.id)
    ):
        raise GuardianNotOnFile
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
    if not command.granted:
        await _apply_revocation(session, actor, student, consent, at)
    after = {"kind": command.kind, "granted": command.granted, "text_version": command.text_version}
    audit.record(
        session, audit.Act("ConsentAnswered", "student", str(student.id), actor.org_path, after=after), at
    )
    return consent


async def _apply_revocation(
    session: AsyncSession, actor: Actor, student: Student, consent: Consent, at: datetime
) -> None:
    """What follows from a refused or withdrawn consent, in the same transaction."""
    if consent.kind in FACE_CONSENTS:
        await _stop_face_use(session, student, consent.kind, at)
    await record_cool_down_act(session, actor, "consent_revoked", consent.id, at)
    if consent.kind == GUARDIAN_NOTICE:
        await revoke_links(session, student.id, "consent_withdrawn", at)
    if consent.kind in LOOK_CONSENTS:
        revoked = LookConsentRevoked(school_id=student.school_id, student_id=student.id)
        await outbox.emit(session, revoked, at)


async def has_reachable_guardian(session: AsyncSession, student_id: UUID) -> bool:
    """Whether a guardian on file can be reached."""
    reachable = exists().where(
        Guardian.student_id == student_id, Guardian.is_guardian, Guardian.phone.is_not(None)
    )
    return bool(await session.scalar(select(reachable)))


async def _stop_face_use(session: AsyncSession, student: Student, kind: str, at: datetime) -> None:
    """Delete the template's key, end open enrolments, and switch the student to the non-face route.

    Retention deletes the shots, and the frames of check-ins that are final.
    """
    await shred_face_data(session, [student.id], at)
    reason = reason_json(refusal_reason(ConsentMissing(kind=kind)), None)
    await session.execute(
        update(FaceEnrolment)
        .where(FaceEnrolment.student_id == student.id, FaceEnrolment.status.in_(("pending", "review")))
        .values(status="refused", reasons=[reason], decided_at=at)
    )
    await choose_non_face_route(session, student, f"{kind} revoked", at)


def revoked_face_consent_since(
    student_id: ColumnElement[UUID], since: ColumnElement[datetime]
) -> ColumnElement[bool]:
    """The SQL condition that the student revoked a consent about the face at or after an instant."""
    return exists().where(
        Consent.student_id == student_id,
        Consent.kind.in_(FACE_CONSENTS),
        ~Consent.granted,
        Consent.at >= since,
    )


def select_revokers(since: datetime) -> Select[UUID]:
    """The students who revoked a consent about the face since an instant, as a query that runs once."""
    return select(Consent.student_id).where(
        Consent.kind.in_(FACE_CONSENTS), ~Consent.granted, Consent.at >= since
    )


async def choose_non_face_route(
    session: AsyncSession, student: Student, reason: str, at: datetime
) -> NonFaceRoute:
    """Record that the student is verified without a face, on equal terms (HN334-3.1); every reason is accepted."""
    route = _add_route(session, student.school_id, student.id, at, chosen=True, reason=reason)
    event = NonFaceRouteChosen(school_id=student.school_id, student_id=student.id)
    await outbox.emit(session, event, at)
    return route


async def return_to_face_route(session: AsyncSession, student: Student, at: datetime) -> None:
    """Record that the student is verified by face again. Raises `FaceNotReady` without consents and a template."""
    answers = await load_newest_consents(session, student.id)
    missing = [kind for kind in FACE_CONSENTS if kind not in answers or not answers[kind].granted]
    if missing or not await has_active_template(session, student.id):
        raise FaceNotReady
    await switch_to_face_route(session, student.school_id, student.id, at)


async def switch_to_face_route(
    session: AsyncSession, school_id: UUID, student_id: UUID, at: datetime
) -> None:
    """End the non-face route, if the student is on it: on request, or because a face was enrolled."""
    if not await has_chosen_non_face_route(session, student_id):
        return
    _add_route(session, school_id, student_id, at, chosen=False, reason="")
    await outbox.emit(session, FaceRouteChosen(school_id=school_id, student_id=student_id), at)


def _add_route(
    session: AsyncSession, school_id: UUID, student_id: UUID, at: datetime, *, chosen: bool, reason: str
) -> NonFaceRoute:
    route = NonFaceRoute(
        id=new_id(), school_id=school_id, student_id=student_id, chosen=chosen, reason=reason, at=at
    )
    session.add(route)
    return route


async def has_chosen_non_face_route(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student's newest choice is the non-face route."""
    newest = (
        select(NonFaceRoute.chosen)
        .where(NonFaceRoute.student_id == student_id)
        .order_by(NonFaceRoute.at.desc(), NonFaceRoute.id.desc())
        .limit(1)
    )
    return bool(await session.scalar(newest))


def is_on_non_face_route(student_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """The SQL condition that the student's newest choice is the non-face route."""
    newest: ScalarSelect[bool] = (
        select(NonFaceRoute.chosen)
        .where(NonFaceRoute.student_id == student_id)
        .order_by(NonFaceRoute.at.desc(), NonFaceRoute.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(newest, False)


async def load_newest_consents(session: AsyncSession, student_id: UUID) -> Mapping[str, Consent]:
    """The newest answer of each kind of consent, which is the valid one."""
    newest = (
        select(Consent)
        .where(Consent.student_id == student_id)
        .ext(distinct_on(Consent.kind))
        .order_by(Consent.kind, Consent.at.desc(), Consent.id.desc())
    )
    return {consent.kind: consent for consent in await session.scalars(newest)}


def has_granted(student_id: ColumnElement[UUID], *kinds: str) -> ColumnElement[bool]:
    """The SQL condition that the student's newest answer to each of these kinds is a consent."""
    return and_(*(func.coalesce(_newest_answer(student_id, kind), False) for kind in kinds))


def _newest_answer(student_id: ColumnElement[UUID], kind: str) -> ScalarSelect[bool]:
    return (
        select(Consent.granted)
        .where(Consent.student_id == student_id, Consent.kind == kind)
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
        .scalar_subquery()
    )


async def load_agreeing(
    session: AsyncSession, student_ids: Collection[UUID], kind: str, versions: Collection[str]
) -> set[UUID]:
    """Students whose newest answer of this kind is a consent to one of these versions of the text."""
    newest = (
        select(Consent.student_id, Consent.granted, Consent.text_version)
        .where(Consent.student_id.in_(student_ids), Consent.kind == kind)
        .ext(distinct_on(Consent.student_id))
        .order_by(Consent.student_id, Consent.at.desc(), Consent.id.desc())
    )
    return {
        row.student_id
        for row in await session.execute(newest)
        if row.granted and row.text_version in versions
    }


async def require_consents(session: AsyncSession, student_id: UUID, *kinds: str) -> None:
    """Raise `ConsentMissing` with the first of these kinds that is not granted."""
    answers = await load_newest_consents(session, student_id)
    for kind in kinds:
        if kind not in answers or not answers[kind].granted:
            raise ConsentMissing(kind=kind)
