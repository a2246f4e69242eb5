"""What identity asks of the outside."""

from typing import Literal, Protocol

from backend.core.runtime import Runtime
from backend.notice import gateway

RealNameAnswer = Literal["match", "mismatch", "unavailable"]


class RealNameVerifier(Protocol):
    """The real-name service (实名). Called without a transaction open."""

    async def verify(self, name: str, id_number: str) -> RealNameAnswer:
        """Whether name and ID number belong together; `unavailable` decides nothing."""
        ...


def real_name_of(runtime: Runtime) -> RealNameVerifier:
    """The verifier of this process: `extras["real_name"]`, or the gateway's."""
    return gateway.real_name_of(runtime)
