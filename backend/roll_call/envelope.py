"""The signed envelope of a check-in: a JWS (ES256) by the phone's key over its location fixes and frame hashes.

An envelope can carry its proof of possession: the public key in the header (`jwk`) and the claims of a DPoP proof
(RFC 9449). On its first send it then needs no proof of its own. Pure: text in, values out.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.core import jws
from backend.roll_call.errors import EnvelopeMalformed, EnvelopeSignatureInvalid, FixIncomplete
from geo.datum import Datum
from geo.location_fixes import Fix

TYPE = "dianming-check-in+jws"
_MEASURED = frozenset({"lon", "lat", "accuracy_m", "age_s"})
"""Fields of a fix that come from the phone's location service."""


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FixPart(_StrictModel):
    """A location fix: degrees in its datum, accuracy in metres, age in seconds when the envelope was signed.

    The datum has no default: a wrong one moves a point by 500 m and more.
    """

    lon: float
    lat: float
    accuracy_m: float
    datum: Literal["wgs84", "gcj02", "bd09"]
    age_s: float

    def to_fix(self) -> Fix:
        """Convert to the type of the location library."""
        return Fix(
            lon=self.lon, lat=self.lat, accuracy_m=self.accuracy_m, datum=Datum(self.datum), age_s=self.age_s
        )


class FramePart(_StrictModel):
    """A frame that will be uploaded: its hash, its size in bytes, and milliseconds since the burst began."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(gt=0)]
    at_ms: Annotated[int, Field(ge=0, le=600_000)]


class Envelope(_StrictModel):
    """The signed content. `claims` is what the client reports about itself; it is stored but never trusted."""

    roll_call: Annotated[UUID, Field(strict=False)]
    nonce: Annotated[str, Field(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
    fixes: Annotated[list[FixPart], Field(max_length=100)]
    frames: Annotated[list[FramePart], Field(max_length=100)]
    claims: Annotated[dict[str, Any], Field(default_factory=dict, max_length=40)]
    jti: str | None = None
    htm: str | None = None
    htu: str | None = None
    iat: float | None = None
    ath: str | None = None
    """The claims of a DPoP proof for the first send. Any later send has a proof of its own, and they are ignored."""

    def proof_claims(self) -> dict[str, Any]:
        """The claims of the proof that the envelope carries."""
        return {"jti": self.jti, "htm": self.htm, "htu": self.htu, "iat": self.iat, "ath": self.ath}


@dataclass(frozen=True, slots=True)
class OpenedEnvelope:
    """A verified envelope and the digest of its signing input (header and payload, without the signature).

    ECDSA signatures differ each time; the digest stays the same when a client signs the same content again.
    """

    content: Envelope
    digest: bytes


def open_envelope(compact: str, key: ec.EllipticCurvePublicKey) -> OpenedEnvelope:
    """Verify the signature with the student's device key and parse the content.

    Raises EnvelopeMalformed, EnvelopeSignatureInvalid or FixIncomplete.
    """
    document = parse_envelope(compact)
    try:
        document.verify(key)
    except jws.SignatureWrong as error:
        raise EnvelopeSignatureInvalid from error
    return read_verified_envelope(document)


def parse_envelope(compact: str) -> jws.Jws:
    """Parse the JWS without verifying it. Raises EnvelopeMalformed unless it is an envelope."""
    document = _parse_jws(compact)
    if document.header.get("typ") != TYPE:
        raise EnvelopeMalformed(reason="header")
    return document


def read_verified_envelope(document: jws.Jws) -> OpenedEnvelope:
    """Parse the content of an envelope whose signature is verified. Raises EnvelopeMalformed or FixIncomplete."""
    return OpenedEnvelope(_parse_content(document.payload), hashlib.sha256(document.signed).digest())


def read_proof_claims(document: jws.Jws) -> Mapping[str, Any]:
    """The claims of the proof in an envelope whose other content is malformed; empty if it is not a JSON object."""
    try:
        claims = json.loads(document.payload)
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def parse_stored_envelope(compact: str) -> Envelope:
    """Parse a stored envelope; its signature was verified when it was accepted."""
    return _parse_content(_parse_jws(compact).payload)


def _parse_jws(compact: str) -> jws.Jws:
    try:
        return jws.parse_jws(compact)
    except jws.JwsMalformed as error:
        raise EnvelopeMalformed(reason="JWS") from error


def _parse_content(payload: bytes) -> Envelope:
    try:
        return Envelope.model_validate_json(payload)
    except ValidationError as error:
        if _lacks_position(error):
            raise FixIncomplete(field=_error_path(error)) from error
        raise EnvelopeMalformed(reason=_error_path(error)) from error


def _lacks_position(error: ValidationError) -> bool:
    """Whether only values that the phone's location service supplies are missing or null. Then the app is not at fault."""
    return all(
        each["loc"][:1] == ("fixes",)
        and each["loc"][-1] in _MEASURED
        and (each["type"] == "missing" or each["input"] is None)
        for each in error.errors()
    )


def _error_path(error: ValidationError) -> str:
    """Return the path of the first invalid field. Names come from the client, so unusual characters are replaced."""
    first = error.errors(include_input=False)[0]
    if first["type"] == "json_invalid":
        return "JSON"
    path = ".".join(str(part) for part in first["loc"])
    return re.sub(r"[^A-Za-z0-9_.]", "?", path)[:80] or "payload"
