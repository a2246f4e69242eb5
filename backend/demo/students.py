"""A demo student: a phone, pictures of a face and a position. All requests go over HTTP."""

import asyncio
import hashlib
import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from PIL import Image

from backend.demo.face_animation import FaceAnimator, render_burst
from backend.demo.fixtures import METRES_PER_DEGREE, School
from backend.demo.phone import Phone
from backend.demo.poses import FRAME_INTERVAL_MS, plan_burst
from backend.demo.staff import UnexpectedResponse, expect
from biometrics.engines.test_pattern import render_pattern
from biometrics.liveness.actions import Action
from geo.datum import Datum, convert

ENVELOPE_TYPE = "dianming-check-in+jws"
SMALL_PHONE = (480, 854)
"""Width and height of frames made from photographs. Smaller than a camera's, so faster to render."""
POLL_SECONDS = 0.4
TIMEOUT_SECONDS = 120.0


class Face(Protocol):
    """Pictures of one person. Enrolment and check-ins never use the same picture."""

    @property
    def engine(self) -> str:
        """Name of the face engine that can compare these pictures."""

    @property
    def cannot(self) -> tuple[Action, ...]:
        """Liveness actions that this person declares to be unable to perform."""

    def shots(self) -> list[bytes]:
        """Return three pictures for the enrolment."""

    def portraits(self) -> list[bytes]:
        """Return candidates for the ID portrait, tried in order until one is accepted."""

    def perform(self, actions: Sequence[Action], attempt: int) -> list[bytes]:
        """Return the frames of a check-in in which the person performs `actions`. They differ for each attempt."""


@dataclass(frozen=True, slots=True)
class TestPatternFace:
    """A test pattern for students without photographs. Only the test engine accepts it."""

    seed: int
    engine: str = "test-pattern"
    cannot: tuple[Action, ...] = ()

    def shots(self) -> list[bytes]:
        """Return three variants of the pattern."""
        return [render_pattern(self.seed, number) for number in range(3)]

    def portraits(self) -> list[bytes]:
        """Return a fourth variant."""
        return [render_pattern(self.seed, 3)]

    def perform(self, actions: Sequence[Action], attempt: int) -> list[bytes]:
        """Return new variants for each attempt."""
        first = 10 + attempt * 10
        return [
            render_pattern(self.seed, first + number, action)
            for number, action in enumerate(plan_burst(actions))
        ]


@dataclass(frozen=True, slots=True)
class PhotographedFace:
    """A real person's photographs: three for the enrolment, one as portrait, the others animated for check-ins."""

    person: str
    photographs: tuple[Path, ...]
    engine: str = "sface"
    cannot: tuple[Action, ...] = (Action.CLOSE_EYES,)
    """Closed eyes are often not recognised in small, warped photographs."""

    @classmethod
    def has_enough(cls, photographs: tuple[Path, ...]) -> bool:
        """Return whether there are enough photographs for an enrolment and two check-ins."""
        return len(photographs) >= 6

    def shots(self) -> list[bytes]:
        """Return the first three photographs."""
        return [_phone_jpeg(path) for path in self.photographs[:3]]

    def portraits(self) -> list[bytes]:
        """Return the fourth photograph, then the first three."""
        return [_phone_jpeg(self.photographs[number]) for number in (3, 0, 1, 2)]

    def perform(self, actions: Sequence[Action], attempt: int) -> list[bytes]:
        """Animate one of the remaining photographs, a different one for each attempt."""
        rest = self.photographs[4:]
        puppet = FaceAnimator(rest[attempt % len(rest)].read_bytes(), SMALL_PHONE)
        return render_burst(puppet, plan_burst(actions), seed=attempt)


def _phone_jpeg(path: Path) -> bytes:
    """Return the photograph as a JPEG of the size that a phone sends."""
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
        factor = max(1.0, 480 / min(rgb.size))
        resized = rgb.resize(
            (round(rgb.width * factor), round(rgb.height * factor)), Image.Resampling.BICUBIC
        )
        buffer = io.BytesIO()
        resized.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class ReportedPosition:
    """The position that a phone reports: metres east and north of the campus centre, accuracy, declared datum."""

    east_m: float = 0.0
    north_m: float = 0.0
    accuracy_m: float = 18.0
    datum: str = "wgs84"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge of the server: the nonce to sign and the actions to perform."""

    nonce: str
    actions: tuple[Action, ...]


@dataclass(slots=True)
class CheckInResult:
    """The server's response to one check-in."""

    status: int
    code: str | None
    submission_id: str | None
    receipt: str | None
    envelope: str


def _envelope_path(roll_call_id: str) -> str:
    return f"/v1/roll-calls/{roll_call_id}/envelopes"


@dataclass(slots=True)
class DemoStudent:
    """One student of a roster, with a phone and a face."""

    record: dict[str, str]
    school: School
    face: Face
    phone: Phone
    gateway: httpx.AsyncClient
    student_id: str = ""
    has_phone: bool = True
    enrolled: bool = False
    refusal_reasons: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name on the roster."""
        return self.record["姓名"]

    async def activate(self) -> None:
        """Activate the account (HN334-3.1): phone, record, consents, face, portrait. A rejected face leads to the non-face route."""
        await self.register()
        expect(await self.phone.get("/v1/me/record"))
        expect(await self.phone.post("/v1/me/record/checks", json={"result": "confirmed"}), 201)
        if self.record["学习形式"] != "全日制":
            return
        for consent in expect(await self.phone.get("/v1/me/consents")):
            if consent["kind"] == "guardian_notice":  # needs a guardian on the roster
                continue
            answer = {"kind": consent["kind"], "granted": True, "text_version": consent["text_version"]}
            expect(await self.phone.post("/v1/me/consents", json=answer), 201)
        await self._enrol_face()

    async def register(self) -> None:
        """Bind the phone with name, ID number and the code by SMS."""
        registration = await self.phone.register(self.name, self.record["身份证件号"])
        expect(await self.phone.confirm(registration, await self._wait_for_sms_code()))
        self.student_id = expect(await self.phone.get("/v1/me"))["student_id"]

    async def _wait_for_sms_code(self) -> str:
        """Wait for the one-time code in the inbox of the fake SMS gateway."""
        for _ in range(round(TIMEOUT_SECONDS / POLL_SECONDS)):
            inbox = expect(await self.gateway.get(f"/inbox/{self.record['联系电话']}"))
            for message in inbox["messages"]:
                if "code" in message["params"]:
                    return str(message["params"]["code"])
            await asyncio.sleep(POLL_SECONDS)
        msg = f"no code arrived at {self.record['联系电话'][:3]}…"
        raise TimeoutError(msg)

    async def _enrol_face(self) -> None:
        shots = [("shots", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(self.face.shots())]
        expect(await self.phone.post("/v1/me/face", files=shots), 202)
        state = await self._wait_for_decision("/v1/me/face")
        if state["state"] != "accepted":
            self.refusal_reasons = sorted({reason["code"] for reason in state["reasons"]})
            expect(await self.phone.post("/v1/me/non-face-route", json={"reason": "人脸采集未通过"}), 204)
        self.enrolled = state["state"] == "accepted" and await self._submit_portrait()

    async def _submit_portrait(self) -> bool:
        """Submit portraits until one is accepted. Return False and choose the non-face route if none is."""
        for picture in self.face.portraits():
            image = [("image", ("portrait.jpg", picture, "image/jpeg"))]
            expect(await self.phone.post("/v1/me/portrait", files=image), 202)
            state = await self._wait_for_decision("/v1/me/portrait")
            if state["state"] != "refused":
                return True
            self.refusal_reasons = sorted(
                {*self.refusal_reasons, *(reason["code"] for reason in state["reasons"])}
            )
        expect(await self.phone.post("/v1/me/non-face-route", json={"reason": "证件照未通过"}), 204)
        return False

    async def _wait_for_decision(self, path: str) -> dict[str, Any]:
        for _ in range(round(TIMEOUT_SECONDS / POLL_SECONDS)):
            state: dict[str, Any] = expect(await self.phone.get(path))
            if state["state"] != "pending":
                return state
            await asyncio.sleep(POLL_SECONDS)
        msg = f"{path} stayed pending"
        raise TimeoutError(msg)

    def position_samples(self, position: ReportedPosition, seed: int = 0) -> list[dict[str, Any]]:
        """Return three position samples over eight seconds with GPS noise, in the declared datum."""
        jitter = random.Random(f"{self.student_id}{seed}")  # noqa: S311 - noise, not a secret
        plan = self.school.plan
        samples = []
        for age in (8.0, 4.0, 0.5):
            east, north = position.east_m + jitter.gauss(0, 3), position.north_m + jitter.gauss(0, 3)
            lat = plan.lat + north / METRES_PER_DEGREE
            lon = plan.lon + east / (METRES_PER_DEGREE * math.cos(math.radians(plan.lat)))
            lon, lat = convert(lon, lat, source=Datum.WGS84, target=Datum.named(position.datum))
            accuracy = position.accuracy_m * jitter.uniform(0.9, 1.1)
            samples.append(
                {"lon": lon, "lat": lat, "accuracy_m": accuracy, "datum": position.datum, "age_s": age}
            )
        return samples

    async def fetch_challenge(self, roll_call_id: str) -> Challenge:
        """Fetch a challenge. Raises UnexpectedResponse if the server refuses."""
        path = f"/v1/roll-calls/{roll_call_id}/challenges"
        answer = expect(await self.phone.post(path, json={"cannot": list(self.face.cannot)}), 201)
        return Challenge(answer["nonce"], tuple(Action(each["action"]) for each in answer["actions"]))

    def sign_envelope(
        self, roll_call_id: str, nonce: str, position: ReportedPosition, frames: list[bytes]
    ) -> str:
        """Return the signed envelope of a check-in."""
        camera_jitter = random.Random(nonce)  # noqa: S311 - simulates camera timing
        declared = [
            {
                "sha256": hashlib.sha256(frame).hexdigest(),
                "size": len(frame),
                "at_ms": number * FRAME_INTERVAL_MS + camera_jitter.randrange(30),
            }
            for number, frame in enumerate(frames)
        ]
        payload = {
            "roll_call": roll_call_id,
            "nonce": nonce,
            "fixes": self.position_samples(position, len(frames)),
            "frames": declared,
            "claims": {"app": "demo", "liveness": 1},
        }
        return self.phone.sign_with_proof(payload, _envelope_path(roll_call_id), typ=ENVELOPE_TYPE)

    async def send_envelope(self, roll_call_id: str, envelope: str) -> CheckInResult:
        """Submit an envelope and return the server's response."""
        response = await self.phone.send_envelope(_envelope_path(roll_call_id), envelope)
        body = response.json()
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise UnexpectedResponse(response)
        return CheckInResult(
            response.status_code, body.get("code"), body.get("submission_id"), body.get("receipt"), envelope
        )

    async def upload_frames(self, submission_id: str, frames: list[bytes]) -> None:
        """Upload the declared frames."""
        for number, frame in enumerate(frames):
            path = f"/v1/submissions/{submission_id}/frames/{number}"
            expect(
                await self.phone.request("PUT", path, content=frame, headers={"Content-Type": "image/jpeg"})
            )

    async def check_in(
        self, roll_call_id: str, position: ReportedPosition, attempt: int = 0, face: Face | None = None
    ) -> CheckInResult:
        """Check in completely: challenge, envelope, frames. `face` replaces the student's own face."""
        challenge = await self.fetch_challenge(roll_call_id)
        frames = await asyncio.to_thread((face or self.face).perform, challenge.actions, attempt)
        sent = await self.send_envelope(
            roll_call_id, self.sign_envelope(roll_call_id, challenge.nonce, position, frames)
        )
        if sent.submission_id is not None:
            await self.upload_frames(sent.submission_id, frames)
        return sent

    async def wait_for_finding(self, submission_id: str) -> dict[str, Any]:
        """Wait for the finding of the verification and return the submission."""
        for _ in range(round(TIMEOUT_SECONDS / POLL_SECONDS)):
            view: dict[str, Any] = expect(await self.phone.get(f"/v1/submissions/{submission_id}"))
            if view["finding"] is not None:
                return view
            await asyncio.sleep(POLL_SECONDS)
        msg = f"submission {submission_id} was not verified in time"
        raise TimeoutError(msg)
