"""Questions asked before a scope is known: single committed statements through the owner's narrow functions.

Each is one round trip and commits by itself, so what it records (a used proof, a charged attempt) stays
recorded however the request ends.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    """What the database knows when a proof arrives: is it fresh, and whose key made it."""

    fresh: bool
    key_active: bool = False
    account_active: bool = False
    actor: Actor | None = None


_USE_PROOF = text("SELECT * FROM definer.use_proof(:jkt, :jti, :at)")


async def use_proof(database: Database, proof: Proof, at: datetime) -> ProofState:
    """Spend the proof and learn whom its key speaks for; the only round trip of a phone's authentication."""
    (row,) = await database.ask(_USE_PROOF, jkt=proof.jkt, jti=proof.jti, at=at)
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
    return ProofState(row["fresh"], row["key_status"] == "active", row["account_status"] == "active", actor)


_PURGE_PROOFS = text("SELECT definer.purge_proofs(:before) AS gone")
_PURGE_REGISTRATIONS = text("SELECT definer.purge_registrations(:before) AS gone")


async def purge_proofs(database: Database, before: datetime) -> int:
    """Forget proofs seen before an instant; returns how many."""
    (row,) = await database.ask(_PURGE_PROOFS, before=before)
    return int(row["gone"])


async def purge_registrations(database: Database, before: datetime) -> int:
    """Forget registrations asked for before an instant and never confirmed, decoys and others alike."""
    (row,) = await database.ask(_PURGE_REGISTRATIONS, before=before)
    return int(row["gone"])


@dataclass(frozen=True, slots=True)
class Asked:
    """A phone's request to become a student's; `index` is the blind index of the ID number."""

    proof: Proof
    index: bytes
    name: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodeBounds:
    """How many codes a key or a student may cause, and wrong attempts a student may suffer, since an instant."""

    since: datetime
    codes: int
    failures: int


_OPEN_REGISTRATION = text(
    "SELECT definer.open_registration(:id, :jkt, CAST(:jwk AS jsonb), :index, :name, :at, :expires, :since,"
    " :codes, :failures) AS opened"
)


async def open_registration(session: AsyncSession, asked: Asked, bounds: CodeBounds) -> UUID | None:
    """The registration, for a known student or a decoy alike; None when the key asked too often.

    Runs in the caller's transaction, because a job follows from it.
    """
    registration_id = new_id()
    opened = await session.scalar(
        _OPEN_REGISTRATION,
        {
            "id": registration_id,
            "jkt": asked.proof.jkt,
            "jwk": json.dumps(asked.proof.jwk),
            "index": asked.index,
            "name": asked.name,
            "at": asked.at,
            "expires": asked.expires_at,
            "since": bounds.since,
            "codes": bounds.codes,
            "failures": bounds.failures,
        },
    )
    return registration_id if opened else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """The student a registration is for."""

    student_id: UUID
    school_id: UUID
    school_path: str


def _candidate(row: Mapping[str, Any]) -> Candidate:
    return Candidate(row["student_id"], row["school_id"], row["school_path"])


_REGISTRATION = text("SELECT * FROM definer.registration(:id)")


async def candidate_of(database: Database, registration_id: UUID) -> Candidate | None:
    """Whom a registration is for; None for a decoy."""
    rows = await database.ask(_REGISTRATION, id=registration_id)
    return _candidate(rows[0]) if rows else None


_TRY_CODE = text("SELECT * FROM definer.try_code(:id, :jkt, :hash, :at, :max)")


async def try_code(
    database: Database, registration_id: UUID, jkt: str, code_hash: bytes, at: datetime, max_tries: int
) -> Candidate | str:
    """The student if the code matches, else the verdict: unknown, expired, exhausted or wrong (and counted)."""
    (row,) = await database.ask(_TRY_CODE, id=registration_id, jkt=jkt, hash=code_hash, at=at, max=max_tries)
    verdict: str = row["verdict"]
    return _candidate(row) if verdict == "match" else verdict


@dataclass(frozen=True, slots=True)
class SignInFacts:
    """A staff account at the door. `allowed` is false while it must wait."""

    allowed: bool
    actor: Actor
    status: str
    password_hash: str | None
    totp_sealed: bytes | None
    activation_hash: bytes | None
    activation_until: datetime | None


_OPEN_SIGN_IN = text("SELECT * FROM definer.open_sign_in(:login, :at, :max, :delay)")


async def open_sign_in(
    database: Database, login: str, at: datetime, max_attempts: int, delay: timedelta
) -> SignInFacts | None:
    """Charge an attempt to the account with this login and return its facts; None if there is none."""
    rows = await database.ask(_OPEN_SIGN_IN, login=login, at=at, max=max_attempts, delay=delay)
    if not rows:
        return None
    row = rows[0]
    return SignInFacts(
        allowed=row["allowed"],
        actor=_staff(row),
        status=row["status"],
        password_hash=row["password_hash"],
        totp_sealed=row["totp_sealed"],
        activation_hash=row["activation_hash"],
        activation_until=row["activation_until"],
    )


def _staff(row: Mapping[str, Any]) -> Actor:
    return Actor(
        account_id=row["account_id"],
        role=cast("Role", row["kind"]),
        org_id=row["org_id"],
        org_path=row["org_path"],
        school_id=row["school_id"],
        counselor_id=row["counselor_id"],
    )


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A sign-in as of now; it stands only while it is not revoked, not over, and its account is active."""

    session_id: UUID
    actor: Actor
    status: str
    refresh_hash: bytes
    expires_at: datetime
    revoked_at: datetime | None

    def stands(self, at: datetime) -> bool:
        """Whether the sign-in still counts at `at`."""
        return self.status == "active" and self.revoked_at is None and at < self.expires_at


_STAFF_SESSION = text("SELECT * FROM definer.staff_session(:id)")


async def session_facts(database: Database, session_id: UUID) -> SessionFacts | None:
    """A sign-in and whom it is for; the only round trip of a staff authentication."""
    rows = await database.ask(_STAFF_SESSION, id=session_id)
    if not rows:
        return None
    row = rows[0]
    return SessionFacts(
        session_id, _staff(row), row["status"], row["refresh_hash"], row["expires_at"], row["revoked_at"]
    )
