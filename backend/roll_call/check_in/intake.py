"""The intake of envelopes: verify the request, write it with others in one transaction, answer after the commit.

`CheckInIntake` is called once per request. It runs in this order:

1. `submit` rejects the request with a signed retry token if the queues are too long.
2. `_verify` checks the access token, the DPoP proof and the envelope's signature, without the database. An envelope
   that is sent for the first time can be its own proof: then there is one signature to check.
3. `_write_batch` evaluates and stores up to `MAX_BATCH` requests in one transaction (`evaluate.receive_batch`).
4. A request whose locks are held by another transaction is written alone, by `_write_alone`, which waits for them.
"""

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
from backend.identity.errors import ProofReplayed
from backend.identity.sign_in.authentication import (
    HttpRequest,
    phone_token,
    phone_token_verifier,
    verify_document_signer,
    verify_phone_request,
)
from backend.identity.sign_in.dpop import Proof
from backend.roll_call.check_in.evaluate import Answer, UnrecordedRefusal, receive_batch
from backend.roll_call.check_in.repository import CheckInRequest
from backend.roll_call.check_in.retry_token import (
    RetryToken,
    choose_retry_delay,
    read_first_attempt,
    sign_retry_token,
)
from backend.roll_call.envelope import (
    OpenedEnvelope,
    open_envelope,
    parse_envelope,
    read_proof_claims,
    read_verified_envelope,
)
from backend.roll_call.errors import CheckInRefusal, IntakeBusy

MAX_BATCH = 32
"""Maximum number of requests in one transaction: they share its fixed cost, and none waits for many signatures."""


@dataclass(frozen=True, slots=True)
class EnvelopeRequest:
    """An HTTP request with an envelope, before anything is verified."""

    http: HttpRequest
    roll_call_id: UUID
    compact: str
    arrived_at: datetime
    """When the body was read completely."""
    retry_token: str | None = None
    """The token from an earlier `intake_busy` answer, if the client sent one."""


class CheckInIntake:
    """Accepts the envelopes of one process."""

    def __init__(self, app_context: AppContext) -> None:
        self._app_context = app_context
        self._verifying: FairQueue[EnvelopeRequest, CheckInRequest | UnrecordedRefusal] = FairQueue(
            self._verify
        )
        self._writer: BatchWriter[CheckInRequest, Answer] = BatchWriter(
            self._write_batch, self._write_alone, BatchLimits(MAX_BATCH)
        )

    async def submit(self, request: EnvelopeRequest) -> Answer:
        """Return the answer after the commit; `IntakeBusy` with a retry token if the queues are too long. Raises no DomainError."""
        settings, queued = self._app_context.settings, self._verifying.queued + self._writer.queued
        wait = self._verifying.expected_wait() + self._writer.expected_wait()
        if queued >= settings.intake_max_queue or wait > settings.intake_max_wait_seconds:
            try:
                return UnrecordedRefusal(self._reject(request, wait))
            except DomainError as error:
                return UnrecordedRefusal(error)
        with self._writer.expect_item():
            verified = await self._verifying.run(request)
            if isinstance(verified, UnrecordedRefusal):
                return verified
            answer = self._writer.submit(verified)
        return await answer

    def _verify(self, request: EnvelopeRequest) -> CheckInRequest | UnrecordedRefusal:
        """Check everything that needs no database: access token, DPoP proof, envelope signature."""
        is_own_proof = request.http.dpop is None
        try:
            proof, opened = self._open_own_proof(request) if is_own_proof else self._open(request)
        except DomainError as error:
            return UnrecordedRefusal(error)
        digest = opened.digest if isinstance(opened, OpenedEnvelope) else signed_digest(request.compact)
        at = self._effective_time(request, digest)
        return CheckInRequest(
            request.roll_call_id, request.compact, digest, opened, proof, at, request.arrived_at, is_own_proof
        )

    def _open(self, request: EnvelopeRequest) -> tuple[Proof, OpenedEnvelope | CheckInRefusal]:
        """Check the request's DPoP proof, then the envelope. Raises the errors of `verify_phone_request`."""
        proof = verify_phone_request(self._app_context, request.http, request.arrived_at)
        try:
            return proof, open_envelope(request.compact, proof.key)
        except CheckInRefusal as refusal:
            return proof, refusal

    def _open_own_proof(self, request: EnvelopeRequest) -> tuple[Proof, OpenedEnvelope | CheckInRefusal]:
        """Check an envelope that is sent without a DPoP proof, which it must then carry itself.

        A retry token shows that the envelope was sent before. A resend needs a proof of its own, so that nobody else
        can repeat a captured request with the captured answer to it.
        """
        app_context, http, at = self._app_context, request.http, request.arrived_at
        try:
            document = parse_envelope(request.compact)
        except CheckInRefusal:
            document = None
        if document is None or "jwk" not in document.header:
            return self._open(request)  # raises: there is no proof
        signer = verify_document_signer(app_context, http, document, at)
        if request.retry_token is not None:
            raise ProofReplayed
        try:
            opened = read_verified_envelope(document)
        except CheckInRefusal as refusal:
            return signer.prove(read_proof_claims(document)), refusal
        return signer.prove(opened.content.proof_claims()), opened

    def _effective_time(self, request: EnvelopeRequest, digest: bytes) -> datetime:
        """Return the time that decides lateness: that of the first attempt if a valid retry token proves one."""
        if request.retry_token is None:
            return request.arrived_at
        ttl = timedelta(seconds=self._app_context.settings.retry_token_ttl_seconds)
        attempt = self._make_retry_token(request, digest)
        return (
            read_first_attempt(self._app_context.keys, request.retry_token, attempt, ttl)
            or request.arrived_at
        )

    async def _write_batch(self, batch: Sequence[CheckInRequest]) -> list[Answer | Deferred]:
        async with self._app_context.database.unscoped.transaction() as connection:
            return await receive_batch(connection, batch, self._app_context.keys)

    async def _write_alone(self, request: CheckInRequest) -> Answer:
        async with self._app_context.database.unscoped.transaction() as connection:
            (answer,) = await receive_batch(connection, [request], self._app_context.keys, wait=True)
        assert not isinstance(answer, Deferred)
        return answer

    def _reject(self, request: EnvelopeRequest, wait: float) -> IntakeBusy:
        """Sign a retry token for a request that is rejected because of load.

        Only the access token is checked, to save signature checks under load. That is safe: the retry token names the
        digest of an envelope that only the student's phone could have signed, so it is useless to anyone else.
        """
        app_context, settings = self._app_context, self._app_context.settings
        attempt = self._make_retry_token(request, signed_digest(request.compact))
        app_context.service(LoadShedding).count_rejection(request.arrived_at)
        ttl = timedelta(seconds=settings.retry_token_ttl_seconds)
        token = request.retry_token
        if token is None or read_first_attempt(app_context.keys, token, attempt, ttl) is None:
            token = sign_retry_token(app_context.keys, attempt)
        seconds = choose_retry_delay(
            app_context.keys, attempt.account_id, attempt.digest, wait, settings.intake_jitter_seconds
        )
        return IntakeBusy(seconds=seconds, attempted=token)

    def _make_retry_token(self, request: EnvelopeRequest, digest: bytes) -> RetryToken:
        access = phone_token_verifier(self._app_context).read(phone_token(request.http), request.arrived_at)
        return RetryToken(access.account_id, request.roll_call_id, digest, request.arrived_at)
