"""Both APIs in the test process: real routes, signatures and database; external services are fakes.

The test sets the answer of the real-name service. SMS codes are read from the outgoing deliveries.
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
from sqlalchemy import delete, select, update

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.core.web.client import trust_proxies
from backend.core.web.problems import install_problem_handlers, problem_response
from backend.demo.phone import Phone
from backend.events import deliver
from backend.identity.accounts.passwords import password_hasher
from backend.identity.devices.binding_codes import IssueBindingCode, issue_binding_code
from backend.identity.devices.registration_verification import verify_registration
from backend.identity.ports import RealNameAnswer, real_name_verifier
from backend.identity.tables import PictureFingerprint
from backend.notice import delivery as sms_delivery
from backend.notice.tables import NoticeDelivery
from backend.people.tables import Student
from backend.staff_api.accounts import (
    accounts,
    authenticator_resets,
    browser_sessions,
    counselor_invitations,
    passkeys,
    phone_changes,
    rebinding,
    sessions,
)
from backend.staff_api.accounts import activation as staff_activation
from backend.staff_api.roll_calls import roll_calls
from biometrics.errors import BiometricsError
from mobile_api import activation, picture_views, push
from mobile_api import phone_changes as own_phone_changes
from mobile_api import registration as registration_routes
from tests.support.province import (
    PROVINCE_PATH,
    SampleProvince,
    SampleSchool,
    SampleStudent,
    create_sample_province,
    registrar_account,
)

FAST_PASSWORD_HASH = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
"""Argon2 with its minimum parameters, to make tests fast."""


@dataclass(slots=True)
class FakeRealNameVerifier:
    """Returns the answer set by the test and records the requests."""

    answer: RealNameAnswer = "match"
    requests: list[tuple[str, str]] = field(default_factory=list)

    async def verify(self, name: str, id_number: str) -> RealNameAnswer:
        self.requests.append((name, id_number))
        return self.answer

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class AdjustableClock:
    """A clock that tests can move."""

    offset: timedelta = timedelta()

    def __call__(self) -> datetime:
        return now() + self.offset

    def seconds(self) -> float:
        return self().timestamp()


@dataclass(frozen=True, slots=True)
class IdentityScenario:
    """A sample province and both APIs."""

    app_context: AppContext
    owner: Database
    world: SampleProvince
    real_name: FakeRealNameVerifier
    clock: AdjustableClock
    mobile: AsyncClient
    staff: AsyncClient

    @property
    def school(self) -> SampleSchool:
        return self.world.school

    def phone(self) -> Phone:
        """An unbound phone that uses the scenario's clock."""
        return Phone(self.mobile, clock=self.clock.seconds)

    async def set_phone_number(self, student: SampleStudent, number: str | None) -> None:
        """Set the phone number on the roster."""
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            await session.execute(update(Student).where(Student.id == student.id).values(phone=number))

    async def sent_code(self, student: SampleStudent) -> str | None:
        """The newest code waiting to be sent to the student, if any."""
        newest = (
            select(NoticeDelivery)
            .where(NoticeDelivery.student_id == student.id, NoticeDelivery.channel == "sms")
            .order_by(NoticeDelivery.notice_id.desc())
            .limit(1)
        )
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            delivery = (await session.scalars(newest)).one_or_none()
        if delivery is None or delivery.sealed_params is None:
            return None
        context = b"sms-params:" + delivery.notice_id.bytes
        opened = self.app_context.keys.decrypt(
            sms_delivery._ENCRYPTION_PURPOSE, delivery.sealed_params, context
        )
        code: str = json.loads(opened)["code"]
        return code

    async def request_code(self, phone: Phone, student: SampleStudent) -> tuple[str, str]:
        """Register a phone and verify the registration; returns its id and the code."""
        await self.set_phone_number(student, "13800000000")
        registration_id = await phone.register(student.name, student.id_number)
        await verify_registration(self.app_context, UUID(registration_id))
        code = await self.sent_code(student)
        assert code is not None
        return registration_id, code

    async def binding_code(self, student: SampleStudent) -> str:
        """A code that the registrar gives to the student in person."""
        schools = (self.world.school, self.world.sister, self.world.direct)
        actor = registrar_account(next(each for each in schools if each.id == student.school_id))
        async with self.app_context.database.transaction(actor.scope) as session:
            command = IssueBindingCode(student.id, "当面核对身份证", timedelta(minutes=30))
            issued = await issue_binding_code(session, actor, self.app_context.keys, command, self.clock())
        return issued.code

    async def deliver_events(self, name: str) -> int:
        """Deliver every event of this name that was emitted in the scenario's schools; returns their number."""
        schools = [str(each.id) for each in (self.world.school, self.world.sister, self.world.direct)]
        of_schools = OutboxEvent.payload["school_id"].astext.in_(schools)
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            ids = (
                await session.scalars(
                    select(OutboxEvent.id)
                    .where(OutboxEvent.name == name, of_schools)
                    .order_by(OutboxEvent.id)
                )
            ).all()
        for event_id in ids:
            await deliver(self.app_context, str(event_id))
        return len(ids)

    async def bind_phone(self, student: SampleStudent) -> Phone:
        """Bind a new phone to the student through the API; if it replaces another, with a code given in person."""
        phone = self.phone()
        requested = await self.request_code(phone, student)
        response = await phone.confirm(*requested)
        if response.status_code == 409 and problem_code(response.text) == "rebinding_check_needed":
            response = await phone.confirm(*requested, await self.binding_code(student))
        assert response.status_code == 200, response.text
        return phone


@asynccontextmanager
async def identity_scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    """A new sample province, and both APIs over ASGI."""
    real_name, clock = FakeRealNameVerifier(), AdjustableClock()
    services = {**app_context.services, real_name_verifier: real_name, password_hasher: FAST_PASSWORD_HASH}
    own = replace(app_context, services=services, clock=clock)
    world = await create_sample_province(owner, app_context.keys)
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await session.execute(delete(PictureFingerprint))  # tests send the same test pictures
    async with (
        _client(
            own,
            registration_routes.router,
            activation.router,
            own_phone_changes.router,
            push.router,
            picture_views.router,
        ) as mobile,
        _client(
            own,
            sessions.router,
            roll_calls.router,
            browser_sessions.router,
            passkeys.router,
            accounts.router,
            counselor_invitations.router,
            staff_activation.router,
            phone_changes.router,
            rebinding.router,
            authenticator_resets.router,
        ) as staff,
    ):
        yield IdentityScenario(own, owner, world, real_name, clock, mobile, staff)


def _client(app_context: AppContext, *routers: APIRouter) -> AsyncClient:
    app = FastAPI()
    app.state.app_context = app_context
    install_problem_handlers(app)

    @app.exception_handler(BiometricsError)
    async def _biometrics(request: Request, error: BiometricsError) -> JSONResponse:
        return problem_response(request, error)

    for router in routers:
        app.include_router(router)
    trust_proxies(app, app_context.settings)
    transport = ASGITransport(app, raise_app_exceptions=False)
    return AsyncClient(transport=transport, base_url=app_context.settings.public_url)


def problem_code(text: str) -> str:
    """The error code in a problem document."""
    code: str = json.loads(text)["code"]
    return code
