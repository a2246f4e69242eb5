"""Refusing passwords that are among the first guesses (NIST SP 800-63B-4, 3.1.1.2), by the lists of zxcvbn."""

import asyncio

from zxcvbn import zxcvbn

from backend.identity.errors import PasswordTooCommon
from backend.policy import PolicyAt

_CHECKED_CHARACTERS = 72
"""zxcvbn takes no more; the rest can only make a password harder to guess."""
_LOCAL_WORDS = ("dianming", "点名", "woaini", "zhengzhou", "henan", "jiaoyu", "xuexiao", "admin")
"""Words that people here put into passwords and that the lists of zxcvbn rank low or lack."""


async def require_uncommon_password(password: str, personal: tuple[str, ...], policy: PolicyAt) -> None:
    """Raise `PasswordTooCommon` if few guesses find the password. `personal` are name, login and phone number."""
    minimum = policy.integer("identity.password.min_guesses")
    if await asyncio.to_thread(_guesses_log10, password, personal) < minimum:
        raise PasswordTooCommon


def _guesses_log10(password: str, personal: tuple[str, ...]) -> float:
    result = zxcvbn(password[:_CHECKED_CHARACTERS], user_inputs=[*personal, *_LOCAL_WORDS])
    return float(result["guesses_log10"])
