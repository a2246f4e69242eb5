"""The two ceremonies of WebAuthn Level 3, verified by the library `webauthn`. Pure: the browser's answer in, values out.

User verification (PIN, finger, face on the device) is required in both, so a passkey is two factors at once. No
statement about the authenticator's make is asked for, and none is trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier

from backend.identity.errors import PasskeyRefused, PasskeysUnavailable
from backend.settings import Settings

ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
"""ES256 first; Windows Hello needs RS256."""

Credential = Mapping[str, Any]
"""A credential as a page sends it: the JSON of `PublicKeyCredential.toJSON()`."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom a passkey is for: the host of the deployment, and the origins of its pages."""

    id: str
    origins: tuple[str, ...]


def relying_party(settings: Settings) -> RelyingParty:
    """The deployment as browsers know it; raises `PasskeysUnavailable` if its address has no name."""
    if settings.passkey_host is None:
        raise PasskeysUnavailable(url=settings.public_url)
    return RelyingParty(settings.passkey_host, settings.web_origins)


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What a registration says about the new key."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    backed_up: bool


@dataclass(frozen=True, slots=True)
class KnownKey:
    """The stored key that an assertion must be made with."""

    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified assertion: the authenticator's counter after it, and whether the passkey is synchronised."""

    sign_count: int
    backed_up: bool


def read_challenge(credential: Credential) -> bytes:
    """The challenge that a credential answers, not verified yet; raises `PasskeyRefused`."""
    try:
        data = base64url_to_bytes(credential["response"]["clientDataJSON"])
        return parse_client_data_json(data).challenge
    except Exception as error:  # noqa: BLE001 - the library raises many types for malformed input
        _refuse(error)


def read_credential_id(credential: Credential) -> bytes:
    """The id of the passkey; raises `PasskeyRefused`."""
    try:
        return base64url_to_bytes(credential["id"])
    except Exception as error:  # noqa: BLE001 - as above
        _refuse(error)


def read_user_handle(credential: Credential) -> bytes | None:
    """The account that the authenticator stored with the passkey; None if it returns none."""
    handle = credential["response"].get("userHandle")
    try:
        return base64url_to_bytes(handle) if handle else None
    except Exception as error:  # noqa: BLE001 - as above
        _refuse(error)


def verify_registration(credential: Credential, challenge: bytes, party: RelyingParty) -> NewPasskey:
    """Verify the answer of `navigator.credentials.create()`; raises `PasskeyRefused`."""
    try:
        made = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
    except Exception as error:  # noqa: BLE001 - as above
        _refuse(error)
    return NewPasskey(
        made.credential_id,
        made.credential_public_key,
        made.sign_count,
        made.aaguid,
        made.credential_backed_up,
    )


def verify_assertion(
    credential: Credential, challenge: bytes, party: RelyingParty, key: KnownKey
) -> Assertion:
    """Verify the answer of `navigator.credentials.get()`; raises `PasskeyRefused`, also if the counter went back."""
    try:
        made = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except Exception as error:  # noqa: BLE001 - as above
        _refuse(error)
    return Assertion(made.new_sign_count, made.credential_backed_up)


def _refuse(error: Exception) -> NoReturn:
    raise PasskeyRefused from error
