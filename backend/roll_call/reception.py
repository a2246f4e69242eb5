"""Where envelopes wait for the next batch: opened, judged and stored together, answered once that is committed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from backend.core.errors import DomainError
from backend.core.gatherer import Aside, Bounds, Gatherer
from backend.core.in_turn import InTurn
from backend.core.jws import signed_digest
from backend.core.pulse import strain_of
from backend.core.runtime import Runtime
from backend.identity.authentication import HttpRequest, check_phone, phone_token, tokens_of
from backend.roll_call.arrivals import Arrival
from backend.roll_call.attempted import Attempt, earlier_instant, retry_after, sign_attempt
from backend.roll_call.envelope import OpenedEnvelope, open_envelope
from backend.roll_call.errors import CheckInRefusal, IntakeBusy
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
    attempted: str | None = None
    """The word that it was given when it was turned away before."""


class Reception:
    """The intake of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._opening: InTurn[Sent, Arrival | Unheard] = InTurn(self._opened)
        self._gatherer: Gatherer[Arrival, Answer] = Gatherer(self._write, self._wait, Bounds(BATCH))

    async def take(self, sent: Sent) -> Answer:
        """What becomes of an envelope, once that is durable; under too much load, a signed word that it came."""
        settings, queued = self._runtime.settings, self._opening.queued + self._gatherer.queued
        wait = self._opening.expected_wait() + self._gatherer.expected_wait()
        if queued >= settings.intake_queue or wait > settings.intake_wait:
            try:
                return Unheard(self._turned_away(sent, wait))
            except DomainError as error:
                return Unheard(error)
        with self._gatherer.announced():
            opened = await self._opening.done(sent)
            if isinstance(opened, Unheard):
                return opened
            answer = self._gatherer.join(opened)
        return await answer

    def _turned_away(self, sent: Sent, wait: float) -> IntakeBusy:
        """Only the token is read: under load, each signature that is not checked serves somebody else.

        Whoever gets the word without being the phone has no use for it: it speaks of an envelope that only the phone
        could sign.
        """
        runtime, settings = self._runtime, self._runtime.settings
        attempt = self._attempt(sent, signed_digest(sent.compact))
        strain_of(runtime).note(sent.came_at)
        life = timedelta(seconds=settings.intake_attempt_life)
        word = sent.attempted
        if word is None or earlier_instant(runtime.keys, word, attempt, life) is None:
            word = sign_attempt(runtime.keys, attempt)
        seconds = retry_after(runtime.keys, attempt.account_id, attempt.digest, wait, settings.intake_spread)
        return IntakeBusy(seconds=seconds, attempted=word)

    def _attempt(self, sent: Sent, digest: bytes) -> Attempt:
        token = tokens_of(self._runtime).read(phone_token(sent.request), sent.came_at)
        return Attempt(token.account_id, sent.roll_call_id, digest, sent.came_at)

    async def _write(self, batch: Sequence[Arrival]) -> list[Answer | Aside]:
        async with self._runtime.database.direct.transaction() as connection:
            return await receive(connection, batch, self._runtime.keys)

    async def _wait(self, arrival: Arrival) -> Answer:
        async with self._runtime.database.direct.transaction() as connection:
            (answer,) = await receive(connection, [arrival], self._runtime.keys, wait=True)
        assert not isinstance(answer, Aside)
        return answer

    def _opened(self, sent: Sent) -> Arrival | Unheard:
        """All that the request shows by itself."""
        try:
            proof = check_phone(self._runtime, sent.request, sent.came_at)
        except DomainError as error:
            return Unheard(error)
        opened: OpenedEnvelope | CheckInRefusal
        try:
            opened = open_envelope(sent.compact, proof.key)
            digest = opened.digest
        except CheckInRefusal as refusal:
            opened, digest = refusal, signed_digest(sent.compact)
        at = self._counts_from(sent, digest)
        return Arrival(sent.roll_call_id, sent.compact, digest, opened, proof, at, sent.came_at)

    def _counts_from(self, sent: Sent, digest: bytes) -> datetime:
        """The instant that decides lateness."""
        if sent.attempted is None:
            return sent.came_at
        life = timedelta(seconds=self._runtime.settings.intake_attempt_life)
        attempt = self._attempt(sent, digest)
        return earlier_instant(self._runtime.keys, sent.attempted, attempt, life) or sent.came_at


def reception_of(runtime: Runtime) -> Reception:
    """The process's intake, made at its first use."""
    reception: Reception | None = runtime.extras.get("reception")
    if reception is None:
        reception = runtime.extras["reception"] = Reception(runtime)
    return reception
