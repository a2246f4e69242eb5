"""A student of the demonstration: a phone, a face in pictures, a place to stand; everything over HTTP."""

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

from backend.demo.face_animation import Puppet, performance
from backend.demo.fixtures import METRES_PER_DEGREE, School
from backend.demo.phone import Phone
from backend.demo.poses import EACH_MS, posed
from backend.demo.staff import UnexpectedAnswer, expect
from biometrics.engines.test_pattern import render_pattern
from biometrics.liveness.actions import Action
from geo.datum import Datum, convert

ENVELOPE_TYPE = "dianming-check-in+jws"
SMALL_PHONE = (480, 854)
"""Width and height of what a photographed student's phone sends: ever less than a camera gives, and quicker to draw."""
POLL_SECONDS = 0.4
PATIENCE_SECONDS = 120.0


class Face(Protocol):
    """Pictures of one person. Enrolment and check-ins never use the same picture."""

    @property
    def engine(self) -> str:
        """The engine that can judge them."""

    @property
    def cannot(self) -> tuple[Action, ...]:
        """What this person leaves out of a challenge."""

    def shots(self) -> list[bytes]:
        """Three pictures for the enrolment."""

    def portraits(self) -> list[bytes]:
        """Candidates for the ID portrait; another is taken where one is refused."""

    def answer(self, actions: Sequence[Action], attempt: int) -> list[bytes]:
        """Other pictures for the given attempt, in which the person does what was asked."""


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A test pattern: stands for students without photographs, judged by the test engine only."""

    seed: int
    engine: str = "test-pattern"
    cannot: tuple[Action, ...] = ()

    def shots(self) -> list[bytes]:
        """Three shots of the pattern."""
        return [render_pattern(self.seed, number) for number in range(3)]

    def portraits(self) -> list[bytes]:
        """A fourth shot."""
        return [render_pattern(self.seed, 3)]

    def answer(self, actions: Sequence[Action], attempt: int) -> list[bytes]:
        """Others for every attempt."""
        first = 10 + attempt * 10
        return [
            render_pattern(self.seed, first + number, action) for number, action in enumerate(posed(actions))
        ]


@dataclass(frozen=True, slots=True)
class PhotographedFace:
    """A real person's photographs: the first three enrol, the fourth is the portrait, the others are made to act."""

    person: str
    photographs: tuple[Path, ...]
    engine: str = "dlib-onnx"
    cannot: tuple[Action, ...] = (Action.CLOSE_EYES,)
    """In a small old photograph that was warped, closed eyes are often not read as such."""

    @classmethod
    def enough(cls, photographs: tuple[Path, ...]) -> bool:
        """Whether there are pictures for an enrolment and at least two check-ins with others."""
        return len(photographs) >= 6

    def shots(self) -> list[bytes]:
        """The first three."""
        return [_upright(path) for path in self.photographs[:3]]

    def portraits(self) -> list[bytes]:
        """The fourth, or one of the first three."""
        return [_upright(self.photographs[number]) for number in (3, 0, 1, 2)]

    def answer(self, actions: Sequence[Action], attempt: int) -> list[bytes]:
        """One photograph, another for each attempt, made to act."""
        rest = self.photographs[4:]
        puppet = Puppet(rest[attempt % len(rest)].read_bytes(), SMALL_PHONE)
        return performance(puppet, posed(actions), seed=attempt)


def _upright(path: Path) -> bytes:
    """The photograph as a phone would send it: a JPEG of ordinary size."""
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
class Where:
    """Where a phone says it is: metres east and north of the campus centre, accuracy, and the declared datum."""

    east_m: float = 0.0
    north_m: float = 0.0
    accuracy_m: float = 18.0
    datum: str = "wgs84"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server asks: sign this nonce, and do this."""

    nonce: str
    actions: tuple[Action, ...]


@dataclass(slots=True)
class Attempt:
    """What the server answered to one check-in."""

    status: int
    code: str | None
    submission_id: str | None
    receipt: str | None
    envelope: str


@dataclass(slots=True)
class Pupil:
    """One student with a phone."""

    record: dict[str, str]
    school: School
    face: Face
    phone: Phone
    gateway: httpx.AsyncClient
    student_id: str = ""
    has_phone: bool = True
    enrolled: bool = False
    refused_because: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As on the roster."""
        return self.record["姓名"]

    async def activate(self) -> None:
        """HN334-3.1, over the wire: account, record, consents, face, portrait. A face that fails ends non-face."""
        registration = await self.phone.register(self.name, self.record["身份证件号"])
        expect(await self.phone.confirm(registration, await self._code()))
        self.student_id = expect(await self.phone.get("/v1/me"))["student_id"]
        expect(await self.phone.get("/v1/me/record"))
        expect(await self.phone.post("/v1/me/record/checks", json={"result": "confirmed"}), 201)
        if self.record["学习形式"] != "全日制":
            return
        for consent in expect(await self.phone.get("/v1/me/consents")):
            answer = {"kind": consent["kind"], "granted": True, "text_version": consent["text_version"]}
            expect(await self.phone.post("/v1/me/consents", json=answer), 201)
        await self._enrol()

    async def _code(self) -> str:
        """The one-time code from the (fake) gateway's inbox."""
        for _ in range(round(PATIENCE_SECONDS / POLL_SECONDS)):
            inbox = expect(await self.gateway.get(f"/inbox/{self.record['联系电话']}"))
            for message in inbox["messages"]:
                if "code" in message["params"]:
                    return str(message["params"]["code"])
            await asyncio.sleep(POLL_SECONDS)
        msg = f"no code arrived at {self.record['联系电话'][:3]}…"
        raise TimeoutError(msg)

    async def _enrol(self) -> None:
        shots = [("shots", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(self.face.shots())]
        expect(await self.phone.post("/v1/me/face", files=shots), 202)
        state = await self._decided("/v1/me/face")
        if state["state"] != "accepted":
            self.refused_because = sorted({reason["code"] for reason in state["reasons"]})
            expect(await self.phone.post("/v1/me/non-face-route", json={"reason": "人脸采集未通过"}), 204)
        self.enrolled = state["state"] == "accepted" and await self._portrait()

    async def _portrait(self) -> bool:
        """Whether one of the portraits was taken; each refusal names its reasons."""
        for picture in self.face.portraits():
            image = [("image", ("portrait.jpg", picture, "image/jpeg"))]
            expect(await self.phone.post("/v1/me/portrait", files=image), 202)
            state = await self._decided("/v1/me/portrait")
            if state["state"] != "refused":
                return True
            self.refused_because = sorted(
                {*self.refused_because, *(reason["code"] for reason in state["reasons"])}
            )
        expect(await self.phone.post("/v1/me/non-face-route", json={"reason": "证件照未通过"}), 204)
        return False

    async def _decided(self, path: str) -> dict[str, Any]:
        for _ in range(round(PATIENCE_SECONDS / POLL_SECONDS)):
            state: dict[str, Any] = expect(await self.phone.get(path))
            if state["state"] != "pending":
                return state
            await asyncio.sleep(POLL_SECONDS)
        msg = f"{path} stayed pending"
        raise TimeoutError(msg)

    def fixes(self, where: Where, seed: int = 0) -> list[dict[str, Any]]:
        """Three samples over eight seconds with a receiver's jitter, in the declared datum."""
        jitter = random.Random(f"{self.student_id}{seed}")  # noqa: S311 - noise, not a secret
        plan = self.school.plan
        samples = []
        for age in (8.0, 4.0, 0.5):
            east, north = where.east_m + jitter.gauss(0, 3), where.north_m + jitter.gauss(0, 3)
            lat = plan.lat + north / METRES_PER_DEGREE
            lon = plan.lon + east / (METRES_PER_DEGREE * math.cos(math.radians(plan.lat)))
            lon, lat = convert(lon, lat, source=Datum.WGS84, target=Datum.named(where.datum))
            accuracy = where.accuracy_m * jitter.uniform(0.9, 1.1)
            samples.append(
                {"lon": lon, "lat": lat, "accuracy_m": accuracy, "datum": where.datum, "age_s": age}
            )
        return samples

    async def challenge(self, roll_call_id: str) -> Challenge:
        """What is asked of this student now; raises when the server refuses to ask."""
        path = f"/v1/roll-calls/{roll_call_id}/challenges"
        answer = expect(await self.phone.post(path, json={"cannot": list(self.face.cannot)}), 201)
        return Challenge(answer["nonce"], tuple(Action(each["action"]) for each in answer["actions"]))

    def envelope(self, roll_call_id: str, nonce: str, where: Where, frames: list[bytes]) -> str:
        """The signed envelope of a check-in."""
        late = random.Random(nonce)  # noqa: S311 - no camera keeps time to the millisecond
        declared = [
            {
                "sha256": hashlib.sha256(frame).hexdigest(),
                "size": len(frame),
                "at_ms": number * EACH_MS + late.randrange(30),
            }
            for number, frame in enumerate(frames)
        ]
        payload = {
            "roll_call": roll_call_id,
            "nonce": nonce,
            "fixes": self.fixes(where, len(frames)),
            "frames": declared,
            "claims": {"app": "demo", "liveness": 1},
        }
        return self.phone.sign(payload, typ=ENVELOPE_TYPE)

    async def send(self, roll_call_id: str, envelope: str) -> Attempt:
        """Submit an envelope and keep what was answered."""
        response = await self.phone.post(
            f"/v1/roll-calls/{roll_call_id}/envelopes", json={"envelope": envelope}
        )
        body = response.json()
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise UnexpectedAnswer(response)
        return Attempt(
            response.status_code, body.get("code"), body.get("submission_id"), body.get("receipt"), envelope
        )

    async def upload(self, submission_id: str, frames: list[bytes]) -> None:
        """Send the declared frames."""
        for number, frame in enumerate(frames):
            path = f"/v1/submissions/{submission_id}/frames/{number}"
            expect(
                await self.phone.request("PUT", path, content=frame, headers={"Content-Type": "image/jpeg"})
            )

    async def check_in(
        self, roll_call_id: str, where: Where, attempt: int = 0, face: Face | None = None
    ) -> Attempt:
        """One whole check-in: challenge, envelope, frames; with somebody else's `face` if one is given."""
        challenge = await self.challenge(roll_call_id)
        frames = await asyncio.to_thread((face or self.face).answer, challenge.actions, attempt)
        sent = await self.send(roll_call_id, self.envelope(roll_call_id, challenge.nonce, where, frames))
        if sent.submission_id is not None:
            await self.upload(sent.submission_id, frames)
        return sent

    async def finding(self, submission_id: str) -> dict[str, Any]:
        """What verification found, once it is there."""
        for _ in range(round(PATIENCE_SECONDS / POLL_SECONDS)):
            view: dict[str, Any] = expect(await self.phone.get(f"/v1/submissions/{submission_id}"))
            if view["finding"] is not None:
                return view
            await asyncio.sleep(POLL_SECONDS)
        msg = f"submission {submission_id} stayed unjudged"
        raise TimeoutError(msg)
