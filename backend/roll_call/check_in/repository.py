"""Envelopes on their way in, and the two questions that a batch of them asks of the database.

The functions behind them (migration 0013) take and give what one envelope needs and nothing else, since no scope fits
a batch of many students and schools.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from backend.core.direct_connections import Connection
from backend.core.errors import DomainError
from backend.core.ids import new_id
from backend.identity.sign_in.dpop import Proof
from backend.roll_call.envelope import OpenedEnvelope
from backend.roll_call.errors import CheckInRefusal


@dataclass(frozen=True, slots=True, eq=False)
class CheckInRequest:
    """One envelope whose request was proven: what was signed, or why it could not be read.

    `at` is the instant that decides lateness; `came_at` is when this request came, later than `at` only for whoever
    was turned away before under load.
    """

    roll_call_id: UUID
    compact: str
    digest: bytes
    opened: OpenedEnvelope | CheckInRefusal
    proof: Proof
    at: datetime
    came_at: datetime

    @property
    def nonce(self) -> str | None:
        """The challenge that it answers, if it can be read."""
        return self.opened.content.nonce if isinstance(self.opened, OpenedEnvelope) else None


@dataclass(frozen=True, slots=True)
class CheckInFacts:
    """What the database knows of one arrival. Without `place`, there is no such roll call for this key's student."""

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
    """The close as it stands: as launched, or as extended."""
    duty: str
    duty_reason: str | None
    voided: bool
    settled: bool
    outcome: str | None
    without_face: bool
    gaps: list[str]
    findings: list[list[str]] | None
    nonce_until: datetime | None
    """When the challenge of this nonce ends, if it is this student's, of this roll call and for this key."""
    earlier_id: UUID | None
    earlier_receipt: str
    earlier_due: datetime
    recent: int


_FACTS = "SELECT * FROM definer.check_in_facts(%s, %s, %s, %s, %s, %s, %s)"


async def load_facts(
    connection: Connection, arrivals: Sequence[CheckInRequest], *, wait: bool
) -> list[CheckInFacts | None]:
    """Take the locks of each arrival, spend its proof and learn the facts; None where the locks are held elsewhere.

    With `wait` there is one arrival, and its locks are waited for: then no order of locks can ever make a deadlock.
    """
    assert not wait or len(arrivals) == 1
    parameters: tuple[Any, ...] = (
        [each.proof.jkt for each in arrivals],
        [each.proof.jti for each in arrivals],
        [each.roll_call_id for each in arrivals],
        [each.nonce for each in arrivals],
        [each.at for each in arrivals],
        arrivals[0].came_at,
        wait,
    )
    found: list[CheckInFacts | None] = [None] * len(arrivals)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_FACTS, parameters, prepare=True)
        for row in await cursor.fetchall():
            found[row["n"] - 1] = CheckInFacts(**row)
    return found


@dataclass(frozen=True, slots=True)
class Accepted:
    """An envelope that was accepted, as it is stored."""

    id: UUID
    arrival: CheckInRequest
    student_id: UUID
    in_cool_down: bool
    receipt: str
    frames_due_at: datetime

    def row(self, number: int) -> dict[str, Any]:
        """As the database takes it: the envelope itself, the number'th of the batch from one, comes beside."""
        opened = self.arrival.opened
        assert isinstance(opened, OpenedEnvelope)
        return {
            "n": number,
            "id": str(self.id),
            "roll_call": str(self.arrival.roll_call_id),
            "student": str(self.student_id),
            "nonce": opened.content.nonce,
            "jkt": self.arrival.proof.jkt,
            "in_cool_down": self.in_cool_down,
            "digest": self.arrival.digest.hex(),
            "frames": len(opened.content.frames),
            "receipt": self.receipt,
            "received_at": self.arrival.at.isoformat(),
            "frames_due_at": self.frames_due_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Rejected:
    """An envelope that was refused on the spot, as it is kept."""

    arrival: CheckInRequest
    student_id: UUID
    error: DomainError

    def row(self) -> dict[str, Any]:
        """As the database takes it."""
        return {
            "id": str(new_id()),
            "roll_call": str(self.arrival.roll_call_id),
            "student": str(self.student_id),
            "code": self.error.code,
            "detail": {key: str(value) for key, value in self.error.params.items()},
            "digest": self.arrival.digest.hex(),
            "at": self.arrival.at.isoformat(),
        }


_STORE = "SELECT definer.store_check_ins(%s::json, %b::text[], %s::json)"
"""Envelopes are most of the bytes: by themselves and in binary form, nobody looks for quotes in them."""


async def store(connection: Connection, stored: Sequence[Accepted], declined: Sequence[Rejected]) -> None:
    """Write a judged batch; raises what the database refuses it with."""
    if not stored and not declined:
        return
    parameters = (
        json.dumps([each.row(number) for number, each in enumerate(stored, start=1)]),
        [each.arrival.compact for each in stored],
        json.dumps([each.row() for each in declined]),
    )
    async with connection.cursor() as cursor:
        await cursor.execute(_STORE, parameters, prepare=True)
        found = await cursor.fetchone()
    if found is None or found[0] != len(stored) + len(declined):
        msg = "an envelope outside its audience reached the store"
        raise RuntimeError(msg)
