"""Units of the tree, people to notify, and the fake gateway over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest
import uvicorn
from sqlalchemy import text

from backend.commands.deployment.gateway_command import is_id_number
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.notice.aliyun_rpc import AliyunRpc, Endpoint
from backend.notice.messages import Message, SmsText
from backend.notice.sms.aliyun import AliyunSms
from backend.notice.sms.fake import FakeGateway
from backend.notice.sms.providers import sms_provider


class Clock:
    """Each reading is a second after the one before, so that runs follow one another."""

    def __init__(self) -> None:
        self.at = now()

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@dataclass(frozen=True)
class School:
    """A school below a city below a province of its own."""

    id: UUID
    path: str
    city_path: str
    other_city_path: str
    other_school_id: UUID

    @property
    def scope(self) -> Scope:
        return Scope.school(self.id, self.path)

    @property
    def city_scope(self) -> Scope:
        return Scope.wide(self.city_path)

    def student(self) -> Actor:
        return Actor(
            account_id=new_id(),
            role="student",
            org_id=self.id,
            org_path=self.path,
            school_id=self.id,
            student_id=new_id(),
        )

    def registrar(self) -> Actor:
        return Actor(
            account_id=new_id(), role="registrar", org_id=self.id, org_path=self.path, school_id=self.id
        )

    def bureau(self) -> Actor:
        return Actor(account_id=new_id(), role="bureau", org_id=new_id(), org_path=self.city_path)


@pytest.fixture
async def school(owner: Database) -> School:
    """A fresh tree: one province, two cities, a school in each."""
    code = new_id().hex[-12:]
    paths = {
        "province": (f"p{code}", None),
        "city": (f"p{code}.a", "province"),
        "other_city": (f"p{code}.b", "province"),
        "school": (f"p{code}.a.s", "city"),
        "other_school": (f"p{code}.b.s", "other_city"),
    }
    ids = {name: new_id() for name in paths}
    async with owner.transaction(Scope.none()) as session:
        for name, (path, parent) in paths.items():
            await session.execute(
                text(
                    "INSERT INTO org_unit (id, kind, code, name, parent_id, path, created_at)"
                    " VALUES (:id, :kind, :code, :code, :parent, CAST(:path AS ltree), now())"
                ),
                {
                    "id": ids[name],
                    "kind": name.removeprefix("other_"),
                    "code": path,
                    "parent": ids[parent] if parent else None,
                    "path": path,
                },
            )
    return School(
        ids["school"], paths["school"][0], paths["city"][0], paths["other_city"][0], ids["other_school"]
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def message() -> Message:
    return Message(
        kind="roll_call_launched",
        group_id=new_id(),
        title_zh="点名核验通知",
        title_en="Roll call",
        body_zh="请在今天 18:00 前完成核验。",
        body_en="Verify before 18:00 today.",
        data={"roll_call_id": str(new_id())},
        sms=SmsText("notice", {"deadline": "18:00"}),
    )


@dataclass(frozen=True)
class Served:
    """The fake gateway and where it listens."""

    gateway: FakeGateway
    url: str
    http: httpx.AsyncClient

    async def inbox(self, phone: str) -> list[dict[str, object]]:
        answer = await self.http.get(f"{self.url}/inbox/{phone}")
        messages: list[dict[str, object]] = answer.json()["messages"]
        return messages


@pytest.fixture
async def served(clock: Clock) -> AsyncIterator[Served]:
    """The fake gateway on a free port of a real socket."""
    gateway = FakeGateway(
        access_key="demo", secret="demo-secret", is_id_number=is_id_number, mismatching="7", clock=clock
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(gateway.app(), log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with httpx.AsyncClient() as http:
        yield Served(gateway, f"http://127.0.0.1:{listener.getsockname()[1]}", http)
    server.should_exit = True
    await serving
    listener.close()


@pytest.fixture
async def parts(app_context: AppContext, served: Served, clock: Clock) -> AsyncIterator[AppContext]:
    """A process pointed at the fake gateway."""
    settings = app_context.settings.model_copy(update={"gateway_url": served.url})
    parts = replace(app_context, settings=settings, clock=clock, services={})
    client = AliyunSms(AliyunRpc(Endpoint.of(settings), clock))
    parts.services[sms_provider] = client
    yield parts
    await client.aclose()


@pytest.fixture
def sms(parts: AppContext) -> AliyunSms:
    client: AliyunSms = parts.services[sms_provider]
    return client


@pytest.fixture
def phone_numbers() -> Callable[[int], list[str]]:
    """So many valid numbers, other ones in every test."""
    base = new_id().int % 10**8

    def numbers(count: int) -> list[str]:
        return [f"139{(base + offset) % 10**8:08d}" for offset in range(count)]

    return numbers
