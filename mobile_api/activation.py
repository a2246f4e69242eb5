"""Phone endpoints for activation: record, consents, face or the non-face alternative, portrait (HN334-3.1)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from backend.core.errors import BadInput, NotFound
from backend.core.web.problems import problem_responses
from backend.identity import student_record
from backend.identity.accounts.activation_schemas import StudentMeOut, student_me_out
from backend.identity.accounts.own_profile import load_own_profile
from backend.identity.consent_schemas import (
    ConsentIn,
    ConsentOut,
    ConsentTextOut,
    NonFaceRouteIn,
    consent_out,
    consent_text_out,
)
from backend.identity.consents import (
    AnswerConsent,
    answer_consent,
    choose_non_face_route,
    consent_texts,
    current_texts,
    load_newest_consents,
    return_to_face_route,
)
from backend.identity.devices.cool_down import record_cool_down_act
from backend.identity.face import enrolment, portraits
from backend.identity.face.schemas import PictureStateOut, picture_state_out
from backend.identity.policy import province_policy
from backend.identity.record_schemas import (
    RecordCheckIn,
    RecordCheckOut,
    RecordOut,
    record_check_out,
    record_out,
)
from backend.people.tables import Student
from mobile_api.caller import PhoneCaller
from mobile_api.pictures import pictures_body, read_pictures

TextVersion = Annotated[str, Path(pattern="^[a-z0-9-]{1,60}$", examples=["face-use-1"])]
"""The version of a consent text."""

router = APIRouter(prefix="/v1/me", tags=["激活 · activation"])


@router.get("", responses=problem_responses(401, 404))
async def get_me(caller: PhoneCaller) -> StudentMeOut:
    """我是谁、激活进度、辅导员和现在能做什么 · Who I am, the activation steps, the counselor, and what I can do now."""
    policy = province_policy(caller.app_context, caller.at)
    async with caller.transaction() as session:
        profile = await load_own_profile(session, caller.actor, policy, caller.at)
    limit = caller.app_context.settings.request_body_limit
    return student_me_out(caller.actor, profile, limit, caller.at)


@router.get("/record", responses=problem_responses(401, 404))
async def get_record(caller: PhoneCaller) -> RecordOut:
    """我的学籍信息 · Get the own record, to check it for correctness."""
    async with caller.transaction() as session:
        return record_out(
            await student_record.load_own_record(session, caller.actor, caller.app_context.keys)
        )


@router.post("/record/checks", status_code=201, responses=problem_responses(401, 422))
async def check_own_record(body: RecordCheckIn, caller: PhoneCaller) -> RecordCheckOut:
    """核对学籍信息 · Confirm the record, or request the correction of a field."""
    correction, keys = body.correction(), caller.app_context.keys
    async with caller.transaction() as session:
        if correction is None:
            check = await student_record.confirm_record(session, caller.actor, caller.at)
        else:
            check = await student_record.request_correction(
                session, caller.actor, keys, correction, caller.at
            )
    return record_check_out(check, keys)


@router.get("/record/checks", responses=problem_responses(401))
async def list_record_checks(caller: PhoneCaller) -> list[RecordCheckOut]:
    """更正申请进度 · List the own checks of the record, newest first, with the decisions on corrections."""
    async with caller.transaction() as session:
        checks = await student_record.load_own_checks(session, caller.actor)
    return [record_check_out(check, caller.app_context.keys) for check in checks]


@router.get("/consents", responses=problem_responses(401))
async def list_consents(caller: PhoneCaller) -> list[ConsentOut]:
    """同意书 · List each kind of consent with its current text and the newest answer."""
    assert caller.actor.student_id is not None
    texts = current_texts(province_policy(caller.app_context, caller.at))
    async with caller.transaction() as session:
        answers = await load_newest_consents(session, caller.actor.student_id)
    return [consent_out(text, answers.get(kind)) for kind, text in texts.items()]


@router.post("/consents", status_code=201, responses=problem_responses(401, 404, 409, 422))
async def answer_own_consent(body: ConsentIn, caller: PhoneCaller) -> ConsentOut:
    """同意或撤回 · Give or revoke one consent; revoking is as easy as giving."""
    policy = province_policy(caller.app_context, caller.at)
    command = AnswerConsent(body.kind, body.granted, body.text_version, body.guardian_name)
    async with caller.transaction() as session:
        answer = await answer_consent(session, caller.actor, command, policy, caller.at)
    return consent_out(current_texts(policy)[answer.kind], answer)


@router.get("/consent-texts/{text_version}", responses=problem_responses(401, 404, 422))
async def get_consent_text(text_version: TextVersion, caller: PhoneCaller) -> ConsentTextOut:
    """同意书文本（含旧版） · Get a version of a consent text, also an earlier one."""
    text = consent_texts(province_policy(caller.app_context, caller.at)).get(text_version)
    if text is None:
        raise NotFound
    return consent_text_out(text)


@router.post(
    "/face",
    status_code=202,
    responses=problem_responses(400, 401, 409, 413, 415, 422, 429),
    openapi_extra=pictures_body("shots", 3, 5),
)
async def enrol_own_face(request: Request, caller: PhoneCaller) -> PictureStateOut:
    """采集人脸 · Submit several shots of one's own face; they are judged in the background.

    After a withdrawn consent, the state becomes `review`: two persons must approve the new face.
    """
    shots = await read_pictures(request, "shots", caller.app_context.settings.request_body_limit)
    return picture_state_out(await enrolment.submit_shots(caller.app_context, caller.actor, shots))


@router.post(
    "/face-replacement",
    status_code=202,
    responses=problem_responses(400, 401, 409, 413, 415, 422, 429),
    openapi_extra=pictures_body("shots", 3, 5),
)
async def replace_own_face(request: Request, caller: PhoneCaller) -> PictureStateOut:
    """更换人脸 · Submit new shots to replace the enrolled face; two persons must approve them.

    One person of the school and one of its superior. Until then the earlier face stays in use.
    """
    shots = await read_pictures(request, "shots", caller.app_context.settings.request_body_limit)
    return picture_state_out(await enrolment.submit_replacement(caller.app_context, caller.actor, shots))


@router.get("/face", responses=problem_responses(401))
async def get_face(caller: PhoneCaller) -> PictureStateOut:
    """人脸采集结果 · Get the state of the last enrolment, with a reason for each refused shot."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        return picture_state_out(await enrolment.load_newest_enrolment(session, caller.actor.student_id))


@router.post(
    "/portrait",
    status_code=202,
    responses=problem_responses(400, 401, 409, 413, 415, 422),
    openapi_extra=pictures_body("image", 1, 1),
)
async def submit_own_portrait(request: Request, caller: PhoneCaller) -> PictureStateOut:
    """提交学籍证件照 · Submit the ID portrait; it is judged in the background."""
    images = await read_pictures(request, "image", caller.app_context.settings.request_body_limit)
    if len(images) != 1:
        raise BadInput(field="image", reason_zh="应为一张证件照", reason_en="send exactly one picture")
    return picture_state_out(await portraits.submit_portrait(caller.app_context, caller.actor, images[0]))


@router.get("/portrait", responses=problem_responses(401))
async def get_portrait(caller: PhoneCaller) -> PictureStateOut:
    """学籍证件照结果 · Get the state of the last portrait."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        return picture_state_out(await portraits.load_newest_portrait(session, caller.actor.student_id))


@router.post("/non-face-route", status_code=204, responses=problem_responses(401, 404, 422))
async def take_non_face_route(body: NonFaceRouteIn, caller: PhoneCaller) -> Response:
    """选择非人脸方式 · Choose verification without a face, on equal terms."""
    async with caller.transaction() as session:
        student = await session.get(Student, caller.actor.student_id)
        if student is None:
            raise NotFound
        route = await choose_non_face_route(session, student, body.reason, caller.at)
        await record_cool_down_act(session, caller.actor, "non_face_route", route.id, caller.at)
    return Response(status_code=204)


@router.post("/face-route", status_code=204, responses=problem_responses(401, 404, 409))
async def take_face_route(caller: PhoneCaller) -> Response:
    """改回人脸方式 · Go back to verification by face; it needs both consents and an enrolled face."""
    async with caller.transaction() as session:
        student = await session.get(Student, caller.actor.student_id)
        if student is None:
            raise NotFound
        await return_to_face_route(session, student, caller.at)
    return Response(status_code=204)
