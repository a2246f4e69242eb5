"""Passwords: hashed with argon2id by pwdlib, outside the event loop and outside every transaction."""

import asyncio
from functools import cache

from pwdlib import PasswordHash

from backend.core.app_context import AppContext

_PLACEHOLDER = "no account has this password"


@cache
def _recommended_hasher() -> PasswordHash:
    return PasswordHash.recommended()


def password_hasher(_: AppContext) -> PasswordHash:
    """The hasher with the parameters that pwdlib recommends."""
    return _recommended_hasher()


async def hash_password(app_context: AppContext, password: str) -> str:
    """The encoded hash to store."""
    return await asyncio.to_thread(app_context.service(password_hasher).hash, password)


async def password_matches(app_context: AppContext, password: str, stored: str | None) -> bool:
    """Whether the password matches the stored hash; takes the same time if no hash is stored."""
    return await asyncio.to_thread(_verify_password, app_context.service(password_hasher), password, stored)


def _verify_password(hasher: PasswordHash, password: str, stored: str | None) -> bool:
    matches = hasher.verify(password, stored or _placeholder_hash(hasher))
    return matches and stored is not None


@cache
def _placeholder_hash(hasher: PasswordHash) -> str:
    return hasher.hash(_PLACEHOLDER)
