"""A software authenticator: makes passkeys and assertions as a browser returns them (WebAuthn Level 3, `none` attestation)."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.identity.browser import OWN_ORIGIN

PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(slots=True)
class Authenticator:
    """An authenticator with one passkey. `origin` and `rp_id` are those of the page that asks it."""

    origin: str = OWN_ORIGIN
    rp_id: str = "testserver"
    flags: int = PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP
    counter: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    user_handle: str = ""

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.create()`."""
        self.user_handle = options["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + cbor2.dumps(cose)
        data = self._authenticator_data(self.flags | ATTESTED) + attested
        response = {
            "clientDataJSON": encode(self._client_data("webauthn.create", options)),
            "attestationObject": encode(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal", "hybrid"],
            "publicKeyAlgorithm": -7,
        }
        return self._credential(response)

    def get(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Answer `navigator.credentials.get()`. `changes` replace fields of the response after signing."""
        data, client = self._authenticator_data(self.flags), self._client_data("webauthn.get", options)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": encode(client),
            "authenticatorData": encode(data),
            "signature": encode(signature),
            "userHandle": self.user_handle,
        }
        return self._credential(response | changes)

    def _authenticator_data(self, flags: int) -> bytes:
        party = hashlib.sha256(self.rp_id.encode()).digest()
        return party + bytes([flags]) + self.counter.to_bytes(4)

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        content = {
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
        }
        return json.dumps(content).encode()

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": encode(self.credential_id),
            "rawId": encode(self.credential_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }


async def add_passkey(user: Any, authenticator: Authenticator, **changes: Any) -> Any:
    """Register a passkey of a staff user over HTTP, confirmed by a code unless `changes` say otherwise."""
    options = (await user.post("/v1/me/passkeys/registration-challenges")).json()
    body = {"name": "办公室电脑", "credential": authenticator.create(options)} | changes
    if not {"totp", "passkey"} & set(body):
        body["totp"] = user.totp()
    return await user.post("/v1/me/passkeys", body)


async def sign_in_by_passkey(browser: Any, authenticator: Authenticator, **changes: Any) -> Any:
    """Sign in a browser with a passkey."""
    options = (await browser.send("POST", "/v1/passkey-challenges")).json()
    body = {"credential": authenticator.get(options, **changes)}
    return await browser.send("POST", "/v1/browser-sessions/passkey", json=body)
