"""Clients that take part in roll calls and record each request and response. They use only the public APIs."""

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.demo.phone import Phone
from backend.demo.poses import plan_burst
from backend.demo.staff import Credentials, StaffClient, UnexpectedResponse
from backend.roll_call.envelope import TYPE
from biometrics.engines.test_pattern import render_pattern
from tests.faults.history import History, Kind
from tests.faults.template_cluster import PASSWORD, StaffProfile, StudentProfile
from tests.support.roll_call.student_phone import INSIDE, OUTSIDE, make_envelope_content, make_fixes

TIMEOUT = httpx.Timeout(4.0)
TRIES, PAUSE = 40, 0.25
NEXT_CODE = 31.0
"""Seconds until the next TOTP code."""
UNCLEAR = {"proof_replayed", "proof_invalid", "proof_clock_wrong", "token_expired"}
"""Errors that do not tell whether the request took effect: a proxy sent it twice, or the clock was moved meanwhile."""
FRAMES = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a request: `kind` as in the history, and the response body if there is one."""

    kind: Kind
    status: int = 0
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))


def classify_response(response: httpx.Response) -> Answer:
    """Classify a response: 2xx is `ok`, 4xx is `fail`, 5xx is `unknown`."""
    try:
        body = response.json() if response.content else {}
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {"items": body}
    if response.is_success:
        return Answer("ok", response.status_code, body)
    unclear = response.status_code >= 500 or not body or body.get("code") in UNCLEAR
    return Answer("unknown" if unclear else "fail", response.status_code, body)


@dataclass(slots=True)
class ClientContext:
    """Settings shared by all clients. `clock` returns the deployment's time in seconds since the epoch."""

    url: str
    gateway: str
    history: History
    clock: Callable[[], float]
    random: random.Random


class RecordingClient:
    """Sends requests and records each of them in the history."""

    def __init__(self, context: ClientContext, who: str) -> None:
        self.context, self.who = context, who
        self.random = random.Random(context.random.random())

    async def send_recorded(
        self, act: str, request: Callable[[], Any], recorded_fields: tuple[str, ...] = (), **value: Any
    ) -> Answer:
        """Send one request and record it, together with `recorded_fields` of the response."""
        history = self.context.history
        invoked = history.add(self.who, "invoke", act, **value)
        try:
            answer = classify_response(await request())
        except httpx.HTTPStatusError as error:
            answer = classify_response(error.response)
            if answer.kind == "ok":
                raise
        except (httpx.TransportError, UnexpectedResponse) as error:
            answer = Answer("unknown", body={"code": type(error).__name__})
        recorded = {name: answer.body[name] for name in recorded_fields if name in answer.body}
        if answer.kind != "ok":
            recorded["code"] = answer.code
        history.add(
            self.who, answer.kind, act, **value, status=answer.status, invoked=invoked.number, **recorded
        )
        return answer

    async def send_until_answered(
        self, act: str, request: Callable[[], Any], recorded_fields: tuple[str, ...] = (), **value: Any
    ) -> Answer:
        """Repeat a request until it is acknowledged or rejected, at most `TRIES` times."""
        answer = Answer("unknown")
        for _ in range(TRIES):
            answer = await self.send_recorded(act, request, recorded_fields, **value)
            if answer.kind != "unknown" and answer.status != 429:
                return answer
            await asyncio.sleep(PAUSE * (0.5 + self.random.random()))
        return answer


class Student(RecordingClient):
    """A student with a phone."""

    def __init__(self, context: ClientContext, profile: StudentProfile) -> None:
        super().__init__(context, profile.id)
        self.profile = profile
        self.client = httpx.AsyncClient(
            base_url=f"{context.url}/mobile", timeout=TIMEOUT, trust_env=False, verify=False
        )
        self.phone = self._phone()
        key = serialization.load_pem_private_key(profile.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.phone.key = key
        self.rebound = False
        self._shots = 1000
        self._day = 10

    def _phone(self) -> Phone:
        return Phone(self.client, clock=self.context.clock)

    async def close(self) -> None:
        await self.client.aclose()

    # --- check-in ---

    async def check_in(self, roll_call_id: str, *, honest: bool = True, stays: bool = True) -> None:
        """Check in: challenge, envelope, frames, each repeated until answered. Not `honest`: reports a position outside.
        Not `stays`: uploads no frames.
        """
        made = await self.signed(roll_call_id, honest=honest)
        if made is None:
            return
        nonce, compact, frames = made
        received = await self.send(roll_call_id, nonce, compact, honest=honest)
        if received.kind == "ok" and self.random.random() < 0.2:
            await self.send(roll_call_id, nonce, compact, honest=honest)
        if received.kind == "ok" and stays:
            await self._upload(received.body["submission_id"], frames, roll_call_id)

    async def signed(self, roll_call_id: str, *, honest: bool = True) -> tuple[str, str, list[bytes]] | None:
        """Fetch a challenge and return its nonce, the signed envelope and the frames, or None without a challenge."""
        challenge = await self.send_until_answered(
            "challenge",
            lambda: self.phone.post(f"/v1/roll-calls/{roll_call_id}/challenges"),
            ("nonce",),
            roll_call=roll_call_id,
        )
        if challenge.kind != "ok":
            return None
        nonce = challenge.body["nonce"]
        actions = [each["action"] for each in challenge.body["actions"]]
        self._shots += 20
        frames = [
            render_pattern(self.profile.person, self._shots + number, action)
            for number, action in enumerate(plan_burst(actions))
        ]
        payload = make_envelope_content(
            UUID(roll_call_id), nonce, frames, fixes=make_fixes(INSIDE if honest else OUTSIDE)
        )
        path = f"/v1/roll-calls/{roll_call_id}/envelopes"
        return nonce, self.phone.sign_with_proof(payload, path, typ=TYPE), frames

    async def send(self, roll_call_id: str, nonce: str, compact: str, *, honest: bool) -> Answer:
        """Send the envelope until the server accepts or rejects it, with the retry token of a busy response."""
        attempted: str | None = None

        async def post() -> httpx.Response:
            nonlocal attempted
            path = f"/v1/roll-calls/{roll_call_id}/envelopes"
            response = await self.phone.send_envelope(path, compact, attempted)
            if response.headers.get("content-type", "").startswith("application/problem+json"):
                attempted = response.json().get("attempted", attempted)
            return response

        return await self.send_until_answered(
            "envelope",
            post,
            ("submission_id", "receipt"),
            roll_call=roll_call_id,
            nonce=nonce,
            envelope=compact,
            honest=honest,
        )

    async def _upload(self, submission_id: str, frames: list[bytes], roll_call_id: str) -> None:
        for position, data in enumerate(frames):
            path = f"/v1/submissions/{submission_id}/frames/{position}"
            answer = await self.send_until_answered(
                "frame",
                lambda path=path, data=data: self.phone.request(  # type: ignore[misc]
                    "PUT", path, content=data, headers={"Content-Type": "image/jpeg"}
                ),
                ("complete",),
                submission=submission_id,
                position=position,
                roll_call=roll_call_id,
            )
            if answer.kind == "fail":
                return

    async def post(self, act: str, path: str, body: Any, **value: Any) -> Answer:
        """Send any other POST until it is answered."""
        return await self.send_until_answered(act, lambda: self.phone.post(path, json=body), **value)

    async def replay(self) -> None:
        """Send one request twice with the same proof. At most one can take effect (invariant 12)."""
        path = "/v1/roll-calls"
        try:
            if self.phone.token is None:
                await self.phone.fetch_token()
        except httpx.HTTPError:
            return
        assert self.phone.token is not None
        proof = self.phone.proof("GET", path, self.phone.token)
        headers = {"Authorization": f"DPoP {self.phone.token}", "DPoP": proof}
        number = hashlib.sha256(proof.encode()).hexdigest()[:16]
        for _ in range(2):
            await self.send_recorded("proof", lambda: self.client.get(path, headers=headers), proof=number)

    # --- leave and rebinding ---

    async def ask_leave(self) -> str | None:
        """Request leave for a day without an earlier request."""
        self._day += 1
        day = _day_after(self.context.clock(), self._day)
        body = {"kind": "personal", "first_day": day, "last_day": day, "reason": "家中有事"}
        answer = await self.send_recorded(
            "leave", lambda: self.phone.post("/v1/leave-requests", json=body), ("id",), day=day
        )
        return str(answer.body["id"]) if answer.kind == "ok" else None

    async def withdraw_leave(self, leave_id: str) -> None:
        await self.send_until_answered(
            "leave withdrawal",
            lambda: self.phone.post(f"/v1/leave-requests/{leave_id}/cancellation", json={}),
            leave=leave_id,
        )

    async def rebind(self, gateway: httpx.AsyncClient, registrar: "Official") -> None:
        """Bind a new phone by name, ID number, SMS code, and the registrar's code. The old key becomes invalid."""
        fresh, me = self._phone(), self.profile
        body = {"name": me.name, "id_number": me.id_number}
        registration = await self.send_until_answered(
            "registration", lambda: fresh.prove("POST", "/v1/registrations", json=body), ("registration_id",)
        )
        if registration.kind != "ok":
            return
        code = await self._code(gateway)
        if code is None:
            return
        given = await registrar.post(
            "binding code",
            f"/v1/students/{me.id}/binding-codes",
            {"identity_check": "当面核对身份证"},
            ("code",),
            insist=True,
        )
        if given.kind != "ok":
            return
        codes = {"code": code, "in_person_code": given.body["code"]}
        path = f"/v1/registrations/{registration.body['registration_id']}/confirmation"
        self.rebound = True  # unknown until the request is answered
        bound = await self.send_until_answered(
            "rebinding", lambda: fresh.prove("POST", path, json=codes), key=fresh.thumbprint
        )
        if bound.kind == "ok":
            fresh.token = bound.body["access_token"]
            self.phone = fresh

    async def _code(self, gateway: httpx.AsyncClient) -> str | None:
        for _ in range(TRIES):
            try:
                inbox = (await gateway.get(f"/inbox/{self.profile.phone_number}")).json()
            except (httpx.HTTPError, ValueError):
                inbox = {"messages": []}
            for message in inbox["messages"]:
                if "code" in message["params"]:
                    return str(message["params"]["code"])
            await asyncio.sleep(PAUSE)
        return None


def _day_after(clock: float, days: int) -> str:
    return (datetime.fromtimestamp(clock, UTC) + timedelta(days=days)).date().isoformat()


class Official(RecordingClient):
    """A staff member who uses the staff API."""

    def __init__(self, context: ClientContext, profile: StaffProfile) -> None:
        super().__init__(context, f"{profile.role} {profile.login[-6:]}")
        self.profile = profile
        self.client = httpx.AsyncClient(
            base_url=f"{context.url}/staff", timeout=httpx.Timeout(8.0), trust_env=False, verify=False
        )
        credentials = Credentials(profile.role, profile.unit_id, profile.login, PASSWORD, profile.totp_secret)
        self.staff = StaffClient(self.client, credentials, context.clock)
        self.staff._refresh_token = profile.refresh_token
        self._signed_in = False
        self._signing = asyncio.Lock()
        self._not_before = 0.0

    async def close(self) -> None:
        await self.client.aclose()

    async def _send_in_turn(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send a request. Each TOTP code is valid once, so after a lost sign-in response wait for the next code."""
        if time.monotonic() < self._not_before:
            raise httpx.ConnectError("waiting for the next TOTP code")
        try:
            async with self._signing:
                if not self._signed_in:
                    await self.staff.refresh_session()
                    self._signed_in = True
            response = await self.staff.request(method, path, **({} if body is None else {"json": body}))
        except UnexpectedResponse:
            self._signed_in, self._not_before = False, time.monotonic() + NEXT_CODE
            raise
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._signed_in = False
        return response

    async def post(
        self,
        act: str,
        path: str,
        body: Any,
        recorded_fields: tuple[str, ...] = (),
        *,
        insist: bool = False,
        **value: Any,
    ) -> Answer:
        send = self.send_until_answered if insist else self.send_recorded
        return await send(act, lambda: self._send_in_turn("POST", path, body), recorded_fields, **value)

    async def get(self, act: str, path: str, **value: Any) -> Answer:
        return await self.send_until_answered(act, lambda: self._send_in_turn("GET", path), **value)
