"""Interfaces to external services."""

from typing import Literal, Protocol

from backend.core.app_context import AppContext
from backend.notice.real_name.aliyun import real_name_client

RealNameAnswer = Literal["match", "mismatch", "unavailable"]


class RealNameVerifier(Protocol):
    """The real-name service (实名). Called outside any transaction."""

    async def verify(self, name: str, id_number: str) -> RealNameAnswer:
        """Whether name and ID number belong together; `unavailable` means that the check must be retried."""
        ...


def real_name_verifier(app_context: AppContext) -> RealNameVerifier:
    """The gateway's client. Tests provide a fake."""
    return real_name_client(app_context)
