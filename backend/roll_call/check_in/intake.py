"""Where envelopes wait for the next batch: opened, judged and stored together, answered once that is committed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from backend.core.app_context import AppContext
from backend.core.availability import LoadShedding
from backend.core.batching.batch_writer import BatchLimits, BatchWriter, Deferred
from backend.core.batching.fair_queue import FairQueue
from backend.core.errors import DomainError
from backend.core.jws import signed_digest
from backend.identity.sign_in.authentication import HttpRequest, check_phone, phone_token, phone_tokens
from backend.roll_call.check_in.evaluate import Answer, UnrecordedError, receive_batch
from backend.roll_call.check_in.repository import CheckInRequest
from backend.roll_call.check_in.retry_token import RetryToken, earlier_instant, retry_after, sign_retry_token
from backend.roll_call.envelope import OpenedEnvelope, open_envelope
from backend.roll_call.errors import CheckInRefusal, IntakeBusy

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


class CheckInIntake:
    """The intake of one process."""

    def __init__(self, app_context: AppContext) -> None:
        self._runtime = app_context
        self._opening: FairQueue[Sent, CheckInRequest | UnrecordedError] = FairQueue(self._opened)
        self._gatherer: BatchWriter[CheckInRequest, Answer] = BatchWriter(
            self._write, self._wait, BatchLimits(BATCH)
        )

    async def take(self, sent: Sent) -> Answer:
        """What becomes of an envelope, once that is durable; under too much load, a signed word that it came."""
        settings, queued = self._runtime.settings, self._opening.queued + self._gatherer.queued
        wait = self._opening.expected_wait() + self._gatherer.expected_wait()
        if queued >= settings.intake_queue or wait > settings.intake_wait:
            try:
                return UnrecordedError(self._turned_away(sent, wait))
            except DomainError as error:
                return UnrecordedError(error)
        with self._gatherer.expect_item():
            opened = await self._opening.done(sent)
            if isinstance(opened, UnrecordedError):
                return opened
            answer = self._gatherer.join(opened)
        return await answer

    def _turned_away(self, sent: Sent, wait: float) -> IntakeBusy:
        """Only the token is read: under load, each signature that is not checked serves somebody else.

        Whoever gets the word without being the phone has no use for it: it speaks of an envelope that only the phone
        could sign.
        """
        app_context, settings = self._runtime, self._runtime.settings
        attempt = self._attempt(sent, signed_digest(sent.compact))
        app_context.service(LoadShedding).note(sent.came_at)
        life = timedelta(seconds=settings.intake_attempt_life)
        word = sent.attempted
        if word is None or earlier_instant(app_context.keys, word, attempt, life) is None:
            word = sign_retry_token(app_context.keys, attempt)
        seconds = retry_after(
            app_context.keys, attempt.account_id, attempt.digest, wait, settings.intake_spread
        )
        return IntakeBusy(seconds=seconds, attempted=word)

    def _attempt(self, sent: Sent, digest: bytes) -> RetryToken:
        token = phone_tokens(self._runtime).read(phone_token(sent.request), sent.came_at)
        return RetryToken(token.account_id, sent.roll_call_id, digest, sent.came_at)

    async def _write(self, batch: Sequence[CheckInRequest]) -> list[Answer | Deferred]:
        async with self._runtime.database.direct.transaction() as connection:
            return await receive_batch(connection, batch, self._runtime.keys)

    async def _wait(self, arrival: CheckInRequest) -> Answer:
        async with self._runtime.database.direct.transaction() as connection:
            (answer,) = await receive_batch(connection, [arrival], self._runtime.keys, wait=True)
        assert not isinstance(answer, Deferred)
        return answer

    def _opened(self, sent: Sent) -> CheckInRequest | UnrecordedError:
        """All that the request shows by itself."""
        try:
            proof = check_phone(self._runtime, sent.request, sent.came_at)
        except DomainError as error:
            return UnrecordedError(error)
        opened: OpenedEnvelope | CheckInRefusal
        try:
            opened = open_envelope(sent.compact, proof.key)
            digest = opened.digest
        except CheckInRefusal as refusal:
            opened, digest = refusal, signed_digest(sent.compact)
        at = self._counts_from(sent, digest)
        return CheckInRequest(sent.roll_call_id, sent.compact, digest, opened, proof, at, sent.came_at)

    def _counts_from(self, sent: Sent, digest: bytes) -> datetime:
        """The instant that decides lateness."""
        if sent.attempted is None:
            return sent.came_at
        life = timedelta(seconds=self._runtime.settings.intake_attempt_life)
        attempt = self._attempt(sent, digest)
        return earlier_instant(self._runtime.keys, sent.attempted, attempt, life) or sent.came_at
