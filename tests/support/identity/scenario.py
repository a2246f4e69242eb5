"""Both APIs in the process of the test: real routes, real signatures, real database; the outside is played.

The real-name service answers what the test says; the SMS code is read where it waits to be sent.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from httpx import ASGITransport, AsyncClient
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select, update

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.core.web.problems import install_problem_handlers, problem_response
from backend.demo.phone import Phone
from backend.identity.accounts.passwords import password_hasher
from backend.identity.devices.registration_verification import verify_registration
from backend.identity.ports import RealNameAnswer, real_name_verifier
from backend.notice import delivery as sms_delivery
from backend.notice.tables import NoticeDelivery
from backend.people.tables import Student
from backend.staff_api.accounts import accounts, sessions
from backend.staff_api.accounts import activation as staff_activation
from biometrics.errors import BiometricsError
from mobile_api import activation
from mobile_api import registration as registration_routes
from tests.support.province import PROVINCE_PATH, Pupil, School, World, plant

CHEAP = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
"""Argon2 all the same, with the smallest figures it takes."""


@dataclass(slots=True)
class PlayedRealName:
    """Answers as told, and remembers what it was asked."""

    answer: RealNameAnswer = "match"
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def verify(self, name: str, id_number: str) -> RealNameAnswer:
        self.asked.append((name, id_number))
        return self.answer

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Dial:
    """A clock that the test moves."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead

    def seconds(self) -> float:
        return self().timestamp()


@dataclass(frozen=True, slots=True)
class Stage:
    """A planted world and both APIs on it."""

    app_context: AppContext
    owner: Database
    world: World
    real_name: PlayedRealName
    dial: Dial
    mobile: AsyncClient
    staff: AsyncClient

    @property
    def school(self) -> School:
        return self.world.school

    def phone(self) -> Phone:
        """A phone that is bound to nobody; it believes the stage's clock."""
        return Phone(self.mobile, clock=self.dial.seconds)

    async def give_number(self, pupil: Pupil, number: str | None) -> None:
        """Put a phone number on the roster."""
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            await session.execute(update(Student).where(Student.id == pupil.id).values(phone=number))

    async def sent_code(self, pupil: Pupil) -> str | None:
        """The newest code that waits to be sent to the student."""
        newest = (
            select(NoticeDelivery)
            .where(NoticeDelivery.student_id == pupil.id, NoticeDelivery.channel == "sms")
            .order_by(NoticeDelivery.notice_id.desc())
            .limit(1)
        )
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            delivery = (await session.scalars(newest)).one_or_none()
        if delivery is None or delivery.sealed_params is None:
            return None
        context = b"sms-params:" + delivery.notice_id.bytes
        opened = self.app_context.keys.decrypt(sms_delivery._SEALING, delivery.sealed_params, context)
        code: str = json.loads(opened)["code"]
        return code

    async def asked(self, phone: Phone, pupil: Pupil) -> tuple[str, str]:
        """A registration whose code was sent: its id and the code."""
        await self.give_number(pupil, "13800000000")
        registration_id = await phone.register(pupil.name, pupil.id_number)
        await verify_registration(self.app_context, UUID(registration_id))
        code = await self.sent_code(pupil)
        assert code is not None
        return registration_id, code

    async def bound(self, pupil: Pupil) -> Phone:
        """A phone bound to the student by the whole way."""
        phone = self.phone()
        response = await phone.confirm(*await self.asked(phone, pupil))
        assert response.status_code == 200, response.text
        return phone


@asynccontextmanager
async def staged(app_context: AppContext, owner: Database) -> AsyncIterator[Stage]:
    """A new world, and both APIs over ASGI."""
    real_name, dial = PlayedRealName(), Dial()
    services = {**app_context.services, real_name_verifier: real_name, password_hasher: CHEAP}
    own = replace(app_context, services=services, clock=dial)
    world = await plant(owner, app_context.keys)
    async with (
        _client(own, registration_routes.router, activation.router) as mobile,
        _client(own, sessions.router, accounts.router, staff_activation.router) as staff,
    ):
        yield Stage(own, owner, world, real_name, dial, mobile, staff)


def _client(app_context: AppContext, *routers: APIRouter) -> AsyncClient:
    app = FastAPI()
    app.state.app_context = app_context
    install_problem_handlers(app)

    @app.exception_handler(BiometricsError)
    async def _biometrics(request: Request, error: BiometricsError) -> JSONResponse:
        return problem_response(request, error)

    for router in routers:
        app.include_router(router)
    transport = ASGITransport(app, raise_app_exceptions=False)
    return AsyncClient(transport=transport, base_url=app_context.settings.public_url)


def problem_code(text: str) -> str:
    """The stable code in a problem document."""
    code: str = json.loads(text)["code"]
    return code
