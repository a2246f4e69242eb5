"""Who makes a request: one signature check or two, and one round trip to the database."""

import hmac
from dataclasses import dataclass

from backend.core.acting import Acting
from backend.core.runtime import Runtime
from backend.identity import door
from backend.identity.access_tokens import bound_thumbprint, sign_in_of
from backend.identity.errors import (
    AccountDisabled,
    KeyRevoked,
    PhoneTokenMissing,
    ProofInvalid,
    ProofReplayed,
    SessionRevoked,
    TokenMissing,
)
from backend.identity.law import law_at
from backend.identity.proofs import Proof, ProvenRequest, check_proof


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What authentication reads of a request: method, path, and two headers."""

    method: str
    path: str
    authorization: str | None
    dpop: str | None


@dataclass(frozen=True, slots=True)
class Proven:
    """A request whose proof was fresh; `standing` says whom the key speaks for, if anybody."""

    proof: Proof
    standing: door.ProofStanding

    def student(self) -> Acting:
        """The student's account; raises KeyRevoked or AccountDisabled unless both key and account stand."""
        if self.standing.acting is None or not self.standing.key_active:
            raise KeyRevoked
        if not self.standing.account_active:
            raise AccountDisabled
        return self.standing.acting


async def prove(runtime: Runtime, request: HttpRequest) -> Proven:
    """Check and spend the proof of a request that carries no token yet; raises ProofInvalid or ProofReplayed."""
    return await _spend(runtime, request, None)


async def authenticate_phone(runtime: Runtime, request: HttpRequest) -> Acting:
    """The student who makes the request: token, proof of its key, key and account all hold (RFC 9449, 7)."""
    token = _credential(request.authorization, "dpop")
    if token is None:
        raise PhoneTokenMissing
    bound_to = bound_thumbprint(runtime.keys, token, runtime.clock())
    proven = await _spend(runtime, request, token, bound_to)
    return proven.student()


async def _spend(
    runtime: Runtime, request: HttpRequest, token: str | None, bound_to: str | None = None
) -> Proven:
    at = runtime.clock()
    proof = check_proof(
        request.dpop or "",
        ProvenRequest(
            method=request.method,
            url=runtime.settings.public_url.rstrip("/") + request.path,
            at=at,
            max_age=law_at(runtime, at).duration("identity.proof.max_age"),
            access_token=token,
        ),
    )
    if bound_to is not None and not hmac.compare_digest(proof.jkt, bound_to):
        raise ProofInvalid(reason="cnf")
    standing = await door.use_proof(runtime.database, proof, at)
    if not standing.fresh:
        raise ProofReplayed
    return Proven(proof, standing)


async def authenticate_staff(runtime: Runtime, authorization: str | None) -> door.SessionFacts:
    """The sign-in behind `Authorization: Bearer …`; raises a 401 unless it stands right now."""
    token = _credential(authorization, "bearer")
    if token is None:
        raise TokenMissing
    at = runtime.clock()
    facts = await door.session_facts(runtime.database, sign_in_of(runtime.keys, token, at))
    if facts is None or not facts.stands(at):
        raise SessionRevoked
    return facts


def _credential(authorization: str | None, scheme: str) -> str | None:
    kind, _, value = (authorization or "").partition(" ")
    value = value.strip()
    return value if kind.lower() == scheme and value else None
