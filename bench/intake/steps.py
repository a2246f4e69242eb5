"""CPU time of each step of the intake of an envelope, in microseconds of the server's code.

Database steps run per batch, as under load, and are divided by its size; their elapsed time includes the database.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.identity.sign_in.access_tokens import PhoneTokenVerifier
from backend.identity.sign_in.authentication import (
    HttpRequest,
    phone_token_verifier,
    verify_document_signer,
    verify_phone_request,
)
from backend.identity.sign_in.dpop import Proof
from backend.roll_call.check_in.evaluate import evaluate_request
from backend.roll_call.check_in.intake import MAX_BATCH
from backend.roll_call.check_in.repository import (
    AcceptedCheckIn,
    CheckInFacts,
    CheckInRequest,
    load_check_in_facts,
    store_check_ins,
)
from backend.roll_call.envelope import OpenedEnvelope, open_envelope, parse_envelope, read_verified_envelope
from bench.intake.data import ROLL_CALL


@dataclass(frozen=True, slots=True)
class Signed:
    """The parts of a request."""

    token: str
    proof: str | None
    envelope: str
    path: str


def measure_step(step: str, count: int, work: Callable[[], object]) -> dict[str, Any]:
    """One row: the cost of `work` for each of `count` requests."""
    began, cpu = time.monotonic(), time.process_time()
    work()
    return _row(step, count, time.monotonic() - began, time.process_time() - cpu)


async def measure_async_step(
    step: str, count: int, work: Callable[[], Awaitable[Any]]
) -> tuple[dict[str, Any], Any]:
    """The same for asynchronous work, with its result."""
    began, cpu = time.monotonic(), time.process_time()
    result = await work()
    return _row(step, count, time.monotonic() - began, time.process_time() - cpu), result


def _row(step: str, count: int, seconds: float, cpu: float) -> dict[str, Any]:
    return {
        "step": step,
        "cpu µs": round(1e6 * cpu / count, 1),
        "elapsed µs": round(1e6 * seconds / count, 1),
    }


async def list_steps(
    app_context: AppContext, requests: Sequence[Signed], own_proofs: Sequence[Signed]
) -> list[dict[str, Any]]:
    """A row for each step over all requests. Nothing is committed except by the step that measures it.

    `own_proofs` are the same requests with envelopes that are their own proof.
    """
    at, count = now(), len(requests)
    tokens = PhoneTokenVerifier(app_context.keys)
    app_context.services[phone_token_verifier] = tokens
    rows = [
        measure_step("token, first seen", count, lambda: [tokens.read(each.token, at) for each in requests])
    ]
    rows.append(
        measure_step("token, seen before", count, lambda: [tokens.read(each.token, at) for each in requests])
    )
    proofs: list[Any] = []
    http_requests = [HttpRequest("POST", each.path, f"DPoP {each.token}", each.proof) for each in requests]
    rows.append(
        measure_step(
            "proof",
            count,
            lambda: proofs.extend(verify_phone_request(app_context, each, at) for each in http_requests),
        )
    )
    opened: list[Any] = []
    pairs = list(zip(requests, proofs, strict=True))
    rows.append(
        measure_step(
            "envelope", count, lambda: opened.extend(open_envelope(e.envelope, p.key) for e, p in pairs)
        )
    )
    proven: list[Any] = []
    rows.append(
        measure_step(
            "envelope that is its own proof",
            count,
            lambda: proven.extend(open_own_proof(app_context, each, at) for each in own_proofs),
        )
    )
    arrivals = [
        CheckInRequest(ROLL_CALL, each.envelope, content.digest, content, proof, at, at)
        for (each, proof), content in zip(pairs, opened, strict=True)
    ]
    return rows + await _of_the_database(app_context, arrivals)


def open_own_proof(app_context: AppContext, signed: Signed, at: datetime) -> tuple[Proof, OpenedEnvelope]:
    """Verify and parse an envelope that is its own proof."""
    http = HttpRequest("POST", signed.path, f"DPoP {signed.token}", None)
    document = parse_envelope(signed.envelope)
    signer = verify_document_signer(app_context, http, document, at)
    opened = read_verified_envelope(document)
    return signer.prove(opened.content.proof_claims()), opened


async def _of_the_database(
    app_context: AppContext, arrivals: Sequence[CheckInRequest]
) -> list[dict[str, Any]]:
    sums: dict[str, list[tuple[float, float]]] = {}
    for start in range(0, len(arrivals) // MAX_BATCH * MAX_BATCH, MAX_BATCH):
        batch = arrivals[start : start + MAX_BATCH]
        for row in await _of_a_batch(app_context, batch):
            sums.setdefault(row["step"], []).append((row["cpu µs"], row["elapsed µs"]))
    return [
        {
            "step": step,
            "cpu µs": round(sum(cpu for cpu, _ in each) / len(each), 1),
            "elapsed µs": round(sum(elapsed for _, elapsed in each) / len(each), 1),
        }
        for step, each in sums.items()
    ]


async def _of_a_batch(app_context: AppContext, batch: Sequence[CheckInRequest]) -> list[dict[str, Any]]:
    count = len(batch)
    async with app_context.database.unscoped.transaction() as connection:
        read, facts = await measure_async_step(
            "facts read", count, lambda: load_check_in_facts(connection, batch, wait=False)
        )
        judged: list[Any] = []
        signed = measure_step(
            "judged, receipt signed",
            count,
            lambda: judged.extend(_judge_submissions(app_context, batch, facts)),
        )
        stored = [each for each in judged if isinstance(each, AcceptedCheckIn)]
        assert len(stored) == count, judged
        written, _ = await measure_async_step(
            "inserted", count, lambda: store_check_ins(connection, stored, [])
        )
        committed, _ = await measure_async_step("committed", count, connection.commit)
    return [read, signed, written, committed]


def _judge_submissions(
    app_context: AppContext, batch: Sequence[CheckInRequest], facts: Sequence[CheckInFacts | None]
) -> list[Any]:
    return [
        evaluate_request(each, known, app_context.keys)
        for each, known in zip(batch, facts, strict=True)
        if known
    ]
