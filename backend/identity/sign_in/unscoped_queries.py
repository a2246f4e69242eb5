"""Queries of signing in that run before the caller's tenant is known: calls of the schema `definer`.

| definer function | called by | answer |
| --- | --- | --- |
| `open_sign_in` | `open_sign_in` | counts an attempt; the account's credentials, and whether it must wait |
| `count_attempt` | `count_attempt` | counts an attempt under one key |
| `forget_attempt` | `forget_attempt` | takes a counted attempt back |
| `record_sign_in` | `record_sign_in` | adds an entry to the sign-in log |
| `end_staff_sessions` | `end_staff_sessions` | ends all sessions of an account |
| `ended_sessions` | `load_ended_sessions` | which sessions are not valid any more |
| `purge_sign_ins` | `end_staff_sessions` | `end_staff_sessions` | ends all sessions of an account |
| `ended_sessions` | `load_ended_sessions` | which sessions are not valid any more |
| `purge_sign_ins` | deletes what is too old; how many entries of the log |

Except `end_staff_sessions`, each call commits by itself, so a counted attempt stays counted when the request fails later.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.web.client import Client
from backend.identity.sign_in.limits import SignInLimits
from backend.identity.unscoped_queries import staff_actor

Outcome = Literal["succeeded", "refused", "delayed"]
Reason = Literal["login", "password", "code", "code_used", "status", "activation_code", "passkey", "delay"]


@dataclass(frozen=True, slots=True)
class AttemptKeys:
    """What an attempt is counted under. `device` is used instead of `login` if the device is known to the account."""

    device_hash: bytes | None
    login: bytes | None
    device: bytes | None
    address: bytes | None


@dataclass(frozen=True, slots=True)
class StaffAccountState:
    """What signing in to a staff account needs."""

    actor: Actor
    status: str
    password_hash: str | None
    totp_sealed: bytes | None
    activation_hash: bytes | None
    activation_until: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A counted attempt: whether it is allowed, until when the next must wait, and the account of the login name."""

    allowed: bool
    waits_until: datetime | None
    first_refusal: bool
    counted_key: bytes | None
    counted_address: bytes | None
    device_id: UUID | None
    account: StaffAccountState | None


_OPEN_SIGN_IN = text(
    "SELECT * FROM definer.open_sign_in(:login, :device_hash, :login_key, :device_key, :address_key, :at,"
    " :delays, :device_delays, :address_delays, :memory, :address_memory, :known_since)"
)


async def open_sign_in(
    database: Database, login: str, keys: AttemptKeys, limits: SignInLimits, at: datetime
) -> Attempt:
    """Count an attempt and load the account of the login name, if there is one."""
    (row,) = await database.fetch_autocommit(
        _OPEN_SIGN_IN,
        login=login,
        device_hash=keys.device_hash,
        login_key=keys.login,
        device_key=keys.device,
        address_key=keys.address,
        at=at,
        delays=limits.login_delays,
        device_delays=limits.device_delays,
        address_delays=limits.address_delays,
        memory=limits.memory,
        address_memory=limits.address_memory,
        known_since=at - limits.device_lifetime,
    )
    account = None
    if row["account_id"] is not None:
        account = StaffAccountState(
            actor=staff_actor(row),
            status=row["status"],
            password_hash=row["password_hash"],
            totp_sealed=row["totp_sealed"],
            activation_hash=row["activation_hash"],
            activation_until=row["activation_until"],
        )
    return Attempt(
        allowed=row["allowed"],
        waits_until=row["waits_until"],
        first_refusal=bool(row["first_refusal"]),
        counted_key=row["counted_key"],
        counted_address=row["counted_address"],
        device_id=row["device_id"],
        account=account,
    )


_COUNT_ATTEMPT = text("SELECT * FROM definer.count_attempt(:key, :at, :delays, :memory)")


async def count_attempt(
    database: Database, key: bytes, delays: list[timedelta], memory: timedelta, at: datetime
) -> datetime | None:
    """Count an attempt under a key. Returns until when it must wait; None if it is allowed."""
    (row,) = await database.fetch_autocommit(_COUNT_ATTEMPT, key=key, at=at, delays=delays, memory=memory)
    until: datetime = row["waits_until"]
    return None if row["allowed"] else until


_FORGET_ATTEMPT = text("SELECT definer.forget_attempt(:key, :address_key)")


async def forget_attempt(database: Database, key: bytes | None, address_key: bytes | None) -> None:
    """Take back an attempt that succeeded: all failures under the key, and one of the address."""
    await database.fetch_autocommit(_FORGET_ATTEMPT, key=key, address_key=address_key)


_END_SESSIONS = text("SELECT definer.end_staff_sessions(:account, :at)")


async def end_staff_sessions(session: AsyncSession, account_id: UUID, at: datetime) -> None:
    """Revoke all sessions of an account and forget its known devices, in the caller's transaction."""
    await session.execute(_END_SESSIONS, {"account": account_id, "at": at})


_ENDED_SESSIONS = text("SELECT ended FROM definer.ended_sessions(CAST(:ids AS uuid[]), :at) AS ended")


async def load_ended_sessions(database: Database, ids: list[UUID], at: datetime) -> set[UUID]:
    """Those of these sessions that are not valid any more."""
    rows = await database.fetch_autocommit(_ENDED_SESSIONS, ids=ids, at=at)
    return {row["ended"] for row in rows}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the sign-in log. `account_id` is None for a login name that does not exist."""

    account_id: UUID | None
    org_path: str
    outcome: Outcome
    reason: Reason | None
    known_device: bool
    delayed_until: datetime | None


_RECORD_SIGN_IN = text(
    "SELECT definer.record_sign_in(:id, :at, :account, :org_path, :outcome, :reason, :address, :user_agent,"
    " :known_device, :delayed_until, :unknown_limit)"
)


async def record_sign_in(
    database: Database, entry: LogEntry, client: Client, unknown_limit: int, at: datetime
) -> None:
    """Add an entry to the sign-in log; for unknown login names at most `unknown_limit` a minute."""
    await database.fetch_autocommit(
        _RECORD_SIGN_IN,
        id=new_id(),
        at=at,
        account=entry.account_id,
        org_path=entry.org_path,
        outcome=entry.outcome,
        reason=entry.reason,
        address=client.address,
        user_agent=client.user_agent,
        known_device=entry.known_device,
        delayed_until=entry.delayed_until,
        unknown_limit=unknown_limit,
    )


_PURGE_SIGN_INS = text("SELECT definer.purge_sign_ins(:counted, :used, :logged) AS deleted")


async def purge_sign_ins(
    database: Database, *, counted_before: datetime, used_before: datetime, logged_before: datetime
) -> int:
    """Delete old counters, devices and log entries; returns the number of log entries."""
    (row,) = await database.fetch_autocommit(
        _PURGE_SIGN_INS, counted=counted_before, used=used_before, logged=logged_before
    )
    return int(row["deleted"])
