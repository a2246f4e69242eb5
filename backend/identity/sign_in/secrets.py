"""Random secrets that clients keep: refresh tokens, device tokens and activation codes. Only hashes are stored."""

import hashlib
import secrets

_SECRET_BYTES = 32


def new_secret_token() -> str:
    """A new secret of 256 bits, in base64url."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_secret(secret: str) -> bytes:
    """The stored hash of a random secret; its entropy makes a slow hash unnecessary."""
    return hashlib.sha256(secret.encode()).digest()
