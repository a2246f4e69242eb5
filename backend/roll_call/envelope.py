"""The signed envelope of a check-in: a JWS (ES256) by the phone's key over its location fixes and frame hashes.

Pure: text in, values out.
"""

import hashlib
import re
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
    token = _parse_jws(compact)
    if token.header.get("typ") != TYPE:
        raise EnvelopeMalformed(reason="header")
    try:
        token.verify(key)
    except jws.SignatureWrong as error:
        raise EnvelopeSignatureInvalid from error
    return OpenedEnvelope(_parse_content(token.payload), hashlib.sha256(token.signed).digest())


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
