"""A person's notices over HTTP: fetching proves delivery, opening is recorded once, others' are absent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.core.web.problems import install_problem_handlers
from backend.core.web.requests import Caller
from backend.notice.delivery_reports import report_token
from backend.notice.messages import Message, SmsText, StaffRecipient, StudentRecipient
from backend.notice.service import post_notice
from backend.notice.tables import NoticeDelivery, NoticeReceipt
from backend.staff_api.caller import StaffCaller
from backend.staff_api.notices import router as staff_router
from mobile_api.caller import PhoneCaller
from mobile_api.notices import router as phone_router


@dataclass(frozen=True)
class Api:
    """Both routers; who calls is decided by each test."""

    app_context: AppContext

    def client(self, actor: Actor) -> httpx.AsyncClient:
        app = FastAPI()
        install_problem_handlers(app)
        app.state.app_context = self.app_context
        phone = actor.role == "student"
        app.include_router(phone_router if phone else staff_router)
        guard = get_args(PhoneCaller if phone else StaffCaller)[1].dependency
        app.dependency_overrides[guard] = lambda: Caller(self.app_context, actor)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


@pytest.fixture
def api(app_context: AppContext) -> Api:
    return Api(app_context)


@pytest.fixture
async def school_id(owner: Database) -> UUID:
    """A school alone in its own tree; its path is `s<hex>`."""
    identifier = new_id()
    async with owner.transaction(Scope.none()) as session:
        await session.execute(
            text(
                "INSERT INTO org_unit (id, kind, code, name, path, created_at)"
                " VALUES (:id, 'school', CAST(:path AS text), '学校', CAST(:path AS ltree), now())"
            ),
            {"id": identifier, "path": f"s{identifier.hex}"},
        )
    return identifier


def member(school_id: UUID, kind: str = "student") -> Actor:
    path = f"s{school_id.hex}"
    if kind == "student":
        return Actor(new_id(), "student", school_id, path, school_id, student_id=new_id())
    if kind == "counselor":
        return Actor(new_id(), "counselor", school_id, path, school_id, counselor_id=new_id())
    return Actor(new_id(), "registrar", school_id, path, school_id)


def text_of(group_id: UUID, number: int = 0) -> Message:
    return Message(
        "roll_call_launched",
        group_id,
        f"通知{number}",
        f"Notice {number}",
        "请完成核验。",
        "Verify.",
        sms=SmsText("notice"),
    )


async def tell(app_context: AppContext, actor: Actor, message: Message, phone: str | None = None) -> None:
    """The school tells one of its people."""
    assert actor.school_id is not None
    recipient = (
        StudentRecipient(actor.student_id, actor.school_id, actor.account_id, phone)
        if actor.student_id
        else StaffRecipient(actor.account_id, actor.org_path, actor.school_id, phone)
    )
    async with app_context.database.transaction(Scope.school(actor.school_id, actor.org_path)) as session:
        await post_notice(session, recipient, message, {"sms"} if phone else (), now())


@pytest.mark.clause("HN334-3.4")
async def test_a_notice_is_delivered_when_the_phone_fetches_it_and_not_before(
    api: Api, school_id: UUID
) -> None:
    student, group = member(school_id), new_id()
    await tell(api.app_context, student, text_of(group))
    query = (
        select(NoticeDelivery.state, NoticeReceipt.at)
        .outerjoin(NoticeReceipt, NoticeReceipt.notice_id == NoticeDelivery.notice_id)
        .where(NoticeDelivery.group_id == group)
    )
    async with api.app_context.database.transaction(student.scope) as session:
        before = (await session.execute(query)).one()
    async with api.client(student) as client:
        answer = (await client.get("/v1/notices")).json()
        await client.get("/v1/notices")
    async with api.app_context.database.transaction(student.scope) as session:
        after = (await session.execute(query)).one()
    assert tuple(before) == ("queued", None)
    assert [item["title_zh"] for item in answer["items"]] == ["通知0"]
    assert after.state == "delivered"
    assert after.at is not None


@pytest.mark.parametrize("kind", ["student", "registrar", "counselor"])
async def test_opening_a_notice_is_recorded_with_its_first_time(api: Api, school_id: UUID, kind: str) -> None:
    person = member(school_id, kind)
    await tell(api.app_context, person, text_of(new_id()))
    async with api.client(person) as client:
        fetched = (await client.get("/v1/notices")).json()
        address = f"/v1/notices/{fetched['items'][0]['id']}/read"
        first, second = [(await client.post(address)).json() for _ in range(2)]
        after = (await client.get("/v1/notices")).json()
    assert (fetched["unread"], fetched["items"][0]["opened_at"]) == (1, None)
    assert first == second
    assert (after["unread"], after["items"][0]["opened_at"]) == (0, first["opened_at"])


async def test_pages_follow_one_another_from_the_newest_without_gap_or_repeat(
    api: Api, school_id: UUID
) -> None:
    student = member(school_id)
    for number in range(5):
        await tell(api.app_context, student, text_of(new_id(), number))
    titles, cursor = [], None
    async with api.client(student) as client:
        for _ in range(3):
            parameters = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/v1/notices", params=parameters)).json()
            titles += [item["title_en"] for item in page["items"]]
            cursor = page["next_cursor"]
    assert titles == [f"Notice {number}" for number in (4, 3, 2, 1, 0)]
    assert cursor is None


@pytest.mark.clause("HN334-2.3")
async def test_anothers_notice_is_answered_like_none(api: Api, school_id: UUID) -> None:
    student, classmate, registrar = member(school_id), member(school_id), member(school_id, "registrar")
    await tell(api.app_context, student, text_of(new_id()))
    async with api.client(student) as client:
        notice_id = (await client.get("/v1/notices")).json()["items"][0]["id"]
    answers = []
    for stranger in (classmate, registrar):
        async with api.client(stranger) as client:
            assert (await client.get("/v1/notices")).json()["items"] == []
            for asked in (notice_id, str(new_id())):
                answer = await client.post(f"/v1/notices/{asked}/read")
                answers.append((answer.status_code, answer.json()["code"]))
    assert answers == [(404, "not_found")] * 4


@pytest.mark.parametrize("cursor", ["x", "W10", "WyIyMDI2IiwgIngiXQ", "WyJ4IiwgIngiXQ"])
async def test_a_mangled_cursor_is_refused(api: Api, school_id: UUID, cursor: str) -> None:
    async with api.client(member(school_id)) as client:
        answer = await client.get("/v1/notices", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


async def test_a_registrar_sees_how_far_a_launch_has_come_and_a_counselor_does_not(
    api: Api, school_id: UUID
) -> None:
    group, students = new_id(), [member(school_id) for _ in range(3)]
    for number, student in enumerate(students):
        await tell(api.app_context, student, text_of(group), f"1380000000{number}")
    async with api.client(students[0]) as client:
        notice_id = (await client.get("/v1/notices")).json()["items"][0]["id"]
        await client.post(f"/v1/notices/{notice_id}/read")
    async with api.client(member(school_id, "registrar")) as client:
        answer = (await client.get(f"/v1/notice-groups/{group}")).json()
        absent = await client.get(f"/v1/notice-groups/{new_id()}")
    async with api.client(member(school_id, "counselor")) as client:
        refused = await client.get(f"/v1/notice-groups/{group}")
    assert answer == {
        "group_id": str(group),
        "recipients": 3,
        "notices": 3,
        "opened": 1,
        "channels": {"in_app": {"delivered": 1, "queued": 2}, "sms": {"queued": 3}},
    }
    assert (absent.status_code, refused.status_code) == (404, 403)


@pytest.fixture
def report() -> Callable[[str, str], dict[str, object]]:
    def make(phone: str, out_id: str) -> dict[str, object]:
        return {
            "phone_number": phone,
            "send_time": "2017-01-01 00:00:00",
            "report_time": "2017-01-01 00:00:05",
            "success": True,
            "err_code": "DELIVERED",
            "err_msg": "用户接收成功",
            "sms_size": "1",
            "biz_id": "12345",
            "out_id": out_id,
        }

    return make


async def test_the_carriers_report_is_taken_at_the_secret_address_only(
    api: Api, school_id: UUID, report: Callable[[str, str], dict[str, object]]
) -> None:
    student, group, out_id = member(school_id), new_id(), new_id().hex
    await tell(api.app_context, student, text_of(group), "13800000009")
    async with api.app_context.database.transaction(student.scope) as session:
        query = select(NoticeDelivery).where(
            NoticeDelivery.group_id == group, NoticeDelivery.channel == "sms"
        )
        (await session.scalars(query)).one().out_id = out_id
    secret = report_token(api.app_context.settings.gateway_secret)
    states = []
    async with api.client(member(school_id, "registrar")) as client:
        for token in ("guess", secret, secret):
            answer = await client.post(
                f"/v1/callbacks/sms-reports/{token}", json=[report("13800000009", out_id)]
            )
            async with api.app_context.database.transaction(student.scope) as session:
                states.append((answer.status_code, (await session.scalars(query)).one().state))
    assert states == [(404, "queued"), (200, "delivered"), (200, "delivered")]
    assert answer.json() == {"code": 0, "msg": "成功"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("report_time", "yesterday"), ("report_time", 7), ("out_id", "a\0b"), ("success", None)],
)
async def test_a_malformed_report_is_refused(
    api: Api,
    school_id: UUID,
    report: Callable[[str, str], dict[str, object]],
    field: str,
    value: object,
) -> None:
    secret = report_token(api.app_context.settings.gateway_secret)
    async with api.client(member(school_id, "registrar")) as client:
        body = [report("13800000000", "x") | {field: value}]
        answer = await client.post(f"/v1/callbacks/sms-reports/{secret}", json=body)
    assert answer.status_code == 422
