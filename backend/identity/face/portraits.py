"""Submits the ID portrait (学籍证件照, HN334-3.1). A worker judges it, see `portrait_judgement`."""

import hashlib
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.identity.accounts.activation import open_activation_steps
from backend.identity.errors import EnrolmentPending, FaceStepOpen
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.face.pictures import check_portrait
from backend.identity.face.policy import shot_decoding
from backend.identity.face.tasks import judge_portrait
from backend.identity.pictures.keys import ensure_picture_key
from backend.identity.pictures.store import delete_pictures, put_picture
from backend.identity.policy import province_policy
from backend.identity.tables import Portrait


async def submit_portrait(app_context: AppContext, actor: Actor, image: bytes) -> Portrait:
    """Store the picture and enqueue its judgement.

    Raises `FaceStepOpen` before the face step is done, `EnrolmentPending` while another portrait is being judged.
    """
    assert actor.school_id is not None
    assert actor.student_id is not None
    async with app_context.database.transaction(actor.scope) as session:
        if "face" in await open_activation_steps(session, actor.student_id):
            raise FaceStepOpen
        key = await ensure_picture_key(
            session, app_context.keys, actor.school_id, actor.student_id, app_context.clock()
        )
    policy = province_policy(app_context, app_context.clock())
    limits = replace(shot_decoding(policy), min_side=policy.integer("portrait.min_width"))
    check_portrait(image, limits, policy.integer("portrait.min_height"))
    ref = PortraitRef(new_id(), actor.school_id, actor.student_id)
    portrait = Portrait(
        id=ref.portrait_id,
        school_id=ref.school_id,
        student_id=ref.student_id,
        evidence_key=ref.picture.evidence_key(key),
        sha256=hashlib.sha256(image).digest(),
        status="pending",
        reasons=[],
        submitted_at=app_context.clock(),
    )
    await put_picture(app_context, key, ref.picture, image)
    try:
        async with app_context.database.transaction(actor.scope) as session:
            session.add(portrait)
            await session.flush()
            student = {"school_id": str(ref.school_id), "student_id": str(ref.student_id)}
            await enqueue(session, judge_portrait, portrait_id=str(ref.portrait_id), **student)
    except IntegrityError as error:
        await delete_pictures(app_context, key, [ref.picture])
        raise EnrolmentPending from error
    return portrait


async def load_newest_portrait(session: AsyncSession, student_id: UUID) -> Portrait | None:
    """The student's latest portrait, whatever its status."""
    newest = (
        select(Portrait)
        .where(Portrait.student_id == student_id)
        .order_by(Portrait.submitted_at.desc(), Portrait.id.desc())
        .limit(1)
    )
    return (await session.scalars(newest)).one_or_none()
