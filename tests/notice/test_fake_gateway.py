"""The fake pushes delivery reports over a socket, like Aliyun, until they are accepted."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import typer
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from backend.commands.deployment.gateway_command import command, is_id_number
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.notice.delivery import Slice, deliver_slice
from backend.notice.delivery_reports import report_token
from backend.notice.messages import Message, StudentRecipient
from backend.notice.service import post_notice
from backend.notice.sms.aliyun import AliyunSms
from backend.notice.sms.fake import FakeGateway
from backend.notice.sms.port import Sms
from backend.notice.tables import NoticeDelivery, NoticeMessage
from backend.staff_api.notices import router
from tests.notice.conftest import School, Served


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    """The app on a free port; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving
    listener.close()


async def test_sms_is_reported_as_delivered_through_the_staff_api(
    database: Database, school: School, message: Message, parts: AppContext, sms: AliyunSms, served: Served
) -> None:
    student, phone = school.student(), "13612345678"
    assert student.student_id is not None
    async with database.transaction(school.scope) as session:
        recipient = StudentRecipient(student.student_id, school.id, phone=phone)
        await post_notice(session, recipient, message, {"sms"}, now())
        query = select(NoticeMessage.id).where(NoticeMessage.group_id == message.group_id)
        part = Slice((await session.scalars(query)).one(), 0, school.path, school.id)
    await deliver_slice(parts, part, sms)
    staff = FastAPI()
    staff.state.app_context = parts
    staff.include_router(router)
    secret = report_token(parts.settings.gateway_secret)
    async with listening(staff) as url:
        assert await served.gateway.push_reports(f"{url}/v1/callbacks/sms-reports/{secret}") == 1
        assert await served.gateway.push_reports(f"{url}/v1/callbacks/sms-reports/{secret}") == 0
    async with database.transaction(school.scope) as session:
        states = select(NoticeDelivery.state).where(
            NoticeDelivery.message_id == part.message_id, NoticeDelivery.channel == "sms"
        )
        assert (await session.scalars(states)).all() == ["delivered"]


async def test_rejected_reports_are_pushed_again(served: Served, sms: AliyunSms) -> None:
    taken: list[object] = []
    answers = iter([{"code": 1, "msg": "稍后"}, {"code": 0, "msg": "成功"}])

    async def take(request: Request) -> JSONResponse:
        taken.append(await request.json())
        return JSONResponse(next(answers))

    served.gateway.undeliverable.add("13612345679")
    await sms.send(["13612345679"], Sms("点名核验", "SMS_1", {}, new_id().hex))
    async with listening(Starlette(routes=[Route("/", take, methods=["POST"])])) as url:
        assert [await served.gateway.push_reports(url) for _ in range(2)] == [0, 1]
    first, second = taken
    assert isinstance(second, list)
    assert [entry["success"] for entry in second] == [False]
    assert first is not second


async def test_gateway_with_report_url_pushes_reports() -> None:
    arrived: asyncio.Future[list[dict[str, object]]] = asyncio.get_running_loop().create_future()

    async def take(request: Request) -> JSONResponse:
        arrived.set_result(await request.json())
        return JSONResponse({"code": 0, "msg": "成功"})

    async with listening(Starlette(routes=[Route("/", take, methods=["POST"])])) as url:
        gateway = FakeGateway(access_key="demo", secret="s", is_id_number=is_id_number, report_url=url)
        async with listening(gateway.app()):
            asked = {"TemplateCode": "SMS_1", "SignName": "点名核验", "PhoneNumbers": "13612345670"}
            gateway._send_one(asked)
            [report] = await arrived
    assert (report["phone_number"], report["err_code"]) == ("13612345670", "DELIVERED")


def test_fake_does_not_start_in_production() -> None:
    cli = typer.Typer()
    cli.command()(command)
    ended = CliRunner().invoke(cli, ["--port", "0"], env={"DIANMING_ENV": "production"})
    assert ended.exit_code == 2
    assert "fake_in_production" in ended.stderr


@pytest.mark.parametrize(
    ("number", "valid"), [("11010519491231002X", True), ("110105194912310021", False), ("张三", False)]
)
def test_fake_validates_id_numbers_by_check_character(number: str, valid: bool) -> None:
    assert is_id_number(number) is valid
