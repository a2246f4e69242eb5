"""A guardian reads about one student with the link of an SMS, and with nothing else (HN334-3.5b)."""

from typing import Any

import pytest
from sqlalchemy import delete, text
from structlog.testing import capture_logs

from backend.people.tables import Guardian
from tests.support.guardian import FIRST_TEXT, GuardianApi, GuardianScenario
from tests.support.identity.scenario import problem_code

pytestmark = pytest.mark.clause("HN334-3.5b")
READS = ("student", "standing", "misses", "justified-reasons", "prompts", "appeals")


async def read_all(api: GuardianApi, token: str | None) -> set[tuple[int, str]]:
    answers = [await api.get(path, token) for path in READS]
    return {(answer.status_code, problem_code(answer.text)) for answer in answers}


async def test_guardian_reads_the_student_and_whom_to_call(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    await scenario.set_age(16)
    body = (await api.get("student", token)).json()
    assert body["name"] == scenario.pupil.name
    assert body["counselor"]["name"]
    assert (body["guardian"]["name"], body["guardian"]["may_act"]) == ("张母", True)
    await scenario.set_age(18)
    assert (await api.get("student", token)).json()["guardian"]["may_act"] is False


async def test_guardian_reads_misses_warnings_and_prompts(
    scenario: GuardianScenario, api: GuardianApi
) -> None:
    await scenario.add_guardian()
    await scenario.standing.misses(2)
    await scenario.answer()
    token = await api.issue()
    await scenario.standing.recompute()
    misses = (await api.get("misses", token)).json()
    assert [(miss["counts"], miss["claim"]) for miss in misses] == [(True, None)] * 2
    assert misses[0]["reason_zh"]
    standing = (await api.get("standing", token)).json()
    assert standing["misses"]["cumulative"] == 2
    (prompt,) = (await api.get("prompts", token)).json()["items"]
    detail = (await api.get(f"prompts/{prompt['id']}", token)).json()
    assert len(detail["evidence"]) == 2
    explained = await api.get(f"explanations/prompt/{prompt['id']}", token)
    assert explained.status_code == 200


async def test_link_of_one_student_never_shows_another(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    other = scenario.standing.school.students[1]
    await scenario.add_guardian(other, name="李父", phone="13900000002")
    await scenario.answer(other)
    foreign = await api.issue(other)
    names = [(await api.get("student", each)).json()["name"] for each in (token, foreign)]
    assert names == [scenario.pupil.name, other.name]
    await scenario.standing.misses(2)
    for pupil in (scenario.pupil, other):
        await scenario.standing.recompute(pupil)
    (prompt,) = (await api.get("prompts", foreign)).json()["items"]
    answer = await api.get(f"prompts/{prompt['id']}", token)
    assert (answer.status_code, problem_code(answer.text)) == (404, "not_found")


async def test_without_a_token_of_a_link_nothing_is_read(api: GuardianApi, token: str) -> None:
    assert await read_all(api, None) == {(401, "guardian_link_missing")}
    for guess in ("x", token[:-1], token + "A", token.swapcase(), "x" * 5000):
        assert await read_all(api, guess) == {(401, "guardian_link_invalid")}
    for scheme in ("Bearer", "DPoP"):
        answer = await api.http.get("/v1/guardian/student", headers={"Authorization": f"{scheme} {token}"})
        assert problem_code(answer.text) == "guardian_link_missing"


async def test_link_opens_no_endpoint_of_the_student(api: GuardianApi, token: str) -> None:
    for path in ("/v1/me", "/v1/me/standing", "/v1/me/consents", "/v1/notices", "/v1/leave-requests"):
        for scheme in ("Guardian", "DPoP"):
            answer = await api.http.get(path, headers={"Authorization": f"{scheme} {token}"})
            assert answer.status_code == 401, path


async def test_expired_link_is_refused(scenario: GuardianScenario, api: GuardianApi, token: str) -> None:
    scenario.standing.pass_time(days=30, seconds=-1)
    assert (await api.get("student", token)).status_code == 200
    scenario.standing.pass_time(seconds=1)
    assert await read_all(api, token) == {(401, "guardian_link_expired")}


async def test_link_ends_with_the_consent_and_stays_ended(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    await scenario.answer(granted=False)
    assert await read_all(api, token) == {(401, "guardian_link_revoked")}
    scenario.standing.set_clock(days=1)
    await scenario.answer()
    assert await read_all(api, token) == {(401, "guardian_link_revoked")}
    assert (await api.get("student", await api.issue())).status_code == 200


async def test_consent_to_the_first_text_ends_the_link(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    scenario.standing.pass_time(seconds=1)
    await scenario.answer(version=FIRST_TEXT)
    assert await read_all(api, token) == {(401, "guardian_link_revoked")}


async def test_guardian_who_left_the_roster_is_refused(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    async with scenario.standing.roll_call_scenario.owner_transaction() as session:
        await session.execute(delete(Guardian).where(Guardian.student_id == scenario.pupil.id))
    assert await read_all(api, token) == {(401, "guardian_link_revoked")}


async def test_requests_of_a_minute_are_limited(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    statement = text(
        "UPDATE guardian_link SET window_at = :at, window_requests = 59 WHERE student_id = :student"
    )
    values: dict[str, Any] = {"at": scenario.standing.at, "student": scenario.pupil.id}
    async with scenario.standing.roll_call_scenario.owner_transaction() as session:
        await session.execute(statement, values)
    answers = [await api.get("student", token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert answers[1].headers["retry-after"] == "60"
    scenario.standing.pass_time(minutes=1)
    assert (await api.get("student", token)).status_code == 200


async def test_token_is_not_logged(api: GuardianApi, token: str, capfd: pytest.CaptureFixture[str]) -> None:
    with capture_logs() as logs:
        for sent in (token, token + "x"):
            await api.get("student", sent)
    printed = capfd.readouterr()
    assert token not in f"{logs}{printed.out}{printed.err}"
