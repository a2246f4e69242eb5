"""Makes templates again for another engine, from the enrolment shots that are still stored.

The same shots of the same student were accepted before, so no person has to approve them again. A student whose shots do not
make a template with the new engine keeps the old one, which its own engine still judges while it is enabled.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.face.picture_refs import EnrolmentRef
from backend.identity.face.policy import enrolment_rules
from backend.identity.face.pool import face_pool
from backend.identity.face.selfie_fingerprints import replace_enrolment_fingerprint
from backend.identity.face.templates import replace_template_by_same_shots
from backend.identity.pictures.keys import load_picture_key
from backend.identity.pictures.store import get_picture
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment, FaceTemplateRecord
from backend.org.tables import OrgUnit
from biometrics.engines.base import EngineKey
from biometrics.errors import BiometricsError
from biometrics.tasks import EnrolmentResult, Shot


class Reembedding(StrEnum):
    """What became of one student's template."""

    DONE = "done"
    REFUSED = "refused"
    """The shots make no template with the new engine. The old template stays."""
    SHOTS_GONE = "shots_gone"
    """Retention deleted the shots, or their key, meanwhile. The student enrols again."""
    CHANGED = "changed"
    """The student's template ended or was replaced meanwhile."""


@dataclass(frozen=True, slots=True)
class StoredShots:
    """The shots behind an active template of another engine."""

    ref: EnrolmentRef
    template_id: UUID
    engine: EngineKey
    shots: int


async def load_templates_to_reembed(
    session: AsyncSession, enrols: EngineKey, school_id: UUID | None = None
) -> list[StoredShots]:
    """Active templates of other engines whose shots are stored, ordered by school and student."""
    made_by = tuple_(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
    outdated = (
        select(FaceTemplateRecord, FaceEnrolment.shots)
        .join(FaceEnrolment, FaceEnrolment.id == FaceTemplateRecord.enrolment_id)
        .where(
            FaceTemplateRecord.status == "active",
            made_by != tuple_(enrols.id, enrols.version),
            FaceEnrolment.shots_deleted_at.is_(None),
        )
        .order_by(FaceTemplateRecord.school_id, FaceTemplateRecord.student_id)
    )
    if school_id is not None:
        outdated = outdated.where(FaceTemplateRecord.school_id == school_id)
    return [
        StoredShots(
            EnrolmentRef(row.enrolment_id, row.school_id, row.student_id),
            row.id,
            EngineKey(row.engine_id, row.engine_version),
            shots,
        )
        for row, shots in await session.execute(outdated)
    ]


async def reembed(app_context: AppContext, stored: StoredShots) -> Reembedding:
    """Make one template again. Reads and judges the shots outside any transaction; safe to repeat after a kill."""
    ref = stored.ref
    async with app_context.database.transaction(ref.scope) as session:
        key = await load_picture_key(session, app_context.keys, ref.student_id)
    try:
        shots = [Shot(await get_picture(app_context, key, picture)) for picture in ref.pictures(stored.shots)]
    except FileNotFoundError:
        return Reembedding.SHOTS_GONE
    pool = app_context.service(face_pool)
    rules = enrolment_rules(province_policy(app_context, app_context.clock()), pool.enrolment_engine().key.id)
    try:
        result: EnrolmentResult = await pool.enrol(shots, rules)
    except BiometricsError:
        return Reembedding.REFUSED
    if result.template is None or result.template.engine == stored.engine:
        return Reembedding.REFUSED
    return await _replace(app_context, stored, result)


async def _replace(app_context: AppContext, stored: StoredShots, result: EnrolmentResult) -> Reembedding:
    assert result.template is not None
    ref, at = stored.ref, app_context.clock()
    fingerprints = [report.fingerprint for report in result.shots if not report.reasons]
    hashes = [each.phash for each in fingerprints if each is not None]
    async with app_context.database.transaction(ref.scope) as session:
        enrolment = await session.get(FaceEnrolment, ref.enrolment_id, with_for_update=True)
        if enrolment is None or enrolment.shots_deleted_at is not None:
            return Reembedding.SHOTS_GONE
        if not await replace_template_by_same_shots(
            session, app_context.keys, enrolment, stored.template_id, result.template, at
        ):
            return Reembedding.CHANGED
        await replace_enrolment_fingerprint(
            session, app_context.keys, enrolment, result.template.descriptor(), hashes, at
        )
        enrolment.engine = str(result.template.engine)
        act = audit.Act(
            "face_template.reembed",
            "student",
            str(ref.student_id),
            await _path_of(session, ref.school_id),
            before={"engine": str(stored.engine)},
            after={"engine": str(result.template.engine)},
        )
        audit.record(session, act, at)
    return Reembedding.DONE


async def _path_of(session: AsyncSession, school_id: UUID) -> str:
    return (await session.scalars(select(OrgUnit.path).where(OrgUnit.id == school_id))).one()


async def load_all_to_reembed(
    app_context: AppContext, scope: Scope, school_id: UUID | None
) -> list[StoredShots]:
    """The work of a run, read in one transaction of `scope`."""
    enrols = app_context.service(face_pool).enrolment_engine().key
    async with app_context.database.transaction(scope) as session:
        return await load_templates_to_reembed(session, enrols, school_id)
