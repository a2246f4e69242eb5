"""The guardian of a minor claims, states and appeals; the records and the audit say who did (HN334-4.1b, HN334-4.2)."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.appeal.filing import AgainstCheck, FileAppeal, file_appeal
from backend.appeal.statements import NewMessage
from backend.core.tables import AuditEntry
from backend.notice.tables import Notice, NoticeMessage
from backend.standing.prompts.queries import load_prompt_detail
from backend.standing.prompts.schemas import StatementOut
from backend.standing.prompts.statements import FileStatement, file_statement
from backend.standing.store.tables import AppealFiled, PromptStatement, ReasonClaimRecord
from tests.support.biometrics.pictures import encode_picture, noise_picture
from tests.support.guardian import GuardianApi, GuardianScenario
from tests.support.identity.scenario import problem_code

pytestmark = pytest.mark.clause("HN334-4.2")


@pytest.fixture
async def missed(scenario: GuardianScenario) -> str:
    """A roll call that the student, who is sixteen, has missed; the second of two."""
    await scenario.set_age(16)
    await scenario.add_guardian()
    roll_calls = await scenario.standing.run_misses(2)
    await scenario.standing.recompute()
    await scenario.answer()
    return str(roll_calls[-1].id)


def claim(roll_call_id: str) -> tuple[str, dict[str, Any]]:
    return f"roll-calls/{roll_call_id}/reason-claims", {"reason_code": "illness", "text": "发烧就诊"}


def appeal(roll_call_id: str) -> tuple[str, dict[str, Any]]:
    return "appeals", {"against": {"kind": "check", "roll_call_id": roll_call_id}, "text": "当天在校上课"}


async def statement(api: GuardianApi, token: str) -> tuple[str, dict[str, Any]]:
    (prompt,) = (await api.get("prompts", token)).json()["items"]
    return f"prompts/{prompt['id']}/statements", {"text": "当天在医院"}


async def load_audited(scenario: GuardianScenario, action: str) -> list[AuditEntry]:
    query = select(AuditEntry).where(
        AuditEntry.action == action, AuditEntry.org_path == scenario.standing.school.path
    )
    async with scenario.standing.roll_call_scenario.owner_transaction() as session:
        return list(await session.scalars(query))


async def test_records_and_audit_name_the_guardian_and_the_link(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    (link,) = await scenario.links()
    requests = (
        (claim(missed), ReasonClaimRecord, "reason_claim.filed"),
        (await statement(api, token), PromptStatement, "prompt.statement"),
        (appeal(missed), AppealFiled, "appeal_filed"),
    )
    for (path, body), table, action in requests:
        answer = await api.post(path, token, body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["filed_by_guardian"]["zh"] == "监护人代为提交"
        (row,) = await scenario.standing.rows(table)
        assert (row.filed_by, row.guardian_link_id) == (link.guardian_id, link.id)
        (entry,) = await load_audited(scenario, action)
        assert entry.acting_account == link.guardian_id
        assert entry.after is not None
        assert entry.after["guardian_link"] == str(link.id)


async def test_staff_and_student_see_who_filed(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    path, body = await statement(api, token)
    assert (await api.post(path, token, body)).status_code == 201
    prompt_id = path.split("/")[1]
    detail = (await api.get(f"prompts/{prompt_id}", token)).json()
    assert [each["filed_by_guardian"]["name"] for each in detail["statements"]] == ["张母"]
    standing = scenario.standing
    for actor in (standing.registrar, standing.bureau, standing.student()):
        async with standing.transaction(actor) as session:
            found = await load_prompt_detail(session, actor, UUID(prompt_id), standing.at)
        (view,) = [StatementOut.of(each) for each in found.statements]
        assert view.filed_by_guardian is not None
        assert (view.filed_by_guardian.name, view.filed_by_guardian.relation) == ("张母", "母亲")


async def test_statement_of_the_student_is_hidden_from_the_guardian(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token, standing = await api.issue(), scenario.standing
    path, _ = await statement(api, token)
    actor, prompt_id = standing.student(), UUID(path.split("/")[1])
    async with standing.transaction(actor) as session:
        await file_statement(session, actor, FileStatement(prompt_id, "不想让家里知道"), standing.at)
    answer = await api.get(f"prompts/{prompt_id}", token)
    assert answer.json()["statements"] == []
    assert "不想让家里知道" not in answer.text


@pytest.mark.parametrize(("age", "status"), [(17, 201), (18, 403)])
async def test_guardian_of_an_adult_only_reads(
    scenario: GuardianScenario, api: GuardianApi, missed: str, age: int, status: int
) -> None:
    await scenario.set_age(age)
    token = await api.issue()
    for path, body in (claim(missed), await statement(api, token), appeal(missed)):
        answer = await api.post(path, token, body)
        assert answer.status_code == status, answer.text
        if status == 403:
            assert problem_code(answer.text) == "guardian_of_adult"
    rows = [
        await scenario.standing.rows(table) for table in (ReasonClaimRecord, PromptStatement, AppealFiled)
    ]
    assert [len(found) for found in rows] == [1 if status == 201 else 0] * 3
    assert (await api.get("student", token)).status_code == 200


async def test_withdrawn_link_files_nothing(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    await scenario.answer(granted=False)
    for path, body in (claim(missed), appeal(missed)):
        answer = await api.post(path, token, body)
        assert (answer.status_code, problem_code(answer.text)) == (401, "guardian_link_revoked")
    assert await scenario.standing.rows(AppealFiled) == []


async def test_repeated_request_takes_effect_once(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    path, body = await statement(api, token)
    answers = [await api.post(path, token, body, key="8e03978e") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert len(await scenario.standing.rows(PromptStatement)) == 1


async def test_claim_and_appeal_exist_once_for_student_and_guardians(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    await scenario.add_guardian(name="张父", phone="13900000008", position=2)
    for path, body in (claim(missed), appeal(missed)):
        assert (await api.post(path, token, body)).status_code == 201
        assert (await api.post(path, token, body)).status_code == 409
    (miss, _) = (await api.get("misses", token)).json()
    assert (miss["roll_call_id"], miss["claim"]) == (missed, "open")


async def test_miss_of_another_student_cannot_be_claimed(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    """The scope is that of one student: a roll call that is not the student's does not exist."""
    other = scenario.standing.school.students[1]
    token = await api.issue()
    roll_call = await scenario.standing.check(present=[scenario.pupil])
    for path, body in (claim(str(roll_call.id)), appeal(str(roll_call.id))):
        assert (
            await api.post(path, token, body)
        ).status_code == 409  # present: nothing to claim, nothing to appeal
    async with scenario.standing.roll_call_scenario.owner_transaction() as session:
        filed = await session.scalars(select(AppealFiled.id).where(AppealFiled.student_id == other.id))
        assert filed.all() == []


async def notices_to_student(scenario: GuardianScenario) -> list[NoticeMessage]:
    """The notices about acts of a guardian, oldest first."""
    query = (
        select(NoticeMessage)
        .join(Notice, Notice.message_id == NoticeMessage.id)
        .where(Notice.student_id == scenario.pupil.id, NoticeMessage.kind == "guardian_filed")
        .order_by(NoticeMessage.id)
    )
    async with scenario.standing.roll_call_scenario.owner_transaction() as session:
        return list(await session.scalars(query))


async def test_student_gets_a_notice_of_each_act(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    stated = await statement(api, token)
    assert (await api.post(stated[0], token, stated[1])).status_code == 201
    assert (await api.post("appeals", token, appeal(missed)[1])).status_code == 201
    found = await notices_to_student(scenario)
    assert [each.body_zh.partition("代您")[2].partition("。")[0] for each in found] == [
        "对一条学籍提示提交了陈述",
        "提出了一件申诉",
    ]
    assert "张母（母亲）" in found[0].body_zh
    assert found[0].data == {"prompt_id": stated[0].split("/")[1]}
    path, body = claim(missed)
    refused = await api.post(path, token, {**body, "reason_code": "unknown"})
    assert refused.status_code == 422
    assert len(await notices_to_student(scenario)) == 2


async def test_files_are_uploaded_and_attached(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    path, body = claim(missed)
    uploaded = await api.upload(token, encode_picture(noise_picture(320, 240), "JPEG"))
    assert uploaded.status_code == 201, uploaded.text
    answer = await api.post(path, token, {**body, "attachment_ids": [uploaded.json()["id"]]})
    assert answer.status_code == 201, answer.text
    assert [each["id"] for each in answer.json()["attachments"]] == [uploaded.json()["id"]]
    again = await api.post("appeals", token, {**appeal(missed)[1], "attachment_ids": [uploaded.json()["id"]]})
    assert (again.status_code, problem_code(again.text)) == (422, "attachment_unusable")


async def test_guardian_of_an_adult_uploads_nothing(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    await scenario.set_age(18)
    answer = await api.upload(await api.issue(), encode_picture(noise_picture(320, 240), "JPEG"))
    assert (answer.status_code, problem_code(answer.text)) == (403, "guardian_of_adult")


async def test_messages_of_an_appeal_that_a_guardian_filed(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token = await api.issue()
    appeal_id = (await api.post("appeals", token, appeal(missed)[1])).json()["id"]
    path = f"appeals/{appeal_id}/messages"
    answer = await api.post(path, token, {"text": "补充：班主任的证明"})
    assert (answer.status_code, answer.json()["side"]) == (201, "appellant")
    messages = (await api.get(path, token)).json()["items"]
    assert [each["text"] for each in messages] == ["当天在校上课", "补充：班主任的证明"]
    assert len(await notices_to_student(scenario)) == 2


async def test_messages_of_the_students_own_appeal_are_hidden(
    scenario: GuardianScenario, api: GuardianApi, missed: str
) -> None:
    token, standing = await api.issue(), scenario.standing
    actor = standing.student()
    command = FileAppeal(AgainstCheck(UUID(missed)), NewMessage("不想让家里知道"))
    async with standing.transaction(actor) as session:
        filed = await file_appeal(session, actor, command, standing.at)
    path = f"appeals/{filed.filed.id}/messages"
    for answer in (await api.get(path, token), await api.post(path, token, {"text": "补充"})):
        assert (answer.status_code, problem_code(answer.text)) == (403, "guardian_appeal_only")
        assert "不想让家里知道" not in answer.text
