"""Clients that take part in roll calls and write down what they saw. They know the wire and nothing of the inside."""

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
from backend.demo.poses import posed
from backend.demo.staff import Credentials, StaffClient, UnexpectedResponse
from backend.roll_call.envelope import TYPE
from biometrics.engines.test_pattern import render_pattern
from tests.faults.history import History, Kind
from tests.faults.template_cluster import PASSWORD, PlantedStaff, PlantedStudent
from tests.support.roll_call.student_phone import INSIDE, OUTSIDE, content, fixes

TIMEOUT = httpx.Timeout(4.0)
TRIES, PAUSE = 40, 0.25
NEXT_CODE = 31.0
"""Seconds until an authenticator shows another code."""
UNCLEAR = {"proof_replayed", "proof_invalid", "token_expired"}
"""Refusals that say nothing about the act: a proxy sent the request twice, or the clock was moved meanwhile."""
FRAMES = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended: `kind` as in the history, with the body if there is one."""

    kind: Kind
    status: int = 0
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))


def judged(response: httpx.Response) -> Answer:
    """2xx is acknowledged, 4xx refused; a 5xx may be anything."""
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
class Setting:
    """What all clients share. `clock` gives the house's seconds since the epoch."""

    url: str
    gateway: str
    history: History
    clock: Callable[[], float]
    random: random.Random


class Recording:
    """Sends requests and writes each of them down."""

    def __init__(self, setting: Setting, who: str) -> None:
        self.setting, self.who = setting, who
        self.random = random.Random(setting.random.random())

    async def asked(
        self, act: str, request: Callable[[], Any], kept: tuple[str, ...] = (), **value: Any
    ) -> Answer:
        """One request; of the answer `kept` is written down beside its code."""
        history = self.setting.history
        invoked = history.add(self.who, "invoke", act, **value)
        try:
            answer = judged(await request())
        except httpx.HTTPStatusError as error:
            answer = judged(error.response)
            if answer.kind == "ok":
                raise
        except (httpx.TransportError, UnexpectedResponse) as error:
            answer = Answer("unknown", body={"code": type(error).__name__})
        told = {name: answer.body[name] for name in kept if name in answer.body}
        if answer.kind != "ok":
            told["code"] = answer.code
        history.add(self.who, answer.kind, act, **value, status=answer.status, invoked=invoked.number, **told)
        return answer

    async def insisted(
        self, act: str, request: Callable[[], Any], kept: tuple[str, ...] = (), **value: Any
    ) -> Answer:
        """Again until it is acknowledged or refused, or patience ends."""
        answer = Answer("unknown")
        for _ in range(TRIES):
            answer = await self.asked(act, request, kept, **value)
            if answer.kind != "unknown" and answer.status != 429:
                return answer
            await asyncio.sleep(PAUSE * (0.5 + self.random.random()))
        return answer


class Student(Recording):
    """A student with a phone: honest, unless told to stand elsewhere or to leave early."""

    def __init__(self, setting: Setting, planted: PlantedStudent) -> None:
        super().__init__(setting, planted.id)
        self.planted = planted
        self.client = httpx.AsyncClient(
            base_url=f"{setting.url}/mobile", timeout=TIMEOUT, trust_env=False, verify=False
        )
        self.phone = self._phone()
        key = serialization.load_pem_private_key(planted.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.phone.key = key
        self.rebound = False
        self._shots = 1000
        self._day = 10

    def _phone(self) -> Phone:
        return Phone(self.client, clock=self.setting.clock)

    async def close(self) -> None:
        await self.client.aclose()

    # --- check-in ---

    async def check_in(self, roll_call_id: str, *, honest: bool = True, stays: bool = True) -> None:
        """Challenge, envelope and frames, each insisted on. Not `honest` stands outside; not `stays` sends no frames."""
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
        """The nonce of a challenge, the envelope that answers it and its frames; None where none is given."""
        challenge = await self.insisted(
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
            render_pattern(self.planted.person, self._shots + number, action)
            for number, action in enumerate(posed(actions))
        ]
        payload = content(UUID(roll_call_id), nonce, frames, fixes=fixes(INSIDE if honest else OUTSIDE))
        return nonce, self.phone.sign(payload, typ=TYPE), frames

    async def send(self, roll_call_id: str, nonce: str, compact: str, *, honest: bool) -> Answer:
        """The envelope, with the same nonce until the server says yes or no; and with its word that it was busy."""
        body: dict[str, Any] = {"envelope": compact}

        async def post() -> httpx.Response:
            response = await self.phone.post(f"/v1/roll-calls/{roll_call_id}/envelopes", json=body)
            if response.headers.get("content-type", "").startswith("application/problem+json"):
                body.update({name: value for name, value in response.json().items() if name == "attempted"})
            return response

        return await self.insisted(
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
            answer = await self.insisted(
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

    async def posted(self, act: str, path: str, body: Any, **value: Any) -> Answer:
        """Anything else, insisted on."""
        return await self.insisted(act, lambda: self.phone.post(path, json=body), **value)

    async def replay(self) -> None:
        """One request sent twice with one proof: at most one of the two takes effect (invariant 12)."""
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
            await self.asked("proof", lambda: self.client.get(path, headers=headers), proof=number)

    # --- leave, and another phone ---

    async def ask_leave(self) -> str | None:
        """A day of leave that nobody asked for before."""
        self._day += 1
        day = _day_after(self.setting.clock(), self._day)
        body = {"kind": "personal", "first_day": day, "last_day": day, "reason": "家中有事"}
        answer = await self.asked(
            "leave", lambda: self.phone.post("/v1/leave-requests", json=body), ("id",), day=day
        )
        return str(answer.body["id"]) if answer.kind == "ok" else None

    async def withdraw_leave(self, leave_id: str) -> None:
        await self.insisted(
            "leave withdrawal",
            lambda: self.phone.post(f"/v1/leave-requests/{leave_id}/cancellation", json={}),
            leave=leave_id,
        )

    async def rebind(self, gateway: httpx.AsyncClient) -> None:
        """A new phone by name, number and code; the old one speaks for the student no more."""
        fresh, me = self._phone(), self.planted
        body = {"name": me.name, "id_number": me.id_number}
        asked = await self.insisted(
            "registration", lambda: fresh.prove("POST", "/v1/registrations", json=body), ("registration_id",)
        )
        if asked.kind != "ok":
            return
        code = await self._code(gateway)
        if code is None:
            return
        path = f"/v1/registrations/{asked.body['registration_id']}/confirmation"
        self.rebound = True  # from here on nobody knows until it is answered
        bound = await self.insisted(
            "rebinding", lambda: fresh.prove("POST", path, json={"code": code}), key=fresh.thumbprint
        )
        if bound.kind == "ok":
            fresh.token = bound.body["access_token"]
            self.phone = fresh

    async def _code(self, gateway: httpx.AsyncClient) -> str | None:
        for _ in range(TRIES):
            try:
                inbox = (await gateway.get(f"/inbox/{self.planted.phone_number}")).json()
            except (httpx.HTTPError, ValueError):
                inbox = {"messages": []}
            for message in inbox["messages"]:
                if "code" in message["params"]:
                    return str(message["params"]["code"])
            await asyncio.sleep(PAUSE)
        return None


def _day_after(clock: float, days: int) -> str:
    return (datetime.fromtimestamp(clock, UTC) + timedelta(days=days)).date().isoformat()


class Official(Recording):
    """A member of staff at a console."""

    def __init__(self, setting: Setting, planted: PlantedStaff) -> None:
        super().__init__(setting, f"{planted.role} {planted.login[-6:]}")
        self.planted = planted
        self.client = httpx.AsyncClient(
            base_url=f"{setting.url}/staff", timeout=httpx.Timeout(8.0), trust_env=False, verify=False
        )
        credentials = Credentials(planted.role, planted.unit_id, planted.login, PASSWORD, planted.totp_secret)
        self.staff = StaffClient(self.client, credentials, setting.clock)
        self.staff._refresh_token = planted.refresh_token
        self._signed_in = False
        self._signing = asyncio.Lock()
        self._not_before = 0.0

    async def close(self) -> None:
        await self.client.aclose()

    async def _sent(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A second factor counts once: whoever lost the answer to a sign-in waits for the next code."""
        if time.monotonic() < self._not_before:
            raise httpx.ConnectError("waits for another code")
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
        kept: tuple[str, ...] = (),
        *,
        insist: bool = False,
        **value: Any,
    ) -> Answer:
        send = self.insisted if insist else self.asked
        return await send(act, lambda: self._sent("POST", path, body), kept, **value)

    async def get(self, act: str, path: str, **value: Any) -> Answer:
        return await self.insisted(act, lambda: self._sent("GET", path), **value)
