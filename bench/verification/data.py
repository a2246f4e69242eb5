"""Data of the verification benchmark: schools whose students have submitted complete check-ins.

Every student has their own face, rendered by the test-pattern engine, and answers their own challenge. Classes have
forty students; the nearest-classmate rule opens all their templates.
"""

import hashlib
import json
import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.limits import site_limits
from backend.campus.outline import Outline, parse_outline
from backend.campus.service import Filing, NewSite, file_site
from backend.core import jws
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.tables import OutboxEvent
from backend.demo.poses import FRAME_INTERVAL_MS, plan_burst
from backend.identity.face.templates import store_template
from backend.identity.pictures.keys import ensure_picture_key
from backend.identity.pictures.store import put_picture
from backend.identity.tables import FaceEnrolment
from backend.org.tables import OrgUnit, Term
from backend.people.tables import SchoolClass, Student
from backend.policy.installed import policy_at
from backend.roll_call.envelope import TYPE
from backend.roll_call.tables import (
    Challenge,
    Obligation,
    OutcomeEntry,
    RollCall,
    RollCallClass,
    RollCallSchool,
    RollCallSite,
    Submission,
    SubmissionFrame,
    VerdictRecord,
)
from bench.report import seed
from biometrics.engines.base import EngineSet
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.liveness.actions import Action, draw_actions
from biometrics.liveness.burst import BurstRules
from biometrics.matching.decision import EnrolmentRules
from biometrics.tasks import FaceRules, Shot, enrol_shots
from geo.datum import Datum

PROVINCE, PATH, TERM = "410000", "p410000", "2026-autumn"
CLASS_SIZE, SEED = 40, seed(0)
_THROWAWAY_KEY = ec.generate_private_key(ec.SECP256R1())
WEST, SOUTH, SIDE = 113.62, 34.75, 0.005
_RULES = FaceRules(EnrolmentRules(3, 0.3), BurstRules(1, 0, 10**6, 1.0))


@dataclass(frozen=True, slots=True)
class SentCheckIn:
    """One check-in: the student's face, the requested actions and the frames."""

    submission_id: UUID
    person: int
    actions: tuple[Action, ...]
    frames: tuple[bytes, ...]


@dataclass(slots=True)
class SubmittedCheckIns:
    """Creates all rows in one transaction of the database owner."""

    session: AsyncSession
    app_context: AppContext
    at: datetime

    @property
    def keys(self) -> KeyRing:
        """The keys of the deployment."""
        return self.app_context.keys

    async def insert(self, schools: int, students: int) -> list[SentCheckIn]:
        """Create schools with students who submitted a check-in."""
        province = self._unit("province", PROVINCE, PATH, None)
        roll_call = RollCall(
            id=new_id(),
            kind="spot_check",
            title="学籍核验",
            launcher_id=province.id,
            launcher_path=PATH,
            launched_by=new_id(),
            term_code=TERM,
            audience={},
            seed=None,
            place=PROVINCE,
            policy_version="",
            launched_at=self.at,
            notify_at=self.at,
            opens_at=self.at,
            closes_at=self.at + timedelta(hours=1),
            frames_until=self.at + timedelta(hours=1, minutes=2),
        )
        await self.session.flush()
        starts, ends = legal_day(self.at) - timedelta(days=30), legal_day(self.at) + timedelta(days=90)
        self.session.add(
            Term(
                id=new_id(), org_id=province.id, code=TERM, starts_on=starts, ends_on=ends, created_at=self.at
            )
        )
        await self.session.flush()
        self.session.add(roll_call)
        sent = []
        for number in range(schools):
            school = self._unit("school", f"41410{number:05d}", f"{PATH}.s{number}", province.id)
            await self.session.flush()
            self.session.add(
                RollCallSchool(
                    roll_call_id=roll_call.id, school_id=school.id, owed=students, excused=0, exempt=0
                )
            )
            await self._site(school, roll_call)
            sent += [each async for each in self._students(school, roll_call, students, number)]
        return sent

    def _unit(self, kind: str, code: str, path: str, parent: UUID | None) -> OrgUnit:
        unit = OrgUnit(
            id=new_id(), kind=kind, code=code, name=code, path=path, parent_id=parent, created_at=self.at
        )
        self.session.add(unit)
        return unit

    async def _site(self, school: OrgUnit, roll_call: RollCall) -> None:
        ring = [(WEST, SOUTH), (WEST + SIDE, SOUTH), (WEST + SIDE, SOUTH + SIDE), (WEST, SOUTH + SIDE)]
        text = json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
        drawn = parse_outline(
            Outline("geojson", Datum.WGS84, text), site_limits(policy_at(legal_day(self.at), PROVINCE))
        )
        registrar = Actor(new_id(), "registrar", school.id, school.path, school_id=school.id)
        version = await file_site(
            self.session, registrar, NewSite("校区", "main", "某路1号"), Filing(drawn), self.at
        )
        self.session.add(
            RollCallSite(
                roll_call_id=roll_call.id, site_version_id=version.id, school_id=school.id, term_code=TERM
            )
        )

    async def _students(self, school: OrgUnit, roll_call: RollCall, count: int, number: int) -> Any:
        group = None
        for student in range(count):
            if student % CLASS_SIZE == 0:
                group = SchoolClass(
                    id=new_id(),
                    school_id=school.id,
                    name=f"{student // CLASS_SIZE}班",
                    grade=2024,
                    created_at=self.at,
                )
                self.session.add(group)
                owed = min(CLASS_SIZE, count - student)
                self.session.add(
                    RollCallClass(
                        roll_call_id=roll_call.id,
                        class_id=group.id,
                        school_id=school.id,
                        term_code=TERM,
                        owed=owed,
                        excused=0,
                        exempt=0,
                    )
                )
                await self.session.flush()
            assert group is not None
            yield await self._student(group, roll_call, number * count + student + 1)

    async def _student(self, group: SchoolClass, roll_call: RollCall, person: int) -> SentCheckIn:
        of: dict[str, Any] = {"school_id": group.school_id, "student_id": new_id()}
        self.session.add(_row(of["student_id"], group, person, self.at))
        await self.session.flush()
        enrolment = FaceEnrolment(
            id=new_id(), status="accepted", shots=3, reasons=[], submitted_at=self.at, **of
        )
        self.session.add(enrolment)
        self.session.add(
            Obligation(
                roll_call_id=roll_call.id,
                class_id=group.id,
                duty="owed",
                reason=None,
                standing="01",
                study_form="full_time",
                programme="regular",
                term_code=TERM,
                **of,
            )
        )
        await self.session.flush()
        shots = [Shot(render_pattern(person, shot)) for shot in range(100, 103)]
        template = enrol_shots(EngineSet([PatternEngine()]), shots, _RULES).template
        assert template is not None
        await store_template(self.session, self.keys, enrolment, template, self.at)
        return await self._send(roll_call, of, person)

    async def _send(self, roll_call: RollCall, of: dict[str, Any], person: int) -> SentCheckIn:
        generator = random.Random(SEED + person)
        actions = tuple(draw_actions(generator, list(Action), generator.choice((2, 3))))
        frames = tuple(
            render_pattern(person, shot, action) for shot, action in enumerate(plan_burst(actions))
        )
        nonce, submission_id = f"{person:030d}", new_id()
        challenge = Challenge(
            nonce=nonce,
            roll_call_id=roll_call.id,
            key_thumbprint="-",
            actions=list(actions),
            cannot=[],
            flash=[],
            cues_ms=[],
            issued_at=self.at,
            expires_at=self.at + timedelta(minutes=2),
            term_code=TERM,
            **of,
        )
        self.session.add(challenge)
        await self.session.flush()
        compact, frames_in = _envelope(roll_call.id, nonce, frames), []
        submission = Submission(
            id=submission_id,
            roll_call_id=roll_call.id,
            nonce=nonce,
            key_thumbprint="-",
            in_cool_down=False,
            envelope=compact,
            envelope_digest=b"",
            frame_count=len(frames),
            receipt="-",
            received_at=self.at,
            frames_due_at=roll_call.frames_until,
            frames_deleted_at=None,
            term_code=TERM,
            **of,
        )
        self.session.add(submission)
        await self.session.flush()
        key = await ensure_picture_key(
            self.session, self.keys, submission.school_id, submission.student_id, self.at
        )
        for position, data in enumerate(frames):
            picture = submission.frame(position)
            await put_picture(self.app_context, key, picture, data)
            frames_in.append(
                SubmissionFrame(
                    submission_id=submission_id,
                    position=position,
                    sha256=hashlib.sha256(data).digest(),
                    size=len(data),
                    evidence_key=picture.evidence_key(key),
                    received_at=self.at,
                    kept_sha256=None,
                    term_code=TERM,
                    **of,
                )
            )
        self.session.add_all(frames_in)
        return SentCheckIn(submission_id, person, actions, frames)


def _row(student_id: UUID, group: SchoolClass, person: int, at: datetime) -> Student:
    return Student(
        id=student_id,
        school_id=group.school_id,
        class_id=group.id,
        name="学生",
        sex="female",
        birth_date=date(2008, 1, 1),
        document_kind="resident_id",
        id_number_sealed=b"",
        id_number_index=person.to_bytes(8, "big"),
        programme="regular",
        study_form="full_time",
        standing="01",
        record={},
        row_digest=b"",
        created_at=at,
        updated_at=at,
    )


def _envelope(roll_call_id: UUID, nonce: str, frames: tuple[bytes, ...]) -> str:
    """Make an envelope like a phone's, signed with a throw-away key: the worker does not check the signature again."""
    place = {"lat": SOUTH + SIDE / 2, "datum": "wgs84"}
    declared = [
        {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "at_ms": FRAME_INTERVAL_MS * position}
        for position, data in enumerate(frames)
    ]
    content = {
        "roll_call": str(roll_call_id),
        "nonce": nonce,
        "fixes": [
            {**place, "lon": WEST + SIDE / 2 + n * 1e-5, "accuracy_m": 10.0 + n, "age_s": 8.5 - 4.0 * n}
            for n in range(3)
        ],
        "frames": declared,
    }
    return jws.sign({"typ": TYPE, "kid": "-"}, content, _THROWAWAY_KEY)


async def forget_verdicts(session: AsyncSession) -> None:
    """Delete all verdicts and outcomes."""
    for table in (OutcomeEntry, VerdictRecord, OutboxEvent):
        await session.execute(delete(table))
