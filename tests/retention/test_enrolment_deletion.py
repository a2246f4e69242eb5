"""Enrolment shots, portraits and templates are deleted after their retention period (THREATS 18 and 19)."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.face.templates import load_active_template
from backend.identity.pictures.refs import PictureRef
from backend.identity.pictures.tables import PictureKeyRecord
from backend.identity.tables import FaceEnrolment, FaceTemplateRecord, Portrait, TemplateKey
from backend.people.tables import Student
from backend.standing.store.tables import (
    StandingEntry,
)
from tests.support.pictures import picture_exists, seal_and_store
from tests.support.retention import (
    DAY,
    add_rows,
    check_in_undetermined,
    has_frames,
    make_appeal,
    make_appeal_decision,
    revoke_face_consent,
    run_retention,
    student_columns,
)
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone


async def store_pictures(
    scenario: RollCallScenario, student: StudentWithPhone, status: str
) -> tuple[FaceEnrolment, Portrait]:
    """Store files for the student's enrolment and portrait."""
    async with scenario.owner_transaction() as session:
        enrolment = (
            await session.scalars(select(FaceEnrolment).where(FaceEnrolment.student_id == student.student_id))
        ).one()
        portrait = (
            await session.scalars(select(Portrait).where(Portrait.student_id == student.student_id))
        ).one()
        enrolment.decided_at = portrait.decided_at = scenario.clock()
        portrait.status = status
    for number in range(enrolment.shots):
        await seal_and_store(scenario.app_context, shot(enrolment, number), b"shot")
    picture = PortraitRef.of(portrait).picture
    async with scenario.owner_transaction() as session:
        row = await session.get_one(Portrait, portrait.id)
        row.evidence_key = await seal_and_store(scenario.app_context, picture, b"portrait")
    return enrolment, portrait


def shot(enrolment: FaceEnrolment, number: int) -> PictureRef:
    return EnrolmentRef(enrolment.id, enrolment.school_id, enrolment.student_id).shot(number)


async def test_enrolment_shots_are_deleted_after_a_day_but_not_the_template(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    enrolment, _ = await store_pictures(scenario, student, "accepted")
    await run_retention(scenario, timedelta(hours=23))
    assert await picture_exists(scenario.app_context, shot(enrolment, 0))
    run = (await run_retention(scenario, timedelta(hours=2)))["enrolment_shots"]
    assert (run.items, run.files) == (1, enrolment.shots)
    assert not await picture_exists(scenario.app_context, shot(enrolment, 0))
    async with scenario.owner_transaction() as session:
        assert (await session.get_one(FaceEnrolment, enrolment.id)).shots_deleted_at == scenario.clock()
        assert await load_active_template(session, scenario.app_context.keys, student.student_id) is not None


async def test_enrolment_shots_are_deleted_at_once_after_a_withdrawn_consent(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    enrolment, portrait = await store_pictures(scenario, student, "accepted")
    await revoke_face_consent(scenario, student)
    assert (await run_retention(scenario))["enrolment_shots"].items == 1
    assert not await picture_exists(scenario.app_context, shot(enrolment, 0))
    # The portrait is part of the record of enrolment (学籍证件照), not of the consent.
    assert await picture_exists(scenario.app_context, PortraitRef.of(portrait).picture)


async def test_shots_of_a_pending_enrolment_are_kept(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    enrolment, _ = await store_pictures(scenario, student, "accepted")
    async with scenario.owner_transaction() as session:
        waiting = update(FaceEnrolment).where(FaceEnrolment.id == enrolment.id)
        await session.execute(waiting.values(status="pending", decided_at=None))
    await run_retention(scenario, 5 * DAY)
    assert await picture_exists(scenario.app_context, shot(enrolment, 0))


@pytest.mark.parametrize(
    ("status", "stays"), [("refused", False), ("replaced", False), ("accepted", True), ("review", True)]
)
async def test_refused_or_replaced_portraits_are_deleted(
    scenario: RollCallScenario, student: StudentWithPhone, status: str, stays: bool
) -> None:
    _, portrait = await store_pictures(scenario, student, status)
    await run_retention(scenario, 2 * DAY)
    assert await picture_exists(scenario.app_context, PortraitRef.of(portrait).picture) is stays
    async with scenario.owner_transaction() as session:
        assert ((await session.get_one(Portrait, portrait.id)).picture_deleted_at is None) is stays


async def leave_the_roll(scenario: RollCallScenario, student: StudentWithPhone, standing: str = "03") -> None:
    entry = StandingEntry(
        id=new_id(),
        **student_columns(student),
        seq=1,
        at=scenario.clock(),
        cause="edit",
        caused_by="test",
        outcome="",
        change_kind="31",
        standing_before="01",
        study_form_before="full_time",
        standing_after=standing,
        study_form_after="full_time",
        policy_version="x",
        trace={"rule": "standing_edit", "clause": "HN334-4.1b"},
        recorded_at=scenario.clock(),
    )
    await add_rows(scenario, entry)
    async with scenario.owner_transaction() as session:
        changed = update(Student).where(Student.id == student.student_id)
        await session.execute(changed.values(standing=standing))


@pytest.mark.parametrize("standing", ["03", "07", "14"])
async def test_template_and_portrait_are_deleted_a_month_after_leaving(
    scenario: RollCallScenario, student: StudentWithPhone, standing: str
) -> None:
    _, portrait = await store_pictures(scenario, student, "accepted")
    await leave_the_roll(scenario, student, standing)
    await run_retention(scenario, 29 * DAY)
    async with scenario.owner_transaction() as session:
        assert await load_active_template(session, scenario.app_context.keys, student.student_id) is not None
    run = await run_retention(scenario, DAY)
    assert (run["templates"].items, run["portraits"].items, run["picture_keys"].items) == (1, 1, 1)
    async with scenario.owner_transaction() as session:
        assert await session.get(PictureKeyRecord, student.student_id) is None
        shredded = select(AuditEntry.after).where(
            AuditEntry.action == "picture_key.shred", AuditEntry.subject_id == str(student.student_id)
        )
        assert await session.scalar(shredded) == {"why": "off the roll"}
    assert not await picture_exists(scenario.app_context, PortraitRef.of(portrait).picture)
    async with scenario.owner_transaction() as session:
        assert await session.get(TemplateKey, student.student_id) is None
        of_student = FaceTemplateRecord.student_id == student.student_id
        assert await session.scalar(select(FaceTemplateRecord.status).where(of_student)) == "shredded"
        entry = select(AuditEntry.after).where(
            AuditEntry.action == "face_template.shred", AuditEntry.subject_id == str(student.student_id)
        )
        assert await session.scalar(entry) == {"why": "off the roll"}


@pytest.mark.parametrize("standing", ["01", "02", "05", "06"])
async def test_suspended_or_absent_student_is_still_on_the_roll(
    scenario: RollCallScenario, student: StudentWithPhone, standing: str
) -> None:
    await leave_the_roll(scenario, student, standing)
    assert (await run_retention(scenario, 60 * DAY))["templates"].items == 0


@pytest.mark.clause("HN334-4.2")
async def test_open_appeal_keeps_the_template_after_leaving(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    await leave_the_roll(scenario, student)
    appeal = make_appeal(student, scenario.clock())
    await add_rows(scenario, appeal)
    assert (await run_retention(scenario, 60 * DAY))["templates"].items == 0
    await add_rows(scenario, make_appeal_decision(appeal, scenario.clock(), upheld=False))
    assert (await run_retention(scenario, 31 * DAY))["templates"].items == 1


async def test_picture_key_is_kept_while_a_frame_of_the_student_is_kept(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id, _ = await check_in_undetermined(scenario, student)
    await leave_the_roll(scenario, student, "07")
    run = await run_retention(scenario, 60 * DAY)
    assert (run["portraits"].items, run["picture_keys"].items) == (1, 0)
    assert await has_frames(scenario, submission_id)
