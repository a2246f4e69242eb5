"""Looks for tests: a check-in whose face no score can confirm, stored pictures, and the open requests."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select

from backend.core.ids import new_id
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.tables import Portrait
from backend.people.tables import Consent
from backend.retention.frame_reencoding import reencode_verified_frames
from backend.roll_call.tables import LookRequest, SubmissionFrame
from backend.roll_call.verification import analysis
from tests.support.pictures import seal_and_store
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone, render_frame


def make_faces_unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    """No threshold was learned: every usable face that answers its challenge needs a person."""
    decide = analysis._face_evidence

    def unproven(*args: Any) -> analysis.FaceEvidence:
        found = decide(*args)
        if found.face != "accept":
            return found
        return analysis.FaceEvidence("unproven", (), found.liveness, found.likeness)

    monkeypatch.setattr(analysis, "_face_evidence", unproven)


async def allow_looks(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    """The student agrees that a person looks, and the portrait has a picture."""
    actor, at = student.actor, scenario.clock()
    async with scenario.owner_transaction() as session:
        session.add(
            Consent(
                id=new_id(),
                school_id=actor.school_id,
                student_id=actor.student_id,
                kind="face_look",
                text_version="face-look-1",
                granted=True,
                at=at,
            )
        )
        portrait = (
            await session.scalars(select(Portrait).where(Portrait.student_id == actor.student_id))
        ).one()
    picture = PortraitRef.of(portrait).picture
    await seal_and_store(scenario.app_context, picture, render_frame(student.person, 900))


async def remove_portrait(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    async with scenario.owner_transaction() as session:
        await session.execute(delete(Portrait).where(Portrait.student_id == student.student_id))


async def activate_with_looks(
    scenario: RollCallScenario, count: int, klass: int = 0
) -> list[StudentWithPhone]:
    """Activate students of a class, all of whom agree that a person looks."""
    students = [await scenario.activate(each) for each in scenario.school.classes[klass].students[:count]]
    for each in students:
        await allow_looks(scenario, each)
    return students


async def reencode_frames(scenario: RollCallScenario) -> None:
    """Re-encode uploaded frames, after which people may see them."""
    await reencode_verified_frames(scenario.app_context)


async def load_requests(scenario: RollCallScenario, roll_call_id: UUID) -> list[LookRequest]:
    """The requests of a roll call, oldest first."""
    async with scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(LookRequest).where(LookRequest.roll_call_id == roll_call_id).order_by(LookRequest.id)
        )
        return list(rows)


async def load_kept_frames(scenario: RollCallScenario, submission_id: UUID) -> list[int]:
    """The positions of frames whose copy is kept."""
    async with scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(SubmissionFrame.position)
            .where(SubmissionFrame.submission_id == submission_id, SubmissionFrame.kept_sha256 != b"")
            .order_by(SubmissionFrame.position)
        )
        return list(rows)
