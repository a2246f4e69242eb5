"""A test student with a phone: rendered frames, location fixes and signed envelopes."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import httpx

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.core.jws import signed_digest
from backend.demo.phone import Phone
from backend.demo.poses import plan_burst
from backend.identity.sign_in.dpop import Proof
from backend.roll_call.check_in.repository import CheckInRequest
from backend.roll_call.envelope import TYPE, OpenedEnvelope, open_envelope
from backend.roll_call.errors import CheckInRefusal
from biometrics.engines.base import EngineSet
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.liveness.actions import Action
from biometrics.liveness.burst import BurstRules
from biometrics.matching.decision import EnrolmentRules, FaceTemplate
from biometrics.tasks import FaceRules, Shot, enrol_shots
from tests.support.campus import SIDE, SOUTH, WEST

OFFLINE = httpx.AsyncClient(base_url="http://testserver", transport=httpx.AsyncBaseTransport())
"""HTTP client of phones that only sign. Without a transport, httpx would load all system certificates."""
INSIDE = (WEST + SIDE / 2, SOUTH + SIDE / 2)
OUTSIDE = (WEST + 10 * SIDE, SOUTH)


@dataclass(frozen=True, slots=True)
class StudentWithPhone:
    """An activated student with a phone; `person` is the number of the rendered face."""

    actor: Actor
    phone: Phone
    person: int

    @property
    def student_id(self) -> UUID:
        assert self.actor.student_id is not None
        return self.actor.student_id


@cache
def make_template(person: int) -> FaceTemplate:
    """Enrol a pattern person from three shots."""
    shots = [Shot(render_pattern(person, shot)) for shot in range(100, 103)]
    rules = FaceRules(EnrolmentRules(3, 0.3), BurstRules(1, 0, 10**6, 1.0))
    template = enrol_shots(EngineSet([PatternEngine()]), shots, rules).template
    assert template is not None
    return template


@cache
def render_frame(person: int, shot: int, action: Action | None = None) -> bytes:
    return render_pattern(person, shot, action)


def make_check_in_request(
    student: StudentWithPhone, roll_call_id: UUID, compact: str, at: datetime
) -> CheckInRequest:
    """Make a check-in request with a fresh proof of the student's phone."""
    phone = student.phone
    key = phone.key.public_key()
    opened: OpenedEnvelope | CheckInRefusal
    try:
        opened = open_envelope(compact, key)
    except CheckInRefusal as refusal:
        opened = refusal
    proof = Proof(phone.thumbprint, str(new_id()), phone.jwk, key)
    return CheckInRequest(roll_call_id, compact, signed_digest(compact), opened, proof, at, at)


def render_burst(person: int, first: int = 0, count: int = 8) -> list[bytes]:
    """Render frames of one person without any action."""
    return [render_frame(person, shot) for shot in range(first, first + count)]


def render_actions(person: int, actions: Iterable[str], first: int = 0) -> list[bytes]:
    """Render frames of one person who does the actions."""
    return [render_frame(person, first + number, action) for number, action in enumerate(plan_burst(actions))]


def make_fixes(place: tuple[float, float] = INSIDE, **changes: Any) -> list[dict[str, Any]]:
    """Make three fixes in WGS-84 as a phone takes them: over eight seconds, about a metre apart."""
    lon, lat = place
    return [
        {"lon": lon + step * 1e-5, "lat": lat, "accuracy_m": 10.0 + step, "datum": "wgs84", "age_s": age}
        | changes
        for step, age in enumerate((8.5, 4.5, 0.5))
    ]


def make_envelope_content(
    roll_call_id: UUID,
    nonce: str,
    frames: list[bytes],
    /,
    *,
    pace_ms: int = 300,
    times_ms: Sequence[int] = (),
    **changes: Any,
) -> dict[str, Any]:
    """Make the payload of an envelope whose frames were taken at `times_ms`, by default `pace_ms` apart."""
    times = times_ms or range(0, pace_ms * len(frames), pace_ms)
    declared = [
        {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "at_ms": at_ms}
        for data, at_ms in zip(frames, times, strict=True)
    ]
    plain = {"roll_call": str(roll_call_id), "nonce": nonce, "fixes": make_fixes(), "frames": declared}
    return plain | {"claims": {"liveness": 1}} | changes


def envelope(
    student: StudentWithPhone, roll_call_id: UUID, nonce: str, frames: list[bytes], /, **changes: Any
) -> str:
    """Sign an envelope; each call makes a new signature."""
    return student.phone.sign(make_envelope_content(roll_call_id, nonce, frames, **changes), typ=TYPE)


async def stream_chunks(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    """Stream the bytes in chunks like a request body."""
    for at in range(0, len(data), size):
        yield data[at : at + size]
