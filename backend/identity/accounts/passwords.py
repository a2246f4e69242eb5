"""Passwords: argon2id by pwdlib, hashed off the event loop and outside every transaction."""

import asyncio
from functools import cache

from pwdlib import PasswordHash

from backend.core.app_context import AppContext

_NOBODY = "nobody has this password"


@cache
def _recommended() -> PasswordHash:
    return PasswordHash.recommended()


def password_hasher(_: AppContext) -> PasswordHash:
    """The parameters that pwdlib recommends."""
    return _recommended()


async def hash_password(app_context: AppContext, password: str) -> str:
    """The encoded hash to store."""
    return await asyncio.to_thread(app_context.service(password_hasher).hash, password)


async def password_matches(app_context: AppContext, password: str, stored: str | None) -> bool:
    """Whether the password is the stored one; takes as long where nothing is stored."""
    return await asyncio.to_thread(_matches, app_context.service(password_hasher), password, stored)


def _matches(hasher: PasswordHash, password: str, stored: str | None) -> bool:
    matches = hasher.verify(password, stored or _hash_of_nobody(hasher))
    return matches and stored is not None


@cache
def _hash_of_nobody(hasher: PasswordHash) -> str:
    return hasher.hash(_NOBODY)
