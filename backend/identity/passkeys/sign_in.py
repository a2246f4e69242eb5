"""Sign-in of a browser with a passkey alone: it is on the owner's device, and the device verified its owner.

Attempts are counted under the network address only, as for activations: a signature cannot be guessed, and failures of
strangers must not delay the owner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.web.client import Client
from backend.identity.errors import PasskeyChallengeInvalid, PasskeyRefused
from backend.identity.passkeys.ceremonies import (
    Assertion,
    KnownKey,
    read_challenge,
    read_credential_id,
    read_user_handle,
    relying_party,
    verify_assertion,
)
from backend.identity.passkeys.challenges import check_challenge
from backend.identity.passkeys.confirmation import CheckedAssertion
from backend.identity.sign_in.attempts import forget_attempt, record_attempt, start_address_attempt
from backend.identity.sign_in.session_tokens import NewSession, SessionTokens, open_session
from backend.identity.sign_in.unscoped_queries import Reason
from backend.identity.unscoped_queries import staff_actor


@dataclass(frozen=True, slots=True)
class KnownPasskey:
    """A stored passkey with its account."""

    passkey_id: UUID
    key: KnownKey
    login: str
    actor: Actor
    status: str


_FIND_PASSKEY = text("SELECT * FROM definer.find_passkey(:credential_id)")


async def find_passkey(database: Database, credential_id: bytes) -> KnownPasskey | None:
    """The passkey with this id, of whatever account."""
    rows = await database.fetch_autocommit(_FIND_PASSKEY, credential_id=credential_id)
    if not rows:
        return None
    row = rows[0]
    key = KnownKey(row["public_key"], row["sign_count"])
    return KnownPasskey(row["passkey_id"], key, row["login"], staff_actor(row), row["status"])


async def sign_in_with_passkey(
    app_context: AppContext, credential: Mapping[str, Any], client: Client
) -> SessionTokens:
    """Open a session of a browser. Raises `PasskeyChallengeInvalid`, `PasskeyRefused` and `TooManyAttempts`."""
    at = app_context.clock()
    challenge = read_challenge(credential)
    check_challenge(app_context.keys, challenge, "sign_in", None, at)
    known = await find_passkey(app_context.database, read_credential_id(credential))
    attempt = await start_address_attempt(app_context, "" if known is None else known.login, client, at)
    checked = _check(app_context, known, credential, challenge)
    if known is None or not isinstance(checked, Assertion):
        reason = "login" if isinstance(checked, Assertion) else checked
        await record_attempt(app_context, attempt, "refused", reason, client, at)
        raise PasskeyRefused
    try:
        tokens = await _open_session(app_context, known, challenge, checked, client, at)
    except PasskeyChallengeInvalid:
        await record_attempt(app_context, attempt, "refused", "passkey", client, at)
        raise
    await forget_attempt(app_context, attempt)
    await record_attempt(app_context, attempt, "succeeded", None, client, at)
    return tokens


def _check(
    app_context: AppContext, known: KnownPasskey | None, credential: Mapping[str, Any], challenge: bytes
) -> Assertion | Reason:
    if known is None:
        return "login"
    if known.status != "active":
        return "status"
    try:
        if read_user_handle(credential) not in (None, known.actor.account_id.bytes):
            return "passkey"
        return verify_assertion(credential, challenge, relying_party(app_context.settings), known.key)
    except PasskeyRefused:
        return "passkey"


async def _open_session(
    app_context: AppContext,
    known: KnownPasskey,
    challenge: bytes,
    assertion: Assertion,
    client: Client,
    at: datetime,
) -> SessionTokens:
    checked = CheckedAssertion(known.passkey_id, challenge, assertion)
    new = NewSession(app_context, known.actor, client, at, device_id=None, in_browser=True)
    async with app_context.database.transaction(known.actor.scope) as session:
        await checked.consume(session, at)
        return open_session(session, new)
