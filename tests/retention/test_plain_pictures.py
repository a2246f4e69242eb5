"""Upgrading: pictures that an earlier version stored as plain files are sealed."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.pictures.refs import PictureRef
from backend.identity.tables import FaceEnrolment, Portrait
from backend.retention.plain_pictures import seal_plain_pictures
from backend.roll_call.tables import SubmissionFrame
from tests.support.pictures import name_picture, picture_exists, read_picture, remove_pictures, seal_and_store
from tests.support.retention import DAY, run_retention
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone, render_burst


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


async def store_plain(scenario: RollCallScenario, picture: PictureRef, name: str, data: bytes) -> Path:
    """Store a picture as an earlier version did."""
    await remove_pictures(scenario.app_context, [picture])
    await scenario.app_context.evidence.put(name, data)
    return scenario.app_context.settings.evidence_dir / name


async def seal_all(scenario: RollCallScenario) -> int:
    return await seal_plain_pictures(scenario.app_context, lambda _: None)


async def test_plain_portraits_shots_and_frames_are_sealed_once(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    frames = render_burst(student.person)
    submission_id = await scenario.check_in(student, launched.roll_call.id, frames)
    of_student = student.student_id
    async with scenario.owner_transaction() as session:
        query = select(FaceEnrolment).where(FaceEnrolment.student_id == of_student)
        enrolment = (await session.scalars(query)).one()
        portrait = (await session.scalars(select(Portrait).where(Portrait.student_id == of_student))).one()
        frame = await session.get_one(SubmissionFrame, (submission_id, 0))
    shot = EnrolmentRef(enrolment.id, enrolment.school_id, of_student).shot(0)
    portrait_picture = PortraitRef.of(portrait).picture
    names = {
        portrait_picture: f"portrait/{of_student}/{portrait.id}",
        shot: f"enrolment/{of_student}/{enrolment.id}/0",
        frame.picture: f"frames/{launched.roll_call.id}/{submission_id}/0",
    }
    async with scenario.owner_transaction() as session:
        of_portrait, of_frame = Portrait.id == portrait.id, SubmissionFrame.submission_id == submission_id
        await session.execute(
            update(Portrait).where(of_portrait).values(evidence_key=names[portrait_picture])
        )
        await session.execute(
            update(SubmissionFrame)
            .where(of_frame, SubmissionFrame.position == 0)
            .values(evidence_key=names[frame.picture])
        )
    files = [
        await store_plain(scenario, picture, name, str(picture.kind).encode())
        for picture, name in names.items()
    ]
    assert not await picture_exists(scenario.app_context, shot)
    assert await seal_all(scenario) == len(files)
    for picture in names:
        assert await read_picture(scenario.app_context, picture) == str(picture.kind).encode()
    assert not any(file.exists() for file in files)
    assert await seal_all(scenario) == 0


async def test_interrupted_run_keeps_the_sealed_picture(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    """The picture was sealed and re-encoded meanwhile; the plain file, which was not deleted yet, does not replace it."""
    async with scenario.owner_transaction() as session:
        query = select(FaceEnrolment).where(FaceEnrolment.student_id == student.student_id)
        enrolment = (await session.scalars(query)).one()
    shot = EnrolmentRef(enrolment.id, enrolment.school_id, enrolment.student_id).shot(0)
    plain = await store_plain(
        scenario, shot, f"enrolment/{enrolment.student_id}/{enrolment.id}/0", b"as uploaded"
    )
    await seal_and_store(scenario.app_context, shot, b"re-encoded")
    assert await seal_all(scenario) == 1
    assert await read_picture(scenario.app_context, shot) == b"re-encoded"
    assert not plain.exists()


async def test_retention_deletes_a_sealed_portrait_whose_row_has_the_earlier_name(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    async with scenario.owner_transaction() as session:
        query = select(Portrait).where(Portrait.student_id == student.student_id)
        portrait = (await session.scalars(query)).one()
        portrait.evidence_key = f"portrait/{student.student_id}/{portrait.id}"
        portrait.status, portrait.decided_at = "refused", scenario.clock()
    picture = PortraitRef.of(portrait).picture
    await seal_and_store(scenario.app_context, picture, b"portrait")
    file = scenario.app_context.settings.evidence_dir / await name_picture(scenario.app_context, picture)
    assert file.exists()
    await run_retention(scenario, 2 * DAY)
    assert not file.exists()
