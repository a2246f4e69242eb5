"""Comparing the face on a new phone with the enrolled one, in the worker. The shots are deleted in any case."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.tenancy import Scope
from backend.identity.errors import PicturesUnjudged, RebindingFaceUnavailable
from backend.identity.face.calibration.lookup import (
    StudentThresholds,
    ThresholdQuery,
    load_one_student_thresholds,
)
from backend.identity.face.match_references import load_reference
from backend.identity.face.policy import enrolment_rules
from backend.identity.face.pool import face_pool
from backend.identity.face.reasons import reason_json, refusal_reason
from backend.identity.pictures.keys import load_picture_key
from backend.identity.pictures.refs import PictureKind, PictureRef
from backend.identity.pictures.store import delete_pictures, get_picture
from backend.identity.policy import province_policy
from backend.identity.tables import Registration
from backend.org.tables import OrgUnit
from backend.policy import PolicyAt
from biometrics.errors import BiometricsError
from biometrics.matching.decision import Decision, decide
from biometrics.matching.scoring import MatchReference
from biometrics.pictures.quality import Reason
from biometrics.tasks import BurstResult, Shot

OTHER_FACE = Reason(
    "rebinding_face_differs",
    "与采集的人脸不能确认为同一人。请本人在光线充足处重新拍摄，或当面向辅导员领取当面绑定码。",
    "The face could not be confirmed. Take new pictures in good light, or ask your counselor in person for a binding code.",
)


NO_THRESHOLD = Reason(
    "rebinding_no_threshold",
    "本校或本组学生尚无可用的人脸阈值，无法自动比对。请当面向辅导员领取当面绑定码。",
    "No face threshold was learned for your school or group yet. Ask your counselor in person for a binding code.",
)


@dataclass(frozen=True, slots=True)
class RebindingRef:
    """One registration whose face is compared."""

    registration_id: UUID
    school_id: UUID
    student_id: UUID

    def shot(self, position: int) -> PictureRef:
        """One of the shots."""
        kind = PictureKind.REBINDING_SHOT
        return PictureRef(kind, self.school_id, self.student_id, self.registration_id, position)

    def pictures(self, count: int) -> list[PictureRef]:
        """The first `count` shots."""
        return [self.shot(number) for number in range(count)]

    @property
    def scope(self) -> Scope:
        """The student's own scope."""
        return Scope.student(self.school_id, self.student_id)


async def judge_rebinding_face(app_context: AppContext, ref: RebindingRef) -> None:
    """Compare the shots outside any transaction, then record the result in a short one."""
    policy = province_policy(app_context, app_context.clock())
    async with app_context.database.transaction(Scope.school(ref.school_id)) as session:
        registration = await _lock_pending(session, ref)
        reference = await load_reference(
            session, app_context.keys, ref.student_id, policy, school_id=ref.school_id
        )
        key = await load_picture_key(session, app_context.keys, ref.student_id)
        thresholds = None
        if reference is not None:
            query = ThresholdQuery(ref.student_id, reference, policy, legal_day(app_context.clock()))
            thresholds = await load_one_student_thresholds(session, app_context, ref.school_id, query)
    if registration is None:
        return
    pictures = ref.pictures(registration.face_shots)
    try:
        shots = [Shot(await get_picture(app_context, key, picture)) for picture in pictures]
        reasons = await _compare(app_context, shots, reference, policy, thresholds)
    except BiometricsError as refusal:
        reasons = [refusal_reason(refusal)]
    await _record(app_context, ref, reasons)
    await delete_pictures(app_context, key, pictures)


async def refuse_unjudged_face(app_context: AppContext, ref: RebindingRef) -> None:
    """Refuse shots that no attempt could compare; left pending, they would block the student."""
    await _record(app_context, ref, [refusal_reason(PicturesUnjudged())])
    async with app_context.database.transaction(ref.scope) as session:
        shots = await session.scalar(
            select(Registration.face_shots).where(Registration.id == ref.registration_id)
        )
        key = await load_picture_key(session, app_context.keys, ref.student_id)
    await delete_pictures(app_context, key, ref.pictures(shots or 0))


async def _compare(
    app_context: AppContext,
    shots: list[Shot],
    reference: MatchReference | None,
    policy: PolicyAt,
    thresholds: StudentThresholds | None,
) -> list[Reason]:
    """The reasons against the shots; none if they show the enrolled face. Without thresholds, the counselor decides."""
    if reference is None or thresholds is None:
        return [refusal_reason(RebindingFaceUnavailable())]
    result: BurstResult = await app_context.service(face_pool).verify(
        shots, reference, enrolment_rules(policy)
    )
    score = result.score
    if score is None or result.quality_reasons:
        return list(result.quality_reasons) or [OTHER_FACE]
    if thresholds.limits is None:
        return [NO_THRESHOLD]
    decision = decide(score.value, score.method, thresholds.limits)
    return [] if decision is Decision.ACCEPT else [OTHER_FACE]


async def _record(app_context: AppContext, ref: RebindingRef, reasons: list[Reason]) -> None:
    at = app_context.clock()
    async with app_context.database.transaction(ref.scope) as session:
        registration = await _lock_pending(session, ref)
        if registration is None:
            return
        stored: list[dict[str, Any]] = [reason_json(reason, None) for reason in reasons]
        registration.face_status = "refused" if reasons else "matched"
        registration.face_reasons = stored
        school_path = await session.scalar(select(OrgUnit.path).where(OrgUnit.id == ref.school_id))
        after = {"face": registration.face_status, "reasons": [each["code"] for each in stored]}
        act = audit.Act(
            "RebindingFaceCompared", "student", str(ref.student_id), str(school_path), after=after
        )
        audit.record(session, act, at)


async def _lock_pending(session: AsyncSession, ref: RebindingRef) -> Registration | None:
    """The registration, locked; None once its face was compared."""
    pending = (
        select(Registration)
        .where(Registration.id == ref.registration_id, Registration.face_status == "pending")
        .with_for_update()
    )
    return (await session.scalars(pending)).one_or_none()
