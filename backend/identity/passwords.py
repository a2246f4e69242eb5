"""Passwords: argon2id by pwdlib, hashed off the event loop and outside every transaction."""

import asyncio
from functools import cache

from pwdlib import PasswordHash

from backend.core.runtime import Runtime

PASSWORD_HASH = "password_hash"  # noqa: S105 - a name in `Runtime.extras`
_NOBODY = "nobody has this password"


@cache
def _recommended() -> PasswordHash:
    return PasswordHash.recommended()


def _hasher(runtime: Runtime) -> PasswordHash:
    """The library's recommendation, unless the process was made with another."""
    hasher: PasswordHash = runtime.extras.get(PASSWORD_HASH) or _recommended()
    return hasher


async def hash_password(runtime: Runtime, password: str) -> str:
    """The encoded hash to store."""
    return await asyncio.to_thread(_hasher(runtime).hash, password)


async def password_matches(runtime: Runtime, password: str, stored: str | None) -> bool:
    """Whether the password is the stored one; takes as long where nothing is stored."""
    return await asyncio.to_thread(_matches, _hasher(runtime), password, stored)


def _matches(hasher: PasswordHash, password: str, stored: str | None) -> bool:
    matches = hasher.verify(password, stored or _hash_of_nobody(hasher))
    return matches and stored is not None


@cache
def _hash_of_nobody(hasher: PasswordHash) -> str:
    return hasher.hash(_NOBODY)
