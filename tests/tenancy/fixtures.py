"""The application with one signed-in account of every role and two schools with records of every kind.

The clock is frozen, so that no token expires and no window closes during the tests. The records of a school are ids by
name (`student`, `class`, `roll_call`, …), as the matrix names them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID

from httpx import ASGITransport, AsyncByteStream, AsyncClient, Request, Response
from sqlalchemy import select

from backend.app import create_app
from backend.campus.service import Filing, FilingDecision, NewSite, decide_filing, file_site, file_version
from backend.core.actor import Actor, Role
from backend.core.app_context import AppContext
from backend.core.clock import legal_day, now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.demo.phone import Phone
from backend.identity.accounts.passwords import password_hasher
from backend.identity.devices.tables import RebindingObjection
from backend.identity.ports import real_name_verifier
from backend.identity.student_record import RequestCorrection, request_correction
from backend.identity.tables import Account, AuthenticatorReset, DeviceKey, Portrait
from backend.leave.kinds import LeaveKind
from backend.leave.service import DecideLeave, Half, HalfDay, RequestLeave, decide_leave, request_leave
from backend.notice.tables import Notice, NoticeDelivery
from backend.org.terms import NewTerm, get_term, open_term
from backend.people.counselors import AssignClasses, assign_classes
from backend.roll_call.attestation.card_codes import issue_student_code
from backend.roll_call.attestation.position import AttesterPosition
from backend.roll_call.attestation.service import AttestPresence, attest_presence
from backend.roll_call.launch.audience import Audience
from geo.location_fixes import Fix
from tests.support.campus import parsed_outline
from tests.support.identity.scenario import FAST_PASSWORD_HASH, AdjustableClock, FakeRealNameVerifier
from tests.support.identity.scenario import IdentityScenario as IdentityStage
from tests.support.identity.staff_user import StaffUser, create_invited_user
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    SampleStudent,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
    student_account,
)
from tests.support.roll_call.scenario import RollCallScenario as RollStage
from tests.support.roll_call.student_phone import INSIDE, StudentWithPhone, render_burst
from tests.tenancy.cases import CASE_MODULES

WINDOW = timedelta(hours=1)
Records = dict[str, Any]


@dataclass(slots=True)
class FrozenClock(AdjustableClock):
    """A clock that shows the start of the scenario; only tests move it."""

    start: datetime = field(default_factory=now)

    def __call__(self) -> datetime:
        return self.start + self.offset


class FirstChunkTransport(ASGITransport):
    """Ends a stream of server-sent events after its first chunk, as if the client had disconnected."""

    async def handle_async_request(self, request: Request) -> Response:
        if request.url.path.endswith("/stream"):
            return await read_first_chunk(self.app, request)
        return await super().handle_async_request(request)


class _ByteStream(AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


async def read_first_chunk(app: Any, request: Request) -> Response:
    """Call the application, return the first chunk of the response, and disconnect."""
    start: dict[str, Any] = {}
    chunks: list[bytes] = []
    disconnected = asyncio.Event()
    request_messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        message = next(request_messages, None)
        if message is None:
            await disconnected.wait()
        return message or {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif not disconnected.is_set():
            chunks.append(message.get("body", b""))
            disconnected.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    await app(scope, receive, send)
    return Response(start["status"], headers=start["headers"], stream=_ByteStream(b"".join(chunks)))


class Client(Protocol):
    """Sends requests with the credentials of an account."""

    def request(self, method: str, path: str, **options: Any) -> Awaitable[Response]: ...


@dataclass(frozen=True, slots=True)
class HeaderClient:
    """Sends requests with the given headers only."""

    http: AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def request(self, method: str, path: str, **options: Any) -> Response:
        headers = {**options.pop("headers", {}), **self.headers}
        return await self.http.request(method, path, headers=headers, **options)


@dataclass(slots=True)
class StaffMember:
    """A staff account with its bearer token."""

    staffer: StaffUser
    http: AsyncClient

    async def request(self, method: str, path: str, **options: Any) -> Response:
        token = self.staffer.tokens["access_token"]
        return await HeaderClient(self.http, {"Authorization": f"Bearer {token}"}).request(
            method, path, **options
        )


@dataclass(frozen=True, slots=True)
class TenancyScenario:
    """The application, the signed-in clients by name, and the ids of records by owner."""

    app_context: AppContext
    owner: Database
    world: SampleProvince
    clock: FrozenClock
    identity: IdentityStage
    roll: RollStage
    clients: dict[str, Client]
    records: dict[str, Records]
    enrolled_student: StudentWithPhone
    location_text: str

    @property
    def mobile(self) -> AsyncClient:
        return self.identity.mobile

    @property
    def staff(self) -> AsyncClient:
        return self.identity.staff

    async def sign_in_again(self, name: str) -> "StaffMember":
        """Sign in to the same account a second time; the session may be ended."""
        second = replace(self.staff_member(name).staffer)
        answer = await second.sign_in()
        assert answer.is_success, answer.text
        return StaffMember(second, self.staff)

    def staff_member(self, name: str) -> StaffMember:
        return cast("StaffMember", self.clients[name])

    @property
    def phone(self) -> Phone:
        """The phone of the student."""
        return self.enrolled_student.phone


@asynccontextmanager
async def open_tenancy_scenario(app_context: AppContext, owner: Database) -> AsyncIterator[TenancyScenario]:
    """Create the accounts and records on new organisations."""
    clock, real_name = FrozenClock(), FakeRealNameVerifier()
    services = {**app_context.services, real_name_verifier: real_name, password_hasher: FAST_PASSWORD_HASH}
    own = replace(app_context, services=services, clock=clock)
    world = await create_sample_province(owner, app_context.keys, classes=3, students=3)
    transport = FirstChunkTransport(create_app(own), raise_app_exceptions=False)
    url = app_context.settings.public_url
    async with (
        AsyncClient(transport=transport, base_url=f"{url}/mobile") as mobile,
        AsyncClient(transport=transport, base_url=f"{url}/staff") as staff,
    ):
        identity = IdentityStage(own, owner, world, real_name, clock, mobile, staff)
        roll = RollStage(own, owner, world, cast("Any", clock))
        yield await _ScenarioBuilder(identity, roll).build()


@dataclass(slots=True)
class _ScenarioBuilder:
    """Creates accounts and records in the order of their dependencies."""

    identity: IdentityStage
    roll: RollStage
    clients: dict[str, Client] = field(default_factory=dict)
    accounts: dict[str, UUID] = field(default_factory=dict)
    location_text: str = ""

    @property
    def world(self) -> SampleProvince:
        return self.identity.world

    @property
    def at(self) -> datetime:
        return self.identity.clock()

    async def build(self) -> TenancyScenario:
        await self._create_staff()
        enrolled_student = await self._enrol_student(self.world.school.students[0])
        self.clients["student"] = enrolled_student.phone
        school = await self._create_records(
            self.world.school, bureau_account(self.world.city), enrolled_student
        )
        other_student = await self.roll.activate(self.world.direct.students[0], school=self.world.direct)
        direct = await self._create_records(
            self.world.direct, province_account(self.world.province), other_student
        )
        records = {"school": school, "direct": direct, **await self._create_neighbouring_records(school)}
        return TenancyScenario(
            app_context=self.identity.app_context,
            owner=self.identity.owner,
            world=self.world,
            clock=cast("FrozenClock", self.identity.clock),
            identity=self.identity,
            roll=self.roll,
            clients=self.clients,
            records=records,
            enrolled_student=enrolled_student,
            location_text=self.location_text,
        )

    async def _create_staff(self) -> None:
        """Create staff accounts by invitation, two-factor activation and sign-in."""
        world = self.world
        roles: dict[str, tuple[Role, UUID]] = {
            "province": ("province", world.province.id),
            "bureau": ("bureau", world.city.id),
            "other_bureau": ("bureau", world.other_city.id),
            "registrar": ("registrar", world.school.id),
            "other_registrar": ("registrar", world.sister.id),
            "counselor": ("counselor", world.school.id),
        }
        staff = {
            name: await create_invited_user(self.identity, role, unit) for name, (role, unit) in roles.items()
        }
        for name, each in staff.items():
            for step in (each.begin, each.confirm):
                answer = await step()
                assert answer.is_success, answer.text
            self.accounts[name] = each.account_id
            self.clients[name] = StaffMember(each, self.identity.staff)
        for each in staff.values():
            answer = await each.sign_in()
            assert answer.is_success, answer.text
        await self._assign_first_class(await self._counselor_of(self.accounts["counselor"]))

    async def _counselor_of(self, account_id: UUID) -> UUID:
        async with self.roll.owner_transaction() as session:
            counselor_id: UUID = (await session.get_one(Account, account_id)).counselor_id
        return counselor_id

    async def _assign_first_class(self, counselor_id: UUID) -> None:
        """Assign the first class to the signed-in counselor."""
        registrar, klass = registrar_account(self.world.school), self.world.school.classes[0]
        async with self.identity.app_context.database.transaction(registrar.scope) as session:
            await assign_classes(
                session, registrar, AssignClasses(counselor_id, frozenset([klass.id])), self.at
            )

    async def _enrol_student(self, pupil: SampleStudent) -> StudentWithPhone:
        """Register the student's phone through the API; insert portrait and face, which workers would evaluate."""
        phone = await self.identity.bind_phone(pupil)
        for consent in (await phone.get("/v1/me/consents")).json():
            if consent["kind"] == "guardian_notice":  # needs a guardian on the roster
                continue
            answer = await phone.consent(consent["kind"], consent["text_version"])
            assert answer.status_code == 201, answer.text
            if consent["kind"] == "location":
                self.location_text = consent["text_version"]
        answer = await phone.post("/v1/me/record/checks", json={"result": "confirmed"})
        assert answer.status_code == 201, answer.text
        person = new_id().int % 10**9
        owner_ids = {"school_id": pupil.school_id, "student_id": pupil.id}
        async with self.roll.owner_transaction() as session:
            session.add(
                Portrait(
                    id=new_id(),
                    evidence_key=f"pictures/{new_id().hex}",
                    sha256=b"\0" * 32,
                    status="accepted",
                    reasons=[],
                    submitted_at=self.at,
                    **owner_ids,
                )
            )
            await self.roll._enrol(session, person, owner_ids)
        return StudentWithPhone(student_account(self.world.school, pupil), phone, person)

    async def _create_records(
        self, school: SampleSchool, superior: Actor, enrolled_student: StudentWithPhone
    ) -> Records:
        """Create one record of each kind in a school. Most belong to the first class."""
        first, second, third = school.classes
        attested, bystander = first.students[1], first.students[2]
        version, pending = await self._create_sites(school, superior)
        roll_call = await self._launch(superior, school, timedelta())
        voidable = await self._launch(superior, school, timedelta(days=1))
        classmate = await self.roll.activate(bystander, school=school)
        spare = await create_invited_user(self.identity, "counselor", school.id)
        doomed = await create_invited_user(self.identity, "counselor", school.id)
        submission = await self.roll.submit(
            enrolled_student, roll_call, render_burst(enrolled_student.person)
        )
        await self._attest(school, attested, roll_call, version)
        records: Records = {
            "school": school.id,
            "class": first.id,
            "student": enrolled_student.student_id,
            "second_student": second.students[0].id,
            "bystander": bystander.id,
            "bystander_code": await self._issue_code(school, bystander),
            "attested": attested.id,
            "spare_class": third.id,
            "counselor": await self._counselor_of(spare.account_id),
            "account": spare.account_id,
            "doomed_account": doomed.account_id,
            "site": pending[0],
            "site_version": version,
            "pending_version": pending[1],
            "term": await self._create_term(school),
            "correction": await self._request_correction(school, bystander),
            "reset": await self._request_reset(spare.account_id, school),
            "objection": await self._object_to_rebinding(bystander),
            "roll_call": roll_call,
            "voidable": voidable,
            "notice_group": roll_call,
            "notice": await self._find_notice(Notice.student_id == enrolled_student.student_id),
            "submission": submission.submission_id,
            "classmate_submission": (await self.roll.submit(classmate, roll_call)).submission_id,
            "frame": render_burst(enrolled_student.person)[0],
            "registration": new_id(),
            **await self._create_leave(school),
            "city": self.world.city.id if school is self.world.school else self.world.other_city.id,
        }
        for module in CASE_MODULES:
            records |= await module.create_records(self, school, superior, records)
        return records

    async def _launch(self, superior: Actor, school: SampleSchool, offset: timedelta) -> UUID:
        """Launch a spot check of one hour for the school."""
        opens = self.at + offset
        audience = Audience(unit_ids=(school.id,))
        launched = await self.roll.launch(
            superior, audience=audience, opens_at=opens, closes_at=opens + WINDOW
        )
        return launched.roll_call.id

    async def _create_sites(self, school: SampleSchool, superior: Actor) -> tuple[UUID, tuple[UUID, UUID]]:
        """Create a site with an approved and a pending version."""
        registrar, database = registrar_account(school), self.identity.app_context.database
        async with database.transaction(registrar.scope) as session:
            version = await file_site(
                session,
                registrar,
                NewSite("主校区", "main", "郑州市某路1号"),
                Filing(parsed_outline()),
                self.at,
            )
        async with database.transaction(superior.scope) as session:
            await decide_filing(session, superior, version.id, FilingDecision("approved"), self.at)
        async with database.transaction(registrar.scope) as session:
            pending = await file_version(
                session, registrar, version.site_id, Filing(parsed_outline()), self.at
            )
        return version.id, (version.site_id, pending.id)

    async def _issue_code(self, school: SampleSchool, pupil: SampleStudent) -> str:
        registrar, app_context = registrar_account(school), self.identity.app_context
        async with app_context.database.transaction(registrar.scope) as session:
            return await issue_student_code(session, registrar, pupil.id, self.at, app_context.keys)

    async def _attest(
        self, school: SampleSchool, pupil: SampleStudent, roll_call_id: UUID, version_id: UUID
    ) -> None:
        """Attest presence as the counselor of the first class."""
        code, app_context, klass = (
            await self._issue_code(school, pupil),
            self.identity.app_context,
            school.classes[0],
        )
        counselor = counselor_account(school, klass)
        if school is self.world.school:
            counselor = replace(counselor, counselor_id=await self._counselor_of(self.accounts["counselor"]))
        position = AttesterPosition(Fix(*INSIDE, 12.0, age_s=1.0), new_id())
        command = AttestPresence(roll_call_id, pupil.id, code, version_id, "手机损坏", position)
        async with app_context.database.transaction(counselor.scope) as session:
            await attest_presence(session, counselor, command, self.at, app_context.keys)

    async def _create_term(self, school: SampleSchool) -> UUID:
        """Open the current term with the school's own dates."""
        province = province_account(self.world.province)
        async with self.roll.owner_transaction() as session:
            term = await get_term(session, school.id, legal_day(self.at))
            school_term = NewTerm(school.id, term.code, term.starts_on, term.ends_on)
            return (await open_term(session, province, school_term, self.at)).id

    async def _request_reset(self, account_id: UUID, school: SampleSchool) -> UUID:
        """Insert a request to reset an authenticator."""
        reset = AuthenticatorReset(
            id=new_id(),
            account_id=account_id,
            org_path=school.path,
            reason="手机丢失",
            requested_by=new_id(),
            at=self.at,
        )
        async with self.roll.owner_transaction() as session:
            session.add(reset)
        return reset.id

    async def _object_to_rebinding(self, pupil: SampleStudent) -> UUID:
        """Insert an objection of an old phone of a student who has a phone."""
        owner_ids = {"school_id": pupil.school_id, "student_id": pupil.id}
        async with self.roll.owner_transaction() as session:
            active = select(DeviceKey.id).where(
                DeviceKey.student_id == pupil.id, DeviceKey.status == "active"
            )
            old = DeviceKey(
                id=new_id(),
                jkt=f"old-{new_id()}",
                public_jwk={},
                status="revoked",
                bound_at=self.at,
                **owner_ids,
            )
            session.add(old)
            await session.flush()
            objection = RebindingObjection(
                id=new_id(),
                device_id=(await session.scalars(active)).one(),
                old_device_id=old.id,
                at=self.at,
                **owner_ids,
            )
            session.add(objection)
        return objection.id

    async def _request_correction(self, school: SampleSchool, pupil: SampleStudent) -> UUID:
        actor, app_context = student_account(school, pupil), self.identity.app_context
        claim = RequestCorrection("phone", "13900000000", None)
        async with app_context.database.transaction(actor.scope) as session:
            check = await request_correction(session, actor, app_context.keys, claim, self.at)
        return check.id

    async def _create_leave(self, school: SampleSchool) -> Records:
        """Request leave for today, too late for the roll calls: pending, begun, and to be cancelled."""
        own, second, third = school.classes[0].students
        return {
            "own_begun_leave": await self._request_leave(school, own, "morning", approved=True),
            "own_leave": await self._request_leave(school, own, "afternoon"),
            "begun_leave": await self._request_leave(school, second, "morning", approved=True),
            "waiting_leave": await self._request_leave(school, second, "afternoon"),
            "spare_leave": await self._request_leave(school, third, "afternoon"),
        }

    async def _request_leave(
        self, school: SampleSchool, pupil: SampleStudent, half: Half, *, approved: bool = False
    ) -> UUID:
        actor, registrar = student_account(school, pupil), registrar_account(school)
        database, today = self.identity.app_context.database, HalfDay(legal_day(self.at), half)
        async with database.transaction(actor.scope) as session:
            command = RequestLeave(LeaveKind.SICK, today, today, "发烧就医")
            leave = await request_leave(session, actor, self.identity.app_context.keys, command, self.at)
        if approved:
            async with database.transaction(registrar.scope) as session:
                await decide_leave(session, registrar, DecideLeave(leave.request.id, "approved"), self.at)
        return leave.request.id

    async def _find_notice(self, recipient: Any) -> UUID:
        """Find a notice that the app shows; codes sent only by SMS are not shown."""
        shown = select(NoticeDelivery.notice_id).where(NoticeDelivery.channel == "in_app")
        async with self.roll.owner_transaction() as session:
            notice = await session.scalar(select(Notice.id).where(recipient, Notice.id.in_(shown)).limit(1))
        assert isinstance(notice, UUID)
        return notice

    async def _create_neighbouring_records(self, school: Records) -> dict[str, Records]:
        """Return records of staff members, of a classmate, and of a class of another counselor."""
        second = self.world.school.classes[1]
        classmate = self.world.school.classes[0].students[2]
        leave_of_other_class = await self._request_leave(
            self.world.school, second.students[0], "morning", approved=True
        )
        return {
            "registrar": {"notice": await self._find_notice(Notice.account_id == self.accounts["registrar"])},
            "counselor": {"notice": await self._find_notice(Notice.account_id == self.accounts["counselor"])},
            "colleague": {
                "class": second.id,
                "student": second.students[0].id,
                "second_student": second.students[1].id,
                "bystander": second.students[0].id,
                "correction": await self._request_correction(self.world.school, second.students[0]),
                "notice": school["notice"],
                **dict.fromkeys(("begun_leave", "waiting_leave", "spare_leave"), leave_of_other_class),
                **_select_by_prefix(school, "colleague_"),
            },
            "classmate": {
                **dict.fromkeys(("own_begun_leave", "own_leave"), school["begun_leave"]),
                "notice": await self._find_notice(Notice.student_id == classmate.id),
                **_select_by_prefix(school, "classmate_"),
            },
        }


def _select_by_prefix(records: Records, prefix: str) -> Records:
    """Select the records whose names have a prefix, and remove it: `classmate_prompt` → `prompt`."""
    return {name.removeprefix(prefix): each for name, each in records.items() if name.startswith(prefix)}
