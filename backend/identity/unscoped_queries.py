"""Queries that run before the caller's tenant is known, so that no row-level scope can be set yet.

Each calls one SECURITY DEFINER function of the schema `definer` (its text is in `migrations/`), which answers one
narrow question:

| definer function | called by | answer |
| --- | --- | --- |
| `use_proof` | `consume_proof` | marks a DPoP proof as used: was it unused, and which key, student and account made it |
| `open_registration` | `open_registration` | records a registration, or a decoy above the student's limit; false above the key's limit |
| `registration` | `find_registration_student` | the student of a registration; no row for a decoy |
| `owns_registration` | `owns_registration` | whether a key opened a registration, decoys included |
| `try_code` | `check_codes` | checks a one-time code and a code given in person, counts a wrong one; the student or the reason for refusing it |
| `staff_session` | `load_session` | a staff session with its account |
| `purge_proofs`, `purge_registrations` | the functions of the same name | delete expired rows; how many |

Those of signing in are in `sign_in/unscoped_queries.py`. Except `open_registration`, each call is one round trip with its own commit, so that a used proof or a counted attempt
stays recorded when the request fails later.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor, Role
from backend.core.database import Database
from backend.core.ids import new_id
from backend.identity.sign_in.dpop import Proof


@dataclass(frozen=True, slots=True)
class ProofState:
    """Whether a proof is used for the first time, and the key and account that made it.

    `actor` is None for a key that was never bound.
    """

    fresh: bool
    key_active: bool = False
    account_active: bool = False
    actor: Actor | None = None
    key_replaced: bool = False
    """Whether the key was revoked because the student bound another phone."""


_USE_PROOF = text("SELECT * FROM definer.use_proof(:jkt, :jti, :at)")


async def consume_proof(database: Database, proof: Proof, at: datetime) -> ProofState:
    """Mark the proof as used and load its key's owner: the only round trip of a phone's authentication."""
    (row,) = await database.fetch_autocommit(_USE_PROOF, jkt=proof.jkt, jti=proof.jti, at=at)
    if row["account_id"] is None:
        return ProofState(row["fresh"])
    actor = Actor(
        account_id=row["account_id"],
        role="student",
        org_id=row["school_id"],
        org_path=row["school_path"],
        school_id=row["school_id"],
        student_id=row["student_id"],
    )
    return ProofState(
        row["fresh"],
        row["key_status"] == "active",
        row["account_status"] == "active",
        actor,
        row["revoked_reason"] == "rebound",
    )


_PURGE_PROOFS = text("SELECT definer.purge_proofs(:before) AS deleted")
_PURGE_REGISTRATIONS = text("SELECT definer.purge_registrations(:before) AS deleted")


async def purge_proofs(database: Database, before: datetime) -> int:
    """Delete proofs seen before an instant; returns their number."""
    (row,) = await database.fetch_autocommit(_PURGE_PROOFS, before=before)
    return int(row["deleted"])


async def purge_registrations(database: Database, before: datetime) -> int:
    """Delete unconfirmed registrations created before an instant, decoys included; returns their number."""
    (row,) = await database.fetch_autocommit(_PURGE_REGISTRATIONS, before=before)
    return int(row["deleted"])


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """A request to register a phone; `id_number_index` is the blind index of the ID number, `name_key` the
    key under which names are compared.
    """

    proof: Proof
    id_number_index: bytes
    name_key: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """Limits of codes: for one key or student since an instant, and for one student in a day."""

    since: datetime
    codes: int
    codes_of_day: int


_OPEN_REGISTRATION = text(
    "SELECT definer.open_registration(:id, :jkt, CAST(:jwk AS jsonb), :index, :name_key, :at, :expires, :since,"
    " :codes, :codes_of_day) AS opened"
)


async def open_registration(
    session: AsyncSession, request: RegistrationRequest, limits: CodeLimits
) -> UUID | None:
    """Record a registration, or a decoy if the student is unknown or over a limit. None if the key is over its limit.

    Runs in the caller's transaction, which also enqueues the verification.
    """
    registration_id = new_id()
    opened = await session.scalar(
        _OPEN_REGISTRATION,
        {
            "id": registration_id,
            "jkt": request.proof.jkt,
            "jwk": json.dumps(request.proof.jwk),
            "index": request.id_number_index,
            "name_key": request.name_key,
            "at": request.at,
            "expires": request.expires_at,
            "since": limits.since,
            "codes": limits.codes,
            "codes_of_day": limits.codes_of_day,
        },
    )
    return registration_id if opened else None


@dataclass(frozen=True, slots=True)
class RegistrationStudent:
    """The student of a registration."""

    student_id: UUID
    school_id: UUID
    school_path: str


def _registration_student(row: Mapping[str, Any]) -> RegistrationStudent:
    return RegistrationStudent(row["student_id"], row["school_id"], row["school_path"])


_REGISTRATION = text("SELECT * FROM definer.registration(:id)")


async def find_registration_student(database: Database, registration_id: UUID) -> RegistrationStudent | None:
    """The student of a registration; None for a decoy or an unknown id."""
    rows = await database.fetch_autocommit(_REGISTRATION, id=registration_id)
    return _registration_student(rows[0]) if rows else None


@dataclass(frozen=True, slots=True)
class CodesTried:
    """The hashes of the codes that a phone sent: of the SMS, and given in person."""

    by_sms: bytes | None
    in_person: bytes | None


@dataclass(frozen=True, slots=True)
class CheckedCodes:
    """The student whose codes were right, and which they were."""

    student: RegistrationStudent
    by_sms: bool
    binding_code_id: UUID | None


_OWNS_REGISTRATION = text("SELECT definer.owns_registration(:id, :jkt) AS owns")


async def owns_registration(database: Database, registration_id: UUID, jkt: str) -> bool:
    """Whether the key opened this registration, which may be a decoy."""
    (row,) = await database.fetch_autocommit(_OWNS_REGISTRATION, id=registration_id, jkt=jkt)
    return bool(row["owns"])


_TRY_CODE = text("SELECT * FROM definer.try_code(:id, :jkt, :hash, :in_person, :at, :max)")


async def check_codes(
    database: Database, registration_id: UUID, jkt: str, codes: CodesTried, at: datetime, max_tries: int
) -> CheckedCodes | str:
    """The student if the codes match, otherwise why not: unknown, expired, exhausted, or wrong (which is counted)."""
    (row,) = await database.fetch_autocommit(
        _TRY_CODE,
        id=registration_id,
        jkt=jkt,
        hash=codes.by_sms,
        in_person=codes.in_person,
        at=at,
        max=max_tries,
    )
    verdict: str = row["verdict"]
    if verdict != "match":
        return verdict
    return CheckedCodes(_registration_student(row), bool(row["by_sms"]), row["binding_code_id"])


def staff_actor(row: Mapping[str, Any]) -> Actor:
    """The actor in a row with the columns of a staff account."""
    return Actor(
        account_id=row["account_id"],
        role=cast("Role", row["kind"]),
        org_id=row["org_id"],
        org_path=row["org_path"],
        school_id=row["school_id"],
        counselor_id=row["counselor_id"],
    )


@dataclass(frozen=True, slots=True)
class SessionState:
    """A staff session as stored now, with its account."""

    session_id: UUID
    actor: Actor
    status: str
    refresh_hash: bytes
    expires_at: datetime
    revoked_at: datetime | None

    def is_valid(self, at: datetime) -> bool:
        """Whether the session is neither revoked nor expired at `at`, and its account is active."""
        return self.status == "active" and self.revoked_at is None and at < self.expires_at


_STAFF_SESSION = text("SELECT * FROM definer.staff_session(:id)")


async def load_session(database: Database, session_id: UUID) -> SessionState | None:
    """A session with its account: the only round trip of a staff authentication."""
    rows = await database.fetch_autocommit(_STAFF_SESSION, id=session_id)
    if not rows:
        return None
    row = rows[0]
    return SessionState(
        session_id,
        staff_actor(row),
        row["status"],
        row["refresh_hash"],
        row["expires_at"],
        row["revoked_at"],
    )
