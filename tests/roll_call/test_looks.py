"""Looks: where no score may decide, a person compares a picture with the ID portrait; no answer makes a miss."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.consents import AnswerConsent, answer_consent
from backend.identity.events import LookConsentRevoked
from backend.identity.pictures.tables import PictureView
from backend.identity.policy import province_policy
from backend.identity.tables import Portrait
from backend.org.calendar_years import get_working_calendar
from backend.roll_call import rules
from backend.roll_call.looks import answers
from backend.roll_call.looks.closing import close_after_revocation
from backend.roll_call.looks.tasks import close_ended_looks
from backend.roll_call.reason_texts import what_to_do
from backend.roll_call.student_queries import load_student_roll_call
from backend.roll_call.tables import LookClosing, RollCall
from backend.roll_call.voiding import void_roll_call
from backend.staff_api.roll_calls import attestations, looks, results, roll_calls
from tests.support.province import counselor_account, province_account, registrar_account
from tests.support.retention import run_retention
from tests.support.roll_call.looks import (
    activate_with_looks,
    load_kept_frames,
    load_requests,
    make_faces_unproven,
    reencode_frames,
    remove_portrait,
)
from tests.support.roll_call.scenario import WINDOW, RollCallScenario
from tests.support.roll_call.student_phone import OUTSIDE, StudentWithPhone, make_fixes, render_burst
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")
LOOKS = "/v1/looks"


@pytest.fixture(autouse=True)
def unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    make_faces_unproven(monkeypatch)


@pytest.fixture(autouse=True)
def nothing_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "is_sampled", lambda *_: False)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(
        scenario.app_context, looks.router, attestations.router, roll_calls.router, results.router
    )
    yield client
    await client.http.aclose()


@pytest.fixture
def counselor(scenario: RollCallScenario) -> Actor:
    return counselor_account(scenario.school, scenario.school.classes[0])


async def check_in(
    scenario: RollCallScenario, count: int = 1, **launch: Any
) -> tuple[UUID, list[StudentWithPhone]]:
    """Check in students of one class, whose verdicts need a look."""
    roll_call_id = (await scenario.launch(**launch)).roll_call.id
    students = await activate_with_looks(scenario, count)
    for each in students:
        verdict = await scenario.pass_roll_call(each, roll_call_id)
        assert verdict.reasons == ["face_needs_look"]
    await reencode_frames(scenario)
    return roll_call_id, students


async def answer(api: StaffClient, actor: Actor, look_id: UUID | str, same: str = "yes") -> Any:
    """Open all pictures that the actor may see, then answer."""
    for each in (*range(8), "portrait"):
        await api.get(actor, f"{LOOKS}/{look_id}/pictures/{each}")
    return await answer_unseen(api, actor, look_id, same)


async def answer_unseen(api: StaffClient, actor: Actor, look_id: UUID | str, same: str = "yes") -> Any:
    return await api.post(actor, f"{LOOKS}/{look_id}/answer", {"same": same})


async def open_pictures(api: StaffClient, actor: Actor, look: dict[str, Any]) -> list[bytes]:
    paths = [f"{LOOKS}/{look['id']}/pictures/{each}" for each in (*look["frames"], "portrait")]
    answered = [await api.get(actor, path) for path in paths]
    assert [each.status_code for each in answered] == [200] * len(paths), [each.text for each in answered]
    return [each.content for each in answered]


# --- the school's look ---


async def test_counselor_confirms_a_face_with_one_answer(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    assert (look["side"], look["reason"], look["is_review"]) == ("school", "face_needs_look", False)
    assert len(look["frames"]) == 1
    frame, portrait = await open_pictures(api, counselor, look)
    assert frame[:2] == b"\xff\xd8"
    assert portrait != frame
    answered = await answer(api, counselor, look["id"])
    assert (answered.status_code, answered.json()["same"]) == (201, "yes")
    assert "sampled" not in answered.json()
    entry = (await scenario.outcomes(roll_call_id))[student.student_id]
    assert (entry.outcome, entry.reason, entry.method) == ("present", "looked_at", "look")
    assert (entry.trace["frames"], entry.trace["side"]) == (look["frames"], "school")
    assert (await answer(api, counselor, look["id"])).json()["code"] == "look_answered"
    assert await api.every(counselor, LOOKS) == []


async def test_each_view_of_a_picture_is_recorded(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    _, (student,) = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    await open_pictures(api, counselor, look)
    await open_pictures(api, counselor, look)
    async with scenario.owner_transaction() as session:
        views = await session.scalars(
            select(PictureView).where(PictureView.student_id == student.student_id).order_by(PictureView.id)
        )
        viewed = [(each.kind, each.position, each.purpose) for each in views]
    expected = [("frame", look["frames"][0], "check_in_look"), ("portrait", 0, "check_in_look")]
    assert viewed == expected * 2


async def test_answer_without_having_opened_the_pictures_is_refused(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    assert (await answer_unseen(api, counselor, look["id"])).json()["code"] == "look_pictures_not_seen"
    await api.get(counselor, f"{LOOKS}/{look['id']}/pictures/portrait")
    assert (await answer_unseen(api, counselor, look["id"])).json()["code"] == "look_pictures_not_seen"
    await open_pictures(api, counselor, look)
    assert (await answer_unseen(api, counselor, look["id"])).status_code == 201


async def test_only_the_pictures_of_the_request_are_shown(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    other = next(each for each in range(8) if each not in look["frames"])
    assert (await api.get(counselor, f"{LOOKS}/{look['id']}/pictures/{other}")).status_code == 404
    assert (await api.get(counselor, f"{LOOKS}/{look['id']}/pictures/x")).status_code == 422


async def test_uploaded_bytes_are_not_shown_before_they_are_reencoded(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(student, roll_call_id)
    (look,) = await api.every(counselor, LOOKS)
    early = await api.get(counselor, f"{LOOKS}/{look['id']}/pictures/{look['frames'][0]}")
    assert (early.status_code, early.json()["code"]) == (409, "look_picture_not_ready")


async def test_looks_are_addressed_to_counselor_and_registrar_of_the_student(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id, _ = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS, roll_call_id=roll_call_id)
    assert len(await api.every(scenario.registrar, LOOKS, class_id=look["class_id"])) == 1
    others = (
        counselor_account(scenario.school, scenario.school.classes[1]),
        registrar_account(scenario.world.sister),
        scenario.bureau,
        province_account(scenario.world.province),
    )
    for other in others:
        assert await api.every(other, LOOKS, roll_call_id=roll_call_id) == []
        assert (await answer(api, other, look["id"])).status_code == 404
        assert (await api.get(other, f"{LOOKS}/{look['id']}/pictures/portrait")).status_code == 404


async def test_looks_are_listed_in_pages_by_expiry(api: StaffClient, scenario: RollCallScenario) -> None:
    _, students = await check_in(scenario, 3)
    listed = await api.every(scenario.registrar, LOOKS, limit=1)
    assert {each["student_id"] for each in listed} == {str(each.student_id) for each in students}


async def test_unconfirmed_face_goes_to_the_counselor_and_is_never_missed(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    launched = await scenario.launch()
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(student, launched.roll_call.id)
    await reencode_frames(scenario)
    (look,) = await api.every(counselor, LOOKS)
    assert (await answer(api, counselor, look["id"], "no")).status_code == 201
    assert await scenario.load_refusals(student) == [("look", "look_not_confirmed")]
    missing = (await api.get(counselor, f"/v1/roll-calls/{launched.roll_call.id}/missing")).json()["items"]
    assert [
        each["sent_to_a_person"] for each in missing if each["student_id"] == str(student.student_id)
    ] == [True]
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, student) == ("undetermined", "face_needs_look")


async def test_doubt_of_the_school_is_passed_to_the_launching_side_with_two_pictures(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    assert (await answer(api, counselor, look["id"], "unsure")).status_code == 201
    assert await api.every(scenario.registrar, LOOKS) == []
    (passed,) = await api.every(scenario.bureau, LOOKS, roll_call_id=roll_call_id)
    assert (passed["side"], len(passed["frames"])) == ("launcher", 2)
    assert len(await open_pictures(api, scenario.bureau, passed)) == 3
    assert (await answer(api, scenario.bureau, passed["id"])).status_code == 201
    assert await scenario.outcome(roll_call_id, student) == ("present", "looked_at")


async def test_answer_after_the_settlement_replaces_the_undetermined_result(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    launched = await scenario.launch()
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(student, launched.roll_call.id)
    await reencode_frames(scenario)
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, student) == ("undetermined", "face_needs_look")
    (look,) = await api.every(counselor, LOOKS)
    assert (await answer(api, counselor, look["id"])).status_code == 201
    entry = (await scenario.outcomes(launched.roll_call.id))[student.student_id]
    assert (entry.outcome, entry.seq) == ("present", 2)
    assert len(await scenario.load_events("OutcomeChanged", launched.roll_call.id)) == 1


async def test_second_check_in_does_not_ask_twice(scenario: RollCallScenario) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    await scenario.verify(await scenario.check_in(student, roll_call_id, first=50))
    assert len(await load_requests(scenario, roll_call_id)) == 1


async def test_looks_and_attestations_share_the_quota_of_a_class(
    api: StaffClient, scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "compute_attestation_quota", lambda *_: 1)
    roll_call_id, (first, second) = await check_in(scenario, 2)
    sides = {each.student_id: each.side for each in await load_requests(scenario, roll_call_id)}
    assert sides == {first.student_id: "school", second.student_id: "launcher"}


async def test_request_beyond_the_quota_moves_to_the_launching_side(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    monkeypatch.setattr(rules, "compute_attestation_quota", lambda *_: 0)
    (look,) = await api.every(counselor, LOOKS)
    refused = await answer(api, counselor, look["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "attestation_quota_exhausted")
    assert await scenario.outcome(roll_call_id, student) is None
    assert await api.every(counselor, LOOKS) == []
    assert [
        each["student_id"] for each in await api.every(scenario.bureau, LOOKS, roll_call_id=roll_call_id)
    ] == [str(student.student_id)]


# --- no look ---


async def test_without_a_portrait_the_counselor_attests(scenario: RollCallScenario) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    (student,) = await activate_with_looks(scenario, 1)
    submission_id = await scenario.check_in(student, roll_call_id)  # impossible without a portrait
    await remove_portrait(scenario, student)
    verdict = await scenario.verify(submission_id)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["look_without_portrait"])
    assert await scenario.load_refusals(student) == [("verification", "look_not_possible")]
    assert await load_requests(scenario, roll_call_id) == []


async def test_without_consent_the_counselor_attests(scenario: RollCallScenario) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    student = await scenario.activate(scenario.school.students[0])
    verdict = await scenario.pass_roll_call(student, roll_call_id)
    await reencode_frames(scenario)
    assert verdict.reasons == ["look_without_consent"]
    assert await load_requests(scenario, roll_call_id) == []


async def revoke_look(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    law = province_policy(scenario.app_context, scenario.clock())
    command = AnswerConsent("face_look", granted=False, text_version="face-look-1", guardian_name=None)
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        await answer_consent(session, student.actor, command, law, scenario.clock())


async def test_withdrawn_consent_hides_the_pictures_and_ends_the_look(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    _, (student,) = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    await revoke_look(scenario, student)
    assert await api.every(counselor, LOOKS) == []
    refused = await api.get(counselor, f"{LOOKS}/{look['id']}/pictures/portrait")
    assert (refused.status_code, refused.json()["code"]) == (409, "look_ended")
    event = LookConsentRevoked(school_id=scenario.school.id, student_id=student.student_id)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        await close_after_revocation(session, event, scenario.clock())
    async with scenario.owner_transaction() as session:
        assert (await session.get_one(LookClosing, UUID(look["id"]))).reason == "consent_revoked"


async def test_position_outside_is_no_question_for_a_person(scenario: RollCallScenario) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    (student,) = await activate_with_looks(scenario, 1)
    submission_id = await scenario.check_in(student, roll_call_id, fixes=make_fixes(OUTSIDE))
    assert (await scenario.verify(submission_id)).reasons[0] == "outside_site"
    assert await load_requests(scenario, roll_call_id) == []


# --- doubts ---


async def test_doubt_after_all_attempts_is_seen_by_the_launching_side_only(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    (student,) = await activate_with_looks(scenario, 1)
    for attempt in range(3):
        still = render_burst(student.person, 100 * attempt)
        await scenario.verify(await scenario.check_in(student, roll_call_id, still))
        if await load_requests(scenario, roll_call_id):
            break
    assert ("verification", "step_ups_exhausted") in await scenario.load_refusals(student)
    (request,) = await load_requests(scenario, roll_call_id)
    assert (request.side, request.reason, len(request.frames)) == ("launcher", "challenge_unanswered", 2)
    assert await api.every(counselor, LOOKS) == []
    await reencode_frames(scenario)
    (look,) = await api.every(scenario.bureau, LOOKS, roll_call_id=roll_call_id)
    assert (await answer(api, scenario.bureau, look["id"], "no")).status_code == 201
    assert await scenario.outcome(roll_call_id, student) is None


async def test_doubt_left_by_the_settlement_is_seen_by_the_launching_side(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    launched = await scenario.launch()
    (student,) = await activate_with_looks(scenario, 1)
    still = render_burst(student.person)
    await scenario.verify(await scenario.check_in(student, launched.roll_call.id, still))
    assert await load_requests(scenario, launched.roll_call.id) == []
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, student) == ("undetermined", "challenge_unanswered")
    await reencode_frames(scenario)
    (look,) = await api.every(scenario.bureau, LOOKS, roll_call_id=launched.roll_call.id)
    assert (look["side"], look["reason"]) == ("launcher", "challenge_unanswered")
    assert await api.every(counselor, LOOKS) == []
    assert (await answer(api, scenario.bureau, look["id"])).status_code == 201
    assert await scenario.outcome(launched.roll_call.id, student) == ("present", "looked_at")


async def test_student_sees_until_when_a_person_looks(scenario: RollCallScenario) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    (request,) = await load_requests(scenario, roll_call_id)
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        view = await load_student_roll_call(session, student.actor, roll_call_id, scenario.clock())
    assert view.look_until == request.expires_at
    advice = what_to_do("open", "owed", None, look_until=view.look_until)
    assert advice.code == "looked_at"
    assert "不计为未核验" in advice.zh
    await revoke_look(scenario, student)
    event = LookConsentRevoked(school_id=scenario.school.id, student_id=student.student_id)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        await close_after_revocation(session, event, scenario.clock())
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        view = await load_student_roll_call(session, student.actor, roll_call_id, scenario.clock())
    assert view.look_until is None


# --- ends ---


async def test_expired_look_is_closed_and_the_result_stays_undetermined(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    launched = await scenario.launch()
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(student, launched.roll_call.id)
    await reencode_frames(scenario)
    (request,) = await load_requests(scenario, launched.roll_call.id)
    async with scenario.owner_transaction() as session:
        due_at = (await get_working_calendar(session)).deadline_instant(scenario.clock(), 2)
    assert request.expires_at == due_at
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(launched.roll_call)
    await close_ended_looks(scenario.app_context)
    assert len(await api.every(counselor, LOOKS)) == 1
    scenario.clock.at = due_at
    assert (await answer(api, counselor, request.id)).json()["code"] == "look_ended"
    await close_ended_looks(scenario.app_context)
    await close_ended_looks(scenario.app_context)
    async with scenario.owner_transaction() as session:
        assert (await session.get_one(LookClosing, request.id)).reason == "expired"
    assert await scenario.outcome(launched.roll_call.id, student) == ("undetermined", "face_needs_look")
    counts = (await api.get(scenario.bureau, f"/v1/roll-calls/{launched.roll_call.id}/looks")).json()
    assert counts == {"open": 0, "same": 0, "not_same": 0, "unsure": 0, "expired": 1, "closed": 0}


async def test_voided_roll_call_needs_no_look(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id, _ = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await void_roll_call(session, scenario.bureau, roll_call_id, "停电", scenario.clock())
    assert await api.every(counselor, LOOKS) == []
    assert (await answer(api, counselor, look["id"])).json()["code"] == "roll_call_voided"
    await close_ended_looks(scenario.app_context)
    async with scenario.owner_transaction() as session:
        assert (await session.get_one(LookClosing, UUID(look["id"]))).reason == "not_needed"


# --- reviews ---


@pytest.fixture
def everything_sampled(monkeypatch: pytest.MonkeyPatch, nothing_sampled: None) -> None:
    monkeypatch.setattr(answers, "is_sampled", lambda *_: True)


@pytest.mark.usefixtures("everything_sampled")
@pytest.mark.parametrize(
    ("same", "result"),
    [
        ("yes", ("present", "looked_at")),
        ("no", ("undetermined", "look_not_upheld")),
        ("unsure", ("undetermined", "look_not_upheld")),
    ],
)
async def test_launching_side_reviews_a_sample(
    api: StaffClient,
    scenario: RollCallScenario,
    counselor: Actor,
    same: str,
    result: tuple[str, str],
) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    await answer(api, counselor, look["id"])
    assert await api.every(scenario.registrar, LOOKS) == []
    (review,) = await api.every(scenario.bureau, LOOKS, roll_call_id=roll_call_id)
    assert (review["is_review"], review["student_id"]) == (True, str(student.student_id))
    assert (await answer(api, scenario.bureau, review["id"], same)).status_code == 201
    assert await scenario.outcome(roll_call_id, student) == result


@pytest.mark.usefixtures("everything_sampled")
async def test_answering_person_may_not_review_in_a_school_s_own_roll_call(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    registrar = scenario.registrar
    roll_call_id, _ = await check_in(scenario, actor=registrar, kind="school_own")
    (look,) = await api.every(registrar, LOOKS)
    assert (await answer(api, registrar, look["id"])).status_code == 201
    assert await api.every(registrar, LOOKS) == []
    _, review = await load_requests(scenario, roll_call_id)
    refused = await answer(api, registrar, review.id)
    assert (refused.status_code, refused.json()["code"]) == (409, "look_needs_another_person")
    scenario.clock.at += WINDOW + timedelta(hours=1)
    async with scenario.owner_transaction() as session:
        await scenario.settle(await session.get_one(RollCall, roll_call_id))
    assert len(await api.every(scenario.bureau, LOOKS, roll_call_id=roll_call_id)) == 1


@pytest.mark.usefixtures("everything_sampled")
async def test_overdue_review_is_reported_and_the_student_stays_present(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    (look,) = await api.every(counselor, LOOKS)
    await answer(api, counselor, look["id"])
    _, review = await load_requests(scenario, roll_call_id)
    scenario.clock.at = review.expires_at
    await close_ended_looks(scenario.app_context)
    assert await scenario.outcome(roll_call_id, student) == ("present", "looked_at")
    async with scenario.owner_transaction() as session:
        reported = await session.scalars(
            select(AuditEntry).where(
                AuditEntry.action == "look.review_overdue",
                AuditEntry.after["roll_call"].astext == str(roll_call_id),
            )
        )
        assert len(reported.all()) == 1


# --- pictures are kept for a look, and no others ---


@pytest.mark.usefixtures("everything_sampled")
async def test_retention_keeps_only_the_pictures_of_an_open_look(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    launched = await scenario.launch()
    (student,) = await activate_with_looks(scenario, 1)
    verdict = await scenario.pass_roll_call(student, launched.roll_call.id)
    await reencode_frames(scenario)
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(launched.roll_call)
    (look,) = await api.every(counselor, LOOKS)
    await answer(api, counselor, look["id"])
    _, review = await load_requests(scenario, launched.roll_call.id)
    kept = await load_kept_frames(scenario, verdict.submission_id)
    assert set(review.frames) < set(kept)
    async with scenario.owner_transaction() as session:  # a review that lasts longer than the frames are kept
        row = await session.get_one(type(review), review.id)
        row.expires_at = scenario.clock() + timedelta(days=20)
    await run_retention(scenario, timedelta(days=8))
    assert await load_kept_frames(scenario, verdict.submission_id) == sorted(review.frames)
    assert len(await open_pictures(api, scenario.bureau, {"id": review.id, "frames": review.frames})) == 3
    await run_retention(scenario, timedelta(days=20))
    async with scenario.owner_transaction() as session:
        keys = [f"{each}" for each in await load_kept_frames(scenario, verdict.submission_id)]
    assert keys  # the rows keep their hashes; the files are gone


async def test_portrait_that_was_replaced_is_kept_while_a_person_looks(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor
) -> None:
    roll_call_id, (student,) = await check_in(scenario)
    (request,) = await load_requests(scenario, roll_call_id)
    async with scenario.owner_transaction() as session:
        portrait = await session.get_one(Portrait, request.portrait_id)
        portrait.status, portrait.decided_at = "replaced", scenario.clock()
        row = await session.get_one(type(request), request.id)
        row.expires_at = scenario.clock() + timedelta(days=5)
    await run_retention(scenario, timedelta(days=2))
    (look,) = await api.every(counselor, LOOKS)
    assert (await api.get(counselor, f"{LOOKS}/{look['id']}/pictures/portrait")).status_code == 200
    await run_retention(scenario, timedelta(days=4))
    async with scenario.owner_transaction() as session:
        assert (await session.get_one(Portrait, request.portrait_id)).picture_deleted_at is not None
    assert student.student_id == request.student_id
