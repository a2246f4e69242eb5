"""Receipts: the server's signed word that an envelope arrived in time and is durable."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.core import jws
from backend.core.keys import KeyRing


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What a receipt says."""

    submission_id: UUID
    roll_call_id: UUID
    student_id: UUID
    envelope_digest: bytes
    received_at: datetime
    frames_due_at: datetime


def sign_receipt(keys: KeyRing, facts: ReceiptFacts) -> str:
    """A compact JWS (ES256) over the facts. It is stored, so that a retry gets the very same bytes."""
    version, key = keys.signer("receipt")
    claims = {
        "submission": str(facts.submission_id),
        "roll_call": str(facts.roll_call_id),
        "student": str(facts.student_id),
        "envelope_sha256": facts.envelope_digest.hex(),
        "received_at": facts.received_at.isoformat(),
        "frames_due_at": facts.frames_due_at.isoformat(),
    }
    return jws.sign({"kid": version, "typ": "dianming-receipt+jws"}, claims, key)
