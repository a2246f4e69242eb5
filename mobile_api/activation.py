"""The steps of a student's activation: record, consents, face or the way without one, portrait (HN334-3.1)."""

from fastapi import APIRouter, Request, Response

from backend.core.errors import BadInput, NotFound
from backend.core.keys import KeyRing
from backend.core.web.problems import documented
from backend.identity import student_record
from backend.identity.accounts.activation import STEPS, activation_gaps
from backend.identity.accounts.activation_schemas import (
    ConsentIn,
    ConsentOut,
    MeOut,
    NonFaceRouteIn,
    PictureStateOut,
    ReasonOut,
    RecordCheckIn,
    RecordCheckOut,
    RecordOut,
)
from backend.identity.consents import (
    AnswerConsent,
    answer_consent,
    choose_non_face_route,
    newest_consents,
    texts_in_force,
)
from backend.identity.devices.service import active_device
from backend.identity.face import enrolment, portraits
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment, Portrait
from backend.people.tables import Consent, RecordCheck, Student
from mobile_api.caller import PhoneCaller
from mobile_api.pictures import pictures_body, read_pictures

router = APIRouter(prefix="/v1/me", tags=["激活 · activation"])


@router.get("", responses=documented(401, 404))
async def me(caller: PhoneCaller) -> MeOut:
    """激活进度 · Which steps are done and which are open."""
    student_id = caller.actor.student_id
    assert student_id is not None
    async with caller.transaction() as session:
        student = await session.get(Student, student_id)
        gaps = await activation_gaps(session, student_id)
        device = await active_device(session, student_id)
    if student is None:
        raise NotFound
    return MeOut(
        account_id=caller.actor.account_id,
        student_id=student_id,
        name=student.name,
        done=[step for step in STEPS if step not in gaps],
        open=gaps,
        activated=not gaps,
        cool_down_until=device.cool_down_until if device else None,
    )


@router.get("/record", responses=documented(401, 404))
async def my_record(caller: PhoneCaller) -> RecordOut:
    """我的学籍信息 · The own record, to be checked against the document."""
    async with caller.transaction() as session:
        own = await student_record.own_record(session, caller.actor, caller.app_context.keys)
    return RecordOut(
        name=own.name,
        sex=own.sex,
        birth_date=own.birth_date,
        document_kind=own.document_kind,
        id_number=own.id_number,
        student_number=own.student_number,
        school_name=own.school_name,
        class_name=own.class_name,
        grade=own.grade,
        major=own.major,
        programme=own.programme,
        study_form=own.study_form,
        standing=own.standing,
        entry_month=own.entry_month,
        phone=own.phone,
    )


def _check(check: RecordCheck, keys: KeyRing) -> RecordCheckOut:
    return RecordCheckOut(
        id=check.id,
        status=check.status,
        field=check.field,
        claimed=student_record.claimed_value(check, keys),
        at=check.at,
        decided_at=check.decided_at,
        decided_note=check.decided_note,
    )


@router.post("/record/checks", status_code=201, responses=documented(401, 422))
async def check_record(body: RecordCheckIn, caller: PhoneCaller) -> RecordCheckOut:
    """核对学籍信息 · The record is right, or a field should hold something else."""
    claim, keys = _claim(body), caller.app_context.keys
    async with caller.transaction() as session:
        if claim is None:
            check = await student_record.confirm_record(session, caller.actor, caller.at)
        else:
            check = await student_record.claim_wrong(session, caller.actor, keys, claim, caller.at)
    return _check(check, keys)


def _claim(body: RecordCheckIn) -> student_record.ClaimWrong | None:
    if body.result == "confirmed":
        if body.field is not None or body.claimed is not None:
            raise BadInput(
                field="result", reason_zh="确认无误时不填更正项", reason_en="a confirmation claims no field"
            )
        return None
    if body.field is None or body.claimed is None:
        raise BadInput(
            field="field",
            reason_zh="请填写有误的项目和正确内容",
            reason_en="say which field is wrong and what it should hold",
        )
    return student_record.ClaimWrong(body.field, body.claimed, body.note)


@router.get("/record/checks", responses=documented(401))
async def my_checks(caller: PhoneCaller) -> list[RecordCheckOut]:
    """更正申请进度 · The own looks at the record, newest first, and what became of claims."""
    async with caller.transaction() as session:
        checks = await student_record.own_checks(session, caller.actor)
    return [_check(check, caller.app_context.keys) for check in checks]


def _consent(kind: str, text_version: str, answer: Consent | None) -> ConsentOut:
    return ConsentOut(
        kind=kind,
        text_version=text_version,
        granted=answer.granted if answer else None,
        answered_version=answer.text_version if answer else None,
        at=answer.at if answer else None,
    )


@router.get("/consents", responses=documented(401))
async def my_consents(caller: PhoneCaller) -> list[ConsentOut]:
    """同意书 · Each kind of consent with its text in force and the newest answer."""
    assert caller.actor.student_id is not None
    texts = texts_in_force(province_policy(caller.app_context, caller.at))
    async with caller.transaction() as session:
        answers = await newest_consents(session, caller.actor.student_id)
    return [_consent(kind, version, answers.get(kind)) for kind, version in texts.items()]


@router.post("/consents", status_code=201, responses=documented(401, 404, 422))
async def consent(body: ConsentIn, caller: PhoneCaller) -> ConsentOut:
    """同意或撤回 · One answer to one question; taking it back is as easy as giving it."""
    at = caller.at
    law = province_policy(caller.app_context, at)
    command = AnswerConsent(body.kind, body.granted, body.text_version, body.guardian_name)
    async with caller.transaction() as session:
        answer = await answer_consent(session, caller.actor, command, law, at)
    return _consent(answer.kind, texts_in_force(law)[answer.kind], answer)


def _state(row: FaceEnrolment | Portrait | None) -> PictureStateOut:
    if row is None:
        return PictureStateOut(state="none")
    return PictureStateOut.model_validate(
        {
            "state": row.status,
            "reasons": [ReasonOut.model_validate(reason) for reason in row.reasons],
            "submitted_at": row.submitted_at,
            "decided_at": row.decided_at,
        }
    )


@router.post(
    "/face",
    status_code=202,
    responses=documented(400, 401, 409, 413, 415, 422, 429),
    openapi_extra=pictures_body("shots", 3, 5),
)
async def enrol_face(request: Request, caller: PhoneCaller) -> PictureStateOut:
    """采集人脸 · Several shots of one's own face; the result follows."""
    shots = await read_pictures(request, "shots", caller.app_context.settings.request_body_limit)
    return _state(await enrolment.submit_shots(caller.app_context, caller.actor, shots))


@router.get("/face", responses=documented(401))
async def my_face(caller: PhoneCaller) -> PictureStateOut:
    """人脸采集结果 · What became of the last shots, with a reason for each refused one."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        return _state(await enrolment.newest_enrolment(session, caller.actor.student_id))


@router.post(
    "/portrait",
    status_code=202,
    responses=documented(400, 401, 409, 413, 415, 422),
    openapi_extra=pictures_body("image", 1, 1),
)
async def submit_portrait(request: Request, caller: PhoneCaller) -> PictureStateOut:
    """提交学籍证件照 · The ID portrait; the result follows."""
    images = await read_pictures(request, "image", caller.app_context.settings.request_body_limit)
    if len(images) != 1:
        raise BadInput(field="image", reason_zh="应为一张证件照", reason_en="it is one picture")
    return _state(await portraits.submit_portrait(caller.app_context, caller.actor, images[0]))


@router.get("/portrait", responses=documented(401))
async def my_portrait(caller: PhoneCaller) -> PictureStateOut:
    """学籍证件照结果 · What became of the last portrait."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        return _state(await portraits.newest_portrait(session, caller.actor.student_id))


@router.post("/non-face-route", status_code=204, responses=documented(401, 404, 422))
async def non_face_route(body: NonFaceRouteIn, caller: PhoneCaller) -> Response:
    """选择非人脸方式 · Pass without a face from now on, on equal terms."""
    async with caller.transaction() as session:
        student = await session.get(Student, caller.actor.student_id)
        if student is None:
            raise NotFound
        await choose_non_face_route(session, student, body.reason, caller.at)
    return Response(status_code=204)
