"""A client of the mobile API that acts as a student's phone: P-256 key, DPoP proofs, signed envelopes.

Uses only httpx and the wire format, so it can also serve as an example for other clients.
"""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Phone:
    """One phone, not bound to a student yet.

    `client` has the API as its base URL. `public_url` is the API's own URL for the `htu` claim of proofs, by
    default the base URL. `clock` returns the phone's time in seconds since the epoch.
    """

    def __init__(
        self, client: httpx.AsyncClient, public_url: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.client = client
        self.public_url = (public_url or str(client.base_url)).rstrip("/")
        self.clock = clock
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.token: str | None = None
        self._unsent: set[str] = set()

    @property
    def jwk(self) -> dict[str, str]:
        """The public key (RFC 7517)."""
        numbers = self.key.public_key().public_numbers()
        x, y = (_base64url(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    @property
    def thumbprint(self) -> str:
        """The thumbprint of the key (RFC 7638)."""
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return _base64url(hashlib.sha256(canonical.encode()).digest())

    def proof(self, method: str, path: str, token: str | None = None) -> str:
        """Create a DPoP proof for one request (RFC 9449, 4.2)."""
        claims = self.proof_claims(method, path, token)
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": self.jwk})

    def proof_claims(self, method: str, path: str, token: str | None = None) -> dict[str, Any]:
        """The claims of a proof for one request, for a proof or for an envelope that carries them."""
        claims: dict[str, Any] = {
            "jti": str(uuid.uuid4()),
            "htm": method,
            "htu": self.public_url + path.partition("?")[0],
            "iat": int(self.clock()),
        }
        if token is not None:
            claims["ath"] = _base64url(hashlib.sha256(token.encode()).digest())
        return claims

    def sign(self, payload: dict[str, Any], **header: Any) -> str:
        """Sign `payload` as a compact JWS (ES256) with the thumbprint as `kid`, as the envelope of a check-in."""
        return jwt.encode(payload, self.key, algorithm="ES256", headers={"kid": self.thumbprint, **header})

    def sign_with_proof(self, payload: dict[str, Any], path: str, **header: Any) -> str:
        """Sign an envelope for a POST to `path` so that it is its own proof on its first send. Needs a token."""
        assert self.token is not None
        claims = self.proof_claims("POST", path, self.token)
        envelope = self.sign({**claims, **payload}, jwk=self.jwk, **header)
        self._unsent.add(envelope)
        return envelope

    async def send_envelope(self, path: str, envelope: str, attempted: str | None = None) -> httpx.Response:
        """Send an envelope: the first time without a proof if it carries one, and each later time with a new proof.

        A refused proof (an old token, a wrong clock) is repeated at once with a new proof. The envelope is never signed again.
        """
        body = {"envelope": envelope} if attempted is None else {"envelope": envelope, "attempted": attempted}
        if envelope in self._unsent:
            self._unsent.remove(envelope)
            headers = {"Authorization": f"DPoP {self.token}"}
            response = await self.client.post(path, headers=headers, json=body)
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return response
        return await self.post(path, json=body)

    async def prove(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with a proof but without a token."""
        headers = {**options.pop("headers", {}), "DPoP": self.proof(method, path)}
        return await self.client.request(method, path, headers=headers, **options)

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as the bound student. Fetches a token if there is none or if it has expired."""
        if self.token is None:
            await self.fetch_token()
        response = await self._send_authorized(method, path, options)
        if (
            response.status_code == httpx.codes.UNAUTHORIZED
            and response.json().get("code") == "token_expired"
        ):
            await self.fetch_token()
            response = await self._send_authorized(method, path, options)
        return response

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET as the bound student."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST as the bound student."""
        return await self.request("POST", path, **options)

    async def _send_authorized(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        assert self.token is not None
        signed = {"Authorization": f"DPoP {self.token}", "DPoP": self.proof(method, path, self.token)}
        rest = {name: value for name, value in options.items() if name != "headers"}
        return await self.client.request(
            method, path, headers={**options.get("headers", {}), **signed}, **rest
        )

    async def register(self, name: str, id_number: str) -> str:
        """Request to be bound to a student. Return the registration id; the code is sent by SMS."""
        response = await self.prove("POST", "/v1/registrations", json={"name": name, "id_number": id_number})
        response.raise_for_status()
        registration_id: str = response.json()["registration_id"]
        return registration_id

    async def confirm(
        self, registration_id: str, code: str | None, in_person_code: str | None = None
    ) -> httpx.Response:
        """Confirm the registration with its codes. On success the phone is bound and has a token."""
        path = f"/v1/registrations/{registration_id}/confirmation"
        codes = {"code": code, "in_person_code": in_person_code}
        body = {name: value for name, value in codes.items() if value is not None}
        response = await self.prove("POST", path, json=body)
        if response.is_success:
            self.token = response.json()["access_token"]
        return response

    async def fetch_token(self) -> None:
        """Fetch a new token for the bound key. Raises httpx.HTTPStatusError if the key is rejected."""
        response = await self.prove("POST", "/v1/token")
        response.raise_for_status()
        self.token = response.json()["access_token"]

    async def consent(self, kind: str, text_version: str, *, granted: bool = True) -> httpx.Response:
        """Grant or refuse one consent."""
        body = {"kind": kind, "granted": granted, "text_version": text_version}
        return await self.post("/v1/me/consents", json=body)

    async def enrol_face(self, shots: list[bytes]) -> httpx.Response:
        """Upload pictures of the face."""
        files = [("shots", (f"{number}.jpg", shot, "image/jpeg")) for number, shot in enumerate(shots)]
        return await self.post("/v1/me/face", files=files)

    async def submit_portrait(self, image: bytes) -> httpx.Response:
        """Upload the ID portrait."""
        return await self.post("/v1/me/portrait", files=[("image", ("portrait.jpg", image, "image/jpeg"))])
