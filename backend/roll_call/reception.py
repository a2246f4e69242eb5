"""Where envelopes wait for the next batch: opened, judged and stored together, answered once that is committed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.core.errors import DomainError
from backend.core.gatherer import Aside, Bounds, Gatherer
from backend.core.jws import signed_digest
from backend.core.runtime import Runtime
from backend.core.tenancy import Scope
from backend.identity.authentication import HttpRequest, check_phone
from backend.roll_call.arrivals import Arrival
from backend.roll_call.envelope import open_envelope
from backend.roll_call.errors import CheckInRefusal
from backend.roll_call.intake import Answer, Unheard, receive

BATCH = 32
"""Members of a transaction at most: its fixed cost is shared, and nobody waits for many others' signatures."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request with an envelope, as it came, and when it was here whole."""

    request: HttpRequest
    roll_call_id: UUID
    compact: str
    came_at: datetime


class Reception:
    """The intake of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._gatherer: Gatherer[Sent, Answer] = Gatherer(self._write, self._wait, Bounds(BATCH))

    async def take(self, sent: Sent) -> Answer:
        """What becomes of an envelope, once that is durable."""
        return await self._gatherer.answer(sent)

    async def _write(self, batch: Sequence[Sent]) -> list[Answer | Aside]:
        answers: list[Answer | Aside | Arrival] = []
        for sent in batch:
            answers.append(self._opened(sent))
            await asyncio.sleep(0)  # two signatures each: others' requests are read meanwhile
        arrivals = [each for each in answers if isinstance(each, Arrival)]
        if arrivals:
            async with self._runtime.database.transaction(Scope.none()) as session:
                received = await receive(session, arrivals, self._runtime.keys)
            following = iter(received)
        return [next(following) if isinstance(each, Arrival) else each for each in answers]

    async def _wait(self, sent: Sent) -> Answer:
        arrival = self._opened(sent)
        if isinstance(arrival, Unheard):
            return arrival
        async with self._runtime.database.transaction(Scope.none()) as session:
            (answer,) = await receive(session, [arrival], self._runtime.keys, wait=True)
        assert not isinstance(answer, Aside)
        return answer

    def _opened(self, sent: Sent) -> Arrival | Unheard:
        """All that the request shows by itself."""
        try:
            proof = check_phone(self._runtime, sent.request, sent.came_at)
        except DomainError as error:
            return Unheard(error)
        try:
            opened = open_envelope(sent.compact, proof.key)
        except CheckInRefusal as refusal:
            return Arrival(
                sent.roll_call_id,
                sent.compact,
                signed_digest(sent.compact),
                refusal,
                proof,
                sent.came_at,
                sent.came_at,
            )
        return Arrival(
            sent.roll_call_id, sent.compact, opened.digest, opened, proof, sent.came_at, sent.came_at
        )


def reception_of(runtime: Runtime) -> Reception:
    """The process's intake, made at its first use."""
    reception: Reception | None = runtime.extras.get("reception")
    if reception is None:
        reception = runtime.extras["reception"] = Reception(runtime)
    return reception
