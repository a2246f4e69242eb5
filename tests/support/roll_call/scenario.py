"""The scenario of roll call tests: a province with a filed site, activated students, and a clock that the test sets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from procrastinate import JobContext
from sqlalchemy import delete, func, insert, select, text

from backend.campus.service import Filing, FilingDecision, NewSite, decide_filing, file_site
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.batching.batch_writer import Deferred
from backend.core.clock import now
from backend.core.database import Database, driver_connection
from backend.core.ids import new_id
from backend.core.tables import OutboxEvent, ServiceHeartbeat
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity.face.pool import face_pool
from backend.identity.face.templates import store_template
from backend.identity.tables import Account, DeviceKey, FaceEnrolment, NonFaceRoute, Portrait
from backend.people.tables import Consent, RecordCheck
from backend.roll_call.check_in import evaluate
from backend.roll_call.check_in import frames as frame_store
from backend.roll_call.check_in.challenges import issue_challenge
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.launch.audience import Audience
from backend.roll_call.launch.checks import LaunchRollCall
from backend.roll_call.launch.notifications import announce_roll_call
from backend.roll_call.launch.service import Launched, launch_roll_call
from backend.roll_call.outcomes import select_current_outcomes
from backend.roll_call.settlement.service import Settlement, settle_roll_call
from backend.roll_call.tables import (
    Challenge,
    OutcomeEntry,
    Refusal,
    RollCall,
    Submission,
    VerdictRecord,
    VerificationTask,
)
from backend.roll_call.verification.queue import Lease, QueueConfig, enqueue_verification
from backend.roll_call.verification.worker import verify_batch
from biometrics.liveness.actions import Action
from biometrics.pool import FacePool, PoolLimits
from tests.support.biometrics.faulty_engines import pattern_engines
from tests.support.campus import parsed_outline
from tests.support.province import (
    PROVINCE_PATH,
    SampleClass,
    SampleProvince,
    SampleSchool,
    SampleStudent,
    bureau_account,
    create_sample_province,
    registrar_account,
    student_account,
)
from tests.support.roll_call.student_phone import (
    OFFLINE,
    StudentWithPhone,
    envelope,
    make_check_in_request,
    make_template,
    render_actions,
    stream_chunks,
)

WINDOW = timedelta(hours=1)
GRACE = timedelta(seconds=120)
MICROSECOND = timedelta(microseconds=1)
TERMS = QueueConfig(batch=16, lease=timedelta(seconds=30), attempts=3)


@dataclass(slots=True)
class Clock:
    """A clock that changes only when the test sets it."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


@contextmanager
def pattern_pool() -> Iterator[FacePool]:
    """Start one face process with the test engine only."""
    with FacePool(pattern_engines, PoolLimits(workers=1)) as pool:
        yield pool


def make_job_context(app_context: AppContext) -> JobContext:
    """Make the context that a procrastinate task receives."""

    @dataclass
    class _Context:
        additional_context: dict[str, Any]

    return cast("JobContext", _Context({"app_context": app_context}))


@dataclass(slots=True)
class RollCallScenario:
    """A test province with its own application context, and each step of a roll call as one method."""

    app_context: AppContext
    owner: Database
    world: SampleProvince
    clock: Clock

    @property
    def school(self) -> SampleSchool:
        return self.world.school

    @property
    def bureau(self) -> Actor:
        return bureau_account(self.world.city)

    @property
    def registrar(self) -> Actor:
        return registrar_account(self.school)

    def owner_transaction(self) -> Any:
        """Open a transaction as the database owner, for rows that no service of this package writes."""
        return self.owner.transaction(Scope.wide(PROVINCE_PATH))

    # --- people and places ---

    async def file_site(self, school: SampleSchool | None = None) -> UUID:
        """File and approve a site that contains INSIDE."""
        school = school or self.school
        registrar, superior = registrar_account(school), self.bureau
        async with self.app_context.database.transaction(registrar.scope) as session:
            new = NewSite(f"校区{new_id()}", "main", "郑州市某路1号")
            version = await file_site(session, registrar, new, Filing(parsed_outline()), self.clock())
        async with self.app_context.database.transaction(superior.scope) as session:
            await decide_filing(session, superior, version.id, FilingDecision("approved"), self.clock())
        return version.id

    async def activate(
        self, pupil: SampleStudent, *, face: bool = True, school: SampleSchool | None = None
    ) -> StudentWithPhone:
        """Complete the activation of a student (HN334-3.1); without `face`, record the non-face route instead."""
        person = new_id().int % 10**9
        actor = student_account(school or self.school, pupil)
        phone = Phone(OFFLINE)
        at = self.clock()
        common: dict[str, Any] = {"school_id": pupil.school_id, "student_id": pupil.id}
        async with self.owner_transaction() as session:
            session.add(
                DeviceKey(
                    id=new_id(),
                    jkt=phone.thumbprint,
                    public_jwk=phone.jwk,
                    status="active",
                    bound_at=at,
                    **common,
                )
            )
            session.add(_account_of(actor, at))
            session.add(RecordCheck(id=new_id(), status="confirmed", at=at, **common))
            kinds = ("location", "face_use", "face_template_storage") if face else ("location",)
            for kind in kinds:
                session.add(
                    Consent(id=new_id(), kind=kind, text_version=f"{kind}-1", granted=True, at=at, **common)
                )
            session.add(
                Portrait(
                    id=new_id(),
                    evidence_key=f"pictures/{new_id().hex}",
                    sha256=b"\0" * 32,
                    status="accepted",
                    reasons=[],
                    submitted_at=at,
                    **common,
                )
            )
            if face:
                await self._enrol(session, person, common)
            else:
                session.add(NonFaceRoute(id=new_id(), chosen=True, reason="本人选择", at=at, **common))
        return StudentWithPhone(actor, phone, person)

    async def _enrol(self, session: Any, person: int, common: dict[str, Any]) -> None:
        enrolment = FaceEnrolment(
            id=new_id(), status="accepted", shots=3, reasons=[], submitted_at=self.clock(), **common
        )
        session.add(enrolment)
        await session.flush()
        await store_template(session, self.app_context.keys, enrolment, make_template(person), self.clock())

    async def account(self, kind: str, school: SampleSchool, klass: SampleClass | None = None) -> Actor:
        """Create an active staff account of a school that can receive notices."""
        account_id = new_id()
        counselor_id = klass.counselor_id if klass else None
        async with self.owner_transaction() as session:
            session.add(
                Account(
                    id=account_id,
                    kind=kind,
                    org_id=school.id,
                    org_path=school.path,
                    school_id=school.id,
                    counselor_id=counselor_id,
                    login=f"t{account_id.hex}",
                    display_name="某某",
                    status="active",
                    password_hash="-",
                    totp_sealed=b"-",
                    created_at=self.clock(),
                )
            )
        return Actor(
            account_id,
            cast("Any", kind),
            school.id,
            school.path,
            school_id=school.id,
            counselor_id=counselor_id,
        )

    # --- the roll call ---

    async def launch(self, actor: Actor | None = None, *, announced: bool = True, **changes: Any) -> Launched:
        """Launch a spot check over the school, open for one hour from now, announced unless `announced` is False."""
        at = self.clock()
        command = LaunchRollCall(
            kind="spot_check",
            title="学籍核验",
            opens_at=at,
            closes_at=at + WINDOW,
            audience=Audience(unit_ids=(self.school.id,)),
        )
        actor = actor or self.bureau
        async with self.app_context.database.transaction(actor.scope) as session:
            launched = await launch_roll_call(session, actor, replace(command, **changes), at)
        if announced:
            await self.announce(launched.roll_call)
        return launched

    async def announce(self, roll_call: RollCall) -> int:
        async with self.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
            return await announce_roll_call(session, roll_call.id, self.clock())

    async def record_heartbeats(self, roll_call: RollCall, *, but: range = range(0)) -> None:
        """Record heartbeats through the window and four hours beyond, except for the minutes `but` of an outage."""
        first = roll_call.opens_at.replace(second=0, microsecond=0)
        last = int((roll_call.closes_at - first).total_seconds() // 60) + 240
        rows = [{"minute": first + timedelta(minutes=each)} for each in range(last) if each not in but]
        async with self.owner_transaction() as session:
            await session.execute(delete(ServiceHeartbeat).where(ServiceHeartbeat.minute >= first))
            await session.execute(insert(ServiceHeartbeat).values(rows))

    async def settle(self, roll_call: RollCall) -> Settlement:
        async with self.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
            return await settle_roll_call(session, roll_call.id, self.clock())

    async def challenge(
        self, student: StudentWithPhone, roll_call_id: UUID, *cannot: Action
    ) -> Challenge | RecordedRefusal:
        async with self.app_context.database.transaction(student.actor.scope) as session:
            return await issue_challenge(session, student.actor, roll_call_id, cannot, self.clock())

    async def issue_challenge(
        self, student: StudentWithPhone, roll_call_id: UUID, *cannot: Action
    ) -> Challenge:
        """Issue a challenge; an unanswered one is returned again."""
        issued = await self.challenge(student, roll_call_id, *cannot)
        assert isinstance(issued, Challenge), issued
        return issued

    async def nonce(self, student: StudentWithPhone, roll_call_id: UUID) -> str:
        return (await self.issue_challenge(student, roll_call_id)).nonce

    async def answer(self, student: StudentWithPhone, roll_call_id: UUID, first: int = 0) -> list[bytes]:
        """Render frames that answer the current challenge."""
        return render_actions(
            student.person, (await self.issue_challenge(student, roll_call_id)).actions, first
        )

    async def send(
        self, student: StudentWithPhone, roll_call_id: UUID, compact: str, at: datetime | None = None
    ) -> evaluate.Acknowledgement | RecordedRefusal:
        check_in_request = make_check_in_request(student, roll_call_id, compact, at or self.clock())
        async with self.app_context.database.transaction(Scope.none()) as session:
            (answer,) = await evaluate.receive_batch(
                await driver_connection(session), [check_in_request], self.app_context.keys, wait=True
            )
        if isinstance(answer, evaluate.UnrecordedRefusal):
            raise answer.error
        assert not isinstance(answer, Deferred)
        return answer

    async def submit(
        self, student: StudentWithPhone, roll_call_id: UUID, frames: list[bytes] | None = None, **content: Any
    ) -> evaluate.Acknowledgement:
        """Request a challenge and send an envelope; the frames are not uploaded."""
        challenge = await self.issue_challenge(student, roll_call_id)
        frames = frames or render_actions(student.person, challenge.actions)
        signed = envelope(student, roll_call_id, challenge.nonce, frames, **content)
        received = await self.send(student, roll_call_id, signed)
        assert isinstance(received, evaluate.Acknowledgement), received
        return received

    async def upload(
        self, student: StudentWithPhone, submission_id: UUID, position: int, data: bytes
    ) -> tuple[frame_store.DeclaredFrame, bool]:
        database, actor, at = self.app_context.database, student.actor, self.clock()
        frame = await frame_store.load_declared_frame(self.app_context, actor, submission_id, position, at)
        size = await frame_store.store_frame(self.app_context, frame, stream_chunks(data))
        async with database.transaction(Scope.none()) as session:
            stored = frame_store.StoredFrame(frame, actor, size, at)
            return frame, (await frame_store.record_frames(session, [stored]))[0]

    async def check_in(
        self,
        student: StudentWithPhone,
        roll_call_id: UUID,
        frames: list[bytes] | None = None,
        *,
        first: int = 0,
        **content: Any,
    ) -> UUID:
        """Request a challenge, send an envelope and upload all frames. Another `first` renders other pictures."""
        frames = frames or await self.answer(student, roll_call_id, first)
        received = await self.submit(student, roll_call_id, frames, **content)
        for position, data in enumerate(frames):
            await self.upload(student, received.submission_id, position, data)
        return received.submission_id

    async def verify(self, submission_id: UUID, school: SampleSchool | None = None) -> VerdictRecord:
        """Verify a submission, queued or not, and return the verdict."""
        lease = await self.lease_submission(submission_id, school)
        await verify_batch(self.app_context, [lease], TERMS)
        return await self.verdict(submission_id)

    async def lease_submission(self, submission_id: UUID, school: SampleSchool | None = None) -> Lease:
        """Lease one submission, regardless of the queue; an earlier lease loses its fence."""
        lease_task = text(
            "UPDATE verification_task SET state = 'leased', attempts = attempts + 1, died_at = NULL,"
            " lease_until = :until, fence = nextval('verification_fence') WHERE submission_id = :id"
            " RETURNING attempts, fence"
        )
        async with self.owner_transaction() as session:
            await enqueue_verification(session, Submission.id == submission_id, self.clock())
            values = {"id": submission_id, "until": self.clock() + TERMS.lease}
            attempts, fence = (await session.execute(lease_task, values)).one()
        return Lease(submission_id, (school or self.school).id, attempts, fence)

    async def task(self, submission_id: UUID) -> VerificationTask | None:
        """Load the queue row of a submission, if there is one."""
        async with self.owner_transaction() as session:
            row: VerificationTask | None = await session.get(VerificationTask, submission_id)
        return row

    async def pass_roll_call(self, student: StudentWithPhone, roll_call_id: UUID) -> VerdictRecord:
        return await self.verify(await self.check_in(student, roll_call_id))

    # --- database contents ---

    async def wait_for_lock(self, *kinds: str) -> None:
        """Wait until a transaction of this database waits for a lock of these kinds (default: advisory)."""
        waiting = text(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = ANY(:kinds) AND NOT granted AND datname = current_database()"
        )
        while True:
            async with self.owner_transaction() as session:
                if await session.scalar(waiting, {"kinds": list(kinds or ("advisory",))}):
                    return

    async def verdict(self, submission_id: UUID) -> VerdictRecord:
        async with self.owner_transaction() as session:
            row: VerdictRecord = await session.get_one(VerdictRecord, submission_id)
        return row

    async def outcomes(self, roll_call_id: UUID) -> dict[UUID, OutcomeEntry]:
        """Load the current outcomes by student."""
        async with self.owner_transaction() as session:
            rows = await session.scalars(
                select_current_outcomes().where(OutcomeEntry.roll_call_id == roll_call_id)
            )
            return {row.student_id: row for row in rows}

    async def outcome(self, roll_call_id: UUID, student: StudentWithPhone) -> tuple[str, str] | None:
        entry = (await self.outcomes(roll_call_id)).get(student.student_id)
        return (entry.outcome, entry.reason) if entry else None

    async def load_refusals(self, student: StudentWithPhone) -> list[tuple[str, str]]:
        """Load step and code of each recorded refusal, oldest first."""
        async with self.owner_transaction() as session:
            rows = await session.scalars(
                select(Refusal).where(Refusal.student_id == student.student_id).order_by(Refusal.id)
            )
            return [(row.step, row.code) for row in rows]

    async def count_submissions(self, student: StudentWithPhone) -> int:
        async with self.owner_transaction() as session:
            count = await session.scalar(
                select(func.count())
                .select_from(Submission)
                .where(Submission.student_id == student.student_id)
            )
        return int(count)

    async def jobs(self, task_name: str, **arguments: object) -> int:
        """Count the enqueued jobs of a task with these arguments."""
        expected = {name: str(value) for name, value in arguments.items()}
        return sum(
            all(args.get(name) == value for name, value in expected.items())
            for args in await self.load_jobs(task_name)
        )

    async def load_jobs(self, task_name: str) -> Sequence[dict[str, Any]]:
        """Load the arguments of the enqueued jobs of a task."""
        query = text("SELECT args FROM procrastinate_jobs WHERE task_name = :task")
        async with self.owner_transaction() as session:
            return [dict(args) for args in await session.scalars(query, {"task": task_name})]

    async def load_events(self, name: str, roll_call_id: UUID) -> list[OutboxEvent]:
        async with self.owner_transaction() as session:
            rows = await session.scalars(
                select(OutboxEvent)
                .where(
                    OutboxEvent.name == name,
                    OutboxEvent.payload["roll_call_id"].astext == str(roll_call_id),
                )
                .order_by(OutboxEvent.id)
            )
            return list(rows)


def _account_of(actor: Actor, at: datetime) -> Account:
    return Account(
        id=actor.account_id,
        kind="student",
        org_id=actor.org_id,
        org_path=actor.org_path,
        school_id=actor.school_id,
        student_id=actor.student_id,
        display_name="某同学",
        status="active",
        created_at=at,
    )


async def create_scenario(
    app_context: AppContext, owner: Database, pool: FacePool | None = None, *, students: int = 3
) -> RollCallScenario:
    """Create a new province with a filed site and a clock that starts now."""
    clock = Clock(now())
    services = {**app_context.services} | ({face_pool: pool} if pool else {})
    own_context = replace(app_context, clock=clock, services=services)
    scenario = RollCallScenario(
        own_context,
        owner,
        await create_sample_province(owner, app_context.keys, classes=2, students=students),
        clock,
    )
    await scenario.file_site()
    return scenario
