"""A check-in outside the site with its verdict, stored as intake and verification would store it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.ids import new_id
from backend.demo.phone import Phone
from backend.people.tables import Consent
from backend.roll_call.envelope import TYPE
from backend.roll_call.tables import Challenge, RollCall, Submission, VerdictRecord
from tests.support.province import SampleStudent
from tests.support.roll_call.student_phone import (
    OFFLINE,
    OUTSIDE,
    make_envelope_content,
    make_fixes,
    render_frame,
)

FENCE = {
    "decision": "outside",
    "distance_m": 4118.2,
    "probability_inside": 0.0,
    "accuracy_m": 10.4,
    "reasons": [],
    "inside_at": 0.9,
    "outside_at": 0.1,
}


@dataclass(frozen=True, slots=True)
class RejectedCheckIn:
    """Who sent it in which roll call, and when it was received. `consent`: the text that the student agreed to, if any."""

    roll_call: RollCall
    pupil: SampleStudent
    received_at: datetime
    consent: str | None = "location-3"
    fixes: tuple[dict[str, Any], ...] = ()


async def store_rejected_check_in(session: AsyncSession, check_in: RejectedCheckIn) -> UUID:
    """Insert challenge, submission, verdict and consent; returns the submission."""
    roll_call, at, phone = check_in.roll_call, check_in.received_at, Phone(OFFLINE)
    owner = {"school_id": check_in.pupil.school_id, "student_id": check_in.pupil.id}
    attempt = {"roll_call_id": roll_call.id, "term_code": roll_call.term_code, **owner}
    nonce, submission_id = f"nonce-{new_id().hex}", new_id()
    content = make_envelope_content(
        roll_call.id, nonce, [render_frame(1, 1)], fixes=list(check_in.fixes) or make_fixes(OUTSIDE)
    )
    envelope = phone.sign(content, typ=TYPE)
    if check_in.consent is not None:
        session.add(
            Consent(id=new_id(), kind="location", text_version=check_in.consent, granted=True, at=at, **owner)
        )
    session.add(
        Challenge(
            nonce=nonce,
            key_thumbprint=phone.thumbprint,
            actions=["close_eyes"],
            cannot=[],
            flash=[],
            cues_ms=[],
            issued_at=at - timedelta(seconds=30),
            expires_at=at + timedelta(minutes=5),
            **attempt,
        )
    )
    await session.flush()
    session.add(
        Submission(
            id=submission_id,
            nonce=nonce,
            key_thumbprint=phone.thumbprint,
            in_cool_down=False,
            envelope=envelope,
            envelope_digest=hashlib.sha256(envelope.encode()).digest(),
            frame_count=1,
            receipt="-",
            received_at=at,
            frames_due_at=at + timedelta(minutes=2),
            **attempt,
        )
    )
    await session.flush()
    session.add(
        VerdictRecord(
            submission_id=submission_id,
            finding="rejected",
            reasons=["outside_site"],
            trace={"fence": FENCE},
            at=at + timedelta(seconds=5),
            **attempt,
        )
    )
    return submission_id
