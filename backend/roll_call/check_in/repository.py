"""Database access of the intake: one query that loads the facts of a batch, and one that stores the results.

Both call SECURITY DEFINER functions (schema `definer`). They return and accept only what one envelope needs, because a
batch contains many students and schools and no tenant scope fits it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from backend.core.errors import DomainError
from backend.core.ids import new_id
from backend.core.unscoped_connections import Connection
from backend.identity.sign_in.dpop import Proof
from backend.roll_call.envelope import OpenedEnvelope
from backend.roll_call.errors import CheckInRefusal


@dataclass(frozen=True, slots=True, eq=False)
class CheckInRequest:
    """A request whose access token and proof are valid, with the opened envelope or the reason it cannot be opened.

    `at` is the time that decides lateness, `arrived_at` when this request arrived. They differ only if a retry token
    proves an earlier attempt. `is_own_proof` means that the envelope is its own proof, as on its first send only.
    """

    roll_call_id: UUID
    compact: str
    digest: bytes
    opened: OpenedEnvelope | CheckInRefusal
    proof: Proof
    at: datetime
    arrived_at: datetime
    is_own_proof: bool = False

    @property
    def nonce(self) -> str | None:
        """The nonce of the challenge that the envelope answers, if it could be opened."""
        return self.opened.content.nonce if isinstance(self.opened, OpenedEnvelope) else None


@dataclass(frozen=True, slots=True)
class CheckInFacts:
    """The stored facts about one request. Without `place`, the key's student has no such roll call.

    The fields are the columns of `definer.check_in_facts`.
    """

    n: int
    fresh: bool
    account_id: UUID | None
    account_status: str | None
    key_status: str | None
    student_id: UUID | None
    school_id: UUID | None
    cool_down_until: datetime | None
    place: str | None
    launched_at: datetime
    opens_at: datetime
    closes_at: datetime
    """The current close: as launched, or as extended."""
    duty: str
    duty_reason: str | None
    voided: bool
    settled: bool
    outcome: str | None
    without_face: bool
    gaps: list[str]
    findings: list[list[str]] | None
    """The reason codes of each verdict of this student in this roll call."""
    nonce_until: datetime | None
    """When the challenge of this nonce expires; None unless it was issued for this student, roll call and key."""
    earlier_id: UUID | None
    earlier_receipt: str
    earlier_due: datetime
    earlier_digest: bytes | None
    """Of the envelope that already used this nonce: only the same content is a retry."""
    recent: int
    """How many envelopes of this student were accepted in the last minute."""


_FACTS = "SELECT * FROM definer.check_in_facts(%s, %s, %s, %s, %s, %s, %s)"


async def load_check_in_facts(
    connection: Connection, requests: Sequence[CheckInRequest], *, wait: bool
) -> list[CheckInFacts | None]:
    """Lock each request's student and roll call, mark its proof as used, and load its facts.

    Returns None for a request whose locks are held by another transaction. With `wait` there must be exactly one
    request; it waits for its locks, and a single waiter cannot cause a deadlock.
    """
    assert not wait or len(requests) == 1
    parameters: tuple[Any, ...] = (
        [each.proof.jkt for each in requests],
        [each.proof.jti for each in requests],
        [each.roll_call_id for each in requests],
        [each.nonce for each in requests],
        [each.at for each in requests],
        requests[0].arrived_at,
        wait,
    )
    facts: list[CheckInFacts | None] = [None] * len(requests)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_FACTS, parameters, prepare=True)
        for row in await cursor.fetchall():
            facts[row["n"] - 1] = CheckInFacts(**row)
    return facts


@dataclass(frozen=True, slots=True)
class AcceptedCheckIn:
    """An accepted envelope, as it is stored."""

    id: UUID
    request: CheckInRequest
    student_id: UUID
    in_cool_down: bool
    receipt: str
    frames_due_at: datetime

    def row(self, number: int) -> dict[str, Any]:
        """Return the JSON row for `definer.store_check_ins`.

        `number` is the position in the batch from one; the envelope itself is passed in a separate array.
        """
        opened = self.request.opened
        assert isinstance(opened, OpenedEnvelope)
        return {
            "n": number,
            "id": str(self.id),
            "roll_call": str(self.request.roll_call_id),
            "student": str(self.student_id),
            "nonce": opened.content.nonce,
            "jkt": self.request.proof.jkt,
            "in_cool_down": self.in_cool_down,
            "digest": self.request.digest.hex(),
            "frames": len(opened.content.frames),
            "receipt": self.receipt,
            "received_at": self.request.at.isoformat(),
            "frames_due_at": self.frames_due_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class RejectedCheckIn:
    """A refused envelope, as it is recorded."""

    request: CheckInRequest
    student_id: UUID
    error: DomainError

    def row(self) -> dict[str, Any]:
        """Return the JSON row for `definer.store_check_ins`."""
        return {
            "id": str(new_id()),
            "roll_call": str(self.request.roll_call_id),
            "student": str(self.student_id),
            "code": self.error.code,
            "detail": {key: str(value) for key, value in self.error.params.items()},
            "digest": self.request.digest.hex(),
            "at": self.request.at.isoformat(),
        }


_STORE = "SELECT definer.store_check_ins(%s::json, %b::text[], %s::json)"
"""Envelopes are most of the bytes. Sent apart and in binary form, they need no quoting."""


async def store_check_ins(
    connection: Connection, accepted: Sequence[AcceptedCheckIn], rejected: Sequence[RejectedCheckIn]
) -> None:
    """Store an evaluated batch; raises RuntimeError if the database did not store every row."""
    if not accepted and not rejected:
        return
    parameters = (
        json.dumps([each.row(number) for number, each in enumerate(accepted, start=1)]),
        [each.request.compact for each in accepted],
        json.dumps([each.row() for each in rejected]),
    )
    async with connection.cursor() as cursor:
        await cursor.execute(_STORE, parameters, prepare=True)
        row = await cursor.fetchone()
    if row is None or row[0] != len(accepted) + len(rejected):
        msg = "an envelope outside its audience reached the store"
        raise RuntimeError(msg)
