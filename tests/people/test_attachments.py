"""Attachments: inspection, storage, attaching to facts, reading, and clean-up."""

import asyncio
import io
import zipfile
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from PIL import Image
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.attachment_inspection import inspect_upload
from backend.people.attachment_cleanup import delete_unused_uploads
from backend.people.attachment_errors import (
    AttachmentQuota,
    AttachmentTypeRefused,
    AttachmentUnreadable,
    AttachmentUnusable,
    TooManyAttachments,
)
from backend.people.attachment_files import FileContent, evidence_key, read_attachment, store_upload
from backend.people.attachments import AttachmentSubject, attach_files, load_attachments
from backend.people.tables import Attachment
from biometrics.errors import BiometricsError
from tests.support.biometrics.pictures import encode_picture, noise_picture
from tests.support.leave import LeaveScenario
from tests.support.province import (
    PROVINCE_PATH,
    SampleStudent,
    counselor_account,
    province_account,
    registrar_account,
)

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
SCAN = FileContent("application/pdf", PDF)


def student_actor(desk: LeaveScenario, pupil: SampleStudent | None = None) -> Actor:
    """The student, with the same account throughout the test."""
    pupil = pupil or desk.pupil
    return replace(desk.student(pupil), account_id=pupil.id)


async def upload(desk: LeaveScenario, actor: Actor | None = None, pupil: SampleStudent | None = None) -> UUID:
    actor, pupil = actor or student_actor(desk, pupil), pupil or desk.pupil
    return (await store_upload(desk.roll_call_scenario.app_context, actor, pupil.id, SCAN, desk.at)).id


async def attach_to_fact(
    desk: LeaveScenario,
    ids: list[UUID],
    actor: Actor | None = None,
    pupil: SampleStudent | None = None,
    subject_type: str = "reason_claim",
) -> AttachmentSubject:
    actor, pupil = actor or student_actor(desk, pupil), pupil or desk.pupil
    to = AttachmentSubject(subject_type, new_id(), desk.school.id, pupil.id)
    async with desk.transaction(actor) as session:
        await attach_files(session, actor, ids, to, desk.at)
    return to


async def read_content(desk: LeaveScenario, actor: Actor, attachment_id: UUID) -> bytes:
    return (await read_attachment(desk.roll_call_scenario.app_context, actor, attachment_id, desk.at)).data


async def load_row(desk: LeaveScenario, attachment_id: UUID) -> Attachment:
    async with desk.roll_call_scenario.owner_transaction() as session:
        row: Attachment = await session.get_one(Attachment, attachment_id)
    return row


# --- inspection ---


async def test_a_picture_is_reencoded_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    original = encode_picture(noise_picture(), "JPEG", exif=exif, comment=b"by Zhang San")
    inspected = await inspect_upload(original, "image/jpeg")
    assert inspected.media_type == "image/jpeg"
    assert b"SecretCamera" in original
    assert not any(mark in inspected.data for mark in (b"SecretCamera", b"Exif", b"Zhang San"))
    with Image.open(io.BytesIO(inspected.data)) as image:
        assert (image.size, dict(image.getexif())) == ((64, 48), {})


async def test_a_png_is_stored_as_a_jpeg() -> None:
    inspected = await inspect_upload(encode_picture(noise_picture(), "PNG"), "image/png")
    assert (inspected.media_type, inspected.data[:3]) == ("image/jpeg", b"\xff\xd8\xff")


async def test_small_print_of_a_large_photograph_stays_legible() -> None:
    inspected = await inspect_upload(encode_picture(noise_picture(3000, 2400), "JPEG"), "image/jpeg")
    with Image.open(io.BytesIO(inspected.data)) as image:
        assert 2000 <= min(image.size) <= 2400


async def test_a_pdf_is_stored_unchanged() -> None:
    assert await inspect_upload(PDF, "application/pdf; charset=binary") == SCAN


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (b"", "image/jpeg"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<html><script>alert(1)</script>", "application/pdf"),
        (encode_picture(noise_picture(), "WEBP"), "image/webp"),
        (encode_picture(noise_picture(), "GIF"), "image/gif"),
        (b"PK\x03\x04" + PDF, "application/pdf"),
        (b"\n" + PDF, "application/pdf"),
        (b"MZ\x90\x00", "application/octet-stream"),
        (PDF, "image/jpeg"),
        (PDF, "text/html"),
        (PDF, None),
        (encode_picture(noise_picture(), "PNG"), "image/jpeg"),
    ],
)
async def test_an_unsupported_or_mislabelled_file_is_refused(data: bytes, declared: str | None) -> None:
    with pytest.raises(AttachmentTypeRefused):
        await inspect_upload(data, declared)


def archive() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("payload.html", "<script>alert(1)</script>" * 200)
    return target.getvalue()


@pytest.mark.parametrize("data", [PDF[:-7], PDF + archive()])
async def test_a_pdf_without_its_end_marker_is_refused(data: bytes) -> None:
    with pytest.raises(AttachmentUnreadable):
        await inspect_upload(data, "application/pdf")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_picture(noise_picture(), "JPEG") + archive(), "image_trailing_data"),
        (encode_picture(noise_picture(), "JPEG")[:-300], "image_truncated"),
        (encode_picture(noise_picture(), "JPEG").replace(b"\xff\xda", b"\xff\xfe", 1), "image_truncated"),
        (encode_picture(Image.new("CMYK", (64, 64)), "JPEG"), "image_colour_unsupported"),
        (encode_picture(Image.new("1", (6000, 6000)), "PNG"), "image_too_large"),
    ],
)
async def test_a_polyglot_truncated_or_oversized_picture_is_refused(data: bytes, code: str) -> None:
    declared = "image/png" if data.startswith(b"\x89") else "image/jpeg"
    with pytest.raises(BiometricsError) as refusal:
        await inspect_upload(data, declared)
    assert refusal.value.code == code


# --- storage ---


async def test_content_is_encrypted_and_bound_to_its_row(desk: LeaveScenario) -> None:
    one, other = await upload(desk), await upload(desk)
    rows = [await load_row(desk, each) for each in (one, other)]
    evidence = desk.roll_call_scenario.app_context.evidence
    assert PDF not in await evidence.get(evidence_key(rows[0]))
    await evidence.put(evidence_key(rows[0]), await evidence.get(evidence_key(rows[1])))
    assert await read_content(desk, student_actor(desk), other) == PDF
    with pytest.raises(InvalidTag):
        await read_content(desk, student_actor(desk), one)


async def test_uploads_per_account_student_and_day_are_limited(desk: LeaveScenario) -> None:
    for _ in range(29):
        await upload(desk)
    both = await asyncio.gather(upload(desk), upload(desk), return_exceptions=True)
    assert [type(each) for each in both if isinstance(each, Exception)] == [AttachmentQuota]
    await upload(desk, desk.counselor)
    desk.set_clock(days=1)
    await upload(desk)


async def test_uploads_about_students_of_others_are_refused(desk: LeaveScenario) -> None:
    strangers = (
        student_actor(desk, desk.school.students[1]),
        counselor_account(desk.school, desk.school.classes[1]),
        registrar_account(desk.roll_call_scenario.world.sister),
    )
    for actor in strangers:
        with pytest.raises(NotFound):
            await upload(desk, actor, desk.pupil)


# --- attaching to a fact ---


async def test_files_are_attached_in_the_order_given(desk: LeaveScenario) -> None:
    ids = [await upload(desk) for _ in range(3)]
    order = [ids[2], ids[0], ids[1]]
    to, without = await attach_to_fact(desk, order), new_id()
    async with desk.transaction(student_actor(desk)) as session:
        found = await load_attachments(session, "reason_claim", [to.subject_id, without])
    assert [view.id for view in found[to.subject_id]] == order
    assert found[without] == []


async def test_a_file_is_attached_once_even_in_parallel(desk: LeaveScenario) -> None:
    file = await upload(desk)
    both = await asyncio.gather(
        attach_to_fact(desk, [file]), attach_to_fact(desk, [file]), return_exceptions=True
    )
    assert [type(each) for each in both if isinstance(each, Exception)] == [AttachmentUnusable]
    with pytest.raises(AttachmentUnusable):
        await attach_to_fact(desk, [file])


async def test_only_the_callers_own_files_about_the_same_student_are_usable(desk: LeaveScenario) -> None:
    classmate = desk.school.students[1]
    own, theirs = await upload(desk), await upload(desk, pupil=classmate)
    schools, bureaus = await upload(desk, desk.counselor), await upload(desk, desk.roll_call_scenario.bureau)
    for ids in ([theirs], [schools], [bureaus], [new_id()], [own, own], [own, theirs]):
        with pytest.raises(AttachmentUnusable):
            await attach_to_fact(desk, ids)
    for actor, ids in (
        (desk.counselor, [own]),
        (desk.counselor, [bureaus]),
        (desk.roll_call_scenario.bureau, [schools]),
    ):
        with pytest.raises(AttachmentUnusable):
            await attach_to_fact(desk, ids, actor)
    await attach_to_fact(desk, [own])
    await attach_to_fact(desk, [schools], desk.roll_call_scenario.registrar)
    await attach_to_fact(desk, [bureaus], desk.roll_call_scenario.bureau)


async def test_files_per_fact_are_limited(desk: LeaveScenario) -> None:
    ids = [await upload(desk) for _ in range(10)]
    with pytest.raises(TooManyAttachments):
        await attach_to_fact(desk, ids)
    await attach_to_fact(desk, ids[:9])


async def test_the_database_refuses_a_file_on_another_students_fact(desk: LeaveScenario) -> None:
    file, classmate = await upload(desk), desk.school.students[1]
    put = text(
        "INSERT INTO attachment_link (attachment_id, school_id, student_id, subject_type, subject_id, position,"
        " linked_by, linked_at) VALUES (:file, :school, :student, 'x', :subject, 0, :file, :at)"
    )
    values = {"file": file, "school": desk.school.id, "subject": new_id(), "at": desk.at}
    with pytest.raises(IntegrityError, match="fk_attachment_link_attachment"):
        async with desk.transaction(desk.roll_call_scenario.registrar) as session:
            await session.execute(put, values | {"student": classmate.id})
    for change in (
        "DELETE FROM attachment",
        "UPDATE attachment SET sha256 = ''",
        "DELETE FROM attachment_link",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with desk.transaction(student_actor(desk)) as session:
                await session.execute(text(change))


# --- reading ---


async def find_readers(desk: LeaveScenario, attachment_id: UUID) -> set[str]:
    everybody = {
        "student": student_actor(desk),
        "classmate": student_actor(desk, desk.school.students[1]),
        "counselor": desk.counselor,
        "colleague": desk.colleague,
        "registrar": desk.roll_call_scenario.registrar,
        "other school": registrar_account(desk.roll_call_scenario.world.sister),
        "bureau": desk.roll_call_scenario.bureau,
        "province": province_account(desk.roll_call_scenario.world.province),
    }
    found = set()
    for name, actor in everybody.items():
        try:
            await read_content(desk, actor, attachment_id)
        except NotFound:
            continue
        found.add(name)
    return found


async def test_superiors_read_files_of_facts_they_decide_but_not_of_leave(desk: LeaveScenario) -> None:
    waiting, claim, leave = await upload(desk), await upload(desk), await upload(desk)
    await attach_to_fact(desk, [claim])
    await attach_to_fact(desk, [leave], subject_type="leave_request")
    school = {"student", "counselor", "registrar"}
    assert await find_readers(desk, waiting) == {"student"}
    assert await find_readers(desk, claim) == school | {"bureau", "province"}
    assert await find_readers(desk, leave) == school


async def test_reading_of_files_by_staff_is_audited(desk: LeaveScenario) -> None:
    file = await upload(desk)
    await attach_to_fact(desk, [file])
    counselor = desk.counselor
    for actor in (student_actor(desk), counselor):
        await read_content(desk, actor, file)
    async with desk.roll_call_scenario.owner_transaction() as session:
        entries = await session.execute(
            select(AuditEntry.action, AuditEntry.acting_account).where(AuditEntry.subject_id == str(file))
        )
        found = {tuple(entry) for entry in entries}
    uploaded = ("attachment_uploaded", student_actor(desk).account_id)
    assert found == {uploaded, ("attachment_read", counselor.account_id)}


# --- clean-up ---


async def test_unused_uploads_are_deleted_after_a_day(desk: LeaveScenario) -> None:
    app_context, province = desk.roll_call_scenario.app_context, Scope.wide(PROVINCE_PATH)
    left, used = await upload(desk), await upload(desk)
    await attach_to_fact(desk, [used])
    desk.roll_call_scenario.clock.at += timedelta(hours=23)
    fresh = await upload(desk)
    desk.roll_call_scenario.clock.at += timedelta(hours=2)
    gone = await delete_unused_uploads(app_context, province, desk.at)
    assert gone.files >= 1
    assert gone.size_bytes >= len(PDF)
    with pytest.raises(FileNotFoundError):
        await app_context.evidence.get(evidence_key(await load_row(desk, left)))
    with pytest.raises(NotFound):
        await read_content(desk, student_actor(desk), left)
    with pytest.raises(AttachmentUnusable):
        await attach_to_fact(desk, [left])
    for inspected in (used, fresh):
        assert await read_content(desk, student_actor(desk), inspected) == PDF
    assert (await delete_unused_uploads(app_context, province, desk.at)).files == 0


async def test_an_interrupted_upload_is_unusable_and_deleted(
    desk: LeaveScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_context = desk.roll_call_scenario.app_context
    put = app_context.evidence.put

    async def cut_off(key: str, data: bytes) -> None:
        await put(key, data)
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(app_context.evidence, "put", cut_off)
        with pytest.raises(ConnectionError):
            await upload(desk)
    async with desk.roll_call_scenario.owner_transaction() as session:
        half = await session.scalar(select(Attachment).where(Attachment.student_id == desk.pupil.id))
    assert half is not None
    assert half.stored_at is None
    with pytest.raises(AttachmentUnusable):
        await attach_to_fact(desk, [half.id])
    desk.set_clock(days=2)
    await delete_unused_uploads(app_context, Scope.wide(PROVINCE_PATH), desk.at)
    with pytest.raises(FileNotFoundError):
        await app_context.evidence.get(evidence_key(half))


async def test_an_interrupted_deletion_is_finished_by_the_next_run(
    desk: LeaveScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_context, province = desk.roll_call_scenario.app_context, Scope.wide(PROVINCE_PATH)
    file = await upload(desk)
    desk.set_clock(days=2)

    async def down(keys: list[str]) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(app_context.evidence, "delete", down)
        with pytest.raises(ConnectionError):
            await delete_unused_uploads(app_context, province, desk.at)
    with pytest.raises(AttachmentUnusable):
        await attach_to_fact(desk, [file])
    await delete_unused_uploads(app_context, province, desk.at)
    with pytest.raises(FileNotFoundError):
        await app_context.evidence.get(evidence_key(await load_row(desk, file)))
