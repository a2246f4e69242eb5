"""The ID portrait (学籍证件照, HN334-3.1): one picture, compared with the enrolled face where there is one.

Without a face on file, or between the thresholds, a person looks: the score alone refuses nobody but a
clear stranger, and that one may try again.
"""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.core.tenancy import Scope
from backend.identity.accounts.activation import activation_gaps
from backend.identity.errors import EnrolmentPending, FaceStepOpen, PicturesUnjudged
from backend.identity.face.enrolment import as_reason, face_pool, reason_row
from backend.identity.face.match_references import reference_of
from backend.identity.face.pictures import keep_redrawn, refuse_unsound
from backend.identity.face.policy import enrolment_rules, thresholds
from backend.identity.policy import province_policy
from backend.identity.tables import Portrait
from backend.policy import PolicyAt
from biometrics.checks import BurstResult, Shot
from biometrics.errors import BiometricsError
from biometrics.matching.decision import Decision, decide
from biometrics.matching.scoring import Reference
from biometrics.pictures.decoding import ImageBroken
from biometrics.pictures.quality import Reason

OTHER_PERSON = Reason(
    "portrait_other_person",
    "证件照与采集的人脸不符。请本人重新拍摄；如有疑问请联系学校管理员。",
    "The portrait does not look like the enrolled face. Take it again, of yourself, or ask the registrar.",
)


@dataclass(frozen=True, slots=True)
class PortraitRef:
    """Which portrait of whom; identifiers only, so that a job may carry it."""

    portrait_id: UUID
    school_id: UUID
    student_id: UUID

    @property
    def evidence_key(self) -> str:
        """Where the evidence store keeps the picture."""
        return f"portrait/{self.student_id}/{self.portrait_id}"

    @property
    def scope(self) -> Scope:
        """The student's own view."""
        return Scope.student(self.school_id, self.student_id)


@dataclass(frozen=True, slots=True)
class PortraitVerdict:
    """What is kept of a judgement."""

    status: str
    score: float | None
    reasons: list[dict[str, Any]]


async def submit_portrait(app_context: AppContext, actor: Actor, image: bytes) -> Portrait:
    """Keep the picture and leave the judgement to a worker; raises FaceStepOpen before the face is settled."""
    from backend.identity.face.tasks import judge_portrait  # noqa: PLC0415 - the job calls this module back

    assert actor.school_id is not None
    assert actor.student_id is not None
    async with app_context.database.transaction(actor.scope) as session:
        if "face" in await activation_gaps(session, actor.student_id):
            raise FaceStepOpen
    refuse_unsound([image])
    ref = PortraitRef(new_id(), actor.school_id, actor.student_id)
    portrait = Portrait(
        id=ref.portrait_id,
        school_id=ref.school_id,
        student_id=ref.student_id,
        evidence_key=ref.evidence_key,
        sha256=hashlib.sha256(image).digest(),
        status="pending",
        reasons=[],
        submitted_at=app_context.clock(),
    )
    await app_context.evidence.put(ref.evidence_key, image)
    try:
        async with app_context.database.transaction(actor.scope) as session:
            session.add(portrait)
            await session.flush()
            who = {"school_id": str(ref.school_id), "student_id": str(ref.student_id)}
            await enqueue(session, judge_portrait, portrait_id=str(ref.portrait_id), **who)
    except IntegrityError as error:
        await app_context.evidence.delete([ref.evidence_key])
        raise EnrolmentPending from error
    return portrait


async def judge(app_context: AppContext, ref: PortraitRef) -> None:
    """Judge a portrait with no transaction open, then keep the verdict in a short one.

    A refused picture is deleted soon after; an accepted one is the 学籍证件照 and stays while the student does.
    """
    law = province_policy(app_context, app_context.clock())
    async with app_context.database.transaction(Scope.school(ref.school_id)) as session:
        portrait = await _pending(session, ref)
        reference = await reference_of(
            session, app_context.keys, ref.student_id, law, school_id=ref.school_id
        )
    if portrait is None:
        return
    try:
        image = await app_context.evidence.get(ref.evidence_key)
        verdict = PortraitVerdict("review", None, [])
        if reference is not None:
            verdict = await _by_face(app_context, image, reference, law)
    except BiometricsError as refusal:
        verdict = PortraitVerdict("refused", None, [reason_row(as_reason(refusal), 0)])
    kept = await keep_redrawn(app_context.evidence, app_context.service(face_pool), ref.evidence_key)
    if kept is None and verdict.status != "refused":
        verdict = PortraitVerdict("refused", None, [reason_row(as_reason(ImageBroken()), 0)])
    await _conclude(app_context, ref, verdict, kept)


async def give_up(app_context: AppContext, ref: PortraitRef) -> None:
    """Refuse what no attempt could judge: left pending, it would keep its student from ever sending another."""
    await _conclude(
        app_context, ref, PortraitVerdict("refused", None, [reason_row(as_reason(PicturesUnjudged()), 0)])
    )


async def _conclude(
    app_context: AppContext, ref: PortraitRef, verdict: PortraitVerdict, kept: bytes | None = None
) -> None:
    at = app_context.clock()
    async with app_context.database.transaction(ref.scope) as session:
        portrait = await _pending(session, ref)
        if portrait is None:
            return
        portrait.status, portrait.score, portrait.reasons = verdict.status, verdict.score, verdict.reasons
        portrait.decided_at = at
        if kept is not None:
            portrait.sha256 = hashlib.sha256(kept).digest()
        if verdict.status == "accepted":
            await _replace_earlier(session, portrait)
        payload = {
            "school_id": str(ref.school_id),
            "student_id": str(ref.student_id),
            "status": verdict.status,
        }
        await outbox.emit(session, "PortraitJudged", payload, at)


async def _replace_earlier(session: AsyncSession, portrait: Portrait) -> None:
    earlier = (
        Portrait.student_id == portrait.student_id,
        Portrait.id != portrait.id,
        Portrait.status.in_(["accepted", "review"]),
    )
    await session.execute(update(Portrait).where(*earlier).values(status="replaced"))


async def _by_face(
    app_context: AppContext, image: bytes, reference: Reference, law: PolicyAt
) -> PortraitVerdict:
    result: BurstResult = await app_context.service(face_pool).judge(
        [Shot(image)], reference, enrolment_rules(law)
    )
    score = result.score
    if score is None or result.quality_reasons:
        return PortraitVerdict("refused", None, [reason_row(reason, 0) for reason in result.quality_reasons])
    decision = decide(score.value, score.method, thresholds(law, reference.template.engine, score.method))
    if decision is Decision.REJECT:
        return PortraitVerdict("refused", score.value, [reason_row(OTHER_PERSON, 0)])
    return PortraitVerdict("accepted" if decision is Decision.ACCEPT else "review", score.value, [])


async def _pending(session: AsyncSession, ref: PortraitRef) -> Portrait | None:
    waiting = (
        select(Portrait).where(Portrait.id == ref.portrait_id, Portrait.status == "pending").with_for_update()
    )
    return (await session.scalars(waiting)).one_or_none()


async def newest_portrait(session: AsyncSession, student_id: UUID) -> Portrait | None:
    """The latest portrait, whatever became of it."""
    newest = (
        select(Portrait)
        .where(Portrait.student_id == student_id)
        .order_by(Portrait.submitted_at.desc(), Portrait.id.desc())
        .limit(1)
    )
    return (await session.scalars(newest)).one_or_none()
