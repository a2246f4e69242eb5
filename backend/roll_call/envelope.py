"""The signed envelope: a JWS (ES256) by the phone's key over what it saw and when. Pure: text in, values out."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.core import jws
from backend.roll_call.errors import EnvelopeMalformed, EnvelopeSignatureInvalid
from geo.datum import Datum
from geo.location_fixes import Fix

TYPE = "dianming-check-in+jws"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FixPart(_Part):
    """A raw location sample: degrees in its datum, metres, seconds before the envelope was signed."""

    lon: float
    lat: float
    accuracy_m: float
    datum: Literal["wgs84", "gcj02", "bd09"] = "wgs84"
    age_s: float

    def fix(self) -> Fix:
        """The sample as the location library takes it."""
        return Fix(
            lon=self.lon, lat=self.lat, accuracy_m=self.accuracy_m, datum=Datum(self.datum), age_s=self.age_s
        )


class FramePart(_Part):
    """A picture that will follow: its hash, its size in bytes, and milliseconds since the burst began."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(gt=0)]
    at_ms: Annotated[int, Field(ge=0, le=600_000)]


class Envelope(_Part):
    """The signed content. `claims` is what the client says of itself: stored, never believed."""

    roll_call: Annotated[UUID, Field(strict=False)]
    nonce: Annotated[str, Field(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
    fixes: Annotated[list[FixPart], Field(max_length=100)]
    frames: Annotated[list[FramePart], Field(max_length=100)]
    claims: Annotated[dict[str, Any], Field(default_factory=dict, max_length=40)]


@dataclass(frozen=True, slots=True)
class OpenedEnvelope:
    """A verified envelope and the digest of what was signed (header and payload, not the signature).

    ECDSA signatures differ each time; the digest is the same when a client signs the same content again.
    """

    content: Envelope
    digest: bytes


def open_envelope(compact: str, key: ec.EllipticCurvePublicKey) -> OpenedEnvelope:
    """Verify the signature by the student's device key and parse; raises the two envelope refusals."""
    taken = _taken(compact)
    if taken.header.get("typ") != TYPE:
        raise EnvelopeMalformed(reason="header")
    try:
        taken.verify(key)
    except jws.SignatureWrong as error:
        raise EnvelopeSignatureInvalid from error
    return OpenedEnvelope(_parse(taken.payload), hashlib.sha256(taken.signed).digest())


def parse_stored(compact: str) -> Envelope:
    """The content of an envelope whose signature was verified when it was accepted."""
    return _parse(_taken(compact).payload)


def _taken(compact: str) -> jws.Jws:
    try:
        return jws.take_apart(compact)
    except jws.NotCompact as error:
        raise EnvelopeMalformed(reason="JWS") from error


def _parse(payload: bytes) -> Envelope:
    try:
        return Envelope.model_validate_json(payload)
    except ValidationError as error:
        raise EnvelopeMalformed(reason=_place(error)) from error


def _place(error: ValidationError) -> str:
    """Where the first fault lies. Names come from the client, so that only a short, plain spelling is kept."""
    first = error.errors(include_input=False)[0]
    if first["type"] == "json_invalid":
        return "JSON"
    where = ".".join(str(part) for part in first["loc"])
    return re.sub(r"[^A-Za-z0-9_.]", "?", where)[:80] or "payload"
