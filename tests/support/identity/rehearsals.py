"""Enrolled people with confirmed probes of a rehearsal, without pictures: vectors around one direction per person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np
from sqlalchemy import update

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.face.calibration.confirmation import ConfirmRehearsal, confirm_rehearsal
from backend.identity.face.calibration.probes import RehearsalProbe, store_probes
from backend.identity.face.calibration.tables import RehearsalConfirmation
from backend.identity.face.templates import store_template
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment
from backend.people.tables import Consent, Student
from backend.policy import PolicyAt, load_policies
from biometrics.engines.base import Descriptor, EngineKey, Metric
from biometrics.matching.decision import FaceTemplate
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import (
    PROVINCE_PATH,
    SampleClass,
    SampleSchool,
    SampleStudent,
    counselor_account,
    create_sample_province,
)

DIMENSION = 64


def face_of(person: int, picture: int = 0, *, likeness: float = 0.0) -> np.ndarray:
    """A vector of a person; `likeness` moves all people towards one direction, so that they resemble each other."""
    own = np.random.default_rng(person).normal(size=DIMENSION)
    noise = np.random.default_rng([person, picture]).normal(size=DIMENSION)
    return (own + likeness + 0.3 * noise).astype(np.float32)


@dataclass(frozen=True)
class EnginePolicy(PolicyAt):
    """The policy with the test's engine version and a minimum of 30 people."""

    engine_version: str = ""

    def text(self, parameter: str) -> str:
        if parameter == "verification.face.dlib-onnx.version":
            return self.engine_version
        return super().text(parameter)

    def integer(self, parameter: str) -> int:
        return 30 if parameter == "verification.face.thresholds.minimum" else super().integer(parameter)


def engine_policy(at: datetime, engine: EngineKey) -> EnginePolicy:
    policy = load_policies().at(legal_day(at), "410000")
    return EnginePolicy(policy.policy, policy.day, policy.lineage, engine.version)


@dataclass(frozen=True, slots=True)
class Rehearsals:
    """Steps of a rehearsal as a test needs them; the verification is left out."""

    app_context: AppContext
    owner: Database
    engine: EngineKey

    async def make_one_group(self, school: SampleSchool, birth_date: date = date(2008, 3, 1)) -> None:
        """Make all students of a school girls of one age, so that they form one group."""
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            await session.execute(
                update(Student)
                .where(Student.school_id == school.id)
                .values(sex="female", birth_date=birth_date)
            )

    async def enrol(
        self, students: Sequence[SampleStudent], *, likeness: float = 0.0, consent: str | None = None
    ) -> None:
        """Store consents and templates as of the day before; the person's number is the place in the list."""
        at = self.app_context.clock() - timedelta(days=1)
        policy = province_policy(self.app_context, at)
        current = {str(row["purpose"]): str(row["version"]) for row in policy.table("consent.versions")}
        kind = "face_template_storage"
        for person, student in enumerate(students):
            ids = {"school_id": student.school_id, "student_id": student.id}
            enrolment = FaceEnrolment(
                id=new_id(), status="accepted", shots=3, reasons=[], submitted_at=at, **ids
            )
            async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
                session.add(
                    Consent(
                        id=new_id(),
                        kind=kind,
                        text_version=consent or current[kind],
                        granted=True,
                        at=at,
                        **ids,
                    )
                )
            async with self.app_context.database.transaction(Scope.school(student.school_id)) as session:
                session.add(enrolment)
                await session.flush()
                mean = face_of(person, likeness=likeness)
                template = FaceTemplate(self.engine, Metric.L2, mean, 3, 0.2)
                await store_template(session, self.app_context.keys, enrolment, template, at)

    async def check_in(
        self,
        students: Sequence[SampleStudent],
        *,
        roll_call_id: UUID | None = None,
        likeness: float = 0.0,
        day: date | None = None,
    ) -> UUID:
        """Store a probe of each student; returns the rehearsal."""
        at, roll_call_id = self.app_context.clock(), roll_call_id or new_id()
        probes = [
            RehearsalProbe(
                student.id,
                student.school_id,
                student.class_id,
                roll_call_id,
                new_id(),
                Descriptor(self.engine, Metric.L2, face_of(person, 1, likeness=likeness)),
                day or legal_day(at),
            )
            for person, student in enumerate(students)
        ]
        async with self.app_context.database.transaction(Scope.school(students[0].school_id)) as session:
            await store_probes(
                session, self.app_context.keys, probes, province_policy(self.app_context, at), at
            )
        return roll_call_id

    async def confirm(
        self,
        school: SampleSchool,
        klass: SampleClass,
        roll_call_id: UUID,
        excluded: Sequence[UUID] = (),
    ) -> RehearsalConfirmation:
        """Confirm a class as its counselor."""
        counselor: Actor = counselor_account(school, klass)
        at = self.app_context.clock()
        command = ConfirmRehearsal(roll_call_id, school.id, klass.id, excluded)
        async with self.app_context.database.transaction(counselor.scope) as session:
            return await confirm_rehearsal(
                session, counselor, command, province_policy(self.app_context, at), at
            )

    async def rehearse(self, school: SampleSchool, *, likeness: float = 0.0) -> None:
        """Enrol every student of the school, check all in on the next day, and confirm all classes."""
        await self.enrol(school.students, likeness=likeness)
        rehearsal = await self.check_in(school.students, likeness=likeness)
        for klass in school.classes:
            await self.confirm(school, klass, rehearsal)


async def new_school(scenario: IdentityScenario, rehearsals: Rehearsals, students: int) -> SampleSchool:
    """Create a school with students of one sex and age in two classes."""
    world = await create_sample_province(
        scenario.owner, scenario.app_context.keys, classes=2, students=students // 2
    )
    await rehearsals.make_one_group(world.school)
    return world.school
