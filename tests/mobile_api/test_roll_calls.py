"""Roll calls of the mobile API over HTTP. Only the sign-in is replaced; it has its own tests."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.database import Database
from backend.core.ids import new_id
from backend.org.terms import get_term
from backend.people.tables import Student
from biometrics.pool import FacePool
from tests.support.province import student_account
from tests.support.roll_call.looks import make_faces_unproven
from tests.support.roll_call.mobile_client import MobileClient, open_mobile_client
from tests.support.roll_call.scenario import GRACE, MICROSECOND, pattern_pool
from tests.support.roll_call.student_phone import (
    OUTSIDE,
    StudentWithPhone,
    envelope,
    make_fixes,
    render_burst,
)

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture(scope="module")
def pool() -> Iterator[FacePool]:
    with pattern_pool() as pool:
        yield pool


@pytest.fixture
async def api(app_context: AppContext, owner: Database, pool: FacePool) -> AsyncIterator[MobileClient]:
    async with open_mobile_client(app_context, owner, pool) as api:
        yield api


@pytest.fixture
async def student(api: MobileClient) -> StudentWithPhone:
    return await api.scenario.activate(api.scenario.school.students[0])


@pytest.fixture
async def roll_call_id(api: MobileClient) -> UUID:
    return (await api.scenario.launch()).roll_call.id


async def test_check_in_from_the_list_to_the_result(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    (listed,) = (await api.get(student, "/roll-calls")).json()["items"]
    assert (listed["id"], listed["state"], listed["outcome"]) == (str(roll_call_id), "open", None)
    assert listed["what_to_do_zh"]
    assert (listed["next_actor"], listed["verification_route"]) == ("student", "face")
    assert listed["tries_left"] > 0
    assert listed["launcher_name"]
    assert listed["alternative_zh"]
    challenge = (await api.challenge(student, roll_call_id)).json()
    assert challenge["frames"] == {
        "min_count": 8,
        "max_count": 16,
        "max_bytes": 1048576,
        "max_pixels": 4_000_000,
        "max_unscaled_pixels": 2_100_000,
        "max_total_pixels": 36_000_000,
        "within_s": 20.0,
    }
    assert all(each["cue_ms"] >= 1600 for each in challenge["actions"])
    submission_id = await api.submitted(student, roll_call_id)
    stored = [
        (await api.frame(student, submission_id, position, data)).json()["complete"]
        for position, data in enumerate(api.frames)
    ]
    assert stored == [False] * (len(api.frames) - 1) + [True]
    assert (await api.get(student, f"/submissions/{submission_id}")).json()["finding"] is None
    waiting = (await api.get(student, f"/roll-calls/{roll_call_id}")).json()
    assert (waiting["next_actor"], waiting["tries_left"]) == ("system", listed["tries_left"])
    await api.scenario.verify(UUID(submission_id))
    submission = (await api.get(student, f"/submissions/{submission_id}")).json()
    assert submission["finding"] == "accepted"
    shown = (await api.get(student, f"/roll-calls/{roll_call_id}")).json()
    assert (shown["outcome"], shown["outcome_reason"]) == ("present", "verified")
    assert (shown["outcome_reason_zh"], shown["next_actor"]) == ("核验通过。", "nobody")
    assert shown["tries_left"] is None


async def test_answers_never_disclose_fence_or_thresholds(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    submission_id = await api.submitted(student, roll_call_id, fixes=make_fixes(OUTSIDE))
    for position, data in enumerate(api.frames):
        await api.frame(student, submission_id, position, data)
    await api.scenario.verify(UUID(submission_id))
    answers = [
        await api.get(student, path)
        for path in (
            "/roll-calls",
            f"/roll-calls/{roll_call_id}",
            f"/roll-calls/{roll_call_id}/attempts",
            f"/submissions/{submission_id}",
        )
    ]
    answers.append(await api.challenge(student, roll_call_id))
    for word in ("distance", "threshold", "accept_at", "inside_at", "polygon", "probability"):
        assert all(word not in answer.text for answer in answers)
    (reason,) = answers[3].json()["reasons"]
    assert reason["code"] == "outside_site"
    assert reason["zh"]


async def test_rehearsal_without_thresholds_says_that_it_has_no_effect(
    api: MobileClient, student: StudentWithPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_faces_unproven(monkeypatch)
    rehearsal = (await api.scenario.launch(api.scenario.registrar, kind="rehearsal")).roll_call
    advice = (await api.get(student, f"/roll-calls/{rehearsal.id}")).json()["what_to_do_zh"]
    assert "请在校内打开摄像头" in advice
    await api.scenario.pass_roll_call(student, rehearsal.id)
    expected = "演练：未判定，不影响您，无须操作。"
    shown = (await api.get(student, f"/roll-calls/{rehearsal.id}")).json()
    assert (shown["outcome"], shown["look_until"], shown["what_to_do_zh"]) == (None, None, expected)
    api.scenario.clock.at = rehearsal.closes_at + GRACE + MICROSECOND
    await api.scenario.settle(rehearsal)
    (listed,) = (await api.get(student, "/roll-calls")).json()["items"]
    assert (listed["outcome"], listed["what_to_do_zh"]) == ("undetermined", expected)
    (attempt,) = (await api.get(student, f"/roll-calls/{rehearsal.id}/attempts")).json()["submissions"]
    assert [each["code"] for each in attempt["reasons"]] == ["rehearsal_face_unproven"]
    assert "人工" not in attempt["reasons"][0]["zh"]


async def test_retry_answers_200_with_the_same_receipt_after_the_close(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed(student, roll_call_id)
    first = await api.envelope(student, roll_call_id, compact)
    api.scenario.clock.at += timedelta(days=1)
    again = await api.envelope(student, roll_call_id, compact)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


async def test_late_envelope_is_a_problem_document_and_stored_refusal(
    api: MobileClient, student: StudentWithPhone
) -> None:
    launched = await api.scenario.launch()
    api.scenario.clock.at = launched.roll_call.closes_at
    compact = await api.signed(student, launched.roll_call.id)
    api.scenario.clock.at += MICROSECOND
    answer = await api.envelope(student, launched.roll_call.id, compact)
    assert (answer.status_code, answer.json()["code"]) == (409, "window_closed")
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "截止" in answer.json()["detail_zh"]
    refusals = (await api.get(student, f"/roll-calls/{launched.roll_call.id}/attempts")).json()["refusals"]
    assert [(each["step"], each["code"]) for each in refusals] == [("envelope", "window_closed")]
    assert datetime.fromisoformat(refusals[0]["at"]) == api.scenario.clock()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"fixes": make_fixes(lat=95.0)}, 422, "fix_out_of_range"),
        ({"fixes": make_fixes(accuracy_m=float("nan"))}, 422, "fix_not_finite"),
        ({"outcome": "present"}, 422, "envelope_malformed"),
        ({"claims": {"padding": "x" * 20000}}, 413, "envelope_too_large"),
    ],
)
async def test_invalid_envelope_is_refused_with_its_code(
    api: MobileClient,
    student: StudentWithPhone,
    roll_call_id: UUID,
    changes: dict[str, Any],
    status: int,
    code: str,
) -> None:
    compact = await api.signed(student, roll_call_id, **changes)
    answer = await api.envelope(student, roll_call_id, compact)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await api.scenario.load_refusals(student))[-1] == ("envelope", code)


async def test_extra_field_cannot_set_a_result(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed(student, roll_call_id)
    answer = await api.envelope(student, roll_call_id, compact, outcome="present")
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")


@pytest.mark.clause("HN334-2.3")
async def test_foreign_resources_answer_like_missing_ones(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    submission_id = await api.submitted(student, roll_call_id)
    sister = api.scenario.world.sister
    outsider = await api.scenario.activate(sister.students[0], school=sister)
    compact = envelope(outsider, roll_call_id, "n" * 32, render_burst(outsider.person))
    frame = render_burst(student.person)[0]
    missing_id = new_id()

    async def request_all(target: UUID, attempt: UUID) -> list[tuple[int, dict[str, Any]]]:
        sent = [
            await api.challenge(outsider, target),
            await api.envelope(outsider, target, compact),
            await api.frame(outsider, str(attempt), 0, frame),
            await api.get(outsider, f"/roll-calls/{target}"),
            await api.get(outsider, f"/roll-calls/{target}/attempts"),
            await api.get(outsider, f"/submissions/{attempt}"),
        ]
        return [(each.status_code, {**each.json(), "instance": ""}) for each in sent]

    foreign = await request_all(roll_call_id, UUID(submission_id))
    assert foreign == await request_all(missing_id, new_id())
    assert {status for status, _ in foreign} == {404}
    assert (await api.get(outsider, "/roll-calls")).json()["items"] == []


async def test_submission_of_a_classmate_is_not_found(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    submission_id = await api.submitted(student, roll_call_id)
    classmate = await api.scenario.activate(api.scenario.school.students[1])
    assert (await api.get(classmate, f"/submissions/{submission_id}")).status_code == 404
    foreign_upload = await api.frame(classmate, submission_id, 0, api.frames[0])
    assert foreign_upload.status_code == 404


# --- the challenge ---


async def test_challenge_describes_actions_in_both_languages(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    answer = await api.challenge(student, roll_call_id, cannot=["close_eyes", "open_mouth"])
    assert answer.status_code == 201
    actions = answer.json()["actions"]
    assert {each["action"] for each in actions} == {"turn_left", "turn_right"}
    assert all("转头" in each["zh"] and "Turn" in each["en"].title() for each in actions)


async def test_requesting_again_keeps_nonce_and_actions(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    first, again = [(await api.challenge(student, roll_call_id)).json() for _ in range(2)]
    assert (again["nonce"], again["actions"]) == (first["nonce"], first["actions"])


async def test_student_with_too_few_actions_is_told_of_non_face_route(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    answer = await api.challenge(student, roll_call_id, cannot=["close_eyes", "turn_left", "turn_right"])
    assert (answer.status_code, answer.json()["code"]) == (409, "challenge_actions_too_few")
    assert "辅导员" in answer.json()["detail_zh"]
    shown = (await api.get(student, f"/roll-calls/{roll_call_id}")).json()
    assert "辅导员" in shown["what_to_do_zh"]
    assert (shown["next_actor"], shown["tries_left"]) == ("counselor", 0)
    (refusal,) = (await api.get(student, f"/roll-calls/{roll_call_id}/attempts")).json()["refusals"]
    assert refusal["zh"] == answer.json()["detail_zh"]
    assert refusal["en"] == answer.json()["detail_en"]


@pytest.mark.parametrize(
    "cannot",
    [["wink"], "close_eyes", [1], ["close_eyes"] * 5, [None], [["close_eyes"]], {"close_eyes": True}],
)
async def test_unknown_action_is_refused(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID, cannot: Any
) -> None:
    answer = await api.challenge(student, roll_call_id, cannot=cannot)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")


async def test_envelope_without_a_challenge_is_refused(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = envelope(student, roll_call_id, "n" * 32, render_burst(student.person))
    answer = await api.envelope(student, roll_call_id, compact)
    assert (answer.status_code, answer.json()["code"]) == (409, "nonce_unknown")


# --- frames ---


async def test_repeated_frame_upload_gets_the_same_answer(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    submission_id = await api.submitted(student, roll_call_id)
    frame = api.frames[0]
    answers = [await api.frame(student, submission_id, 0, frame) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json() == {"position": 0, "complete": False}


async def test_invalid_frame_is_refused(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    submission_id = await api.submitted(student, roll_call_id)
    frames = api.frames
    wrong = await api.frame(student, submission_id, 0, frames[1])
    assert (wrong.status_code, wrong.json()["code"]) == (422, "frame_hash_mismatch")
    large = await api.frame(student, submission_id, 0, bytes(1048577))
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    extra = await api.frame(student, submission_id, len(frames), frames[0])
    assert (extra.status_code, extra.json()["code"]) == (422, "frame_not_declared")
    api.scenario.clock.at += GRACE + MICROSECOND
    late = await api.frame(student, submission_id, 0, frames[0])
    assert (late.status_code, late.json()["code"]) == (409, "frames_too_late")


# --- what the student sees ---


async def test_scheduled_roll_call_is_hidden_until_its_notice(
    api: MobileClient, student: StudentWithPhone
) -> None:
    notice = api.scenario.clock() + timedelta(hours=1)
    launched = await api.scenario.launch(
        announced=False, notify_at=notice, opens_at=notice, closes_at=notice + timedelta(hours=1)
    )
    path = f"/roll-calls/{launched.roll_call.id}"
    assert (await api.get(student, path)).status_code == 404
    assert (await api.challenge(student, launched.roll_call.id)).status_code == 404
    assert (await api.get(student, "/roll-calls")).json()["items"] == []
    api.scenario.clock.at = notice
    assert (await api.get(student, path)).json()["state"] == "open"


async def test_pages_join_without_a_gap(api: MobileClient, student: StudentWithPhone) -> None:
    launched = [
        (
            await api.scenario.launch(api.scenario.registrar, kind="school_own", title=f"点名{number}")
        ).roll_call.id
        for number in range(3)
    ]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await api.get(student, "/roll-calls", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == sorted(map(str, launched), reverse=True)


@pytest.mark.clause("HN334-3.1")
async def test_refused_challenge_says_what_to_do(api: MobileClient, roll_call_id: UUID) -> None:
    student = await api.scenario.activate(api.scenario.school.students[1], face=False)
    before = (await api.get(student, f"/roll-calls/{roll_call_id}")).json()
    assert (before["verification_route"], before["next_actor"]) == ("non_face", "counselor")
    assert "申请现场核验" in before["what_to_do_zh"]
    answer = await api.challenge(student, roll_call_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "non_face_route_recorded")
    assert "辅导员" in answer.json()["detail"]


@pytest.mark.clause("HN334-2.2")
@pytest.mark.clause("R21")
async def test_part_time_student_registers_once_in_a_terms_period(api: MobileClient) -> None:
    pupil = api.scenario.school.students[2]
    async with api.scenario.owner_transaction() as session:
        (await session.get_one(Student, pupil.id)).study_form = "part_time"
    actor = student_account(api.scenario.school, pupil)
    async with api.scenario.owner_transaction() as session:
        term = await get_term(session, api.scenario.school.id, legal_day(api.scenario.clock()))
    api.scenario.clock.at = datetime.combine(term.starts_on, time(9), tzinfo=LEGAL_ZONE)
    answers = [await api.call(actor, "POST", "/me/half-year-registrations") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert (answers[0].json()["number"], answers[0].json()["term_code"]) == (1, term.code)
    assert answers[1].json()["code"] == "registered_this_term"
